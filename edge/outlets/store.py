"""Owns one SQLite file that must outlive power cuts, full disks and worn cards; knows nothing of what stands in it.

Write-ahead log. `synchronous=FULL`: whoever uses this device ends it by pulling the plug, and NORMAL would give the
last commits away then; at a few messages a minute one fsync each costs nothing that matters.

    disk full, read-only or failing   TransientError for what writes, said once in the log; reading goes on
    file damaged or foreign           kept as `<name>.damaged`, what is sound in it carried over to a new one

Not for several threads at once: its owner has a lock.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from edge.core.errors import TransientError

log = logging.getLogger(__name__)

R = TypeVar("R")

# Ways to open the file, in this order: what follows its name, and whether others are shut out. Only the first is for
# good days. Others need no room for the index that processes share, since one in memory does for a single process.
WAYS = (
    ("", False),
    ("", True),  # a full disk
    ("?mode=ro&vfs=unix-none", True),  # a disk that has become read-only, with a log beside the file
    ("?immutable=1", False),  # and without one
)
NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


class Store:
    """The file, opened with the first use."""

    def __init__(
        self,
        path: Path,
        form: int,
        prepare: Callable[[sqlite3.Connection], None],
        carry_over: Callable[[sqlite3.Connection, sqlite3.Connection], tuple[int, int]],
    ) -> None:
        """`form` is the user_version that `prepare` gives to a file; `carry_over` says what it kept and lost."""
        self.failing = False  # it was said in the log
        self._read_only = False  # the disk was, when it was tried last
        self._path = path
        self._form = form
        self._prepare, self._carry_over = prepare, carry_over
        self._db: sqlite3.Connection | None = None
        self._closed = False

    def read(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """What `work` gives. Raises TransientError where the disk cannot even be read."""
        if self._closed:
            raise TransientError("the outbox is closed")
        try:
            return self._attempt(work)
        except (sqlite3.Error, OSError) as error:
            if not self.failing:
                log.error("the outbox %s cannot be written, telemetry waits in memory: %s", self._path, error)
            self.failing = True
            self._read_only = _primary(error) == sqlite3.SQLITE_READONLY
            raise TransientError(f"outbox: {error}") from error

    def write(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """As `read`, done as one transaction; only this shows that a disk works again, a full one can still be read."""
        if self._read_only:
            self._let_go()  # the disk may be another by now
        result = self.read(work)
        if self.failing:
            log.info("the outbox %s can be written again", self._path)
            self._let_go()  # and is opened as on good days
        self.failing = self._read_only = False
        return result

    def sweep(self) -> None:
        """Let nothing that was deleted stay in the file or in its log, as far as the disk lets us."""
        with contextlib.suppress(TransientError):
            self.read(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())

    def close(self) -> None:
        """Let the file go; whoever uses the store after it gets TransientError."""
        self._closed = True
        self._let_go()

    def _attempt(self, work: Callable[[sqlite3.Connection], R]) -> R:
        try:
            return self._transact(work)
        except sqlite3.DatabaseError as error:
            if _is_damage(error):
                self._replace(error)
            elif _lacks_table(error):
                self._let_go()  # opening it makes the table
            else:
                raise
        try:
            return self._transact(work)
        except sqlite3.DatabaseError as error:
            if not _lacks_table(error):
                raise
            self._replace(error)  # a table is not what its name says
            return self._transact(work)

    def _transact(self, work: Callable[[sqlite3.Connection], R]) -> R:
        if self._db is None:
            self._db = self._open()
        with self._db as db:
            return work(db)

    def _open(self) -> sqlite3.Connection:
        if not self._path.exists():
            self._path.parent.mkdir(parents=True, exist_ok=True)
        elif not self._path.is_file():
            raise OSError(f"{self._path} is no file")  # opening a pipe would wait for ever
        db = _connect(self._path)
        try:
            [(found,)] = db.execute("PRAGMA user_version").fetchall()
            [(state,)] = db.execute("PRAGMA quick_check(1)").fetchall()
            if state != "ok" or found not in (0, self._form):
                raise _Damaged(state if state != "ok" else f"its format is {found}, ours is {self._form}")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")  # what was sent, or must not be sent, is overwritten
            db.execute("PRAGMA wal_autocheckpoint = 100")  # pages: the log stays small and is used again
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        return db

    def _replace(self, error: sqlite3.DatabaseError) -> None:
        """Put the damaged file aside for a new one with all that is sound in it."""
        self._let_go()
        aside, fresh = (self._path.with_name(f"{self._path.name}.{word}") for word in ("damaged", "new"))
        _remove(fresh)
        kept, lost = self._salvage(fresh)
        try:
            aside.unlink(missing_ok=True)
            aside.hardlink_to(self._path)  # at no moment is there no file
        except OSError as trouble:
            log.warning("the damaged outbox cannot be kept as %s: %s", aside.name, trouble)
        _remove_log(self._path)
        fresh.replace(self._path)
        log.error(
            "the outbox %s is damaged (%s): %d messages were saved, %d losses counted, the old file is %s",
            *(self._path, error, kept, lost, aside.name),
        )

    def _salvage(self, fresh: Path) -> tuple[int, int]:
        with (
            contextlib.closing(sqlite3.connect(self._path)) as old,
            contextlib.closing(sqlite3.connect(fresh)) as new,
        ):
            self._prepare(new)
            with new:
                return self._carry_over(old, new)

    def _let_go(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


class _Damaged(sqlite3.DatabaseError):
    """Found by ourselves."""


def _connect(path: Path) -> sqlite3.Connection:
    first: sqlite3.Error | None = None
    for options, exclusive in WAYS:
        if "immutable" in options and _has_log(path):
            continue  # that way would not see it
        # The owner's lock serialises its threads.
        db = sqlite3.connect(path.absolute().as_uri() + options, uri=True, check_same_thread=False)
        try:
            if exclusive:
                db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("SELECT count(*) FROM sqlite_master").fetchall()
        except sqlite3.OperationalError as error:
            db.close()
            if _primary(error) not in NO_ROOM:
                raise
            first = first or error
        except BaseException:
            db.close()
            raise
        else:
            return db
    assert first is not None
    raise first


def _has_log(path: Path) -> bool:
    log_file = path.with_name(f"{path.name}-wal")
    return log_file.exists() and log_file.stat().st_size > 0


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _remove_log(path)


def _remove_log(path: Path) -> None:
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _primary(error: BaseException) -> int:
    """SQLite's own number for the kind of error, 0 where it is none of SQLite's."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return isinstance(error, _Damaged) or _primary(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _lacks_table(error: sqlite3.DatabaseError) -> bool:
    words = ("no such table", "no such column", "has no column", "columns but")
    return _primary(error) == sqlite3.SQLITE_ERROR and any(word in str(error) for word in words)
