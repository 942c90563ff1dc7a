from __future__ import annotations

import logging
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.core.errors import TransientError
from edge.core.wire import Entry
from edge.outlets.outbox import Outbox

TOPIC = "saynote/pi-1/detection"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.db"


def words(entry: Entry) -> bytes:
    return f"{entry.seq} {entry.waiting} {entry.lost} {entry.today}".encode()


def fill(outbox: Outbox, count: int) -> list[int]:
    return [outbox.add(TOPIC, words) for _ in range(count)]


def seqs(outbox: Outbox) -> list[int]:
    return [row.seq for row in outbox.oldest(1000)]


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


def test_messages_come_out_in_order_and_stay_until_they_are_deleted(path: Path) -> None:
    outbox = Outbox(path, 10)
    assert fill(outbox, 3) == [1, 2, 3]
    assert [row.payload for row in outbox.oldest(2)] == [b"1 0 0 None", b"2 1 0 None"]
    assert seqs(outbox) == [1, 2, 3]
    outbox.delete_up_to(1)
    outbox.delete_up_to(1)  # twice is no error
    assert seqs(outbox) == [2, 3]
    assert outbox.waiting() == 2


def test_a_row_keeps_its_topic_and_whether_the_broker_is_to_keep_it(path: Path) -> None:
    outbox = Outbox(path, 10)
    outbox.add("a/b/health", lambda entry: b"\x00\xff", retain=True)
    (row,) = outbox.oldest(5)
    assert (row.topic, row.payload, row.retain) == ("a/b/health", b"\x00\xff", True)


def test_numbers_go_on_after_a_restart_even_when_all_was_sent(path: Path) -> None:
    first = Outbox(path, 10)
    for seq in fill(first, 3):
        first.delete_up_to(seq)
    first.close()
    assert fill(Outbox(path, 10), 1) == [4]


