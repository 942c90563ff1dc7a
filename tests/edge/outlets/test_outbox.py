from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge.core.errors import TransientError
from edge.core.wire import Entry, Worth
from edge.outlets.outbox import Outbox
from tests.outboxes import TOPIC, fill, seqs, words

FULL = "the outbox is full: the least important messages go, and are counted as lost"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.db"


def test_messages_come_out_in_order_and_stay_until_they_are_deleted(path: Path) -> None:
    outbox = Outbox(path, 10)
    assert fill(outbox, 3) == [1, 2, 3]
    assert [row.payload for row in outbox.oldest(2)] == [b"1 0 0 None", b"2 1 0 None"]
    assert seqs(outbox) == [1, 2, 3]
    outbox.delete(1)
    outbox.delete(1)  # twice is no error
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
        first.delete(seq)
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
    assert [record.message for record in caplog.records] == [FULL] * 2


def test_an_outbox_that_became_smaller_shrinks_at_once(path: Path) -> None:
    large = Outbox(path, 10)
    fill(large, 8)
    large.close()
    small = Outbox(path, 3)
    fill(small, 1)
    assert seqs(small) == [7, 8, 9]
    assert small.lost() == 6


def test_losses_elsewhere_are_written_down(path: Path) -> None:
    first = Outbox(path, 10)
    first.lose(4)
    assert first.lost() == 4
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


def test_a_new_day_counts_from_one_and_forgets_days_long_past(path: Path) -> None:
    outbox = Outbox(path, 10)
    for day in ("13", "14", "15", "16"):
        outbox.add(TOPIC, words, tally=(f"2025-06-{day}", "INR 500"))
        assert outbox.oldest(9)[-1].payload.endswith(b" 1")
    outbox.close()
    with sqlite3.connect(path) as db:
        names = [name for (name,) in db.execute("SELECT name FROM counters WHERE name LIKE 'day%' ORDER BY name")]
    assert names == [f"day 2025-06-{day} INR 500" for day in ("14", "15", "16")]


def test_a_clock_that_jumps_forth_and_back_finds_its_days_count_again(path: Path) -> None:
    outbox = Outbox(path, 100)
    for day in ("2025-06-16", "2099-01-01", "2025-06-16", "2025-06-15", "2025-06-16"):
        outbox.add(TOPIC, words, tally=(day, "INR 500"))
    for day in ("2101-01-01", "2102-01-01", "2103-01-01", "2025-06-17", "2025-06-17"):
        outbox.add(TOPIC, words, tally=(day, "INR 500"))
    assert [int(row.payload.rsplit(b" ", 1)[1]) for row in outbox.oldest(99)] == [1, 1, 2, 1, 3, 1, 1, 1, 1, 2]


def test_where_there_is_no_room_the_least_worth_goes_and_the_oldest_of_these_first(path: Path) -> None:
    outbox = Outbox(path, 6)
    kinds = [Worth.AMOUNT, Worth.HEALTH, Worth.FAULT, Worth.HINT, Worth.HEALTH, Worth.UNSURE]
    for worth in kinds:
        outbox.add(worth.name, words, worth=worth)
    left = []
    for _ in kinds:
        outbox.add("new", words)
        left.append([row.topic for row in outbox.oldest(9)])
    assert left == [
        ["AMOUNT", "FAULT", "HINT", "HEALTH", "UNSURE", "new"],
        ["AMOUNT", "FAULT", "HINT", "UNSURE", "new", "new"],
        ["AMOUNT", "FAULT", "UNSURE", "new", "new", "new"],
        ["AMOUNT", "FAULT", "new", "new", "new", "new"],
        ["AMOUNT", "new", "new", "new", "new", "new"],
        ["new"] * 6,
    ]
    assert outbox.lost() == 6


def test_a_message_of_little_worth_does_not_push_an_amount_out_and_is_counted_itself(path: Path) -> None:
    outbox = Outbox(path, 3)
    fill(outbox, 3)
    assert outbox.add("health", words, worth=Worth.HEALTH) == 4
    assert seqs(outbox) == [1, 2, 3]
    assert outbox.lost() == 1
    assert fill(outbox, 1) == [5]
    assert (seqs(outbox), outbox.lost()) == ([2, 3, 5], 2)


def test_it_is_bounded_in_bytes_too(path: Path) -> None:
    outbox = Outbox(path, 10_000, 10_000)
    for _ in range(50):
        outbox.add("t", lambda entry: bytes(999))
    assert 8 <= len(seqs(outbox)) <= 9
    assert outbox.lost() + outbox.waiting() == 50
    outbox.add("t", lambda entry: bytes(5000))
    assert seqs(outbox)[-1] == 51
    assert len(seqs(outbox)) == 5


def test_a_message_larger_than_the_whole_outbox_costs_nobody_but_itself(path: Path) -> None:
    outbox = Outbox(path, 100, 10_000)
    fill(outbox, 3)
    assert outbox.add("t", lambda entry: bytes(20_000)) == 4
    assert (seqs(outbox), outbox.lost()) == ([1, 2, 3], 1)


def test_the_oldest_may_be_asked_for_without_some_topics(path: Path) -> None:
    outbox = Outbox(path, 100)
    for topic in ("a", "a", "b", "a", "c"):
        outbox.add(topic, words)
    assert [row.seq for row in outbox.oldest(9, without=["a"])] == [3, 5]
    assert [row.seq for row in outbox.oldest(2)] == [1, 2]
    outbox.delete(3)  # in any order
    assert seqs(outbox) == [1, 2, 4, 5]


def test_what_is_given_up_is_counted_by_the_time_it_is_gone(path: Path) -> None:
    outbox = Outbox(path, 100)
    fill(outbox, 2)
    outbox.give_up(1)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT value FROM counters WHERE name = 'lost'").fetchall() == [(1,)]
        assert db.execute("SELECT seq FROM messages").fetchall() == [(2,)]


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
                outbox.delete(row.seq)
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


@pytest.mark.parametrize(
    "damage",
    ["UPDATE days SET data = X'00FF' WHERE day = '2025-06-15'",
     "UPDATE days SET data = 7 WHERE day = '2025-06-15'",
     "UPDATE days SET checksum = 'x' WHERE day = '2025-06-15'",
     "UPDATE days SET day = X'FFFE' WHERE day = '2025-06-15'",
     "UPDATE days SET day = 'someday' WHERE day = '2025-06-15'"],
)  # fmt: skip
def test_a_day_that_is_damaged_on_the_disk_costs_that_day_only(path: Path, damage: str) -> None:
    outbox = Outbox(path, 10)
    fill(outbox, 2)
    for day in ("2025-06-14", "2025-06-15"):
        outbox.change_day(day, lambda data: b"{}")
    outbox.close()
    with sqlite3.connect(path) as db:
        db.execute(damage)
    db.close()
    again = Outbox(path, 10)
    assert again.days() == {"2025-06-14": b"{}"}
    assert (seqs(again), again.lost()) == ([1, 2], 0)
    again.change_day("2025-06-15", lambda data: b"new" if data is None else b"old")
    assert again.days()["2025-06-15"] == b"new"


def test_a_file_that_has_lost_its_days_has_lost_nothing_else(path: Path) -> None:
    outbox = Outbox(path, 10)
    fill(outbox, 2)
    outbox.change_day("2025-06-15", lambda data: b"{}")
    outbox.close()
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE days")
    db.close()
    again = Outbox(path, 10)
    assert (again.days(), seqs(again), again.lost()) == ({}, [1, 2], 0)
    again.change_day("2025-06-16", lambda data: b"{}")
    assert again.days() == {"2025-06-16": b"{}"}
