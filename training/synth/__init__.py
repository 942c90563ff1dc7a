"""Pictures and films made of notes. Knows no model."""