def test_a_full_outbox_lets_the_oldest_go_and_counts_them_across_restarts(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = Outbox(path, 3)
    fill(first, 5)
    assert seqs(first) == [3, 4, 5]
    first.close()
    second = Outbox(path, 3)
    assert second.lost() == 2
    second.add(TOPIC, words)
    assert second.oldest(9)[-1].payload == b"6 2 3 None"
    assert [record.message for record in caplog.records] == ["the outbox is full with 3 messages: the oldest go"] * 2


def test_an_outbox_that_became_smaller_shrinks_at_once(path: Path) -> None:
    large = Outbox(path, 10)
    fill(large, 8)
    large.close()
    small = Outbox(path, 3)
    fill(small, 1)
    assert seqs(small) == [7, 8, 9]
    assert small.lost() == 6


def test_losses_elsewhere_are_written_down_with_the_next_row(path: Path) -> None:
    first = Outbox(path, 10)
    first.lose(4)
    assert first.lost() == 4
    fill(first, 1)
    first.close()
    assert Outbox(path, 10).lost() == 4


def test_a_payload_that_cannot_be_made_leaves_no_trace(path: Path) -> None:
    outbox = Outbox(path, 2)
    fill(outbox, 2)

    def fail(entry: Entry) -> bytes:
        raise ValueError("not a number")

    with pytest.raises(ValueError, match="not a number"):
        outbox.add(TOPIC, fail, tally=("2025-06-15", "INR 500"))
    assert seqs(outbox) == [1, 2]
    assert outbox.lost() == 0
    assert outbox.add(TOPIC, words, tally=("2025-06-15", "INR 500")) == 3
    assert outbox.oldest(9)[-1].payload.endswith(b" 1")


def test_a_days_counter_tells_the_first_and_outlives_a_restart(path: Path) -> None:
    first = Outbox(path, 10)
    first.add(TOPIC, words, tally=("2025-06-15", "INR 500"))
    first.add(TOPIC, words, tally=("2025-06-15", "INR 100"))
    first.close()
    second = Outbox(path, 10)
    second.add(TOPIC, words, tally=("2025-06-15", "INR 500"))
    assert [row.payload[-1:] for row in second.oldest(9)] == [b"1", b"1", b"2"]


def test_a_new_day_counts_from_one_and_forgets_the_old_days(path: Path) -> None:
    outbox = Outbox(path, 10)
    outbox.add(TOPIC, words, tally=("2025-06-15", "INR 500"))
    outbox.add(TOPIC, words, tally=("2025-06-16", "INR 500"))
    assert outbox.oldest(9)[-1].payload.endswith(b" 1")
    outbox.close()
    with sqlite3.connect(path) as db:
        names = [name for (name,) in db.execute("SELECT name FROM counters WHERE name LIKE 'day%'")]
    assert names == ["day 2025-06-16 INR 500"]


def damage_head(path: Path) -> None:
    path.write_bytes(b"no database at all, and long enough to look like one" * 100)


def damage_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(0xA5 for _ in data[4096:])
    path.write_bytes(data)


def damage_by_cutting(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def change_format(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize("damage", [damage_head, damage_middle, damage_by_cutting, change_format])
def test_a_damaged_file_is_put_aside_and_a_new_one_begun(
    path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    first = Outbox(path, 100)
    fill(first, 50)
    first.close()
    assert callable(damage)
    damage(path)
    second = Outbox(path, 100)
    assert second.oldest(5) == []
    assert second.add(TOPIC, words) == 1
    assert second.lost() == 1
    assert path.with_name("outbox.db.damaged").exists()
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "is damaged" in caplog.text


def test_a_file_that_is_damaged_while_we_run_is_put_aside_too_and_the_numbers_go_on(path: Path) -> None:
    outbox = Outbox(path, 100)
    fill(outbox, 50)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage_middle(path)
    outbox._let_go()  # forget the pages in memory, as a long run would
    assert fill(outbox, 1) == [51]
    assert outbox.lost() == 1


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
        with pytest.raises(TransientError, match="outbox"):
            outbox.delete_up_to(1)
        assert seqs(outbox) == [2, 3]
    assert fill(outbox, 1) == [4]
    assert (seqs(outbox), outbox.waiting(), outbox.lost()) == ([2, 3, 4], 3, 0)


def test_a_disk_that_cannot_be_used_at_the_start_stops_nobody(path: Path) -> None:
    path.parent.write_text("a file where the folder should be")
    outbox = Outbox(path, 100)
    with pytest.raises(TransientError):
        outbox.add(TOPIC, words)
    path.parent.unlink()
    assert fill(outbox, 1) == [1]


def test_after_the_end_it_takes_nothing_more(path: Path) -> None:
    outbox = Outbox(path, 10)
    fill(outbox, 1)
    outbox.close()
    outbox.close()
    with pytest.raises(TransientError, match="closed"):
        outbox.oldest(1)


def test_two_threads_may_use_it(path: Path) -> None:
    outbox = Outbox(path, 1000)
    sent: list[int] = []

    def send() -> None:
        while len(sent) < 100:
            for row in outbox.oldest(10):
                outbox.delete_up_to(row.seq)
                sent.append(row.seq)

    sender = threading.Thread(target=send)
    sender.start()
    fill(outbox, 100)
    sender.join(60)
    assert sent == list(range(1, 101))
    assert outbox.lost() == 0


WRITE_FOR_EVER = """
import sys
from pathlib import Path
from edge.outlets.outbox import Outbox
outbox = Outbox(Path(sys.argv[1]), 100_000)
while True:
    sys.stdout.write(f"{outbox.add('t', lambda entry: str(entry.seq).encode() * 50)}\\n")
    sys.stdout.flush()
"""


def test_killing_the_process_loses_nothing_that_was_confirmed(path: Path) -> None:
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(path)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            confirmed = [int(writer.stdout.readline()) for _ in range(40)]
            writer.kill()
            confirmed += [int(line) for line in writer.stdout.read().split(b"\n")[:-1]]
        outbox = Outbox(path, 100_000)
        kept = seqs(outbox)
        assert kept[: confirmed[-1]] == list(range(1, confirmed[-1] + 1))
        assert outbox.lost() == 0
        outbox.close()
