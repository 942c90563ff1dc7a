"""The device's judgement as a service over HTTP: the same code, for pictures that others took (docs/rest.md)."""
