from __future__ import annotations

import time

import pytest

from edge.drivers.clock import SystemClock
from edge.drivers.fake import FakeClock
from edge.ports import Clock


@pytest.fixture(params=[SystemClock, FakeClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    return request.param()


def test_sleeping_lets_at_least_that_much_time_pass(clock: Clock) -> None:
    before_s = clock.now_s()
    clock.sleep(0.01)
    assert clock.now_s() - before_s >= 0.01


def test_both_times_run_alike(clock: Clock) -> None:
    now_s, wall_s = clock.now_s(), clock.wall_s()
    clock.sleep(0.01)
    assert clock.wall_s() - wall_s == pytest.approx(clock.now_s() - now_s, abs=0.05)


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_sleeping_until_a_time_that_has_passed_returns_at_once(clock: Clock, seconds: float) -> None:
    before_s = clock.now_s()
    clock.sleep(seconds)
    assert clock.now_s() - before_s < 1


def test_wall_time_counts_from_1970(clock: Clock) -> None:
    assert clock.wall_s() > 1_600_000_000


def test_system_time_is_the_monotonic_clock_that_cameras_stamp_with() -> None:
    assert SystemClock().now_s() == pytest.approx(time.clock_gettime(time.CLOCK_MONOTONIC), abs=1)


def test_a_time_server_moves_the_wall_clock_only() -> None:
    clock = FakeClock(now_s=5.0)
    clock.set_wall(1_800_000_000.0)
    assert (clock.now_s(), clock.wall_s()) == (5.0, 1_800_000_000.0)


def test_fake_time_refuses_to_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        FakeClock().advance(-1)
