from __future__ import annotations

import threading
from decimal import Decimal

import pytest

from edge.core.errors import HardwareError, Reason
from edge.core.messages import Decision, Fault, Guidance, Hint, Hold, Holding, Notice, Recovered, Verdict
from edge.core.pulsecode import PulseCode, Rhythm
from edge.core.session import Repeat, Reply, Total
from edge.drivers.clock import SystemClock
from edge.drivers.fake import FakeClock, FakePulser
from edge.outlets.pulses import Item, Pulses

RHYTHM = Rhythm(short_s=0.15, long_s=0.6, gap_s=0.2, pause_s=0.8)
BROKEN = HardwareError("pulses", Reason.BROKEN, "loose wire")


class Palm:
    """The outlet on simulated time, and what a hand would feel."""

    def __init__(self) -> None:
        self.clock = FakeClock(now_s=50.0)
        self.pulser = FakePulser(self.clock)
        self.fail: HardwareError | None = None
        self.reports: list[Fault | Recovered] = []
        code = PulseCode(("10", "100", "500"), {})
        self.pulses = Pulses(code, RHYTHM, self.open, self.clock, post=self.reports.append)

    def open(self) -> FakePulser:
        if self.fail is not None:
            raise self.fail
        return self.pulser

    def tell(self, *items: Item, age_s: float = 0.0) -> None:
        for item in items:
            self.pulses.turn((item, self.clock.now_s() - age_s))

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.01)):
            self.clock.advance(0.01)
            self.pulses.turn(None)

    @property
    def felt(self) -> str:
        """Signs, a space for every pause between two."""
        signs, last_end = "", None
        for from_s, seconds in self.pulser.pulses:
            if last_end is not None and from_s - last_end > 0.5:
                signs += " "
            signs += "." if seconds < 0.4 else "-"
            last_end = from_s + seconds
        return signs


def amount(label: str) -> Decision:
    return Decision(Verdict.AMOUNT, 1, 1.0, 1, label, 0.99, 3)


@pytest.fixture
def palm() -> Palm:
    return Palm()


def test_an_amount_is_felt_as_its_place_and_the_motor_ends_off(palm: Palm) -> None:
    palm.tell(amount("500"))
    assert palm.pulser.on, "at once"
    palm.wait(5)
    assert palm.felt == "..."
    assert not palm.pulser.on


@pytest.mark.parametrize(
    ("event", "signs"),
    [
        (Decision(Verdict.UNSURE, 1, 1.0, 1), "-"),
        (Decision(Verdict.SEVERAL, 1, 1.0, 1), "--"),
        (Fault("camera", "missing"), "---"),
        (Notice("ready"), "-.-"),
        (Guidance(Hint.TOO_DARK, 1.0), "-"),
        (Decision(Verdict.SEEN, 1, 1.0, 1), ""),
        (Decision(Verdict.GONE, 1, 1.0, 1), ""),
        (Notice("not genuine"), ""),
        (Repeat("100", 60.0), ".. -"),
        (Total(Decimal(610), 3), ".- -. . -- ..."),
        (Reply.ASK_CLEAR, "..-"),
    ],
)
def test_every_event_and_answer_has_its_signs(palm: Palm, event: Item, signs: str) -> None:
    palm.tell(event)
    palm.wait(20)
    assert palm.felt == signs


def test_an_amount_is_never_cut_short_by_another_for_half_a_code_is_another_code(palm: Palm) -> None:
    palm.tell(amount("500"))
    palm.wait(0.3)
    palm.tell(amount("100"))
    palm.wait(5)
    assert palm.felt == "... .."


def test_of_two_amounts_that_wait_only_the_newer_is_felt(palm: Palm) -> None:
    palm.tell(amount("500"), amount("10"), amount("100"))
    palm.wait(10)
    assert palm.felt == "... .."


def test_a_press_cuts_off_what_is_felt_and_its_answer_stands_apart(palm: Palm) -> None:
    palm.tell(amount("500"))
    palm.wait(0.4)
    palm.tell(Holding(Hold.DOWN, palm.clock.now_s()))
    assert not palm.pulser.on
    palm.wait(0.3)
    palm.tell(Repeat("500", 1.0))
    palm.wait(5)
    assert palm.felt == ".. ..."


