"""What a full, a read-only, a dying and a lying disk cost the outbox: only what cannot be read any more, counted."""

from __future__ import annotations

import logging
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.core.errors import TransientError
from edge.outlets.outbox import Outbox
from tests.outboxes import TOPIC, fill, seqs, words


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.db"


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may grow; the kernel says so as a full disk does, by refusing the write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("only root may mount a small disk to fill")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill_disk(disk: Path) -> Path:
    """Take every byte that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65_536, 1):
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    break
    return filler


def killed(path: Path, work: str) -> None:
    """Do something with an Outbox at `path` in a process that dies of it."""
    code = (
        "import os, sys; from pathlib import Path; from edge.outlets.outbox import Outbox\n"
        f"outbox = Outbox(Path(sys.argv[1]), 10_000)\n{work}\nos._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True)


# Damage


def damage_head(path: Path) -> None:
    path.write_bytes(b"no database at all, and long enough to look like one" * 100)


def damage_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(0xA5 for _ in data[4096:])
    path.write_bytes(data)


def damage_by_cutting(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize("damage", [damage_head, damage_middle, damage_by_cutting])
def test_a_damaged_file_is_put_aside_and_a_new_one_begun(
    path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    first = Outbox(path, 100)
    fill(first, 50)
    first.close()
    damage(path)
    second = Outbox(path, 100)
    assert second.oldest(5) == []
    assert second.lost() >= 1
    assert fill(second, 1)
    assert seqs(second) == [second._seq]
    assert path.with_name("outbox.db.damaged").exists()
    assert not path.with_name("outbox.db.new").exists()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "is damaged" in caplog.text


def test_of_a_file_in_another_format_what_is_sound_goes_on(path: Path) -> None:
    first = Outbox(path, 100)
    fill(first, 50)
    first.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    second = Outbox(path, 100)
    assert seqs(second) == list(range(1, 51))
    assert (fill(second, 1), second.lost()) == ([51], 0)


def test_a_damaged_page_costs_the_messages_on_it(path: Path) -> None:
    first = Outbox(path, 1000)
    for _ in range(200):
        first.add(TOPIC, lambda entry: bytes(400))
    first.close()
    data = bytearray(path.read_bytes())
    page = 4096 * (len(data) // 4096 // 2)
    data[page : page + 100] = bytes(100)
    path.write_bytes(data)
    second = Outbox(path, 1000)
    saved = len(seqs(second))
    assert saved > 150
    assert saved + second.lost() == 200
    assert fill(second, 1) == [201]


def test_a_file_that_is_damaged_while_we_run_is_put_aside_too_and_the_numbers_go_on(path: Path) -> None:
    outbox = Outbox(path, 100)
    fill(outbox, 50)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage_middle(path)
    outbox._store._let_go()  # forget the pages in memory, as a long run would
    assert fill(outbox, 1) == [51]
    assert outbox.lost() >= 1


DAMAGED_ROWS = {
    "a topic that is no text": "UPDATE messages SET topic = CAST(x'73ff2f' AS TEXT) WHERE seq = 2",
    "a wildcard": "UPDATE messages SET topic = 'saynote/+/detection' WHERE seq = 2",
    "a NUL": "UPDATE messages SET topic = CAST(x'610062' AS TEXT) WHERE seq = 2",
    "an empty topic": "UPDATE messages SET topic = '' WHERE seq = 2",
    "another letter": "UPDATE messages SET topic = 'saynote/pi-1/detectioo' WHERE seq = 2",
    "a topic that is a number": "UPDATE messages SET topic = 7 WHERE seq = 2",
    "a payload that is text": "UPDATE messages SET payload = CAST(payload AS TEXT) WHERE seq = 2",
    "a payload that is a number": "UPDATE messages SET payload = 1.5 WHERE seq = 2",
    "one bit of a payload": "UPDATE messages SET payload = CAST(replace(payload, '2 1', '2 3') AS BLOB) WHERE seq = 2",
    "retained, out of nowhere": "UPDATE messages SET retain = 1 WHERE seq = 2",
    "retained, oddly": "UPDATE messages SET retain = 'x' WHERE seq = 2",
    "another number": "UPDATE messages SET seq = 900 WHERE seq = 2; UPDATE marks SET seq = 900 WHERE seq = 2",
    "a number below all": "UPDATE messages SET seq = -9 WHERE seq = 2; UPDATE marks SET seq = -9 WHERE seq = 2",
    "a checksum": "UPDATE marks SET checksum = 'x' WHERE seq = 2",
}


@pytest.mark.parametrize("damage", DAMAGED_ROWS.values(), ids=DAMAGED_ROWS)
@pytest.mark.parametrize("while_running", [True, False])
def test_a_row_that_is_not_sound_costs_that_row_and_is_counted(path: Path, damage: str, while_running: bool) -> None:
    outbox = Outbox(path, 100)
    fill(outbox, 3)
    if not while_running:
        outbox.close()
    with sqlite3.connect(path) as db:
        db.executescript(damage)
    if not while_running:
        outbox = Outbox(path, 100)
    assert [row.payload for row in outbox.oldest(9)] == [b"1 0 0 None", b"3 2 0 None"]
    assert (outbox.waiting(), outbox.lost()) == (2, 1)
    assert fill(outbox, 1)[0] > 3
    outbox.close()
    assert Outbox(path, 100).lost() == 1


def test_a_whole_outbox_of_unsound_rows_does_not_stand_in_the_way(path: Path) -> None:
    outbox = Outbox(path, 1000)
    fill(outbox, 100)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE messages SET topic = '#'")
    fill(outbox, 1)
    assert [row.seq for row in outbox.oldest(20)] == [101]
    assert outbox.lost() == 100


DAMAGED_COUNTERS = ["'many'", "x'00ff'", "1.5", "-3", "9000000000000000000", str(2**53)]


@pytest.mark.parametrize("value", DAMAGED_COUNTERS)
@pytest.mark.parametrize("name", ["seq", "lost", "day 2025-06-15 INR 500"])
@pytest.mark.parametrize("while_running", [True, False])
def test_a_counter_that_is_no_number_costs_that_counter_and_is_counted(
    path: Path, name: str, value: str, while_running: bool
) -> None:
    outbox = Outbox(path, 100)
    outbox.add(TOPIC, words, tally=("2025-06-15", "INR 500"))
    outbox.lose(5)
    if not while_running:
        outbox.close()
    with sqlite3.connect(path) as db:
        db.execute(f"UPDATE counters SET value = {value} WHERE name = ?", (name,))
    if not while_running:
        outbox = Outbox(path, 100)
    assert outbox.add(TOPIC, words, tally=("2025-06-15", "INR 500")) == 2
    assert seqs(outbox) == [1, 2]
    assert outbox.lost() == (1 if name == "lost" else 6)


@pytest.mark.parametrize("table", ["messages", "counters", "marks"])
@pytest.mark.parametrize("while_running", [True, False])
def test_a_missing_table_costs_what_it_held(path: Path, table: str, while_running: bool) -> None:
    outbox = Outbox(path, 100)
    fill(outbox, 3)
    if not while_running:
        outbox.close()
    with sqlite3.connect(path) as db:
        db.execute(f"DROP TABLE {table}")
    if not while_running:
        outbox = Outbox(path, 100)
    (seq,) = fill(outbox, 1)
    assert seq == 4
    assert seqs(outbox) == ([seq] if table == "messages" else [1, 2, 3, seq])
    assert outbox.lost() == (0 if table == "marks" else 1)


def test_a_table_that_is_not_what_its_name_says_is_begun_anew(path: Path) -> None:
    outbox = Outbox(path, 100)
    fill(outbox, 3)
    outbox.close()
    with sqlite3.connect(path) as db:
        db.executescript("ALTER TABLE messages RENAME COLUMN payload TO paxload")
    outbox = Outbox(path, 100)
    assert fill(outbox, 1) == [4]
    assert outbox.lost() >= 1


def test_what_a_release_before_checksums_wrote_is_sent_too_and_it_can_still_read_ours(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(
            "CREATE TABLE messages (seq INTEGER PRIMARY KEY, topic TEXT NOT NULL, payload BLOB NOT NULL, "
            "retain INTEGER NOT NULL); CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) "
            "WITHOUT ROWID; PRAGMA user_version = 1"
        )
        db.execute("INSERT INTO messages VALUES (7, 'a', x'31', 0)")
        db.execute("INSERT INTO counters VALUES ('seq', 7)")
    outbox = Outbox(path, 100)
    assert [(row.seq, row.payload) for row in outbox.oldest(9)] == [(7, b"1")]
    assert (fill(outbox, 1), outbox.lost()) == ([8], 0)
    outbox.close()
    with sqlite3.connect(path) as db:  # as that release writes
        db.execute("INSERT INTO messages VALUES (?, ?, ?, ?)", (9, "a", b"2", False))
        db.execute("DELETE FROM messages WHERE seq <= ?", (8,))
        assert db.execute("SELECT count(*) FROM marks").fetchall() == [(0,)]
    assert [row.payload for row in Outbox(path, 100).oldest(9)] == [b"2"]


def test_no_single_bit_makes_a_message_say_something_else_or_stops_the_others(path: Path, tmp_path: Path) -> None:
    outbox = Outbox(path, 1000)
    for _ in range(60):
        outbox.add(TOPIC, lambda entry: words(entry) * 20)
    sent = {row.seq: row for row in outbox.oldest(100)}
    outbox.close()
    whole = path.read_bytes()
    generator = random.Random(1)
    for trial in range(150):
        copy = tmp_path / f"trial-{trial}" / "outbox.db"
        copy.parent.mkdir()
        data = bytearray(whole)
        bit = generator.randrange(8 * len(data))
        data[bit // 8] ^= 1 << bit % 8
        copy.write_bytes(data)
        flipped = Outbox(copy, 1000)
        found = {row.seq: row for row in flipped.oldest(100)}
        assert all(sent[seq] == row for seq, row in found.items()), bit
        assert flipped.lost() > 0 or len(found) == len(sent), bit
        assert flipped.add(TOPIC, words) in [row.seq for row in flipped.oldest(100)]
        flipped.close()
        shutil.rmtree(copy.parent)


def test_a_torn_log_costs_at_most_its_last_rows(path: Path) -> None:
    """What a pulled plug leaves: the main file and a log that ends in the middle of a commit."""
    writer = Outbox(path, 100)
    fill(writer, 20)
    copy = path.parent / "after" / "outbox.db"
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    wal = path.with_name("outbox.db-wal").read_bytes()
    copy.with_name("outbox.db-wal").write_bytes(wal[: len(wal) - 1000])
    assert seqs(Outbox(copy, 100)) == list(range(1, 20))


def test_a_full_disk_is_said_once_and_the_outbox_works_again_when_there_is_room(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    outbox = Outbox(path, 100)
    fill(outbox, 2)
    with full_disk():
        for _ in range(3):
            with pytest.raises(TransientError, match="outbox"):
                outbox.add(TOPIC, words)
    assert fill(outbox, 1) == [3]
    assert seqs(outbox) == [1, 2, 3]
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.INFO]


def test_what_waits_can_be_sent_once_although_the_disk_is_too_full_even_for_deleting(path: Path) -> None:
    outbox = Outbox(path, 100)
    fill(outbox, 3)
    with full_disk():
        assert seqs(outbox) == [1, 2, 3]
        outbox.delete(1)
        outbox.give_up(2)
        assert seqs(outbox) == [3]
        assert (outbox.waiting(), outbox.lost()) == (1, 1)
    assert fill(outbox, 1) == [4]
    assert (seqs(outbox), outbox.waiting(), outbox.lost()) == ([3, 4], 2, 1)
    outbox.close()
    assert (seqs(Outbox(path, 100)), Outbox(path, 100).lost()) == ([3, 4], 1)


def test_what_a_full_disk_kept_from_being_written_down_is_written_at_the_end(path: Path) -> None:
    outbox = Outbox(path, 100)
    fill(outbox, 3)
    with full_disk():
        outbox.delete(1)
        outbox.give_up(2)
    outbox.close()
    assert (seqs(Outbox(path, 100)), Outbox(path, 100).lost()) == ([3], 1)


@pytest.mark.parametrize("end", ["", "outbox.close()"], ids=["killed", "stopped"])
def test_what_waits_can_be_read_although_the_disk_is_full_at_the_start(small_disk: Path, end: str) -> None:
    path = small_disk / "outbox.db"
    killed(path, f"for _ in range(300): outbox.add('t', lambda entry: b'%d' % entry.seq * 50)\n{end}")
    filler = fill_disk(small_disk)
    outbox = Outbox(path, 10_000)
    for seq in range(1, 301):
        (row,) = outbox.oldest(1)
        assert (row.seq, row.payload) == (seq, b"%d" % seq * 50)
        outbox.delete(seq)
    assert outbox.oldest(1) == []
    filler.unlink()
    assert fill(outbox, 1) == [301]
    assert (outbox.waiting(), outbox.lost()) == (1, 0)
    with sqlite3.connect(path) as db:  # nobody is shut out any more
        assert db.execute("SELECT seq FROM messages").fetchall() == [(301,)]


@pytest.mark.parametrize("end", ["", "outbox.close()"], ids=["killed", "stopped"])
@pytest.mark.parametrize("index", [True, False], ids=["with its index", "without it"])
def test_what_waits_can_be_read_on_a_disk_that_has_become_read_only(small_disk: Path, end: str, index: bool) -> None:
    path = small_disk / "outbox.db"
    killed(path, f"for _ in range(100): outbox.add('t', lambda entry: b'%d' % entry.seq * 50)\n{end}")
    if not index:
        path.with_name("outbox.db-shm").unlink(missing_ok=True)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    outbox = Outbox(path, 10_000)
    assert seqs(outbox) == list(range(1, 101))
    outbox.delete(1)
    with pytest.raises(TransientError):
        outbox.add(TOPIC, words)
    assert seqs(outbox)[0] == 2
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert fill(outbox, 1) == [101]
    assert (seqs(outbox), outbox.lost()) == (list(range(2, 102)), 0)
    outbox.close()


def test_a_disk_that_cannot_be_used_at_the_start_stops_nobody(path: Path) -> None:
    path.parent.write_text("a file where the folder should be")
    outbox = Outbox(path, 100)
    with pytest.raises(TransientError):
        outbox.add(TOPIC, words)
    path.parent.unlink()
    assert fill(outbox, 1) == [1]


@pytest.mark.parametrize("kind", ["folder", "pipe", "endless"])
def test_what_is_no_file_is_not_waited_for(path: Path, kind: str) -> None:
    path.parent.mkdir()
    {
        "folder": path.mkdir,
        "pipe": lambda: os.mkfifo(path),
        "endless": lambda: path.symlink_to("/dev/zero"),
    }[kind]()
    outbox = Outbox(path, 100)
    with pytest.raises(TransientError, match="is no file"):
        outbox.add(TOPIC, words)
    path.rmdir() if kind == "folder" else path.unlink()
    assert fill(outbox, 1) == [1]


def test_a_damaged_file_that_cannot_be_kept_stops_nobody(path: Path) -> None:
    outbox = Outbox(path, 100)
    fill(outbox, 1)
    outbox.close()
    damage_head(path)
    (path.with_name("outbox.db.damaged") / "in the way").mkdir(parents=True)
    outbox = Outbox(path, 100)
    assert fill(outbox, 1)
    assert outbox.lost() >= 1
