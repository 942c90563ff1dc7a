"""Owns the store of bundles that travelled to this device: what lies in it, and which of it is used.

    <state>/bundles/CURRENCY-VERSION-DIGEST/   one bundle, whole: it was renamed to that name once it was on the disk
    <state>/bundles/shelf.json                 what is used, on trial and in the shadow, by currency; replaced whole
    <state>/bundles/.staging-*                 what an installation that was killed has left; the next clears it away

Killed at any moment, `shelf.json` names whole bundles only; without it the settings hold. A bundle on trial has its
starts counted before each: one that takes the process down is left after `MOST_STARTS` of them. What is written there,
and how it changes, is `edge.core.ledger`'s. It must not know where a bundle comes from, nor what runs it.
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
from edge.core.ledger import CONFIGURED, MOST_STARTS, Line, Outcome, Record, Tally, is_ordered, version_of
from edge.core.line import shown
from edge.core.seal import ENTRY, Claim, order

log = logging.getLogger(__name__)

FOLDER = "bundles"
RECORD = "shelf.json"
RECORD_MOST_BYTES = 256 << 10
STAGING = ".staging-"
MOST_ENTRIES = 4  # of one currency; what is in use or was before it stays in any case


class Shelf:
    """The store below one state folder. A change raises OSError where the disk takes none, and then changes nothing."""

    def __init__(self, state: Path, now_s: Callable[[], float | None] = lambda: None) -> None:
        """`now_s`: seconds since 1970, where they are known."""
        self.folder = state / FOLDER
        self.now_s = now_s

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
        return self.read().line(currency)

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
        found = [name for name in names if name.startswith(currency) and version_of(name)]
        return sorted(found, key=lambda name: (name[:3], order(version_of(name)), name), reverse=True)

    def path(self, entry: str) -> Path:
        """Where a bundle lies."""
        return self.folder / entry

    def find(self, word: str) -> str:
        """The entry that a person means: its name, its beginning or its version. Raises BundleError."""
        fitting = [name for name in self.entries() if name.startswith(word) or version_of(name) == word]
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
        known = [self.line(currency).newest, configured.version, *map(version_of, self.entries(currency))]
        return max((version for version in known if is_ordered(version)), key=order, default="0")

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
        self._change(claim.currency, lambda line: line.nominated(claim), Outcome(claim.entry, "installed"))
        self._forget_old(claim.currency)
        return claim.entry

    # --- what is used

    def chosen(self, currency: str, configured: Manifest | None) -> str:
        """The entry that takes the place of the configured bundle; "" for none."""
        line = self.line(currency)
        return line.active if line.stands_over(configured) else ""

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
            self._change(currency, Line.started)
        except OSError as error:
            log.warning("%s is on trial, and a start of it cannot be counted: %s", entry, error)
            return line.previous
        return entry

    def promote(self, currency: str, entry: str, configured: Manifest, why: str = "") -> None:
        """Use `entry` from now on, on trial; "" for what the settings name, which needs none."""
        outcome = Outcome(entry or CONFIGURED, "switched", why)
        self._change(currency, lambda line: line.promoted(entry, configured.digest), outcome)

    def settle(self, currency: str, entry: str) -> None:
        """The active one does well."""
        self._change(currency, lambda line: line.settled(entry), Outcome(entry, "stays"))

    def roll_back(self, currency: str, why: str) -> str:
        """Leave the active one for what was before it; what is used then."""
        self._change(currency, Line.rolled_back, Outcome(self.line(currency).active, "rolled back", why))
        return self.line(currency).active

    def refuse(self, currency: str, entry: str, why: str) -> None:
        """The candidate is not used."""
        self._change(currency, lambda line: line.refused(entry), Outcome(entry, "refused", why))

    def count(self, currency: str, entry: str, tally: Tally) -> None:
        """What the shadow of `entry` has shown by now."""
        self._change(currency, lambda line: line.counted(entry, tally))

    def _change(self, currency: str, change: Callable[[Line], Line], outcome: Outcome | None = None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".changing").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = self._changed(currency, change, outcome)
            whole.write(self.folder / RECORD, msgspec.json.encode(found), lasting=True)

    def _changed(self, currency: str, change: Callable[[Line], Line], outcome: Outcome | None) -> Record:
        found = self.read()
        if outcome is not None:
            outcome = msgspec.structs.replace(outcome, wall_s=self.now_s())
        return found.changed(currency, change(found.line(currency)), outcome)

    def _forget_old(self, currency: str) -> None:
        line, there = self.line(currency), self.entries(currency)
        kept = {line.active, line.previous, line.candidate}
        for entry in there[MOST_ENTRIES:]:
            if entry not in kept:
                with contextlib.suppress(OSError):
                    gone = self.path(entry).rename(self.folder / f"{STAGING}{os.getpid()}-{entry}")
                    _remove(gone)


class Glance(Shelf):
    """The same store for whoever only looks: what would be written down is remembered here, and nowhere else."""

    def __init__(self, state: Path) -> None:
        super().__init__(state)
        self.noted: list[Outcome] = []
        self._record: Record | None = None

    def unseen(self) -> str:
        """Why it cannot be told what is installed, a sentence; "" where it can."""
        try:
            list(self.folder.iterdir())
            (self.folder / RECORD).open("rb").close()
        except FileNotFoundError:
            return ""
        except OSError as error:
            why = f"what lies in {self.folder} may not be seen by you ({error.strerror})"
            return f"{why}: the settings' own bundle is taken here, and the device may use another; try it with sudo"
        return ""

    def read(self) -> Record:
        """As it stands, with all that was remembered here."""
        if self._record is None:
            self._record = super().read()
        return self._record

    def _change(self, currency: str, change: Callable[[Line], Line], outcome: Outcome | None = None) -> None:
        self._record = self._changed(currency, change, outcome)
        self.noted += [outcome] if outcome is not None else []


def _remove(folder: Path) -> None:
    import shutil  # heavy, and no start needs it

    shutil.rmtree(folder, ignore_errors=True)
