"""Owns what waits on the disk for the network, and the counters that outlive a restart; knows no network.

SQLite, write-ahead log. `synchronous=FULL`: whoever uses this device ends it by pulling the plug, and NORMAL would
give the last commits away then; at a few messages a minute one fsync each costs nothing that matters.

    disk full or failing     TransientError, said once in the log; the caller may try again
    file damaged or foreign  put aside as `<name>.damaged`, a new one begun, said in the log, counted as one loss
    more rows than allowed   the oldest go, counted for ever

Safe to use from several threads.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edge.core.errors import TransientError
from edge.core.wire import Entry

log = logging.getLogger(__name__)

R = TypeVar("R")

FORMAT = 1
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, retain INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA user_version = {FORMAT};
"""
SEQ, LOST, DAY = "seq", "lost", "day"  # names of counters; DAY is followed by the date and what was counted


@dataclass(frozen=True, slots=True)
class Row:
    """One message that waits."""

    seq: int
    topic: str
    payload: bytes
    retain: bool


class Outbox:
    """A bounded queue of messages in one file, opened with the first use."""

    def __init__(self, path: Path, rows: int) -> None:
        self._path = path
        self._rows = rows  # kept at most
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._closed = False
        self._failing = False  # said so in the log
        self._overflowing = False  # said so in the log
        self._seq = 0  # the last one given, in case the file is lost while we run
        self._done = 0  # the last one deleted, in case the disk is too full even for deleting
        self._unrecorded = 0  # losses not yet written down

    def add(
        self,
        topic: str,
        encode: Callable[[Entry], bytes],
        *,
        retain: bool = False,
        tally: tuple[str, str] | None = None,
    ) -> int:
        """The sequence number of a new row, committed before this returns.

        `encode` makes the payload once the number is known. `tally` is a day and something counted on it: the
        counter rises with the row, and `encode` is told. Raises TransientError when the disk does not take it.
        """
        with self._lock:
            seq = self._write(lambda db: self._insert(db, topic, encode, retain, tally))
            self._seq, self._unrecorded = seq, 0
            return seq

    def oldest(self, n: int) -> list[Row]:
        """Up to `n` rows that waited longest, in order."""
        query = "SELECT seq, topic, payload, retain FROM messages WHERE seq > ? ORDER BY seq LIMIT ?"
        with self._lock:
            found = self._do(lambda db: db.execute(query, (self._done, n)).fetchall())
        return [Row(seq, topic, payload, bool(retain)) for seq, topic, payload, retain in found]

    def delete_up_to(self, seq: int) -> None:
        """Forget the row and those before it; if the disk fails, this run does not give them out again."""
        with self._lock:
            self._done = max(self._done, seq)
            self._write(lambda db: db.execute("DELETE FROM messages WHERE seq <= ?", (self._done,)))

    def lose(self, count: int = 1) -> None:
        """Count messages that were lost elsewhere on the way; written down with the next row."""
        with self._lock:
            self._unrecorded += count

    def waiting(self) -> int:
        """Rows that wait."""
        with self._lock:
            return self._do(_count_rows)

    def lost(self) -> int:
        """Messages lost since the first outbox of this device that was not damaged."""
        with self._lock:
            return self._do(lambda db: _counter(db, LOST)) + self._unrecorded

    def close(self) -> None:
        """Let the file go; may be called twice. Whoever uses the outbox after it gets TransientError."""
        with self._lock:
            self._closed = True
            self._let_go()

    def _insert(
        self,
        db: sqlite3.Connection,
        topic: str,
        encode: Callable[[Entry], bytes],
        retain: bool,
        tally: tuple[str, str] | None,
    ) -> int:
        seq = _rise(db, SEQ, max(1, self._seq + 1 - _counter(db, SEQ)))
        waiting, dropped = self._make_room(db)
        lost = _rise(db, LOST, dropped + self._unrecorded)
        today = _rise_today(db, *tally) if tally else None
        payload = encode(Entry(seq, waiting, lost, today))
        db.execute("INSERT INTO messages VALUES (?, ?, ?, ?)", (seq, topic, payload, retain))
        return seq

    def _make_room(self, db: sqlite3.Connection) -> tuple[int, int]:
        db.execute("DELETE FROM messages WHERE seq <= ?", (self._done,))  # what a full disk kept from going
        waiting = _count_rows(db)
        excess = max(0, waiting + 1 - self._rows)
        if excess:
            db.execute("DELETE FROM messages WHERE seq IN (SELECT seq FROM messages ORDER BY seq LIMIT ?)", (excess,))
        if excess and not self._overflowing:
            log.warning("the outbox is full with %d messages: the oldest go", waiting)
        self._overflowing = excess > 0
        return waiting - excess, excess

    def _write(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """As `_do`; only this shows that a disk works again, since a full one can still be read."""
        result = self._do(work)
        if self._failing:
            log.info("the outbox %s can be used again", self._path)
        self._failing = False
        return result

    def _do(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """What `work` gives, done as one transaction, on a new file if the old one proves damaged."""
        if self._closed:
            raise TransientError("the outbox is closed")
        try:
            return self._attempt(work)
        except (sqlite3.Error, OSError) as error:
            if not self._failing:
                log.error("the outbox %s cannot be used, telemetry waits in memory: %s", self._path, error)
            self._failing = True
            raise TransientError(f"outbox: {error}") from error

    def _attempt(self, work: Callable[[sqlite3.Connection], R]) -> R:
        try:
            return self._transact(work)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            self._put_aside(error)
            return self._transact(work)

    def _transact(self, work: Callable[[sqlite3.Connection], R]) -> R:
        if self._db is None:
            self._db = _open(self._path)
        with self._db as db:
            return work(db)

    def _put_aside(self, error: sqlite3.DatabaseError) -> None:
        self._let_go()
        aside = self._path.with_name(f"{self._path.name}.damaged")
        log.error("the outbox %s is damaged (%s): kept as %s, a new one begins", self._path, error, aside.name)
        self._path.replace(aside)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._unrecorded += 1

    def _let_go(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, check_same_thread=False)  # the outbox's lock serialises its threads
    try:
        [(found,)] = db.execute("PRAGMA user_version").fetchall()
        [(state,)] = db.execute("PRAGMA quick_check(1)").fetchall()
        if state != "ok" or found not in (0, FORMAT):
            raise sqlite3.DatabaseError(state if state != "ok" else f"its format is {found}, ours is {FORMAT}")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA wal_autocheckpoint = 100")  # pages: the log stays small and is used again on a full disk
        if found != FORMAT:  # else nothing is written: a full disk can still be read
            db.execute("PRAGMA journal_mode = WAL")
            db.executescript(SCHEMA)
    except BaseException:
        db.close()
        raise
    return db


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    if type(error) is sqlite3.DatabaseError and not hasattr(error, "sqlite_errorcode"):
        return True  # ours, from `_open`
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _count_rows(db: sqlite3.Connection) -> int:
    [(count,)] = db.execute("SELECT count(*) FROM messages").fetchall()
    return int(count)


def _counter(db: sqlite3.Connection, name: str) -> int:
    found = db.execute("SELECT value FROM counters WHERE name = ?", (name,)).fetchall()
    return int(found[0][0]) if found else 0


def _rise(db: sqlite3.Connection, name: str, by: int) -> int:
    """The counter's new value."""
    upsert = "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"
    [(value,)] = db.execute(f"{upsert} RETURNING value", (name, by)).fetchall()
    return int(value)


def _rise_today(db: sqlite3.Connection, day: str, what: str) -> int:
    """The counter's new value; those of other days go."""
    today = f"{DAY} {day} "
    db.execute("DELETE FROM counters WHERE name LIKE ? AND name NOT LIKE ?", (f"{DAY} %", f"{today}%"))
    return _rise(db, today + what, 1)
