from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from edge.core.messages import (
    Decision,
    Fault,
    Health,
    Look,
    Observation,
    Reaction,
    Recovered,
    Scene,
    Stretch,
    Turn,
    Verdict,
)
from edge.core.spread import Percentiles
from edge.drivers.fake import FakeBoard, FakeClock, FakeSupervisor
from edge.outlets.health import HealthMonitor

SCENE = Scene(Look.CLEAR, 120.0, 40.0, 300.0)
SCORES = np.zeros(3, np.float32)


class Bench:
    """A monitor, and an announcer that turns when told."""

    def __init__(self, interval_s: float = 3600.0) -> None:
        self.clock = FakeClock(now_s=1000.0)
        self.board = FakeBoard(51.5, False)
        self.supervisor = FakeSupervisor()
        self.reports: list[Health] = []
        self.stretches: list[Stretch] = []
        self.told: list[Fault | Recovered] = []
        self.reported = threading.Semaphore(0)
        self.monitor = HealthMonitor(
            self.clock,
            self.board,
            self.supervisor,
            self.take,
            interval_s=interval_s,
            disk=Path("/nowhere"),
            needs_clock=True,
            dropped=lambda: 7,
        )

    def take(self, message: Health | Stretch | Fault | Recovered) -> None:
        if isinstance(message, Stretch):
            self.stretches.append(message)
        elif isinstance(message, Health):
            self.reports.append(message)
            self.reported.release()
        else:
            self.told.append(message)

    def pass_time(self, seconds: float, *, announcer: bool = True, every_s: float = 0.1) -> None:
        """Let the main loop turn for `seconds`."""
        for _ in range(round(seconds / every_s)):
            self.clock.advance(every_s)
            if announcer:
                self.monitor.offer(Turn("announcer"))
            self.monitor.offer(Turn("loop"))


def test_it_counts_frames_inferences_amounts_and_the_mean_time_of_each_stage() -> None:
    bench = Bench()
    bench.monitor.offer(Observation(1, 0.0, SCENE, SCORES, ms={"scene": 1.0, "classify": 20.0}))
    bench.monitor.offer(Observation(2, 0.1, SCENE, SCORES, ms={"scene": 3.0, "classify": 30.0}))
    bench.monitor.offer(Observation(3, 0.2, SCENE, None, ms={"scene": 2.0}))
    for verdict in Verdict:
        assert bench.monitor.offer(Decision(verdict, 3, 0.2, 1))
    bench.clock.advance(12.0)
    found = bench.monitor.measure()
    assert (found.uptime_s, found.frames, found.inferences, found.announced) == (12.0, 3, 2, 1)
    assert found.ms == {"scene": 2.0, "classify": 25.0}
    assert (found.temperature_c, found.throttled) == (51.5, False)


def test_counters_go_on_and_means_begin_anew_after_a_report() -> None:
    bench = Bench()
    bench.monitor.offer(Observation(1, 0.0, SCENE, ms={"scene": 10.0}))
    bench.monitor.measure()
    assert bench.monitor.measure().ms == {}
    bench.monitor.offer(Observation(2, 0.0, SCENE, ms={"scene": 2.0}))
    later = bench.monitor.measure()
    assert (later.frames, later.ms) == (2, {"scene": 2.0})


def test_a_board_that_knows_nothing_is_reported_as_unknown() -> None:
    bench = Bench()
    bench.board.temperature, bench.board.slowed = None, None
    found = bench.monitor.measure()
    assert (found.temperature_c, found.throttled) == (None, None)


def test_the_watchdog_is_fed_once_a_second_however_fast_the_loop_turns() -> None:
    bench = Bench()
    bench.pass_time(10.0, every_s=0.05)
    assert 9 <= bench.supervisor.alives <= 10


def test_a_loop_that_does_not_turn_feeds_nobody_although_the_reports_go_on() -> None:
    bench = Bench(interval_s=0.001)
    bench.monitor.start()
    for _ in range(3):
        assert bench.reported.acquire(timeout=30)
    bench.monitor.close()
    assert bench.supervisor.alives == 0


