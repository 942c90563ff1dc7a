"""Owns what a person does with bundles that travel: install, list, use, roll back, and the keys that are trusted.

Called as root it works as whoever owns the service's state: what it writes is the service's, and what is foreign is not
read with root's rights. Only the keys are root's. It changes what is used; the running daemon takes that up by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from edge import folders, installer, selection
from edge.commands.shell import configured, put
from edge.core import intake
from edge.core.errors import EXIT_OK, BundleError, ConfigError, EdgeError
from edge.core.ledger import CONFIGURED, Line, Outcome
from edge.core.line import shown
from edge.core.manifest import Manifest
from edge.core.seal import SEALED_MOST_BYTES
from edge.core.shelf import Shelf
from edge.settings import Config

ROOT_ID = 0
T = TypeVar("T")


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("install", help="take in a sealed bundle: a file or an https address")
    add.add_argument("source", metavar="FILE|URL")
    actions.add_parser("list", help="what is here, what is used, and what became of the last ones")
    use = actions.add_parser("use", help="use a bundle that is here at once, without a shadow")
    use.add_argument("name", help=f'as listed, or its version; "{CONFIGURED}" for what the settings name')
    back = actions.add_parser("rollback", help="go back to the bundle that was used before")
    back.add_argument("currency", nargs="?", default="", help="where bundles of several currencies are used")
    keys = actions.add_parser("keys", help="whose bundles are taken in: list, --add, --remove")
    what = keys.add_mutually_exclusive_group()
    what.add_argument("--add", metavar="FILE|KEY", help="trust this public key of minisign")
    what.add_argument("--remove", metavar="ID", help="trust this key no more")


def run(options: argparse.Namespace) -> int:
    """Do it; lines of what came of it."""
    config = configured(options)
    if options.action == "keys":
        return _keys(Path(config.model.keys), options)
    if options.action == "install":
        with _opened(options.source) as source:
            shelf = _shelf()
            entry = installer.install(
                source, shelf, Path(config.model.keys), selection.configured(config), runtime=config.model.runtime
            )
        put(f"installed {entry}; {_what_follows(config, shelf.line(entry[:3]), entry)}")
        return EXIT_OK
    shelf = _shelf()
    about = selection.configured(config)
    if options.action == "list":
        _list(shelf, about)
    elif options.action == "use":
        put(f"{_use(shelf, about, options.name)} is used from now on")
    else:
        put(f"{_roll_back(shelf, about, options.currency) or CONFIGURED} is used from now on")
    return EXIT_OK


# --- where, and as whom


def _shelf() -> Shelf:
    """The service's store, as its owner, where this device has one; else that of whoever calls."""
    state = folders.device_state()
    if state == folders.SERVICE_STATE and "STATE_DIRECTORY" not in os.environ:
        if os.geteuid() == ROOT_ID:
            _become_owner_of(state)
        elif not os.access(state, os.W_OK | os.X_OK):
            raise BundleError(f"the bundles of this device are in {state}: try it with sudo")
    return Shelf(state, time.time)


def _become_owner_of(folder: Path) -> None:
    found = folder.stat()
    if found.st_uid != ROOT_ID:
        os.setgroups([])
        os.setgid(found.st_gid)
        os.setuid(found.st_uid)
    os.umask(0o077)


@contextlib.contextmanager
def _opened(source: str) -> Iterator[str | BinaryIO]:
    """A file is opened as whoever calls, who may read it; what is in it is read as the service's user."""
    if "://" in source:
        yield source
        return
    try:
        with intake.opened(Path(source), SEALED_MOST_BYTES) as handle, os.fdopen(os.dup(handle), "rb") as file:
            yield file
    except FileNotFoundError:
        raise BundleError(f"there is no file {shown(source)}") from None
    except OSError as error:
        if isinstance(error, EdgeError):
            raise
        raise BundleError(f"{shown(source)} cannot be read: {error.strerror}") from error


