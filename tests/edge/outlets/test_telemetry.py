from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from edge.core import wire
from edge.core.errors import RefusedError, TransientError, UnansweredError
from edge.core.messages import (
    Decision,
    Event,
    Fault,
    Guidance,
    Health,
    Hint,
    Notice,
    Recovered,
    Stretch,
    Verdict,
)
from edge.core.session import Standing, Total
from edge.core.spread import Spread
from edge.drivers.fake import FakeBroker, FakeClock, Message
from edge.outlets.outbox import Outbox
from edge.outlets.telemetry import INBOX, SUMMARY_S, Telemetry

WALL_S = 1_750_000_000.0
SOURCE = wire.Source("pi-1", "a1b2c3d4", "0.1.0", "INR", "inr 1.0.0", "ab" * 32)
TOPICS = wire.Topics("saynote", "pi-1")
LATEST = (TOPICS.availability(), TOPICS.state(), TOPICS.summary())
HEALTH = Health(60.0, 900, 800, 4, {"scene": 0.5}, 51.2, False)


class Changes:
    """Wakes the test whenever something happened, so that it need not sleep."""

    def __init__(self) -> None:
        self._changed = threading.Condition()

    def tell(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait_until(self, true: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(true, 30), "that never became true"


class WatchedOutbox(Outbox):
    """An Outbox that tells of every row that comes and goes."""

    def __init__(self, path: Path, rows: int, changes: Changes) -> None:
        super().__init__(path, rows)
        self._changes = changes

    def add(self, *args: Any, **options: Any) -> int:
        seq = super().add(*args, **options)
        self._changes.tell()
        return seq

    def delete(self, seq: int) -> None:
        super().delete(seq)
        self._changes.tell()

    def give_up(self, seq: int) -> None:
        super().give_up(seq)
        self._changes.tell()


class WatchedBroker(FakeBroker):
    """A FakeBroker that can be waited for, made to hang, and made to refuse some messages."""

    def __init__(self, changes: Changes) -> None:
        super().__init__()
        self._changes = changes
        self.attempts = 0
        self.tried: Counter[int] = Counter()  # by the message's number
        self.refused: Callable[[bytes], Exception | None] = lambda payload: None
        self.answering = threading.Event()
        self.answering.set()
        self.entered = threading.Event()  # somebody is inside publish

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.entered.set()
        self.answering.wait(60)
        error = self.refused(payload)
        if topic not in LATEST:
            self.tried[json.loads(payload)["seq"]] += 1
        try:
            if error is not None:
                raise error
            super().publish(topic, payload, retain=retain)
        finally:
            self.attempts += 1
            self._changes.tell()

    def wait_until(self, true: Callable[[], bool]) -> None:
        self._changes.wait_until(true)

    def payloads(self) -> list[dict[str, Any]]:
        """All that went through the outbox, in order of arrival."""
        return [json.loads(message.payload) for message in self.messages if message.topic not in LATEST]

    def topics(self) -> list[str]:
        return [message.topic for message in self.messages]

    def latest(self, topic: str) -> list[dict[str, Any]]:
        """What came past the outbox."""
        return [json.loads(message.payload) for message in self.messages if message.topic == topic]

    def seqs(self) -> list[int]:
        return [payload["seq"] for payload in self.payloads()]

    def wait_for_payloads(self, count: int) -> list[dict[str, Any]]:
        self.wait_until(lambda: len(self.payloads()) >= count)
        return self.payloads()


class Bench:
    """Telemetry with a disk, a broker and a clock of its own."""

    def __init__(self, folder: Path, rows: int = 1000, delay_s: float = 0.001) -> None:
        self.path = folder / "outbox.db"
        self.rows = rows
        self.delay_s = delay_s
        self.changes = Changes()
        self.broker = WatchedBroker(self.changes)
        self.clock = FakeClock(wall_s=WALL_S)
        self.reports: list[Fault | Recovered] = []
        self.outbox = WatchedOutbox(self.path, rows, self.changes)
        self.telemetry = self.make()

    def make(self, share: wire.Level = "amounts") -> Telemetry:
        return Telemetry(
            self.outbox,
            self.broker,
            self.clock,
            TOPICS,
            dataclasses.replace(SOURCE, share=share),
            report=self.take,
            delays=lambda: itertools.repeat(self.delay_s),
        )

    def restart(self, share: wire.Level = "amounts") -> None:
        self.telemetry.close()
        self.outbox.close()
        self.outbox = WatchedOutbox(self.path, self.rows, self.changes)
        self.telemetry = self.make(share)

    def take(self, report: Fault | Recovered) -> None:
        self.reports.append(report)
        self.changes.tell()

    def wait_for_rows(self, count: int) -> None:
        """Until the disk holds `count`."""
        self.changes.wait_until(lambda: self.outbox.waiting() == count)


def left_after_a_while() -> list[threading.Thread]:
    """Threads of telemetry's that do not end by themselves."""
    threads = [thread for thread in threading.enumerate() if thread.name in ("telemetry", "publisher")]
    for thread in threads:
        thread.join(30)
    return [thread for thread in threads if thread.is_alive()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.broker.answering.set()
    made.telemetry.close()
    made.outbox.close()


def amount(presence: int, label: str = "500") -> Decision:
    return Decision(Verdict.AMOUNT, presence * 10, presence * 1.0, presence, label, 0.99, 6, {"classify": 20.0})


def test_an_amount_reaches_the_broker_and_leaves_the_disk(bench: Bench) -> None:
    bench.telemetry.start()
    bench.clock.advance(12.5)
    assert bench.telemetry.offer(amount(1))
    (found,) = bench.broker.wait_for_payloads(1)
    assert (found["kind"], found["amount"], found["seq"]) == ("detection", "500", 1)
    assert (found["t_s"], found["wall_s"]) == (12.5, WALL_S + 12.5)
    bench.wait_for_rows(0)


def test_the_device_is_online_before_anything_else_and_offline_at_a_wanted_end(bench: Bench) -> None:
    bench.telemetry.offer(amount(1))
    bench.telemetry.start()
    bench.broker.wait_for_payloads(1)
    bench.telemetry.close()
    said = [message for message in bench.broker.messages if message.topic == TOPICS.availability()]
    assert bench.broker.messages[0] == Message("saynote/pi-1/availability", b"online", True)
    assert [message.payload for message in said] == [b"online", b"offline"]
    assert bench.broker.retained[TOPICS.availability()] == b"offline"


def test_online_is_said_again_after_a_reconnect(bench: Bench) -> None:
    bench.telemetry.start()
    bench.broker.wait_until(lambda: set(bench.broker.topics()) == set(LATEST))
    bench.telemetry.connected()
    bench.broker.wait_until(lambda: len(bench.broker.messages) == 6)
    assert sorted(bench.broker.topics()[3:]) == sorted(LATEST), "a broker may have forgotten what it kept"
    assert bench.broker.messages[3].payload == b"online"


def test_every_kind_of_event_that_travels_arrives_on_its_topic_in_order(bench: Bench) -> None:
    events: list[Event] = [
        HEALTH,
        Guidance(Hint.TOO_DARK, 1.0),
        Decision(Verdict.SEEN, 1, 0.5, 1),
        amount(1),
        Decision(Verdict.GONE, 3, 2.0, 1),
        Decision(Verdict.UNSURE, 4, 3.0, 2),
        Notice("ready"),
        Fault("camera", "stopped"),
        Recovered("camera"),
    ]
    bench.telemetry.start()
    assert all(bench.telemetry.offer(event) for event in events)
    found = bench.broker.wait_for_payloads(6)
    assert [payload["kind"] for payload in found] == ["health", "hint", "detection", "unsure", "fault", "recovered"]
    topics = [message.topic for message in bench.broker.messages if message.topic not in LATEST]
    assert [topic.rsplit("/", 1)[1] for topic in topics] == ["health", "event", "detection", "event", "event", "event"]
    assert set(bench.broker.retained) == {*LATEST, TOPICS.health()}


def test_with_the_broker_down_everything_waits_on_the_disk_and_arrives_in_order_later(bench: Bench) -> None:
    bench.broker.down = True
    bench.telemetry.start()
    for presence in range(1, 101):
        bench.telemetry.offer(amount(presence))
    bench.wait_for_rows(100)
    bench.broker.down = False
    assert [payload["presence"] for payload in bench.broker.wait_for_payloads(100)] == list(range(1, 101))
    bench.wait_for_rows(0)
    assert bench.reports == [Fault("broker", "stopped", "the broker does not answer"), Recovered("broker")]


def test_what_was_not_sent_goes_first_after_a_restart(bench: Bench) -> None:
    bench.broker.down = True
    bench.telemetry.start()
    bench.telemetry.offer(amount(1))
    bench.wait_for_rows(1)
    bench.restart()
    bench.broker.down = False
    bench.telemetry.offer(amount(2))
    bench.telemetry.start()
    bench.broker.wait_for_payloads(2)
    assert bench.broker.seqs() == [1, 2]


def test_what_was_offered_just_before_the_end_is_on_the_disk_after_it(bench: Bench) -> None:
    bench.broker.down = True
    bench.telemetry.start()
    for presence in range(20):
        bench.telemetry.offer(amount(presence))
    bench.telemetry.close()
    assert bench.outbox.waiting() == 20


def test_the_disk_does_not_wait_for_a_broker_that_does_not_answer(bench: Bench) -> None:
    bench.broker.answering.clear()
    bench.telemetry.start()
    assert bench.broker.entered.wait(30)
    bench.telemetry.offer(amount(1))
    bench.wait_for_rows(1)
    assert bench.broker.attempts == 0
    bench.broker.answering.set()
    bench.broker.wait_for_payloads(1)


def test_the_end_comes_within_a_second_although_the_broker_hangs(bench: Bench) -> None:
    bench.broker.answering.clear()
    bench.telemetry.start()
    bench.telemetry.offer(amount(1))
    assert bench.broker.entered.wait(30)
    began_s = time.monotonic()
    bench.telemetry.close()
    assert time.monotonic() - began_s < 1.0
    assert bench.outbox.waiting() == 1


def test_the_end_does_not_wait_for_the_back_off(tmp_path: Path) -> None:
    bench = Bench(tmp_path, delay_s=3600.0)
    bench.broker.down = True
    bench.telemetry.start()
    bench.broker.wait_until(lambda: bench.broker.attempts >= 1)
    began_s = time.monotonic()
    bench.telemetry.close()
    assert time.monotonic() - began_s < 1.0
    assert not left_after_a_while()


def test_a_reconnect_ends_the_back_off(tmp_path: Path) -> None:
    bench = Bench(tmp_path, delay_s=3600.0)
    bench.broker.down = True
    bench.telemetry.start()
    bench.telemetry.offer(amount(1))
    bench.broker.wait_until(lambda: bench.broker.attempts >= 1)
    bench.broker.down = False
    bench.telemetry.connected()
    bench.broker.wait_for_payloads(1)
    bench.telemetry.close()


def test_a_lost_acknowledgement_gives_a_duplicate_that_can_be_recognised(bench: Bench) -> None:
    bench.telemetry.start()
    bench.broker.wait_until(lambda: set(bench.broker.topics()) == set(LATEST))
    bench.broker.lose_acks = 1
    bench.telemetry.offer(amount(1))
    bench.telemetry.offer(amount(2))
    bench.broker.wait_for_payloads(2)
    bench.broker.wait_until(lambda: bench.broker.seqs()[-1] == 2)
    first, again, second = bench.broker.payloads()
    assert first == again
    assert [(found["device"], found["run"], found["seq"]) for found in (again, second)] == [
        ("pi-1", "a1b2c3d4", 1),
        ("pi-1", "a1b2c3d4", 2),
    ]
    bench.wait_for_rows(0)


@pytest.mark.parametrize(
    "error", [RefusedError("not authorised"), UnansweredError("it closed the connection"), ValueError("too large")]
)
def test_a_message_that_the_broker_refuses_does_not_stand_in_the_way_and_is_counted(
    bench: Bench, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    bench.broker.refused = lambda payload: error if b'"seq":2,' in payload else None
    for presence in (1, 2, 3):
        bench.telemetry.offer(amount(presence))
    bench.telemetry.start()
    bench.broker.wait_for_payloads(2)
    assert bench.broker.seqs() == [1, 3]
    bench.wait_for_rows(0)
    assert bench.outbox.lost() == 1
    assert "message 2 on saynote/pi-1/detection is refused and given up" in caplog.text
    assert bench.broker.tried[2] == (1 if isinstance(error, ValueError) else 3)
    assert bench.reports == []


@pytest.mark.parametrize("error", [RefusedError("not authorised"), UnansweredError("it closed the connection")])
def test_a_topic_that_is_refused_never_keeps_the_others_waiting(tmp_path: Path, error: Exception) -> None:
    bench = Bench(tmp_path, delay_s=3600.0)  # no attempt after a pause is made in this test
    bench.broker.refused = lambda payload: error if b'"kind":"detection"' in payload else None
    for presence in range(20):
        bench.telemetry.offer(amount(presence))
    bench.telemetry.start()
    for _ in range(10):
        bench.telemetry.offer(HEALTH)
    bench.telemetry.offer(Fault("camera", "stopped"))
    bench.broker.wait_for_payloads(11)
    bench.telemetry.close()
    assert (bench.outbox.waiting(), bench.outbox.lost()) == (20, 0)


def test_a_broker_that_leaves_everything_unanswered_costs_no_message(bench: Bench) -> None:
    silence = UnansweredError("no acknowledgement")
    bench.broker.refused = lambda payload: silence
    bench.telemetry.start()
    for presence in range(1, 4):
        bench.telemetry.offer(amount(presence))
    bench.telemetry.offer(HEALTH)
    bench.wait_for_rows(4)
    attempts = bench.broker.attempts
    bench.broker.wait_until(lambda: bench.broker.attempts > attempts + 50)
    assert (bench.outbox.waiting(), bench.outbox.lost()) == (4, 0)
    bench.broker.refused = lambda payload: None
    bench.broker.wait_for_payloads(4)
    assert sorted(bench.broker.seqs()) == [1, 2, 3, 4]
    assert bench.reports == [Fault("broker", "stopped", "no acknowledgement"), Recovered("broker")]


@pytest.mark.parametrize("error", [RefusedError("not authorised"), UnansweredError("it closed the connection")])
def test_a_broker_that_takes_no_availability_takes_the_rest(
    bench: Bench, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    bench.broker.refused = lambda payload: error if payload == wire.ONLINE else None
    bench.telemetry.start()
    for presence in range(1, 11):
        bench.telemetry.offer(amount(presence))
        bench.broker.wait_for_payloads(presence)
    assert bench.outbox.lost() == 0
    if isinstance(error, RefusedError):
        assert "saynote/pi-1/availability is refused" in caplog.text
    bench.telemetry.close()
    assert [message for message in bench.broker.messages if message.topic == TOPICS.availability()] == []


def test_a_message_that_could_not_be_sent_at_all_is_never_blamed(bench: Bench) -> None:
    """As when another device of the same name throws us out whenever "online" was said."""
    bench.broker.refused = lambda payload: None if payload == wire.ONLINE else TransientError("not connected")
    bench.telemetry.start()
    bench.telemetry.offer(amount(1))
    bench.wait_for_rows(1)
    attempts = bench.broker.attempts
    bench.broker.wait_until(lambda: bench.broker.attempts > attempts + 30)
    assert (bench.outbox.waiting(), bench.outbox.lost()) == (1, 0)


def test_why_telemetry_waits_stands_in_the_log_once_for_each_reason(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    for reason in ("no name server", "no name server", "wrong password"):
        down = TransientError(reason)
        bench.broker.refused = lambda payload, down=down: down  # type: ignore[misc]
        bench.telemetry.start() if bench.broker.attempts == 0 else None
        attempts = bench.broker.attempts
        bench.broker.wait_until(lambda attempts=attempts: bench.broker.attempts > attempts + 10)  # type: ignore[misc]
    said = [record.getMessage() for record in caplog.records if "telemetry waits in" in record.getMessage()]
    assert said == [f"telemetry waits in the outbox: {reason}" for reason in ("no name server", "wrong password")]
    assert bench.reports == [Fault("broker", "stopped", "no name server")]


def test_health_tells_how_often_another_device_of_the_same_name_threw_us_out(bench: Bench) -> None:
    bench.broker.takeovers = 4
    bench.telemetry.start()
    bench.telemetry.offer(HEALTH)
    assert bench.broker.wait_for_payloads(1)[0]["taken_over"] == 4


def test_a_clock_that_shows_a_year_beyond_all_calendars_costs_the_days_count_only(bench: Bench) -> None:
    bench.clock.set_wall(1e15)
    bench.telemetry.start()
    bench.telemetry.offer(amount(1))
    assert bench.broker.wait_for_payloads(1)[0]["today"] is None
    assert bench.outbox.lost() == 0


def test_a_broker_that_is_down_for_long_never_costs_a_message(bench: Bench) -> None:
    bench.broker.down = True
    bench.telemetry.start()
    bench.telemetry.offer(amount(1))
    bench.wait_for_rows(1)
    attempts = bench.broker.attempts
    bench.broker.wait_until(lambda: bench.broker.attempts > attempts + 50)
    assert (bench.outbox.waiting(), bench.outbox.lost()) == (1, 0)


def test_a_broker_that_goes_in_the_middle_costs_nothing(bench: Bench) -> None:
    """It takes some, then nothing at all, then all again; the order stands."""
    bench.telemetry.start()
    for presence in range(1, 31):
        bench.telemetry.offer(amount(presence))
        if presence == 10:
            bench.broker.wait_for_payloads(10)
            bench.broker.down = True
    bench.wait_for_rows(20)
    attempts = bench.broker.attempts
    bench.broker.wait_until(lambda: bench.broker.attempts > attempts + 10)
    bench.broker.down = False
    bench.broker.wait_for_payloads(30)
    assert bench.broker.seqs() == list(range(1, 31))


def test_an_event_that_cannot_be_encoded_is_counted_and_the_next_one_arrives(bench: Bench) -> None:
    bench.telemetry.start()
    bench.telemetry.offer(Decision(Verdict.AMOUNT, 1, 1.0, 1, "500", float("nan")))
    bench.telemetry.offer(amount(2))
    bench.telemetry.offer(HEALTH)
    found = bench.broker.wait_for_payloads(2)
    assert [payload["seq"] for payload in found] == [1, 2]
    assert found[1]["lost"] == 1


def test_a_disk_that_fails_for_a_while_costs_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.write_text("a file where the folder should be")
    bench = Bench(folder)
    bench.telemetry.start()
    for presence in (1, 2, 3):
        bench.telemetry.offer(amount(presence))
    bench.changes.wait_until(lambda: bool(bench.reports))
    folder.unlink()
    assert [payload["presence"] for payload in bench.broker.wait_for_payloads(3)] == [1, 2, 3]
    bench.telemetry.close()
    assert [type(report) for report in bench.reports] == [Fault, Recovered]
    assert bench.reports[0].device == "outbox"


def test_offering_never_waits_and_says_when_an_event_is_lost_which_health_reports(bench: Bench) -> None:
    taken = [bench.telemetry.offer(amount(presence)) for presence in range(INBOX + 5)]  # nobody takes yet
    assert taken == [True] * INBOX + [False] * 5
    bench.telemetry.start()
    bench.broker.wait_for_payloads(INBOX)
    bench.telemetry.offer(HEALTH)
    assert bench.broker.wait_for_payloads(INBOX + 1)[-1]["lost"] == 5


def test_health_says_what_waits_and_what_a_full_outbox_cost(tmp_path: Path) -> None:
    bench = Bench(tmp_path, rows=10)
    bench.broker.down = True
    bench.telemetry.start()
    for presence in range(15):
        bench.telemetry.offer(amount(presence))
    bench.telemetry.offer(HEALTH)  # worth less than any amount that waits
    bench.telemetry.close()
    assert [json.loads(row.payload)["presence"] for row in bench.outbox.oldest(20)] == list(range(5, 15))
    for row in bench.outbox.oldest(7):
        bench.outbox.delete(row.seq)
    bench.restart()
    bench.telemetry.start()
    bench.telemetry.offer(HEALTH)
    bench.wait_for_rows(4)
    bench.telemetry.close()
    health = json.loads(bench.outbox.oldest(20)[-1].payload)
    assert (health["waiting"], health["lost"]) == (3, 6)


def test_the_first_amount_of_the_day_is_number_one(bench: Bench) -> None:
    bench.telemetry.start()
    for presence, label in enumerate(["500", "500", "100"]):
        bench.telemetry.offer(amount(presence, label))
    bench.clock.advance(86_400)
    bench.telemetry.offer(amount(9))
    assert [payload["today"] for payload in bench.broker.wait_for_payloads(4)] == [1, 2, 1, 1]


def test_with_a_clock_that_was_never_set_there_is_no_day_and_no_wall_time(bench: Bench) -> None:
    bench.clock.set_wall(100.0)
    bench.telemetry.start()
    bench.telemetry.offer(amount(1))
    (found,) = bench.broker.wait_for_payloads(1)
    assert (found["wall_s"], found["today"]) == (None, None)
    bench.clock.set_wall(WALL_S)
    bench.telemetry.offer(amount(2))
    assert bench.broker.wait_for_payloads(2)[1]["today"] == 1


def minute(clock: FakeClock, seconds: float = 60.0) -> Stretch:
    """What the health monitor tells once a minute."""
    clock.advance(seconds)
    return Stretch(seconds, 900, {"classify": Spread({62: 900})}, Spread({117: 1}), 51.0)


def test_state_is_said_at_the_start_on_change_and_with_each_health(bench: Bench) -> None:
    bench.telemetry.start()
    bench.broker.wait_until(lambda: bool(bench.broker.latest(TOPICS.state())))
    bench.telemetry.offer(amount(1))
    bench.telemetry.offer(Standing(Total(Decimal(500), 1)))
    bench.telemetry.offer(Fault("camera", "stopped", "no new picture"))

    def last() -> dict[str, Any]:
        return bench.broker.latest(TOPICS.state())[-1]

    bench.broker.wait_until(lambda: bool(last()["faults"]))
    assert (last()["last"]["amount"], last()["total"], last()["count"]) == ("500", "500", 1)
    assert len(bench.broker.latest(TOPICS.state())) <= 3, "not once for each change"
    bench.telemetry.offer(Recovered("camera"))
    bench.broker.wait_until(lambda: last()["faults"] == [])
    said = len(bench.broker.latest(TOPICS.state()))
    bench.telemetry.offer(HEALTH)
    bench.broker.wait_until(lambda: len(bench.broker.latest(TOPICS.state())) == said + 1)
    assert all(message.retain for message in bench.broker.messages if message.topic == TOPICS.state())


def test_each_trouble_stands_once_in_state_and_counts_once_in_its_day(bench: Bench) -> None:
    bench.clock.set_wall(WALL_S)
    bench.telemetry.start()
    for fault in ("camera missing", "camera busy", "board too hot", "board under-voltage"):
        bench.telemetry.offer(Fault(*fault.split(maxsplit=1)))

    def standing() -> list[tuple[str, str]]:
        return [(fault["part"], fault["reason"]) for fault in bench.broker.latest(TOPICS.state())[-1]["faults"]]

    def faults_of_the_day() -> list[int]:
        return [day["faults"] for day in bench.broker.latest(TOPICS.summary())[-1]["days"]]

    weak = ("board", "under-voltage")
    bench.broker.wait_until(lambda: bool(bench.broker.latest(TOPICS.state())) and weak in standing())
    assert standing() == [("camera", "busy"), ("board", "too hot"), weak]
    bench.telemetry.offer(Recovered("board", "too hot"))
    bench.broker.wait_until(lambda: standing() == [("camera", "busy"), weak])
    bench.telemetry.offer(minute(bench.clock, SUMMARY_S))
    bench.broker.wait_until(lambda: faults_of_the_day() == [3])


def test_while_the_disk_takes_nothing_state_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.write_text("a file where the folder should be")
    bench = Bench(folder)
    bench.telemetry.start()
    bench.telemetry.offer(amount(1))

    def parts() -> list[str]:
        return [fault["part"] for fault in bench.broker.latest(TOPICS.state())[-1]["faults"]]

    bench.broker.wait_until(lambda: bool(bench.broker.latest(TOPICS.state())) and parts() == ["outbox"])
    folder.unlink()
    bench.broker.wait_until(lambda: parts() == [])
    bench.telemetry.close()


def test_a_broker_that_was_away_hears_that_it_was_and_that_this_is_over(bench: Bench) -> None:
    bench.broker.down = True
    bench.telemetry.start()
    bench.broker.wait_until(lambda: bool(bench.reports))
    bench.broker.down = False
    bench.broker.wait_until(lambda: bool(bench.broker.latest(TOPICS.state())))
    bench.broker.wait_until(lambda: bench.broker.latest(TOPICS.state())[-1]["faults"] == [])


@pytest.mark.parametrize("share", ["health", "counts"])
def test_what_is_not_shared_neither_leaves_nor_is_stored_nor_changes_what_is_said(
    tmp_path: Path, share: wire.Level
) -> None:
    bench = Bench(tmp_path)
    bench.telemetry.close()
    bench.restart(share)
    bench.telemetry.start()
    bench.broker.wait_until(lambda: bool(bench.broker.latest(TOPICS.state())))
    for presence in range(1, 6):
        bench.telemetry.offer(amount(presence, "2000"))
        bench.telemetry.offer(Standing(Total(Decimal(2000 * presence), presence)))
    bench.telemetry.offer(Decision(Verdict.UNSURE, 4, 3.0, 2))
    bench.telemetry.offer(Guidance(Hint.CLOSER, 3.0))
    bench.telemetry.offer(minute(bench.clock))
    bench.telemetry.offer(Fault("camera", "stopped"))
    bench.broker.wait_until(lambda: bool(bench.broker.latest(TOPICS.state())[-1]["faults"]))
    bench.telemetry.close()
    bench.outbox.close()
    everything = b"".join(message.payload for message in bench.broker.messages) + disk(tmp_path)
    assert b"2000" not in everything
    assert (b"unsure" in everything and b"closer" in everything) is (share == "counts") or share == "health"
    states = bench.broker.latest(TOPICS.state())
    if share == "health":
        assert len([one for one in states if not one["faults"]]) == 1, "nobody learns when a note was shown"
        assert b"closer" not in everything
    (day,) = bench_days(tmp_path)
    assert ('"detections":5' in day) is (share == "counts")


def disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def bench_days(folder: Path) -> list[str]:
    outbox = Outbox(folder / "outbox.db", 1000)
    found = [data.decode() for data in outbox.days().values()]
    outbox.close()
    return found


def test_an_owner_who_shares_less_from_now_on_has_nothing_of_it_left_on_the_disk(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.broker.down = True
    bench.telemetry.start()
    for presence in range(1, 6):
        bench.telemetry.offer(amount(presence, "2000"))
    bench.telemetry.offer(Fault("camera", "stopped"))
    bench.telemetry.offer(minute(bench.clock))
    bench.wait_for_rows(6)
    bench.telemetry.close()
    assert b"2000" in disk(tmp_path)
    bench.restart("health")
    bench.telemetry.start()
    bench.broker.down = False
    assert bench.broker.wait_for_payloads(1)[0]["kind"] == "fault"
    bench.wait_for_rows(0)
    bench.telemetry.close()
    assert bench.outbox.lost() == 5, "their numbers are missing, so they are counted"
    bench.outbox.close()
    assert b"2000" not in disk(tmp_path)
    assert b"2000" not in b"".join(message.payload for message in bench.broker.messages)


def test_a_summary_is_said_at_the_start_each_hour_and_when_a_day_ends(bench: Bench) -> None:
    bench.clock.set_wall(WALL_S)
    bench.telemetry.start()

    def summaries() -> list[dict[str, Any]]:
        return bench.broker.latest(TOPICS.summary())

    bench.broker.wait_until(lambda: len(summaries()) == 1)
    assert summaries()[0]["days"] == []
    bench.telemetry.offer(amount(1))
    for minutes in range(1, 62):
        bench.telemetry.offer(minute(bench.clock))
        if minutes == 60:
            bench.broker.wait_until(lambda: len(summaries()) == 2)
    (day,) = summaries()[1]["days"]
    assert (day["detections"], day["amounts"], day["uptime_s"], day["frames"]) == (1, {"500": 1}, 3600.0, 54_000)
    assert day["temperature_max_c"] == 51.0
    assert day["stages"]["classify"]["p95"] == pytest.approx(20.0, rel=0.03)
    bench.telemetry.offer(minute(bench.clock, 86_400.0))
    bench.broker.wait_until(lambda: len(summaries()) == 3)
    assert len(summaries()[2]["days"]) == 2


def test_a_summary_outlives_restarts_and_a_kill_costs_the_last_minute(bench: Bench) -> None:
    bench.telemetry.start()
    bench.telemetry.offer(amount(1))
    bench.telemetry.offer(minute(bench.clock))
    bench.telemetry.offer(amount(2))
    bench.broker.wait_for_payloads(2)
    copied = bench.path.with_name("killed.db")
    with contextlib.closing(sqlite3.connect(bench.path)) as there, contextlib.closing(sqlite3.connect(copied)) as here:
        there.backup(here)  # the disk as a kill would leave it
    with contextlib.closing(Outbox(copied, 1000)) as killed:
        (data,) = killed.days().values()
    assert json.loads(data)["detections"] == 1
    bench.restart()
    bench.telemetry.start()
    bench.broker.wait_until(lambda: len(bench.broker.latest(TOPICS.summary())) == 2)
    assert [day["detections"] for day in bench.broker.latest(TOPICS.summary())[-1]["days"]] == [2]


def test_what_happens_before_the_clock_is_set_is_on_no_day(bench: Bench) -> None:
    bench.clock.set_wall(100.0)
    bench.telemetry.start()
    bench.telemetry.offer(amount(1))
    bench.telemetry.offer(minute(bench.clock))
    bench.broker.wait_for_payloads(1)
    bench.clock.set_wall(WALL_S)
    bench.telemetry.offer(amount(2))
    bench.telemetry.offer(minute(bench.clock))
    bench.broker.wait_until(lambda: any(told["days"] for told in bench.broker.latest(TOPICS.summary())))
    assert [day["detections"] for day in bench.broker.latest(TOPICS.summary())[-1]["days"]] == [1]


def test_a_clock_that_jumps_costs_no_other_day(bench: Bench) -> None:
    bench.telemetry.start()
    bench.broker.wait_until(lambda: bool(bench.broker.latest(TOPICS.summary())))
    for day in range(30):
        bench.clock.set_wall(WALL_S + 86_400 * day)
        bench.telemetry.offer(amount(day))
    bench.clock.set_wall(WALL_S + 70 * 365 * 86_400)
    bench.telemetry.offer(amount(31))
    bench.clock.set_wall(WALL_S - 20 * 365 * 86_400)
    bench.telemetry.offer(amount(32))
    bench.clock.set_wall(WALL_S + 86_400 * 29)
    bench.telemetry.offer(minute(bench.clock))
    bench.broker.wait_until(lambda: any(len(told["days"]) == 30 for told in bench.broker.latest(TOPICS.summary())))
    assert [day["detections"] for day in bench.broker.latest(TOPICS.summary())[-1]["days"]] == [1] * 30