def test_turns_without_any_frame_feed_the_watchdog_too() -> None:
    bench = Bench()
    bench.pass_time(30.0, every_s=1.0)
    assert bench.supervisor.alives == 30
    assert bench.monitor.measure().frames == 0


def test_a_stale_announcer_stops_the_food_and_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.pass_time(5.0)
    fed = bench.supervisor.alives
    bench.pass_time(60.0, announcer=False)
    assert bench.supervisor.alives <= fed + 11
    assert [record.getMessage() for record in caplog.records] == [
        "the announcer has not turned for 10.1 s: the watchdog is fed no more"
    ]


def test_an_announcer_that_turns_again_is_fed_for_again() -> None:
    bench = Bench()
    bench.pass_time(60.0, announcer=False)
    fed = bench.supervisor.alives
    bench.pass_time(5.0)
    assert bench.supervisor.alives >= fed + 4


def test_the_first_report_comes_at_once_and_the_others_each_interval() -> None:
    bench = Bench(interval_s=0.01)
    bench.monitor.start()
    for _ in range(3):
        assert bench.reported.acquire(timeout=30)
    bench.monitor.close()
    bench.monitor.close()
    assert len(bench.reports) >= 3


def test_the_end_does_not_wait_for_the_interval() -> None:
    bench = Bench(interval_s=3600.0)
    bench.monitor.start()
    assert bench.reported.acquire(timeout=30)
    bench.monitor.close()
    assert not any(thread.name == "health" for thread in threading.enumerate())


def test_a_board_that_fails_costs_one_report_and_not_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(interval_s=0.001)
    healthy, failed = bench.board.temperature_c, threading.Event()

    def fail_once() -> float | None:
        if not failed.is_set():
            failed.set()
            raise OSError("no such file")
        return healthy()

    bench.board.temperature_c = fail_once  # type: ignore[method-assign]
    bench.monitor.start()
    assert bench.reported.acquire(timeout=30)
    bench.monitor.close()
    assert "health: something unforeseen, left out: no such file" in caplog.text


def test_what_is_wrong_with_the_computer_is_told_and_the_end_of_it() -> None:
    bench = Bench()
    bench.monitor.look()
    bench.board.is_hot, bench.board.is_weak, bench.board.free = True, True, 1000
    bench.monitor.look()
    bench.board.is_hot, bench.board.is_weak, bench.board.free = False, None, 1 << 30
    bench.monitor.look()
    assert [(type(event), event.device, event.reason) for event in bench.told] == [
        *((Fault, "board", "too hot"), (Fault, "board", "under-voltage"), (Fault, "disk", "full")),
        *((Recovered, "disk", "full"), (Recovered, "board", "too hot"), (Recovered, "board", "under-voltage")),
    ]


def test_a_clock_that_stays_unset_is_told() -> None:
    bench = Bench()
    bench.clock.set_wall(1000.0)
    bench.monitor.look()
    bench.clock.advance(200.0)
    bench.monitor.look()
    bench.clock.set_wall(1_800_000_000.0)
    bench.monitor.look()
    assert [type(event) for event in bench.told] == [Fault, Recovered]
    assert bench.told[0].device == "clock"


def test_whether_the_clock_was_set_is_found_out_before_the_first_report() -> None:
    bench = Bench()
    known, order = bench.clock.is_set, []
    bench.clock.is_set = lambda: order.append("asked") or known()  # type: ignore[func-returns-value,method-assign]
    bench.monitor._post = lambda health: (order.append("reported"), bench.take(health))
    bench.monitor.start()
    assert bench.reported.acquire(timeout=30)
    bench.monitor.close()
    assert order[:2] == ["asked", "reported"]


def test_the_computer_is_looked_at_although_reports_are_rare() -> None:
    bench = Bench(interval_s=86_400.0)
    bench.board.is_weak = True
    bench.monitor.start()
    assert bench.reported.acquire(timeout=30)
    bench.monitor.close()
    assert [event.device for event in bench.told] == ["board"]


def test_the_line_for_systemd_says_how_many_pictures_came_a_second_since_the_last_one() -> None:
    bench = Bench()
    for frames in (30, 0):
        for number in range(frames):
            bench.monitor.offer(Observation(number, 0.0, SCENE))
        bench.clock.advance(2.0)
        bench.monitor.tell()
    assert bench.supervisor.statuses == ["15.0 pictures/s", "0.0 pictures/s"]


