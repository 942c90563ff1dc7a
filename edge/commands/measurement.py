"""Owns how long a frame takes with one bundle: each stage, the whole beside the bare inference, and what rest costs.

The whole is the device's own loop, from the camera's picture to what is posted, with a note in view and hints wanted:
the most that a frame costs. Its model runs, and its answer is exchanged for that note. Bare inferences and whole frames
take turns, so that a slow moment of the machine hits both. What is our own is told frame by frame: the CPU time of the
loop's thread without the model's part of that very frame, which minds no other program that the thread had to wait for.
"cpu" is the time of all threads of this process. It must not know how figures are shown.
"""

from __future__ import annotations

import contextlib
import logging
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge.core import preprocess, scene
from edge.core.bundle import SELFTEST, Bundle
from edge.core.errors import BundleError
from edge.core.guide import Guide
from edge.core.messages import Decision, Frame, Look, Observation, Pixels
from edge.core.observe import Invoke
from edge.core.pocket import Pocket
from edge.core.still import RESTS_S
from edge.hub import Hub
from edge.pipeline import Pipeline
from edge.ports import Engine

CAMERA_SIZE = (480, 640)  # the default camera's height and width
FRAMES_PER_S = 15.0  # the default camera's
PLACES = 8  # of what moves
WARM_UP = 20  # frames
NOTE = (0.5, 0.5, 0.6, 0.45, 0.95)  # centre, width, height and visible share of the note that is shown
Figures: TypeAlias = dict[str, float]
T = TypeVar("T")


def frames(bundle: Bundle, engine: Engine, count: int) -> dict[str, Figures]:
    """Milliseconds by what they are of, each with p50, p95 and p99; "ratios" and "cpu" by their own names."""
    pictures = moving(bundle)
    tensor = preprocess.to_tensor(pictures[0], bundle.manifest.input)
    with _watched(engine) as model, _unlogged():
        notes = _Way(bundle, _showing(bundle, engine.invoke), model).walk(
            pictures, count, lambda: engine.invoke(tensor)
        )
        nothing = _Way(bundle, engine.invoke, model).walk([np.full_like(pictures[0], 128)], count)
        table = _Way(bundle, engine.invoke, model).walk([pictures[0]], count)
    found = {name: spread(values) for name, values in notes.stages.items()}
    found |= {"whole frame": spread(notes.ms), "bare invoke": spread(notes.bare_ms), "our own": spread(notes.own_ms)}
    classified = statistics.median(notes.cpu_ms)
    found["cpu"] = {
        "bare invoke": statistics.median(notes.bare_cpu_ms),
        "a frame classified": classified,
        "nothing in view": statistics.median(nothing.cpu_ms),
        "a table at rest": statistics.median(table.cpu_ms),
    }
    looks = 1 / (RESTS_S * FRAMES_PER_S)
    found["ratios"] = {
        "our own over bare": statistics.median(o / b for o, b in zip(notes.own_ms, notes.bare_ms, strict=True)),
        "whole over bare": statistics.median(w / b for w, b in zip(notes.ms, notes.bare_ms, strict=True)),
        "p99 over median": found["whole frame"]["p99"] / found["whole frame"]["p50"],
        "p99 over median, CPU": spread(notes.cpu_ms)["p99"] / classified,
        "nothing over classified": statistics.median(nothing.cpu_ms) / classified,
        "table over notes": looks + (1 - looks) * statistics.median(table.cpu_ms) / classified,
    }
    return found


