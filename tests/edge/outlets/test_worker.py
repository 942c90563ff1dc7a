"""What becomes of the unforeseen, in every outlet: it costs one item, is written down once, and the thread goes on."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.core.errors import HardwareError, Reason
from edge.core.gestures import Timings
from edge.core.messages import (
    Decision,
    Frame,
    Gesture,
    Guidance,
    Hint,
    Look,
    Notice,
    Observation,
    Pcm,
    Press,
    Scene,
    Utterance,
    Verdict,
)
from edge.core.pulsecode import PulseCode, Rhythm
from edge.core.speech import Speech
from edge.drivers.clock import SystemClock
from edge.drivers.fake import FakePulser, FakeSpeaker, FakeSynth
from edge.outlets.album import Album
from edge.outlets.announcer import Announcer
from edge.outlets.capture import Capture, Picked
from edge.outlets.inbox import Inbox
from edge.outlets.light import Light
from edge.outlets.phrases import Phrases
from edge.outlets.pulses import Pulses
from edge.outlets.view import View
from edge.outlets.web import About, Web
from edge.outlets.worker import REST_S, Mishaps, Worker, serve

LABELS = ("50", "500", "background", "several")
PATIENCE_S = 30
CLEAR = Scene(Look.CLEAR, 100, 50, 300)
AMOUNT = Decision(Verdict.AMOUNT, 1, 1.0, 1, "500", 0.98, 6)
BROKEN: Any = object()  # nothing that any outlet knows what to do with


class Pin(FakePulser):
    """Tells when it goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.went_on = threading.Event()

    def set(self, on: bool) -> None:
        super().set(on)
        if on:
            self.went_on.set()


Outlet = tuple[Any, Callable[[], object], Callable[[], object], Callable[[], bool]]


def announcer(folder: Path) -> Outlet:
    said = threading.Event()
    outlet = Announcer(
        Speech("en", "INR"), Phrases(FakeSynth(), "en", "test"), FakeSpeaker, SystemClock(), Timings(),
        post=lambda message: isinstance(message, Utterance) and said.set(),
    )  # fmt: skip
    return outlet, lambda: outlet.offer(BROKEN), lambda: outlet.offer(Notice("ready")), lambda: said.wait(PATIENCE_S)


def pulses(folder: Path) -> Outlet:
    pin = Pin()
    outlet = Pulses(PulseCode(("50", "500"), {}), Rhythm(), lambda: pin, SystemClock())
    foreign = Decision(Verdict.AMOUNT, 1, 1.0, 1, "7", 0.98, 6)
    return outlet, lambda: outlet.offer(foreign), lambda: outlet.offer(AMOUNT), lambda: pin.went_on.wait(PATIENCE_S)


def light(folder: Path) -> Outlet:
    pin = Pin()
    outlet = Light(60.0, lambda: pin, SystemClock())
    dark = Guidance(Hint.TOO_DARK, 1.0)
    return outlet, lambda: outlet.offer(BROKEN), lambda: outlet.offer(dark), lambda: pin.went_on.wait(PATIENCE_S)


def view(folder: Path) -> Outlet:
    shown = threading.Event()

    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            if "500" in text:
                shown.set()
            return len(text)

    outlet = View(Screen(), (), "saynote 1", "")
    scores = np.zeros(3, np.float32)  # of a model with other labels
    odd = Observation(1, 1.0, CLEAR, scores, None, {})
    return outlet, lambda: outlet.offer(odd), lambda: outlet.offer(AMOUNT), lambda: shown.wait(PATIENCE_S)


def web(folder: Path) -> Outlet:
    outlet = Web(LABELS, About("1", "xts 1", "files", "en"), Timings(), SystemClock())
    viewer = outlet.watch()
    viewer.next(0)  # its greeting
    no_press: Any = Gesture(BROKEN, 1.0)
    press = Gesture(Press.SHORT, 1.0)

    def told() -> bool:
        return b"short" in (viewer.next(PATIENCE_S) or b"")

    return outlet, lambda: outlet.offer(no_press), lambda: outlet.offer(press), told


def capture(folder: Path) -> Outlet:
    outlet = Capture(Album(folder, max_bytes=10**6, keep_days=30), LABELS, {}, "xts 1", "ab", SystemClock())
    seen = Observation(1, 1.0, CLEAR, np.log(np.full(4, 0.25, np.float32)), None, {})

    def pick(pixels: Any) -> bool:
        return outlet._inbox.offer(Picked("unsure", Frame(1, 1.0, pixels), seen))

    def kept() -> bool:
        outlet.close()  # writes all that was picked
        return len(list(folder.glob("*.jpg"))) == 1

    return outlet, lambda: pick(BROKEN), lambda: pick(np.zeros((8, 8, 3), np.uint8)), kept


