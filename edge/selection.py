"""Owns which bundle is used for each that the settings name, and why: one installed in its place, it, or a stand-in.

The daemon and every command ask here, so that they mean the same bundle. The daemon writes down what it finds out; who
only looks (`in_use`) goes the same way and writes nothing. It opens no driver: whoever asks brings the way to do so.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from edge import fallback, loading
from edge.core import bundle as bundles
from edge.core import intake
from edge.core.bundle import Bundle
from edge.core.errors import BundleError, ConfigError, Reason
from edge.core.ledger import Line, Outcome
from edge.core.line import shown
from edge.core.manifest import Manifest
from edge.core.messages import Fault
from edge.core.shelf import Glance, Shelf
from edge.loading import Loaded
from edge.ports import Engine
from edge.settings import Config

log = logging.getLogger(__name__)

BUNDLES = Path(__file__).resolve().parent / "bundles"
Open: TypeAlias = Callable[[Bundle], Engine]
Load: TypeAlias = Callable[[Config, Open], list[Loaded]]


def find_bundle(name: str) -> Path:
    """The folder of a shipped bundle, or of one given by its path."""
    folder = bundle_folder(name)
    if not intake.is_folder(folder) and "/" not in name:
        known = ", ".join(sorted(path.name for path in BUNDLES.glob("*") if path.is_dir())) or "none"
        raise BundleError(f"there is no bundle {shown(name)}; shipped are {known}")
    return folder


def bundle_folder(name: str) -> Path:
    """Where a bundle of that name, or at that path, would lie."""
    shipped = BUNDLES / name
    return shipped if "/" not in name and intake.is_folder(shipped) else Path(name)


def configured(config: Config) -> dict[str, Manifest]:
    """What the settings name, by currency; what of it cannot be read is left out."""
    found: dict[str, Manifest] = {}
    for name in config.model.bundles:
        with contextlib.suppress(BundleError):
            manifest = bundles.about(find_bundle(name))
            found.setdefault(manifest.currency, manifest)
    return found


def digests(config: Config) -> tuple[str, ...]:
    """What tells the bundles that the settings name from any other; what of it cannot be read is left out."""
    return tuple(manifest.digest for manifest in configured(config).values())


def load(config: Config, open_engine_: Open) -> list[Loaded]:
    """The configured bundles, whole and self-tested, each with the engine that runs it. Raises BundleError."""
    return _each(config, lambda wanted, _: loading.load(find_bundle(wanted), open_engine_))


def load_or_stand_in(config: Config, open_engine_: Open, state: Path) -> tuple[list[Loaded], list[Fault]]:
    """The configured bundles, or what stands in for those that are refused and the faults to tell.

    One that has no stand-in is missed by all: its notes would be strangers that another may take for its own. Raises
    its error.
    """
    faults: list[Fault] = []
    shelf = Shelf(state, time.time)

    def take(wanted: str, place: int) -> Loaded:
        if installed := _load_installed(config, wanted, open_engine_, shelf):
            log.info("%s", _in_place_of(wanted, installed[0], shelf))
            return installed
        loaded, fault = _load_or_stand_in(wanted, open_engine_, state / f"bundle-{place + 1}" if place else state)
        faults.extend([fault] if fault else [])
        return loaded

    return _each(config, take), faults


def _each(config: Config, take: Callable[[str, int], Loaded]) -> list[Loaded]:
    """What `take` makes of each bundle's name and its place among them. Raises ConfigError for a currency twice."""
    found: list[Loaded] = []
    with contextlib.ExitStack() as closing:
        for place, wanted in enumerate(config.model.bundles):
            bundle, engine = take(wanted, place)
            closing.callback(engine.close)
            found.append((bundle, engine))
            each_of_its_own([one for one, _ in found])
        closing.pop_all()
    return found


def each_of_its_own(chosen: Sequence[Bundle]) -> None:
    """Raises ConfigError where two are of one currency."""
    currencies = [bundle.manifest.currency for bundle in chosen]
    if twice := [currency for currency in currencies if currencies.count(currency) > 1]:
        raise ConfigError([f"model.bundle names two bundles of {twice[0]}: name one of them"])


