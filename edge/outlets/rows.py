"""Owns what stands in the outbox's file: the tables, what a sound row and a sound counter are; knows no file.

A card that wears out flips bits, and SQLite has no checksums of its own: each message carries one. A row or a counter
that is not sound is never believed; whoever finds it counts it as lost.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

FORMAT = 1
# `marks` stands beside `messages` so that a release from before it can still read and write this file.
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, retain INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS marks (seq INTEGER PRIMARY KEY, worth INTEGER NOT NULL, checksum INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS forget AFTER DELETE ON messages BEGIN DELETE FROM marks WHERE seq = OLD.seq; END;
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA user_version = {FORMAT};
"""
# Made with the first day that is written, so that a file from before it is read on a full disk.
DAYS = "CREATE TABLE IF NOT EXISTS days (day TEXT PRIMARY KEY, data BLOB NOT NULL, checksum INTEGER NOT NULL)"
SEQ, LOST, DAY = "seq", "lost", "day"  # names of counters; DAY is followed by the date and what was counted
COUNT_MAX = 2**52  # more than that is no count, and half of what is an integer for every reader of JSON
TOPIC_MAX_BYTES = 65_535  # MQTT's own limit
DAYS_MAX = 40  # kept: what was counted on each
UNMARKED_WORTH = 2  # of a row that a release from before `marks` wrote
KEPT_DAYS = 3  # a clock that jumps finds its day's counters again

# A damaged topic must not end the reading of the others: it is decoded one by one.
COLUMNS = "messages.seq, CAST(topic AS BLOB), payload, retain, checksum FROM messages LEFT JOIN marks USING (seq)"
SIZE = "coalesce(length(topic), 0) + coalesce(length(payload), 0)"  # in bytes: topics are ASCII
LISTED = "(SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class Row:
    """One message that waits."""

    seq: int
    topic: str
    payload: bytes
    retain: bool


def put(db: sqlite3.Connection, row: Row, worth: int) -> None:
    """Write a new row."""
    db.execute("INSERT INTO messages VALUES (?, ?, ?, ?)", (row.seq, row.topic, row.payload, row.retain))
    db.execute("INSERT OR REPLACE INTO marks VALUES (?, ?, ?)", (row.seq, worth, checksum(row)))


def oldest(
    db: sqlite3.Connection, n: int, done: Collection[int], topics: Collection[str]
) -> list[tuple[int, Row | None]]:
    """Up to `n` rows that waited longest, but for those `done` and on `topics`; None for one that is not sound."""
    query = f"SELECT {COLUMNS} WHERE seq NOT IN {LISTED} AND topic NOT IN {LISTED} ORDER BY seq LIMIT ?"
    found = db.execute(query, (json.dumps(list(done)), json.dumps(list(topics)), n)).fetchall()
    return [(seq, _sound(seq, *rest)) for seq, *rest in found]


def checksum(row: Row) -> int:
    """Differs with every single bit."""
    return zlib.crc32(row.payload, zlib.crc32(f"{row.seq} {row.retain:d} {row.topic} ".encode()))


def _sound(seq: int, topic: object, payload: object, retain: object, expected: object) -> Row | None:
    if (
        not isinstance(topic, bytes)
        or not isinstance(payload, bytes)
        or retain not in (0, 1)
        or not 1 <= seq <= 2 * COUNT_MAX
    ):
        return None
    if not 0 < len(topic) <= TOPIC_MAX_BYTES or any(sign in topic for sign in b"+#\0"):
        return None
    try:
        row = Row(seq, topic.decode("utf-8"), payload, bool(retain))
    except UnicodeDecodeError:
        return None
    return row if expected is None or expected == checksum(row) else None


def delete(db: sqlite3.Connection, seqs: Collection[int]) -> None:
    """Forget these rows, where they are there."""
    db.execute(f"DELETE FROM messages WHERE seq IN {LISTED}", (json.dumps(list(seqs)),))


def least(db: sqlite3.Connection) -> Iterator[tuple[int, int, int]]:
    """Worth, number and size of every row, in the order in which they go where there is no room."""
    worth = f"CASE WHEN typeof(worth) = 'integer' THEN worth ELSE {UNMARKED_WORTH} END"
    query = f"SELECT {worth} AS goes, messages.seq, {SIZE} FROM messages LEFT JOIN marks USING (seq) ORDER BY goes, seq"
    yield from db.execute(query)


def size(db: sqlite3.Connection) -> tuple[int, int]:
    """How many rows there are, and their bytes."""
    [(count, total)] = db.execute(f"SELECT count(*), total({SIZE}) FROM messages").fetchall()
    return count, int(total)


def last(db: sqlite3.Connection) -> int:
    """The highest number on the disk, or 0."""
    [(found,)] = db.execute("SELECT max(seq) FROM messages WHERE seq <= ?", (COUNT_MAX,)).fetchall()
    return max(0, found or 0)


def counter(db: sqlite3.Connection, name: str) -> int:
    """A counter's value; 0 for one that is not there, or is no count."""
    found = db.execute("SELECT value FROM counters WHERE name = ?", (name,)).fetchall()
    return int(found[0][0]) if found and _is_count(found[0][0]) else 0


def rise(db: sqlite3.Connection, name: str, by: int) -> int:
    """The counter's new value."""
    value = counter(db, name) + by
    db.execute("INSERT OR REPLACE INTO counters VALUES (?, ?)", (name, value))
    return value