def moving(bundle: Bundle) -> list[Pixels]:
    """A self-test picture that the scene gate lets pass, in the camera's size and moving: no frame of it rests."""
    for drawn in bundle.selftest_pictures:
        rows = np.linspace(0, drawn.shape[0] - 1, CAMERA_SIZE[0]).astype(int)
        columns = np.linspace(0, drawn.shape[1] - 1, CAMERA_SIZE[1]).astype(int)
        pixels = np.ascontiguousarray(drawn[rows][:, columns])
        if scene.assess(pixels).look is Look.CLEAR:
            return [np.roll(pixels, step, axis=1) for step in range(0, CAMERA_SIZE[1], CAMERA_SIZE[1] // PLACES)]
    raise BundleError(f"{bundle.path}: {SELFTEST} holds no picture that the scene gate lets pass")


def spread(values: Sequence[float]) -> Figures:
    """Median, 95th and 99th percentile."""
    p50, p95, p99 = (float(value) for value in np.percentile(values, [50, 95, 99]))
    return {"p50": p50, "p95": p95, "p99": p99}


@dataclass
class _Taken:
    """What frames took, each: the whole and its parts, and a bare inference before it."""

    ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    own_ms: list[float] = field(default_factory=list)
    bare_ms: list[float] = field(default_factory=list)
    bare_cpu_ms: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=dict)


class _Moment:
    """A moment, and the milliseconds since then."""

    def __init__(self) -> None:
        self._thread_s, self._cpu_s, self._wall_s = time.thread_time(), time.process_time(), time.perf_counter()

    def since(self) -> tuple[float, float, float]:
        """Of wall, of CPU, of this thread's CPU."""
        wall_s, cpu_s, thread_s = time.perf_counter(), time.process_time(), time.thread_time()
        return (wall_s - self._wall_s) * 1e3, (cpu_s - self._cpu_s) * 1e3, (thread_s - self._thread_s) * 1e3


class _Stopwatch:
    """What the model alone took since it was cleared: milliseconds of wall, and of the calling thread's CPU."""

    def __init__(self) -> None:
        self.ms = self.thread_ms = 0.0

    def clear(self) -> None:
        """Begin anew."""
        self.ms = self.thread_ms = 0.0

    def around(self, act: Callable[..., T]) -> Callable[..., T]:
        """`act`, and what it takes is added."""

        def timed(*given: object) -> T:
            thread_s, wall_s = time.thread_time(), time.perf_counter()
            found = act(*given)
            self.ms += (time.perf_counter() - wall_s) * 1e3
            self.thread_ms += (time.thread_time() - thread_s) * 1e3
            return found

        return timed


class _Way:
    """The way of frames through the device's own loop, between a camera that always has the next and an outlet."""

    def __init__(self, bundle: Bundle, invoke: Invoke, model: _Stopwatch) -> None:
        self._pocket, self._hub = Pocket([(bundle, invoke)], time.perf_counter), Hub()
        self._hub.join("bench", self, (Observation,))
        guide = Guide(bundle.labels, visible_known=bundle.manifest.decision.visible_known)
        self._loop = Pipeline(
            lambda: self,
            self._pocket.observe,
            self._decide,
            self._hub.post,
            guide=guide,
            stalled_after_s=RESTS_S,
            random=lambda: 0.5,
        )
        self._model = model
        self._frames: Iterator[Frame] = iter(())
        self.taken = _Taken()

    def walk(self, pictures: Sequence[Pixels], count: int, before: Callable[[], object] = lambda: None) -> _Taken:
        """What `count` frames took, after a few to warm up; `before` each comes a bare inference, if any."""
        self._frames = self._timed(pictures, count, before)
        self._loop.run(threading.Event(), self)
        return self.taken

    def _timed(self, pictures: Sequence[Pixels], count: int, before: Callable[[], object]) -> Iterator[Frame]:
        for number in range(count + WARM_UP):
            if number == WARM_UP:
                self.taken = _Taken()
            self._model.clear()
            self.taken.bare_cpu_ms.append(_timed(before)[1])
            self.taken.bare_ms.append(self._model.ms)
            self._model.clear()
            began = _Moment()
            yield Frame(number, number / FRAMES_PER_S, pictures[number % len(pictures)])
            ms, cpu_ms, thread_ms = began.since()  # the loop is done with a frame when it asks for the next
            self.taken.ms.append(ms)
            self.taken.cpu_ms.append(cpu_ms)
            self.taken.own_ms.append(thread_ms - self._model.thread_ms)

    def read(self, _timeout_s: float) -> Frame | None:
        """As a camera: the next picture."""
        return next(self._frames, None)

    def offer(self, observation: Observation) -> bool:
        """As an outlet: what the stages took."""
        for stage, ms in observation.ms.items():
            self.taken.stages.setdefault(stage, []).append(ms)
        return True

    def start(self) -> None:
        """Nothing to begin."""

    def close(self) -> None:
        """Nothing to let go."""

    def _decide(self, observation: Observation) -> list[Decision]:
        began_s = time.perf_counter()
        found = self._pocket.step(observation)
        self.taken.stages.setdefault("decide", []).append((time.perf_counter() - began_s) * 1e3)
        return found


def _showing(bundle: Bundle, invoke: Invoke) -> Invoke:
    """The model runs, and answers that it sees a note of the first amount in the middle of its picture."""
    logits = np.array([[20.0 if label == bundle.denominations[0] else 0.0 for label in bundle.labels]], np.float32)
    answer = [logits, np.array([NOTE], np.float32)] if bundle.manifest.has_box else [logits]

    def see(tensor: NDArray[np.uint8]) -> Sequence[NDArray[np.float32]]:
        invoke(tensor)
        return answer

    return see


@contextlib.contextmanager
def _watched(engine: Engine) -> Iterator[_Stopwatch]:
    """A stopwatch on the model alone, without what the driver does before and after it where that can be told."""
    name, watch = "model" if hasattr(engine, "model") else "invoke", _Stopwatch()
    act = getattr(engine, name)
    setattr(engine, name, watch.around(act))
    try:
        yield watch
    finally:
        setattr(engine, name, act)


@contextlib.contextmanager
def _unlogged() -> Iterator[None]:
    """The note that is shown is none: the log keeps silent of it."""
    log = logging.getLogger("edge.pipeline")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


def _timed(act: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of wall and of CPU that `act` takes."""
    began = _Moment()
    act()
    return began.since()[:2]
