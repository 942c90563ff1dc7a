from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.drivers import clock as driver
from edge.drivers.clock import ASK_EVERY_S, SystemClock, was_set
from edge.drivers.fake import FakeClock
from edge.ports import Clock


@pytest.fixture(params=[lambda: SystemClock(ask=lambda: True), FakeClock], ids=["system", "fake"])
def clock(request: pytest.FixtureRequest) -> Clock:
    clock: Clock = request.param()
    assert clock.is_set()
    return clock


def wall_s(clock: Clock) -> float:
    found_s = clock.wall_s()
    assert found_s is not None
    return found_s


def test_sleeping_lets_at_least_that_much_time_pass(clock: Clock) -> None:
    before_s = clock.now_s()
    clock.sleep(0.01)
    assert clock.now_s() - before_s >= 0.01


def test_both_times_run_alike(clock: Clock) -> None:
    now_s, before_s = clock.now_s(), wall_s(clock)
    clock.sleep(0.01)
    assert wall_s(clock) - before_s == pytest.approx(clock.now_s() - now_s, abs=0.05)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_sleeping_until_a_time_that_has_passed_returns_at_once(clock: Clock, seconds: float) -> None:
    before_s = clock.now_s()
    clock.sleep(seconds)
    assert clock.now_s() - before_s < 1


def test_wall_time_counts_from_1970(clock: Clock) -> None:
    assert wall_s(clock) > 1_600_000_000


def test_system_time_is_the_monotonic_clock_that_cameras_stamp_with() -> None:
    assert SystemClock().now_s() == pytest.approx(time.clock_gettime(time.CLOCK_MONOTONIC), abs=1)


def test_a_time_server_moves_the_wall_clock_only() -> None:
    clock = FakeClock(now_s=5.0)
    clock.set_wall(1_800_000_000.0)
    assert (clock.now_s(), clock.wall_s()) == (5.0, 1_800_000_000.0)


def test_fake_time_refuses_to_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        FakeClock().advance(-1)


# Whether it was set


class Asked:
    """What the system says, one answer after the other, and how often it was asked."""

    def __init__(self, *answers: bool | None) -> None:
        self._answers: Iterator[bool | None] = iter(answers)
        self.times = 0

    def __call__(self) -> bool | None:
        self.times += 1
        return next(self._answers)


class Later(SystemClock):
    """The system's clock, in which a test can let time pass."""

    later_s = 0.0

    def now_s(self) -> float:
        return super().now_s() + self.later_s


@pytest.mark.parametrize("answer", [False, None])
def test_a_date_that_looks_right_is_none_until_the_system_says_that_it_was_set(answer: bool | None) -> None:
    clock = Later(ask=Asked(answer, True))
    assert not clock.is_set()
    assert clock.wall_s() is None
    clock.later_s = ASK_EVERY_S
    assert clock.is_set()
    assert wall_s(clock) == pytest.approx(time.time(), abs=5)


def test_whoever_wants_the_time_asks_nobody(clock: Clock) -> None:
    asked = Asked()
    assert SystemClock(ask=asked).wall_s() is None
    assert asked.times == 0


def test_the_system_is_asked_now_and_then_and_never_again_once_it_said_yes() -> None:
    asked = Asked(False, True)
    clock = Later(ask=asked)
    assert [clock.is_set() for _ in range(3)] == [False] * 3
    assert asked.times == 1
    clock.later_s = ASK_EVERY_S
    assert clock.is_set()
    clock.later_s = 10 * ASK_EVERY_S
    assert clock.is_set()
    assert asked.times == 2


@pytest.mark.parametrize(
    ("systemd", "kernel", "known"),
    [(True, False, True), (False, True, False), (None, True, True), (None, False, False), (None, None, None)],
)
def test_the_kernel_is_asked_only_where_systemd_cannot_be(
    monkeypatch: pytest.MonkeyPatch, systemd: bool | None, kernel: bool | None, known: bool | None
) -> None:
    monkeypatch.setattr(driver.systemd, "clock_synchronised", lambda: systemd)
    monkeypatch.setattr(driver, "_kernel_says", lambda: kernel)
    assert was_set() is known


def test_this_kernel_can_be_asked_and_nothing_is_changed_by_it() -> None:
    before_s = time.time() - time.monotonic()
    assert driver._kernel_says() in (True, False)
    assert time.time() - time.monotonic() == pytest.approx(before_s, abs=0.5)


@pytest.mark.parametrize(("says", "known"), [("yes", True), ("no", False)])
def test_a_pi_with_the_time_of_its_last_shutdown_is_asked_through_timedatectl(
    programs: Callable[[str, str], None], says: str, known: bool
) -> None:
    if Path("/run/systemd/timesync/synchronized").exists():
        pytest.skip("systemd-timesyncd has set the clock of this machine")
    programs("timedatectl", says)
    clock = SystemClock()
    assert clock.is_set() is known
    assert (clock.wall_s() is not None) is known
