"""From photographs to a model bundle: prepare > fit > quantize > evaluate > export. Never runs on a device."""
