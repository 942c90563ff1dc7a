"""Owns what all commands share: the settings and the bundle they were called with, lines out, sentences of failure."""

from __future__ import annotations

import argparse
import contextlib
import sys

from edge import config, settings
from edge.core.line import one_line
from edge.settings import Config


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """The option that `configured` knows."""
    parser.add_argument(
        "--bundle", action="append", help="name or folder of the bundle, instead of the configured one; once a currency"
    )


def configured(options: argparse.Namespace) -> Config:
    """The settings asked for, with the bundle asked for. Raises ConfigError."""
    return _with_bundle(config.load_from(options.config), options)


def configured_to_run(options: argparse.Namespace) -> tuple[Config, list[str]]:
    """As `configured`, and a sentence for each mistake that only takes an extra away. Raises ConfigError for others."""
    found, mistakes = config.load_to_run(options.config)
    return _with_bundle(found, options), mistakes


def _with_bundle(found: Config, options: argparse.Namespace) -> Config:
    bundle = getattr(options, "bundle", None)
    if not bundle:
        return found
    changed = settings.changed(found, "model", bundle=bundle[0] if len(bundle) == 1 else tuple(bundle))
    config.require(changed)
    return changed


def put(text: str) -> None:
    """Lines of what was asked for; a terminal that lacks a sign of it shows the sign's number."""
    stream, text = sys.stdout, "\n".join(map(one_line, text.split("\n")))
    try:
        stream.write(f"{text}\n")
    except UnicodeEncodeError:
        encoding = stream.encoding
        stream.write(f"{text.encode(encoding, 'backslashreplace').decode(encoding)}\n")
    stream.flush()


def tell(text: str) -> None:
    """One sentence to whoever called; nobody may be there any more."""
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"saynote: {one_line(text)}\n")
