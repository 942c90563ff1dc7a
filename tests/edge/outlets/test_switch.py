"""A pin that fails is told once, tried again, and told once more when it has worked."""

from __future__ import annotations

import pytest

from edge.core.errors import HardwareError, Reason
from edge.core.messages import Fault, Recovered
from edge.drivers.fake import FakeClock, FakePulser
from edge.outlets.switch import REOPEN_AFTER_S, Switch
from edge.outlets.worker import Mishaps

BROKEN = HardwareError("light", Reason.BROKEN, "loose wire")


class Bench:
    """A switch, the pin that it gets when it opens one, and what it posts."""

    def __init__(self) -> None:
        self.clock = FakeClock(now_s=100.0)
        self.pin = FakePulser(self.clock)
        self.fail: Exception | None = None
        self.posts: list[Fault | Recovered] = []
        self.switch = Switch("light", self._open, self.clock, self.posts.append, Mishaps("light"))

    def _open(self) -> FakePulser:
        if self.fail is not None:
            raise self.fail
        return self.pin


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_it_switches_what_it_has_opened(bench: Bench) -> None:
    bench.switch.set(on=True)
    assert not bench.pin.on
    assert not bench.switch.open(), "it had not failed"
    bench.switch.set(on=True)
    assert bench.pin.on
    bench.switch.close()
    assert not bench.pin.on
    bench.switch.close()
    assert bench.posts == []


@pytest.mark.parametrize("error", [BROKEN, RuntimeError("what no driver should raise")])
def test_a_pin_that_cannot_be_opened_is_told_once_and_tried_every_five_seconds(bench: Bench, error: Exception) -> None:
    bench.fail = error
    for _ in range(100):
        bench.switch.open()
        bench.clock.advance(REOPEN_AFTER_S / 10)
    assert [type(post) for post in bench.posts] == [Fault]
    due_s = bench.switch.due_s()
    assert due_s is not None
    assert due_s <= bench.clock.now_s() + REOPEN_AFTER_S
    bench.fail = None
    bench.clock.advance(REOPEN_AFTER_S)
    assert bench.switch.open()
    assert bench.switch.due_s() is None
    assert [type(post) for post in bench.posts] == [Fault], "it has not been on yet"
    bench.switch.set(on=True)
    assert bench.posts[1:] == [Recovered("light")]


def test_a_pin_that_fails_when_it_is_switched_is_opened_anew(bench: Bench) -> None:
    bench.switch.open()
    first, bench.pin = bench.pin, FakePulser(bench.clock)
    first.fail = BROKEN
    bench.switch.set(on=True)
    assert first.closed
    assert bench.posts == [Fault.of(BROKEN)]
    assert not bench.switch.open(), "not at once"
    bench.clock.advance(REOPEN_AFTER_S)
    assert bench.switch.open()
    bench.switch.set(on=True)
    assert bench.pin.on


def test_a_pin_that_opens_and_then_fails_wakes_nobody_again_and_again(bench: Bench) -> None:
    bench.pin.fail = BROKEN
    for _ in range(20):
        bench.switch.open()
        bench.switch.set(on=True)
        bench.clock.advance(REOPEN_AFTER_S)
    assert bench.posts == [Fault.of(BROKEN)]