# --- what it says


def _what_follows(config: Config, line: Line, entry: str) -> str:
    if line.active == entry:
        return "it is used already"
    if not config.model.shadow_s:
        return "the daemon uses it from its next look on"
    return f"the daemon compares it for {config.model.shadow_s:g} s and {config.model.shadow_notes} notes, unheard"


def _list(shelf: Shelf, about: dict[str, Manifest]) -> None:
    record = shelf.read()
    for currency, manifest in about.items():
        chosen = shelf.chosen(currency, manifest)
        put(f"{currency} {CONFIGURED}: {manifest.name} {manifest.version}{'' if chosen else ', in use'}")
    for entry in shelf.entries():
        line = record.lines.get(entry[:3], Line())
        used = entry[:3] in about and shelf.chosen(entry[:3], about[entry[:3]]) == entry
        put(f"{entry}{_standing(line, entry, used)}")
    if not shelf.entries():
        put("no bundle was installed here")
    for outcome in record.outcomes:
        put(_told(outcome))


def _standing(line: Line, entry: str, used: bool) -> str:
    found = []
    if used:
        found.append("in use" + (", on trial" if line.trial else ""))
    if line.candidate == entry:
        tally = line.tally
        found.append(
            f"in the shadow: {tally.alike} notes alike, {tally.otherwise} otherwise, {tally.silent} silent, "
            f"{tally.alone} alone, in {tally.seconds:.0f} s of pictures"
        )
    if line.previous == entry:
        found.append("before it")
    return f": {'; '.join(found)}" if found else ""


def _told(outcome: Outcome) -> str:
    when = "" if outcome.wall_s is None else time.strftime("%Y-%m-%d %H:%M ", time.localtime(outcome.wall_s))
    return f"  {when}{outcome.entry} {outcome.what}{': ' if outcome.why else ''}{outcome.why}"


# --- what it does


def _use(shelf: Shelf, about: dict[str, Manifest], name: str) -> str:
    if name == CONFIGURED:
        for currency in [currency for currency in about if shelf.line(currency).active]:
            _written(shelf, functools.partial(shelf.promote, currency, "", about[currency], "asked for"))
        return CONFIGURED
    entry = shelf.find(name)
    if entry[:3] not in about:
        raise BundleError(f"{entry} is of {entry[:3]}, and this device reads {' and '.join(about) or 'nothing'}")
    _written(shelf, lambda: shelf.promote(entry[:3], entry, about[entry[:3]], "asked for"))
    return entry


def _roll_back(shelf: Shelf, about: dict[str, Manifest], currency: str) -> str:
    active = [name for name in about if shelf.line(name).active and currency in ("", name)]
    if not active:
        raise BundleError("what the settings name is in use: there is nothing to go back to")
    if len(active) > 1:
        raise BundleError(f"say which one to go back with: {' or '.join(active)}")
    return _written(shelf, lambda: shelf.roll_back(active[0], "asked for"))


def _written(shelf: Shelf, change: Callable[[], T]) -> T:
    try:
        return change()
    except OSError as error:
        raise BundleError(f"{shelf.folder} cannot be changed: {error.strerror}") from error


def _keys(folder: Path, options: argparse.Namespace) -> int:
    from edge.drivers import signature

    try:
        if options.add:
            key = signature.trust(folder, options.add)
            put(f"trusted from now on: {key.id} {key.fingerprint}")
        elif options.remove:
            key = signature.distrust(folder, options.remove)
            put(f"trusted no more: {key.id} {key.fingerprint}")
        else:
            keys = signature.trusted(folder)
            for key in keys:
                put(f"{key.id} {key.fingerprint} {key.comment}")
            if not keys:
                put(f"no key is trusted: there is none in {folder}")
    except OSError as error:
        raise ConfigError([f"{folder} cannot be changed: {error.strerror}; try it with sudo"]) from error
    return EXIT_OK
