"""Owns the store of bundles that travelled to this device: what lies in it, and which of it is used.

    <state>/bundles/CURRENCY-VERSION-DIGEST/   one bundle, whole: it was renamed to that name once it was on the disk
    <state>/bundles/shelf.json                 what is used, on trial and in the shadow, by currency; replaced whole
    <state>/bundles/.staging-*                 what an installation that was killed has left; the next clears it away

Killed at any moment, `shelf.json` names whole bundles only; without it the settings hold. A bundle on trial has its
starts counted before each: one that takes the process down is left after `MOST_STARTS` of them. It must not know where
a bundle comes from, nor what runs it.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from edge.core import intake, whole
from edge.core.bundle import Manifest
from edge.core.errors import BundleError
from edge.core.line import shown
from edge.core.seal import ENTRY, Claim, order

log = logging.getLogger(__name__)

FOLDER = "bundles"
RECORD = "shelf.json"
RECORD_MOST_BYTES = 256 << 10
STAGING = ".staging-"
MOST_STARTS = 2  # of a bundle on trial that did not get well
MOST_ENTRIES = 4  # of one currency; what is in use or was before it stays in any case
MOST_OUTCOMES = 20
CONFIGURED = "configured"  # what the settings name, in place of an entry


class Tally(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the shadow has shown so far."""

    seconds: float = 0.0  # of frames that were looked at
    alike: int = 0  # notes to which both said the same amount
    otherwise: int = 0  # to which it said another one, or an amount to no note
    silent: int = 0  # to which only the bundle in use said one
    alone: int = 0  # to which only the one in the shadow did


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is used for one currency. Entries by their names; "" stands for what the settings name, or for none."""

    active: str = ""
    over: str = ""  # digest of the configured bundle whose place it took
    previous: str = ""  # active before it
    trial: bool = False  # the active one has not shown yet that it does well
    starts: int = 0  # of the active one on trial
    candidate: str = ""  # in the shadow, or about to be
    tally: Tally = Tally()
    newest: str = ""  # version of the newest that was ever taken in: none older follows


class Outcome(msgspec.Struct, frozen=True):
    """What became of a bundle."""

    entry: str
    what: str  # installed, refused, switched, stays, rolled back
    why: str = ""
    wall_s: float | None = None


class Record(msgspec.Struct, frozen=True):
    """shelf.json."""

    lines: dict[str, Line] = {}
    outcomes: tuple[Outcome, ...] = ()  # the oldest first


class Shelf:
    """The store below one state folder. A change raises OSError where the disk takes none, and then changes nothing."""

    def __init__(self, state: Path, now_s: Callable[[], float | None] = lambda: None) -> None:
        """`now_s`: seconds since 1970, where they are known."""
        self.folder = state / FOLDER
        self._now_s = now_s

    # --- what is there

    def read(self) -> Record:
        """What is used; a record that cannot be read is none, and the settings hold."""
        path = self.folder / RECORD
        try:
            return msgspec.json.decode(intake.read(path, RECORD_MOST_BYTES, links=False), type=Record)
        except FileNotFoundError:
            return Record()
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            log.warning("%s cannot be read, what the settings name is used: %s", path, error)
            return Record()

    def line(self, currency: str) -> Line:
        """What is used for one currency."""
        return self.read().lines.get(currency, Line())

    def stamp(self) -> tuple[int, int] | None:
        """Another one after each change; None while there is no record."""
        try:
            found = (self.folder / RECORD).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def entries(self, currency: str = "") -> list[str]:
        """The bundles that lie here, or those of one currency, the newest first."""
        try:
            names = [path.name for path in self.folder.iterdir() if ENTRY.fullmatch(path.name) and path.is_dir()]
        except OSError:
            return []
        found = [name for name in names if name.startswith(currency) and _version(name)]
        return sorted(found, key=lambda name: (name[:3], order(_version(name)), name), reverse=True)

    def path(self, entry: str) -> Path:
        """Where a bundle lies."""
        return self.folder / entry

    def find(self, word: str) -> str:
        """The entry that a person means: its name, its beginning or its version. Raises BundleError."""
        fitting = [name for name in self.entries() if name.startswith(word) or _version(name) == word]
        exact = [name for name in fitting if name == word]
        if len(exact or fitting) != 1:
            known = ", ".join(self.entries()) or "none"
            raise BundleError(f"{shown(word)} is {'no' if not fitting else 'more than one'} bundle of {known}")
        return (exact or fitting)[0]

    # --- what may come in

    def admit(self, claim: Claim, configured: Mapping[str, Manifest]) -> None:
        """Raises BundleError for what must not be installed: another currency, or older than what was here already."""
        if claim.currency not in configured:
            known = " and ".join(sorted(configured)) or "nothing"
            raise BundleError(f"it is a bundle of {claim.currency}, and this device reads {known}")
        newest = self.newest(claim.currency, configured[claim.currency])
        if order(claim.version) > order(newest) or (claim.entry in self.entries() and claim.version == newest):
            return
        if claim.entry in self.entries():
            raise BundleError(f"it is here already, and not the newest: to use it, saynote bundle use {claim.entry}")
        raise BundleError(
            f"it is {claim.currency} {claim.version}, and {newest} was here already: only a newer one is taken"
        )

    def newest(self, currency: str, configured: Manifest) -> str:
        """The newest version that is known here; "0" for none."""
        known = [self.line(currency).newest, configured.version, *map(_version, self.entries(currency))]
        return max((version for version in known if _ordered(version)), key=order, default="0")

    @contextlib.contextmanager
    def installing(self) -> Iterator[None]:
        """Alone here while a bundle comes in. Raises BundleError while another does, and OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".installing").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BundleError("another bundle is being installed: try again when it is done") from None
            for left in self.folder.glob(f"{STAGING}*"):
                _remove(left)
            yield

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder on the same file system, gone at the end unless it was renamed. Raises OSError."""
        import tempfile

        folder = Path(tempfile.mkdtemp(prefix=STAGING, dir=self.folder))
        try:
            yield folder
        finally:
            _remove(folder)

    def keep(self, staged: Path, claim: Claim) -> str:
        """Give a staged bundle its name, once it is on the disk, and make it the candidate; the entry."""
        for path in staged.iterdir():
            whole.to_disk(path)
        whole.to_disk(staged)
        place = self.path(claim.entry)
        if place.exists():  # of the same name and damaged, or it would not have been staged
            place.rename(staged.with_name(f"{staged.name}-old"))
        staged.rename(place)
        whole.to_disk(self.folder)
        return self.nominate(claim)

    def nominate(self, claim: Claim) -> str:
        """Make a bundle that lies here the candidate, and forget those that nobody needs any more."""

        def change(line: Line) -> Line:
            newest = max((v for v in (line.newest, claim.version) if v), key=order)
            if claim.entry == line.active:
                return msgspec.structs.replace(line, newest=newest)
            return msgspec.structs.replace(line, candidate=claim.entry, tally=Tally(), newest=newest)

        self._change(claim.currency, change, Outcome(claim.entry, "installed"))
        self._forget_old(claim.currency)
        return claim.entry

    # --- what is used

    def chosen(self, currency: str, configured: Manifest | None) -> str:
        """The entry that takes the place of the configured bundle; "" for none.

        One that took the place of another configured bundle than today's does so only as long as it is newer: whoever
        deploys another bundle wants to use it.
        """
        line = self.line(currency)
        if not line.active or (configured is not None and not _stands(line, configured)):
            return ""
        return line.active

    def begin(self, currency: str, configured: Manifest | None) -> str:
        """As `chosen`, at a start: one on trial has it counted, and is left once it was started too often."""
        entry, line = self.chosen(currency, configured), self.line(currency)
        if not entry or not line.trial:
            return entry
        try:
            if line.starts >= MOST_STARTS:
                log.warning("bundle %s is left: it was started %d times and never did well", entry, line.starts)
                self.roll_back(currency, f"it was started {line.starts} times and never did well")
                return self.chosen(currency, configured)
            self._change(currency, lambda line: msgspec.structs.replace(line, starts=line.starts + 1))
        except OSError as error:
            log.warning("%s is on trial, and a start of it cannot be counted: %s", entry, error)
            return line.previous
        return entry

    def promote(self, currency: str, entry: str, configured: Manifest, why: str = "") -> None:
        """Use `entry` from now on, on trial; "" for what the settings name, which needs none."""

        def change(line: Line) -> Line:
            return msgspec.structs.replace(
                line,
                active=entry,
                over=configured.digest if entry else "",
                previous="" if entry == line.active else line.active,
                trial=bool(entry),
                starts=0,
                candidate="" if entry in ("", line.candidate) else line.candidate,
                tally=Tally() if entry in ("", line.candidate) else line.tally,
            )

        self._change(currency, change, Outcome(entry or CONFIGURED, "switched", why))

    def settle(self, currency: str, entry: str) -> None:
        """The active one does well."""

        def change(line: Line) -> Line:
            return msgspec.structs.replace(line, trial=False, starts=0) if line.active == entry else line

        self._change(currency, change, Outcome(entry, "stays"))

    def roll_back(self, currency: str, why: str) -> str:
        """Leave the active one for what was before it; what is used then."""
        left = self.line(currency).active

        def change(line: Line) -> Line:
            return msgspec.structs.replace(
                line,
                active=line.previous,
                over=line.over if line.previous else "",
                previous="",
                trial=False,
                starts=0,
                candidate="" if line.candidate == line.active else line.candidate,
            )

        self._change(currency, change, Outcome(left, "rolled back", why))
        return self.line(currency).active

    def refuse(self, currency: str, entry: str, why: str) -> None:
        """The candidate is not used."""

        def change(line: Line) -> Line:
            return msgspec.structs.replace(line, candidate="", tally=Tally()) if line.candidate == entry else line

        self._change(currency, change, Outcome(entry, "refused", why))

    def count(self, currency: str, entry: str, tally: Tally) -> None:
        """What the shadow of `entry` has shown by now."""

        def change(line: Line) -> Line:
            return msgspec.structs.replace(line, tally=tally) if line.candidate == entry else line

        self._change(currency, change)

    def _change(self, currency: str, change: Callable[[Line], Line], outcome: Outcome | None = None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".changing").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = self.read()
            lines = {**found.lines, currency: change(found.lines.get(currency, Line()))}
            outcomes = found.outcomes
            if outcome is not None:
                outcome = msgspec.structs.replace(outcome, why=outcome.why[:400], wall_s=self._now_s())
                outcomes = (*outcomes, outcome)[-MOST_OUTCOMES:]
            whole.write(self.folder / RECORD, msgspec.json.encode(Record(lines, outcomes)), lasting=True)

    def _forget_old(self, currency: str) -> None:
        line, there = self.line(currency), self.entries(currency)
        kept = {line.active, line.previous, line.candidate}
        for entry in there[MOST_ENTRIES:]:
            if entry not in kept:
                with contextlib.suppress(OSError):
                    gone = self.path(entry).rename(self.folder / f"{STAGING}{os.getpid()}-{entry}")
                    _remove(gone)


def _version(entry: str) -> str:
    """The version in an entry's name; "" where it holds none."""
    version = entry[4:-9]
    return version if _ordered(version) else ""


def _ordered(version: str) -> bool:
    try:
        return bool(order(version))
    except BundleError:
        return False


def _stands(line: Line, configured: Manifest) -> bool:
    if line.over == configured.digest:
        return True
    return not _ordered(configured.version) or order(_version(line.active)) > order(configured.version)


def _remove(folder: Path) -> None:
    import shutil  # heavy, and no start needs it

    shutil.rmtree(folder, ignore_errors=True)
