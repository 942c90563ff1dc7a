"""Owns how saynote gets from this checkout onto a device; nothing imports it."""
