from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from edge.core.bundle import DecisionSpec
from edge.core.decide import Decider
from edge.core.errors import HardwareError, Reason
from edge.core.messages import Decision, Event, Fault, Frame, Look, Observation, Recovered, Scene, Sight, Turn, Verdict
from edge.drivers.fake import FakeCamera
from edge.pipeline import Pipeline, Posted
from edge.ports import Camera

LABELS = ("10", "background")
SPEC = DecisionSpec(1.0, {"10": 0.9}, 0.6, 3, 0.6, 1.5, 0.7)
GONE = HardwareError("camera", Reason.STOPPED, "unplugged")


class Sure:
    """An observer that sees a ten in every frame."""

    def observe(self, frame: Frame) -> Observation:
        scores = np.log(np.array([0.98, 0.02], np.float32))
        return Observation(frame.seq, frame.t_s, Scene(Look.CLEAR, 1, 1, 1), scores)


@dataclass
class Sink:
    """Remembers; may act on turns."""

    on_turn: Callable[[int], None] = lambda turns: None
    turns: int = 0
    observations: int = 0
    events: list[Event] = field(default_factory=list)

    def post(self, message: Posted) -> None:
        if isinstance(message, Turn):
            self.turns += 1
            self.on_turn(self.turns)
        elif isinstance(message, Observation):
            self.observations += 1
        else:
            self.events.append(message)


def frames(count: int, first: int = 0) -> list[Frame | Exception]:
    return [Frame(first + n, (first + n) / 10, np.zeros((4, 4, 3), np.uint8)) for n in range(count)]


def noisy(count: int, first: int = 0) -> list[Frame | Exception]:
    """What a sensor gives: no two pictures are the same."""
    scene = np.tile(np.arange(0, 96, dtype=np.uint8), (64, 1))[..., None].repeat(3, axis=2)
    random = np.random.default_rng(first)
    return [
        Frame(n, n / 10, scene + random.integers(0, 3, scene.shape, dtype=np.uint8))
        for n in range(first, first + count)
    ]


def frozen(count: int, first: int) -> list[Frame | Exception]:
    """One picture again and again."""
    [picture] = noisy(1, 10_000 + first)
    assert isinstance(picture, Frame)
    return [Frame(n, n / 10, picture.pixels) for n in range(first, first + count)]


def run(
    cameras: list[FakeCamera | HardwareError], sink: Sink, stop: threading.Event | None = None, *, sensor: bool = False
) -> list[Camera]:
    """Run over cameras opened one after another; those that were opened."""
    opened: list[Camera] = []
    waiting = list(cameras)

    def open_camera() -> Camera:
        if not waiting:
            raise HardwareError("camera", Reason.MISSING, "none left")
        following = waiting.pop(0)
        if isinstance(following, HardwareError):
            raise following
        opened.append(following)
        return following

    decider = Decider(LABELS, SPEC)
    loop = Pipeline(
        open_camera,
        Sure().observe,
        decider.step,
        sink.post,
        stalled_after_s=1,
        random=lambda: 0.0,
        sensor=sensor,  # type: ignore[arg-type]
    )
    loop.run(stop or threading.Event())
    return opened


def test_a_recording_is_looked_at_to_its_end_and_let_go() -> None:
    sink = Sink()
    camera = FakeCamera(frames(20))
    run([camera], sink)
    assert sink.observations == 20
    assert [e.label for e in sink.events if isinstance(e, Decision) and e.verdict is Verdict.AMOUNT] == ["10"]
    assert camera.closed


def test_a_lost_camera_is_said_once_looked_for_and_said_to_work_again() -> None:
    sink = Sink()
    missing = HardwareError("camera", Reason.MISSING, "unplugged")
    opened = run([FakeCamera([*frames(5), GONE]), missing, missing, FakeCamera(frames(5, 100))], sink)
    assert len(opened) == 2
    assert [type(event) for event in sink.events if isinstance(event, Fault | Recovered)] == [Fault, Recovered]


def test_a_camera_missing_at_the_start_is_said_and_looked_for() -> None:
    sink = Sink()
    run([HardwareError("camera", Reason.MISSING, "none"), FakeCamera(frames(3))], sink)
    assert [type(event) for event in sink.events[:2]] == [Fault, Recovered]


def test_the_watchdog_is_fed_while_the_camera_is_looked_for_and_a_stop_is_heard() -> None:
    stop = threading.Event()
    sink = Sink(on_turn=lambda turns: stop.set() if turns == 4 else None)
    run([], sink, stop)
    assert sink.turns >= 4
    assert len(sink.events) == 1


def test_a_fault_that_is_not_the_cameras_is_not_taken_for_one() -> None:
    broken = HardwareError("engine", Reason.BROKEN, "model")
    camera = FakeCamera([broken])
    with pytest.raises(HardwareError, match="engine"):
        run([camera], Sink())
    assert camera.closed


