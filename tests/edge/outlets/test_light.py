from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import pytest

from edge.core.errors import HardwareError, Reason
from edge.core.messages import Decision, Fault, Guidance, Hint, Verdict
from edge.drivers.clock import SystemClock
from edge.drivers.fake import FakePulser
from edge.outlets.light import FIRST_REST_S, LONGEST_REST_S, LONGEST_S, Lamp, Light

DARK = Guidance(Hint.TOO_DARK, 1.0)
BLURRED = Guidance(Hint.HOLD_STILL, 1.0)
HOLD_S = 5.0


def decision(verdict: Verdict) -> Decision:
    return Decision(verdict, 1, 1.0, 1)


def lit(lamp: Lamp, now_s: float) -> bool:
    lamp.advance(now_s)
    return lamp.on


def test_it_is_lit_when_somebody_tries_in_the_dark_and_only_then() -> None:
    lamp = Lamp(HOLD_S)
    lamp.take(BLURRED, 1.0)
    lamp.take(decision(Verdict.SEEN), 2.0)
    lamp.take(decision(Verdict.AMOUNT), 3.0)
    assert not lamp.on
    lamp.take(DARK, 4.0)
    assert lamp.on


def test_it_stays_lit_while_a_note_is_in_view_and_a_while_after() -> None:
    lamp = Lamp(HOLD_S)
    lamp.take(DARK, 0.0)
    lamp.take(decision(Verdict.SEEN), 2.0)
    assert lit(lamp, 30.0)
    lamp.take(decision(Verdict.GONE), 40.0)
    assert lit(lamp, 44.9)
    assert lamp.due_s() == 45.0
    assert not lit(lamp, 45.0)
    assert lamp.due_s() is None


def test_it_goes_off_when_no_note_comes() -> None:
    lamp = Lamp(HOLD_S)
    lamp.take(DARK, 0.0)
    assert lit(lamp, 4.9)
    assert not lit(lamp, 5.0)


def test_after_a_note_it_is_lit_again_at_once() -> None:
    lamp = Lamp(HOLD_S)
    lamp.take(DARK, 0.0)
    lamp.take(decision(Verdict.AMOUNT), 1.0)
    lamp.take(decision(Verdict.GONE), 2.0)
    assert not lit(lamp, 8.0)
    lamp.take(DARK, 8.1)
    assert lamp.on


def test_on_a_table_it_does_not_blink() -> None:
    """A dark room that looks like trying for ever: the lamp itself makes the picture change."""
    lamp, lightings, was = Lamp(HOLD_S), [], False
    for tenth in range(36_000):
        now = tenth / 10
        lamp.take(DARK, now) if tenth % 40 == 0 else lamp.advance(now)
        if lamp.on and not was:
            lightings.append(now)
        was = lamp.on
    rests = [later - earlier - HOLD_S for earlier, later in itertools.pairwise(lightings)]
    assert rests[0] >= FIRST_REST_S
    assert sorted(rests[:4]) == rests[:4], "longer and longer"
    assert all(rest >= LONGEST_REST_S - 4 for rest in rests[6:])
    assert len(lightings) < 70, "less than once a minute"


def test_something_that_never_goes_does_not_light_it_for_ever() -> None:
    lamp = Lamp(HOLD_S)
    lamp.take(DARK, 0.0)
    lamp.take(decision(Verdict.SEEN), 1.0)
    assert lit(lamp, LONGEST_S - 1)
    assert not lit(lamp, LONGEST_S)


def test_a_light_that_fails_is_said_once_and_stops_nothing() -> None:
    told = threading.Event()
    reports: list[Fault] = []

    def broken() -> FakePulser:
        raise HardwareError("light", Reason.MISSING, "no pins")

    light = Light(HOLD_S, broken, SystemClock(), post=lambda fault: (reports.append(fault), told.set()))
    light.start()
    assert told.wait(5)
    light.offer(DARK)
    light.close()
    assert reports == [Fault("light", "missing", "no pins")]


class Watched(FakePulser):
    """Tells when it is switched."""

    def __init__(self) -> None:
        super().__init__()
        self.switched: dict[bool, threading.Event] = {True: threading.Event(), False: threading.Event()}

    def set(self, on: bool) -> None:
        super().set(on)
        self.switched[on].set()


@pytest.mark.parametrize("end", ["by itself", "closed"])
def test_on_its_own_thread_it_is_switched_on_and_ends_off(end: str) -> None:
    pin = Watched()
    light = Light(0.05 if end == "by itself" else 60.0, lambda: pin, SystemClock())
    light.start()
    light.offer(DARK)
    assert pin.switched[True].wait(5)
    finish: Callable[[], object] = (lambda: pin.switched[False].wait(5)) if end == "by itself" else light.close
    finish()
    assert not pin.on
    light.close()
    assert pin.closed