def _load_installed(config: Config, wanted: str, open_engine_: Open, shelf: Shelf) -> Loaded | None:
    """The installed bundle that takes the place of `wanted`; None where none does. One that is refused is left."""
    folder = bundle_folder(wanted)
    manifest, currency = _about(folder)
    while entry := shelf.begin(currency, manifest):
        try:
            bundle, engine = loading.load(shelf.path(entry), open_engine_)
            if not (why := unfit(config, folder, bundle)):
                return bundle, engine
            engine.close()
            raise BundleError(why)
        except BundleError as error:
            log.error("%s", error)
            try:
                shelf.roll_back(currency, str(error))
            except OSError as trouble:
                log.warning("what is used instead is not remembered: %s", trouble)
                return None
    return None


def _about(folder: Path) -> tuple[Manifest | None, str]:
    """The manifest of a configured bundle, where it can be read, and its currency, as far as can be told."""
    try:
        manifest = bundles.about(folder)
    except BundleError:
        return None, bundles.currency(folder)
    return manifest, manifest.currency


def _in_place_of(wanted: str, bundle: Bundle, shelf: Shelf) -> str:
    return _told(wanted, bundle.path.name, shelf.line(bundle.manifest.currency))


def _told(wanted: str, entry: str, line: Line) -> str:
    trial = ", on trial" if line.trial and line.active == entry else ""
    return f"the installed bundle {entry} is used in place of {shown(wanted)}{trial}"


@dataclass(frozen=True)
class InUse:
    """What the daemon would use now."""

    loaded: list[Loaded]
    notes: list[str]  # a sentence for each that is installed, or cannot be seen
    refused: list[Outcome]  # installed ones that would be left at the start


def in_use(
    config: Config,
    open_engine_: Open,
    state: Path,
    reading: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
) -> InUse:
    """What the daemon would use now, found out as it does and written down nowhere.

    `reading` is entered while something of the store is read. Where the store cannot be read, what the settings name is
    taken, and that is among the notes. No stand-in is taken: raises what `load` does.
    """
    shelf = Glance(state)
    with reading():
        notes = [unseen] if (unseen := shelf.unseen()) else []

    def take(wanted: str, _place: int) -> Loaded:
        if not unseen:
            with reading():
                installed = _load_installed(config, wanted, open_engine_, shelf)
            if installed is not None:
                notes.append(_in_place_of(wanted, installed[0], shelf))
                return installed
        return loading.load(find_bundle(wanted), open_engine_)

    loaded = _each(config, take)
    return InUse(loaded, notes, [outcome for outcome in shelf.noted if outcome.what == "rolled back"])


def chosen(config: Config, state: Path) -> list[str]:
    """A sentence for each bundle that the settings name: which is used, as far as can be told without opening it."""
    shelf = Glance(state)
    if unseen := shelf.unseen():
        return [unseen]
    found = []
    for wanted in config.model.bundles:
        manifest, currency = _about(bundle_folder(wanted))
        entry = shelf.begin(currency, manifest)
        line = shelf.line(currency)
        own = f"the bundle {shown(wanted)} {'cannot be read' if manifest is None else 'is used'}"
        found.append(_told(wanted, entry, line) if entry else own)
    return found


def unfit(config: Config, configured: Path, bundle: Bundle) -> str:
    """Why an installed bundle cannot take the place of the configured one, whatever it is worth; "" where it can."""
    if config.pulses.driver == "none" or bundles.claimed_denominations(configured) == bundle.denominations:
        return ""
    return f"{bundle.path.name} has other amounts than the configured bundle, and they would be felt as wrong ones"


def _load_or_stand_in(wanted: str, open_engine_: Open, state: Path) -> tuple[Loaded, Fault | None]:
    try:
        bundle, engine = loading.load(find_bundle(wanted), open_engine_)
    except BundleError as error:
        refused = BundleError(str(error))  # without its traceback, which would hold the refused model in memory
    else:
        fallback.remember(state, wanted, bundle)
        return (bundle, engine), None
    for path, digest in fallback.candidates(state, wanted, bundle_folder(wanted), BUNDLES):
        try:
            bundle, engine = loading.load(path, open_engine_, digest)
        except BundleError as error:
            log.warning("no stand-in: %s", error)
            continue
        log.error("%s; using %s", refused, path)
        return (bundle, engine), Fault("bundle", Reason.REFUSED.value, f"{refused}; using {path}")
    raise refused