def test_the_hand_feels_how_long_it_holds_and_nothing_else_meanwhile(palm: Palm) -> None:
    palm.tell(Holding(Hold.DOWN, palm.clock.now_s()))
    palm.wait(0.8)
    palm.tell(Holding(Hold.LONG, palm.clock.now_s()), amount("500"))
    palm.wait(3.2)
    palm.tell(Holding(Hold.VERY_LONG, palm.clock.now_s()))
    palm.wait(1.5)
    assert palm.felt == ". .."
    palm.tell(Reply.ASK_CLEAR)
    palm.wait(10)
    assert palm.felt == ". .. ..- ...", "the answer first, then the amount that waited"


def test_a_press_without_an_answer_does_not_silence_it_for_ever(palm: Palm) -> None:
    palm.tell(Holding(Hold.DOWN, palm.clock.now_s()), amount("10"))
    palm.wait(10)
    assert palm.felt == "."


def test_news_waits_for_an_amount_and_comes_again_when_a_press_cut_it_off(palm: Palm) -> None:
    palm.tell(amount("10"), Fault("camera", "missing"))
    palm.wait(2.5)
    palm.tell(Holding(Hold.DOWN, palm.clock.now_s()), Reply.NOTHING_TO_UNDO)
    palm.wait(15)
    assert palm.felt.endswith("--. ---")
    assert palm.felt.startswith(". -")


def test_a_doubt_is_felt_only_when_nothing_else_is(palm: Palm) -> None:
    palm.tell(amount("500"), Decision(Verdict.UNSURE, 1, 1.0, 1))
    palm.wait(5)
    assert palm.felt == "..."


def test_a_doubt_that_is_out_of_date_is_not_felt(palm: Palm) -> None:
    palm.tell(Decision(Verdict.UNSURE, 1, 1.0, 1), Guidance(Hint.TOO_DARK, 1.0), age_s=1.5)
    palm.wait(5)
    assert palm.felt == ""


def test_a_pin_that_fails_is_said_once_and_used_again_when_it_works(palm: Palm) -> None:
    palm.fail = BROKEN
    palm.tell(Notice("ready"))
    palm.wait(12)
    assert palm.reports == [Fault("pulses", "broken", "loose wire")]
    palm.fail = None
    palm.wait(6)
    assert palm.reports[1:] == [Recovered("pulses")]
    palm.tell(amount("100"))
    palm.wait(3)
    assert palm.felt.endswith("..")


def test_a_pin_that_opens_and_cannot_be_switched_is_told_once(palm: Palm) -> None:
    palm.pulser.fail = BROKEN
    palm.tell(amount("500"))
    palm.wait(60)
    assert palm.reports == [Fault("pulses", "broken", "loose wire")]
    palm.pulser = FakePulser(palm.clock)
    palm.wait(10)
    assert palm.reports[1:] == [Recovered("pulses")]
    assert palm.felt == "-.-", "the hand feels that it works again"


def test_a_pin_that_fails_while_it_pulses_is_let_go(palm: Palm) -> None:
    palm.tell(amount("500"))
    palm.pulser.fail = BROKEN
    palm.wait(1)
    assert palm.pulser.closed
    assert len(palm.reports) == 1


def test_on_its_own_thread_it_finishes_and_ends_switched_off() -> None:
    clock, pulser = SystemClock(), FakePulser()
    quick = Rhythm(short_s=0.02, long_s=0.04, gap_s=0.02, pause_s=0.04)
    pulses = Pulses(PulseCode(("10", "100"), {}), quick, lambda: pulser, clock)
    pulses.start()
    assert pulses.offer(amount("100"))
    pulses.offer(Notice("goodbye"))
    pulses.close()
    assert pulser.closed
    assert len(pulser.pulses) == 2 + 5
    assert not pulser.on
    assert not [thread for thread in threading.enumerate() if thread.name == "pulses"]
    assert not pulses.offer(amount("10"))
