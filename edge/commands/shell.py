"""Owns what all commands share: the settings and the bundle they were called with, lines out, sentences of failure.

Without a bundle named by hand, the one that is meant is the one that the daemon would use now (`edge.selection`).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge import config, settings
from edge.core.line import one_line
from edge.settings import Config

if TYPE_CHECKING:
    from edge.loading import Loaded
    from edge.selection import Load, Open


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


def loader(options: argparse.Namespace) -> Load:
    """What loads the bundles named by hand, else those that the daemon would use now, with a word where others are."""
    from edge import folders, selection  # only now: what speaks a fault needs neither

    if getattr(options, "bundle", None):
        return selection.load
    state = folders.device_state()

    def load(config: Config, open_engine: Open) -> list[Loaded]:
        found = selection.in_use(config, open_engine, state, lambda: as_owner_of(state))
        for note in found.notes:
            tell(note)
        return found.loaded

    return load


@contextlib.contextmanager
def as_owner_of(folder: Path) -> Iterator[None]:
    """With the rights of whoever owns `folder`, for root: there may be links in it to what only root may read."""
    if os.geteuid() != 0 or not folder.is_dir():
        yield
        return
    found = folder.stat()
    os.setegid(found.st_gid)
    os.seteuid(found.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


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