def rise_on(db: sqlite3.Connection, day: str, what: str) -> int:
    """As `rise`, for something counted by day; days long past are forgotten."""
    value = rise(db, f"{DAY} {day} {what}", 1)
    date, daily = f"substr(name, {len(DAY) + 2}, {len(day)})", f"name LIKE '{DAY} %'"
    latest = f"SELECT DISTINCT {date} FROM counters WHERE {daily} ORDER BY 1 DESC LIMIT {KEPT_DAYS}"
    db.execute(f"DELETE FROM counters WHERE {daily} AND {date} != ? AND {date} NOT IN ({latest})", (day,))
    return value


def days(db: sqlite3.Connection) -> dict[str, bytes]:
    """What was counted on each day, as far as it is sound."""
    if not db.execute("SELECT name FROM sqlite_master WHERE name = 'days'").fetchall():
        return {}
    found = db.execute("SELECT CAST(day AS BLOB), data, checksum FROM days ORDER BY day").fetchall()
    return {day.decode(): data for day, data, checksum in found if _is_day(day, data, checksum)}


def put_day(db: sqlite3.Connection, day: str, data: bytes) -> None:
    """Write what was counted on `day`; where there are too many, those farthest from it go: a clock may jump."""
    db.execute(DAYS)
    db.execute("INSERT OR REPLACE INTO days VALUES (?, ?, ?)", (day, data, zlib.crc32(data, zlib.crc32(day.encode()))))
    near = "SELECT day FROM days ORDER BY abs(julianday(day) - julianday(?)) LIMIT ?"
    db.execute(f"DELETE FROM days WHERE day NOT IN ({near})", (day, DAYS_MAX))


def _is_day(day: object, data: object, checksum: object) -> bool:
    if not isinstance(day, bytes) or not isinstance(data, bytes) or not day.isascii():
        return False
    return checksum == zlib.crc32(data, zlib.crc32(day))


def forget_tallies(db: sqlite3.Connection) -> None:
    """Forget what was counted on each day to number its messages: it names amounts."""
    db.execute(f"DELETE FROM counters WHERE name LIKE '{DAY} %'")


def heal(db: sqlite3.Connection) -> None:
    """Begin counters anew that are no counts, and count them as losses."""
    unsound = f"typeof(value) != 'integer' OR value NOT BETWEEN 0 AND {COUNT_MAX}"
    bad = db.execute(f"DELETE FROM counters WHERE {unsound}").rowcount
    if bad:
        rise(db, LOST, bad)


def prepare(db: sqlite3.Connection) -> None:
    """Make the tables that are missing; one that was there and is not is counted as a loss."""
    there = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    missing = {"messages", "counters", "marks"} - there
    if not missing:  # then nothing is written: a full disk can still be read
        return
    [(found,)] = db.execute("PRAGMA user_version").fetchall()
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(SCHEMA)
    if found == FORMAT and missing != {"marks"}:
        with db:
            rise(db, LOST, 1)


def carry_over(old: sqlite3.Connection, new: sqlite3.Connection) -> tuple[int, int]:
    """Copy what is sound in a damaged file to a new one; how many messages that saved, and the losses it counts."""
    old.text_factory = bytes
    counters, whole = _counters(old)
    marks, _ = _walk(old, "SELECT seq, worth, checksum FROM marks", 0)
    columns = "seq, CAST(topic AS BLOB), payload, retain"
    found, missing = _walk(old, f"SELECT {columns} FROM messages", counters.get(SEQ, 0))
    kept = 0
    for seq, (topic, payload, retain) in sorted(found.items()):
        worth, expected = marks.get(seq, (UNMARKED_WORTH, None))
        row = _sound(seq, topic, payload, retain, expected)
        if row is not None:
            put(new, row, worth if isinstance(worth, int) else UNMARKED_WORTH)
            kept += 1
    lost = len(found) - kept + missing + (not whole)
    for day, data in _days_of(old).items():
        put_day(new, day, data)
    counters[SEQ] = max(counters.get(SEQ, 0), last(new))
    counters[LOST] = counters.get(LOST, 0) + lost
    new.executemany("INSERT OR REPLACE INTO counters VALUES (?, ?)", counters.items())
    return kept, lost


def _walk(db: sqlite3.Connection, query: str, last_seq: int) -> tuple[dict[int, list[Any]], int]:
    """The rows that can be read from either end, by number, and how many are missing, as far as can be told."""
    ends: list[dict[int, list[Any]]] = []
    for order, sign in (("ASC", 1), ("DESC", -1)):
        ends.append({})
        before = float("-inf")
        try:
            for seq, *columns in db.execute(f"{query} ORDER BY seq {order}"):
                if sign * seq <= before:
                    break  # it goes round in circles
                before = sign * seq
                ends[-1][seq] = columns
            else:
                return ends[-1], 0
        except (sqlite3.Error, TypeError):
            continue
    up, down = ends
    beyond = min(down, default=last_seq + 1)
    return up | down, max(1, beyond - max(up) - 1) if up else 1


def _counters(db: sqlite3.Connection) -> tuple[dict[str, int], bool]:
    """What can be read of them, and whether that is all."""
    try:
        found = db.execute("SELECT name, value FROM counters").fetchall()
    except sqlite3.Error:
        return {}, False
    good = {name.decode(): value for name, value in found if _is_name(name) and _is_count(value)}
    return good, len(good) == len(found)


def _days_of(old: sqlite3.Connection) -> dict[str, bytes]:
    try:
        return days(old)
    except (sqlite3.Error, TypeError):
        return {}


def _is_name(name: object) -> bool:
    return isinstance(name, bytes) and name.isascii()


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 <= value <= COUNT_MAX