def test_the_line_for_systemd_says_what_is_wrong_until_it_is_over() -> None:
    bench = Bench()
    bench.monitor.offer(Fault("camera", "stopped", "no picture for 3 s"))
    bench.board.is_weak = True
    bench.monitor.look()
    bench.clock.advance(1.0)
    bench.monitor.tell()
    bench.monitor.offer(Recovered("camera"))
    bench.clock.advance(1.0)
    bench.monitor.tell()
    first, second = bench.supervisor.statuses
    assert first.startswith("0.0 pictures/s; camera: no picture for 3 s; board: ")
    assert "camera" not in second


def test_each_trouble_is_in_the_line_once() -> None:
    bench = Bench()
    bench.monitor.offer(Fault("camera", "missing"))
    bench.monitor.offer(Fault("camera", "busy"))
    bench.board.is_weak = bench.board.is_hot = True
    bench.monitor.look()
    bench.clock.advance(1.0)
    bench.monitor.tell()
    bench.board.is_hot = False
    bench.monitor.look()
    bench.clock.advance(1.0)
    bench.monitor.tell()
    first, second = bench.supervisor.statuses
    heat, weak = "board: the processor is slowed down by heat", "board: the voltage is below what the board needs"
    assert first == f"0.0 pictures/s; camera: busy; {heat}; {weak}"
    assert second == f"0.0 pictures/s; camera: busy; {weak}"


def test_systemd_hears_it_without_being_asked() -> None:
    bench = Bench(interval_s=0.001)
    bench.monitor.start()
    while not bench.supervisor.statuses:
        bench.clock.advance(0.1)
        assert bench.reported.acquire(timeout=30)
    bench.monitor.close()
    assert bench.supervisor.statuses[0] == "0.0 pictures/s"


def test_it_tells_memory_disk_frame_rate_percentiles_time_to_speech_and_drops() -> None:
    bench = Bench()
    for number in range(100):
        bench.monitor.offer(Observation(number, 0.0, SCENE, ms={"classify": 20.0 if number < 90 else 80.0}))
    bench.monitor.offer(Reaction(300.0))
    bench.clock.advance(10.0)
    found = bench.monitor.measure()
    assert (found.memory_bytes, found.disk_free_bytes, found.dropped) == (bench.board.memory, bench.board.free, 7)
    assert found.frames_per_s == pytest.approx(10.0)
    assert found.stages["classify"].p50 == pytest.approx(20.0, rel=0.03)
    assert found.stages["classify"].p95 == pytest.approx(80.0, rel=0.03)
    assert isinstance(found.speech_ms, Percentiles)
    assert found.speech_ms.p50 == pytest.approx(300.0, rel=0.03)
    bench.clock.advance(10.0)
    later = bench.monitor.measure()
    assert (later.frames_per_s, later.stages, later.speech_ms) == (0.0, {}, None)


def test_stretches_hold_each_frame_once_whenever_reports_are_made() -> None:
    bench = Bench()
    for seconds in (30.0, 60.0, 7.0):
        for _ in range(3):
            bench.monitor.offer(Observation(1, 0.0, SCENE, ms={"scene": 1.0}))
        bench.clock.advance(seconds)
        bench.monitor.measure() if seconds == 30.0 else bench.monitor.stretch()
    assert [(one.seconds, one.frames) for one in bench.stretches] == [(30.0, 3), (60.0, 3), (7.0, 3)]
    assert bench.monitor.measure().frames_per_s == pytest.approx(6 / 67)


def test_a_stretch_is_told_each_minute_although_reports_are_rare_and_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("edge.outlets.health.LOOK_EVERY_S", 0.001)
    monkeypatch.setattr("edge.outlets.health.STRETCH_S", 0.002)
    bench = Bench()
    bench.monitor.start()
    assert bench.reported.acquire(timeout=30)
    deadline = threading.Event()
    while len(bench.stretches) < 4:
        deadline.wait(0.01)
    bench.monitor.close()
    told = len(bench.stretches)
    bench.monitor.close()
    assert told >= 4
    assert len(bench.reports) == 1
