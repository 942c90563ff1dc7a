"""Owns the look at the settings alone: the effective ones, or every mistake in them. It opens no device."""

from __future__ import annotations

import argparse

from edge.commands.shell import configured, put
from edge.core.errors import EXIT_OK
from edge.core.tables import as_toml


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes: nothing more."""


def run(options: argparse.Namespace) -> int:
    """Print the effective configuration; ConfigError holds every mistake."""
    put(as_toml(configured(options)))
    return EXIT_OK
