"""Pure stages and contracts: data in, data out, no device, no clock, no thread."""
