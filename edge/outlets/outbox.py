"""Owns what waits on the disk for the network, and the counters that outlive a restart; knows no network.

    no room on the disk     what is there can still be read and marked as done; `add` raises TransientError
    a row that is not sound dropped, counted as lost, said in the log; the others go on
    more rows or bytes than allowed   the least worth go, the oldest of these first, counted for ever

Safe to use from several threads. How the file is kept whole is in `store`, what stands in it in `rows`.
"""

from __future__ import annotations

import heapq
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from edge.core.errors import TransientError
from edge.core.wire import Entry, Worth
from edge.outlets import rows
from edge.outlets.rows import Row
from edge.outlets.store import Store

log = logging.getLogger(__name__)

R = TypeVar("R")

MAX_BYTES = 20_000_000  # of topics and payloads
ROOM_BYTES = 32  # by which a payload may grow when the numbers in it are known
RETRY_S = 1.0  # between attempts to write down what was done, on a disk that takes nothing


class Outbox:
    """A bounded queue of messages in one file, opened with the first use."""

    def __init__(self, path: Path, max_rows: int, max_bytes: int = MAX_BYTES) -> None:
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._lock = threading.Lock()
        self._store = Store(path, rows.FORMAT, rows.prepare, rows.carry_over)
        self._closed = False
        self._overflowing = 0  # messages that had to go since there was room last
        self._seq = 0  # the last one given, in case the file is lost while we run
        # What is still to be written down, in case the disk takes nothing:
        self._done: set[int] = set()  # rows that were sent or given up
        self._lost = 0
        self._tried_s = float("-inf")

    def add(
        self,
        topic: str,
        encode: Callable[[Entry], bytes],
        *,
        retain: bool = False,
        worth: int = Worth.AMOUNT,
        tally: tuple[str, str] | None = None,
    ) -> int:
        """The sequence number of a new row, committed before this returns; where there is no room the least worth goes.

        `encode` makes the payload once the number is known, and may be called twice. `tally` is a day and something
        counted on it: the counter rises with the row, and `encode` is told. Raises TransientError when the disk does
        not take it.
        """
        with self._lock:
            self._seq, waiting, gone = self._write(lambda db: self._insert(db, topic, encode, retain, worth, tally))
            self._say_overflow(waiting, gone)
            return self._seq

    def oldest(self, n: int, without: Collection[str] = ()) -> list[Row]:
        """Up to `n` rows that waited longest, in order; none on the topics `without`."""
        with self._lock:
            while True:
                found = self._store.read(lambda db: rows.oldest(db, n, self._done, without))
                bad = [seq for seq, row in found if row is None]
                if not bad:
                    return [row for _, row in found if row is not None]
                log.error("damaged on the disk and lost: message %s", ", ".join(map(str, bad)))
                self._finish(bad, lost=len(bad))

    def delete(self, seq: int) -> None:
        """The row was sent: forget it. A disk that takes nothing learns of it later; it is not given out again."""
        with self._lock:
            self._finish([seq])

    def give_up(self, seq: int) -> None:
        """As `delete`, for a row that was not sent; counted as lost."""
        with self._lock:
            self._finish([seq], lost=1)

    def lose(self, count: int = 1) -> None:
        """Count messages that were lost before they came here."""
        with self._lock:
            self._finish([], lost=count)

    def days(self) -> dict[str, bytes]:
        """What was counted on each day, as `change_day` made it, the oldest first. Raises TransientError."""
        with self._lock:
            return self._store.read(rows.days)

    def change_day(self, day: str, change: Callable[[bytes | None], bytes]) -> None:
        """Write anew what is kept of `day`. Raises TransientError when the disk does not take it."""
        with self._lock:
            self._write(lambda db: rows.put_day(db, day, change(rows.days(db).get(day))))

    def forget(self, unwanted: Callable[[Row], bool], *, tallies: bool) -> int:
        """Remove messages that must not be sent any more, counted as lost, and overwrite them on the disk; how many.

        `tallies`: the counters of days too. Raises TransientError when the disk does not take it.
        """
        with self._lock:
            found = self._store.read(lambda db: rows.oldest(db, -1, self._done, ()))
            gone = [seq for seq, row in found if row is not None and unwanted(row)]

            def work(db: sqlite3.Connection) -> None:
                rows.delete(db, gone)
                rows.rise(db, rows.LOST, len(gone))
                if tallies:
                    rows.forget_tallies(db)

            self._write(work)
            self._store.sweep()
            return len(gone)

    def waiting(self) -> int:
        """Rows that wait."""
        with self._lock:
            return max(0, self._store.read(rows.size)[0] - len(self._done))

    def lost(self) -> int:
        """Messages lost since this device's first outbox."""
        with self._lock:
            return self._store.read(lambda db: rows.counter(db, rows.LOST)) + self._lost

    def close(self) -> None:
        """Let the file go; may be called twice. Whoever uses the outbox after it gets TransientError."""
        with self._lock:
            if not self._closed and (self._done or self._lost):
                self._tried_s = float("-inf")
                self._finish([])
            self._closed = True
            self._store.close()

    def _finish(self, seqs: Collection[int], lost: int = 0) -> None:
        self._done.update(seqs)
        self._lost += lost
        now_s = time.monotonic()
        if self._store.failing and now_s < self._tried_s + RETRY_S:
            return
        self._tried_s = now_s
        try:
            self._write(lambda db: None)
        except TransientError as error:
            log.debug("to be written down later: %s", error)

    def _write(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """Do `work` in one transaction, after what an earlier one could not do."""
        done, lost = list(self._done), self._lost

        def all_of_it(db: sqlite3.Connection) -> R:
            rows.heal(db)
            if done:
                rows.delete(db, done)
            if lost:
                rows.rise(db, rows.LOST, lost)
            return work(db)

        result = self._store.write(all_of_it)
        self._done.clear()
        self._lost = 0
        return result

    def _insert(
        self,
        db: sqlite3.Connection,
        topic: str,
        encode: Callable[[Entry], bytes],
        retain: bool,
        worth: int,
        tally: tuple[str, str] | None,
    ) -> tuple[int, int, int]:
        """The row's number, how many others wait, and how many had to go."""
        seq = max(rows.counter(db, rows.SEQ), rows.last(db), self._seq) + 1
        rows.rise(db, rows.SEQ, seq - rows.counter(db, rows.SEQ))
        today = rows.rise_on(db, *tally) if tally else None
        lost, (waiting, total) = rows.counter(db, rows.LOST), rows.size(db)
        payload = encode(Entry(seq, waiting, lost, today))
        size_bytes = len(topic.encode()) + len(payload) + ROOM_BYTES
        going = self._going(db, (worth, seq, size_bytes), waiting + 1 - self._max_rows, total + size_bytes)
        if going:
            rows.delete(db, going)
            lost = rows.rise(db, rows.LOST, len(going))
            waiting -= len(going) - (seq in going)
            payload = encode(Entry(seq, waiting, lost, today))
        if seq not in going:
            rows.put(db, Row(seq, topic, payload, retain), worth)
        return seq, waiting, len(going)

    def _going(self, db: sqlite3.Connection, new: tuple[int, int, int], excess: int, total_bytes: int) -> list[int]:
        """Which rows must go, the new one among them: its worth, its number and its size."""
        _, seq, size_bytes = new
        if size_bytes > self._max_bytes:
            return [seq]
        going: list[int] = []
        if excess <= 0 and total_bytes <= self._max_bytes:
            return going
        for _, number, size in heapq.merge(rows.least(db), [new]):
            if len(going) >= excess and total_bytes <= self._max_bytes:
                break
            going.append(number)
            total_bytes -= size
        return going

    def _say_overflow(self, waiting: int, gone: int) -> None:
        if gone and not self._overflowing:
            log.warning("the outbox is full: the least important messages go, and are counted as lost")
        self._overflowing += gone
        if self._overflowing and waiting <= 0:
            log.warning("the outbox is empty again: %d messages had to go", self._overflowing)
            self._overflowing = 0
