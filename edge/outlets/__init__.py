"""Consumers of events, each with one thread and one bounded inbox; the main loop never waits for them."""