def phrases(folder: Path) -> Outlet:
    rendered = threading.Event()

    class Moody(FakeSynth):
        def render(self, text: str, language: str) -> Pcm:
            if text == "seven":
                raise ZeroDivisionError("a voice of no rate")
            rendered.set()
            return super().render(text, language)

    outlet = Phrases(Moody(), "en", "test")

    def one_after_the_other() -> None:
        while len(outlet._inbox):
            time.sleep(0.01)  # its inbox keeps the newest only
        outlet.ahead("eight")

    return outlet, lambda: outlet.ahead("seven"), one_after_the_other, lambda: rendered.wait(PATIENCE_S)


OUTLETS = [announcer, pulses, light, view, web, capture, phrases]


@pytest.mark.parametrize("make", OUTLETS)
def test_an_item_that_nobody_foresaw_costs_that_item_and_the_outlet_goes_on(
    make: Callable[[Path], Outlet], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outlet, spoil, go_on, works = make(tmp_path)
    outlet.start()
    spoil()
    go_on()
    assert works()
    outlet.close()
    written = [record for record in caplog.records if record.exc_info]
    assert len(written) == 1, caplog.text
    assert "something unforeseen" in written[0].getMessage()


@pytest.mark.parametrize("make", [pulses, light])
def test_what_the_unforeseen_left_on_is_switched_off(make: Callable[[Path], Outlet], tmp_path: Path) -> None:
    outlet, spoil, go_on, works = make(tmp_path)
    outlet.start()
    go_on()
    assert works()
    spoil()
    until(lambda: not outlet._switch._on)
    outlet.close()


def until(true: Callable[[], bool]) -> None:
    over_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < over_s
        time.sleep(0.01)


def test_a_trouble_that_keeps_coming_is_written_down_more_and_more_rarely(caplog: pytest.LogCaptureFixture) -> None:
    mishaps = Mishaps("view")
    for _ in range(1000):
        with mishaps:
            raise KeyError("7")
    with mishaps:
        raise KeyError("another place")
    assert [bool(record.exc_info) for record in caplog.records] == [True, *[False] * 9, True]
    assert caplog.records[-2].getMessage() == "view: the same again, 512 times by now, left out: '7'"


def test_only_errors_are_swallowed() -> None:
    with pytest.raises(KeyboardInterrupt), Mishaps("view"):
        raise KeyboardInterrupt


def test_turns_that_fail_by_themselves_are_not_tried_without_a_pause(caplog: pytest.LogCaptureFixture) -> None:
    inbox: Inbox[int] = Inbox(4, drop="newest")
    turns: list[float] = []

    def turn(item: int | None) -> None:
        turns.append(time.monotonic())
        if len(turns) == 3:
            inbox.close()
        raise RuntimeError("whatever it is")

    caplog.set_level(logging.CRITICAL)
    serve(inbox, turn, lambda: 0.0, mishaps=Mishaps("view"))
    assert turns[1] - turns[0] >= 0.9 * REST_S
    assert turns[2] - turns[1] >= 0.9 * REST_S


def test_items_are_served_in_order_and_to_the_last_one() -> None:
    inbox: Inbox[int] = Inbox(4, drop="newest")
    for item in (1, 2, 3):
        inbox.offer(item)
    inbox.close()
    served: list[int | None] = []
    serve(inbox, served.append, mishaps=Mishaps("view"))
    assert served == [1, 2, 3]


def test_a_driver_that_breaks_its_word_is_a_broken_device_and_written_down(caplog: pytest.LogCaptureFixture) -> None:
    mishaps, kept = Mishaps("light"), HardwareError("light", Reason.BUSY, "in use")
    assert mishaps.as_hardware("light", kept) is kept
    assert caplog.records == []
    found = mishaps.as_hardware("light", RuntimeError("no such line"))
    assert (found.device, found.reason, found.detail) == ("light", Reason.BROKEN, "RuntimeError: no such line")
    assert len(caplog.records) == 1


def test_a_worker_ends_with_what_was_in_its_inbox_and_may_be_finished_twice() -> None:
    inbox: Inbox[int] = Inbox(4, drop="newest")
    taken: list[int | None] = []
    worker = Worker("test", inbox, taken.append)
    inbox.offer(1)
    inbox.offer(2)
    worker.finish(0.0)  # before it has begun
    worker.start()
    worker.finish(10)
    worker.finish(0.0)
    assert not worker.is_alive()
    assert [one for one in taken if one is not None] == [1, 2]
