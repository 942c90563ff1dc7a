"""Owns the look at the settings: the effective ones, or every mistake in them, and which bundle is used by them.

It opens no device.
"""

from __future__ import annotations

import argparse

from edge import folders, selection
from edge.commands.shell import configured, put
from edge.core.errors import EXIT_OK
from edge.core.tables import as_toml


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes: nothing more."""


def run(options: argparse.Namespace) -> int:
    """Print the effective configuration, and a remark about each bundle; ConfigError holds every mistake."""
    config = configured(options)
    put(as_toml(config))
    for sentence in selection.chosen(config, folders.device_state()):
        put(f"# {sentence}")
    return EXIT_OK
