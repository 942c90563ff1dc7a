"""From photographs to a model bundle: photos > synth > learn > measure > show. Never runs on a device."""