def test_a_camera_that_opens_and_gives_no_picture_is_not_opened_in_a_hot_loop() -> None:
    tried: list[float] = []
    stop = threading.Event()
    sink = Sink(on_turn=lambda turns: stop.set() if turns > 20 else None)

    def random() -> float:
        tried.append(0.0)  # a wait was asked for
        return -0.999  # and lasts next to nothing

    decider = Decider(LABELS, SPEC)
    loop = Pipeline(
        lambda: FakeCamera([GONE]), Sure().observe, decider.step, sink.post, stalled_after_s=1, random=random
    )  # type: ignore[arg-type]
    loop.run(stop)
    assert len(tried) >= 6
    assert [type(event) for event in sink.events] == [Fault]


def test_a_stop_while_the_camera_is_looked_for_is_heard_at_once() -> None:
    stop, waiting = threading.Event(), threading.Event()
    sink = Sink(on_turn=lambda turns: waiting.set() if turns == 3 else None)
    thread = threading.Thread(target=run, args=([], sink, stop))
    thread.start()
    assert waiting.wait(30)
    began_s = time.monotonic()
    stop.set()
    thread.join(10)
    assert time.monotonic() - began_s < 0.2


def test_a_camera_that_is_open_already_is_used_first_and_opened_anew_when_lost() -> None:
    sink, first = Sink(), FakeCamera([*frames(3), GONE])
    cameras = [FakeCamera(frames(3, 50))]
    decider = Decider(LABELS, SPEC)
    loop = Pipeline(
        lambda: cameras.pop(), Sure().observe, decider.step, sink.post, stalled_after_s=1, random=lambda: -0.99
    )  # type: ignore[arg-type]
    loop.run(threading.Event(), first)
    assert first.closed
    assert sink.observations == 6


def test_a_camera_lost_twice_is_said_twice() -> None:
    sink = Sink()
    run([FakeCamera([*frames(2), GONE]), FakeCamera([*frames(2, 50), GONE]), FakeCamera(frames(2, 99))], sink)
    found = [type(event) for event in sink.events if isinstance(event, Fault | Recovered)]
    assert found == [Fault, Recovered, Fault, Recovered]


def test_each_picture_is_handed_on_with_what_was_seen_and_before_what_is_decided() -> None:
    order: list[str] = []
    sink = Sink()
    sink.events = Order(order)  # type: ignore[assignment]
    shown = frames(20)

    def take(sight: Sight) -> None:
        assert sight.frame is shown[sight.frame.seq]
        assert sight.observation.seq == sight.frame.seq
        order.append("picture")

    camera = FakeCamera(shown)
    Pipeline(
        lambda: camera, Sure().observe, Decider(LABELS, SPEC).step, sink.post,  # type: ignore[arg-type]
        stalled_after_s=1, random=lambda: 0.0, pictures=take,
    ).run(threading.Event())  # fmt: skip
    assert order.count("picture") == 20
    assert order.index("amount") == order.index("picture") + SPEC.min_frames + 1, "the frame that decided came first"


class Order:
    """Notes when the amount came, and that something had been seen before it."""

    def __init__(self, order: list[str]) -> None:
        self._order = order

    def append(self, event: Event) -> None:
        assert isinstance(event, Decision)
        self._order.append(event.verdict.value)


def reasons(sink: Sink) -> list[str]:
    return [
        event.reason if isinstance(event, Fault) else "recovered"
        for event in sink.events
        if isinstance(event, Fault | Recovered)
    ]


def test_a_frozen_camera_is_said_once_closed_opened_anew_and_said_to_work_again() -> None:
    sink, stuck = Sink(), FakeCamera([*noisy(10), *frozen(100, 10)])
    run([stuck, FakeCamera(frozen(60, 200)), FakeCamera(noisy(20, 300))], sink, sensor=True)
    assert stuck.closed
    assert len(stuck.given) <= 10 + 50, "it was noticed within five seconds"
    assert reasons(sink) == ["frozen", "recovered"]


def test_a_camera_that_opens_frozen_again_is_not_said_to_work() -> None:
    sink = Sink()
    again = [FakeCamera(frozen(50, first)) for first in (100, 200)]
    run([FakeCamera([*noisy(5), *frozen(50, 5)]), *again, FakeCamera(frozen(10, 300))], sink, sensor=True)
    assert reasons(sink) == ["frozen"]


def test_one_lucky_picture_again_and_again_is_not_enough_for_an_amount() -> None:
    sink = Sink()
    run([FakeCamera(frozen(25, 0))], sink, sensor=True)
    assert sink.observations == 1
    assert not [event for event in sink.events if isinstance(event, Decision)]


def test_a_recording_may_show_one_picture_for_as_long_as_it_likes() -> None:
    sink = Sink()
    run([FakeCamera(frozen(100, 0))], sink)
    assert sink.observations == 100
    assert reasons(sink) == []
