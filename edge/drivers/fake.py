"""Owns simulators of every port: demos, tests and `make run` without devices use them.

Each serves its port as the real driver does, remembers what happened to it, and refuses the misuse that the
real one would refuse. Time is theirs too: `FakeClock` moves only when somebody sleeps or advances it. They must
not know who tests with them.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edge.core.errors import HardwareError, Reason, TransientError, UnansweredError
from edge.core.messages import Edge, Frame, Pcm

NEVER_SET_S = 1e9  # a fake wall clock that shows less was never set


class FakeClock:
    """Time that moves by hand; `slept` remembers every sleep."""

    def __init__(self, now_s: float = 0.0, wall_s: float = 1_700_000_000.0) -> None:
        self._now_s = now_s
        self._wall_offset_s = wall_s - now_s
        self._lock = threading.Lock()
        self.slept: list[float] = []

    def now_s(self) -> float:
        """Seconds since the start of the simulation."""
        with self._lock:
            return self._now_s

    def wall_s(self) -> float | None:
        """Seconds since 1970, in the simulation; None from a clock that was never set."""
        with self._lock:
            wall_s = self._now_s + self._wall_offset_s
        return wall_s if wall_s >= NEVER_SET_S else None

    def is_set(self) -> bool:
        """Whether it shows more than `NEVER_SET_S`."""
        return self.wall_s() is not None

    def sleep(self, seconds: float) -> None:
        """Advance at once, without waiting."""
        self.slept.append(seconds)
        self.advance(max(0.0, seconds))

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        if seconds < 0:
            raise ValueError("time does not go back; set_wall changes the wall clock")
        with self._lock:
            self._now_s += seconds

    def set_wall(self, wall_s: float) -> None:
        """Set the wall clock, as a time server does."""
        with self._lock:
            self._wall_offset_s = wall_s - self._now_s


class FakeCamera:
    """Plays a script: frames are given, exceptions raised, and None follows the last entry."""

    def __init__(self, script: Iterable[Frame | Exception]) -> None:
        self._script = iter(script)
        self.given: list[Frame] = []
        self.closed = False

    def read(self, timeout_s: float) -> Frame | None:
        """The next entry of the script."""
        if self.closed:
            raise HardwareError("camera", Reason.STOPPED, "it was closed")
        entry = next(self._script, None)
        if isinstance(entry, Exception):
            raise entry
        if entry is not None:
            self.given.append(entry)
        return entry

    def close(self) -> None:
        """Take no more reads."""
        self.closed = True


Outputs = Sequence[ArrayLike]


class FakeEngine:
    """Answers from a script of outputs, the last one for ever; remembers the tensors."""

    runtime = "fake 1"

    def __init__(self, script: Iterable[Outputs | Exception], shape: tuple[int, ...] = (1, 224, 224, 3)) -> None:
        self._script = list(script)
        self._shape = shape
        self.tensors: list[NDArray[np.uint8]] = []
        self.closed = False

    def input_shape(self) -> tuple[int, ...]:
        """As constructed."""
        return self._shape

    def invoke(self, tensor: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """The next outputs of the script: each a row, given as (1, n)."""
        if self.closed:
            raise HardwareError("engine", Reason.STOPPED, "it was closed")
        if tensor.shape != self._shape or tensor.dtype != np.uint8:
            raise ValueError(f"the tensor must be {self._shape} uint8, not {tensor.shape} {tensor.dtype}")
        entry = self._script[min(len(self.tensors), len(self._script) - 1)]
        self.tensors.append(tensor.copy())
        if isinstance(entry, Exception):
            raise entry
        return [np.array(row, dtype=np.float32).reshape(1, -1) for row in entry]

    def close(self) -> None:
        """Answer no more."""
        self.closed = True


class FakeSynth:
    """A tone for each text: the same text gives the same tone, 50 ms for each character."""

    RATE_HZ = 22_050

    def __init__(self, languages: Iterable[str] = ("en", "hi")) -> None:
        self.languages = frozenset(languages)
        self.texts: list[tuple[str, str]] = []  # text and language, in order
        self.fail: HardwareError | None = None  # raised by every render while set

    def render(self, text: str, language: str) -> Pcm:
        """The tone of `text`."""
        if self.fail is not None:
            raise self.fail
        if language not in self.languages:
            raise HardwareError("speech", Reason.MISSING, f"there is no voice for {language}")
        self.texts.append((text, language))
        tone_hz = 200 + zlib.crc32(f"{language} {text}".encode()) % 800
        time_s = np.arange(int(0.05 * len(text) * self.RATE_HZ)) / self.RATE_HZ
        return Pcm((8000 * np.sin(2 * np.pi * tone_hz * time_s)).astype(np.int16), self.RATE_HZ)

    def version(self) -> str:
        """A constant."""
        return "fake 1"


@dataclass(slots=True)
class Heard:
    """One sound that a FakeSpeaker played."""

    pcm: Pcm
    from_s: float  # on the simulation's clock
    until_s: float  # when it ended or was cut off

    @property
    def whole(self) -> bool:
        """Whether it was heard to its end."""
        return self.until_s >= self.from_s + self.pcm.seconds


class FakeSpeaker:
    """Remembers what would have been heard and when; waiting moves its clock."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.heard: list[Heard] = []
        self.fail: HardwareError | None = None  # raised by every play and check while set
        self.closed = False

    def play(self, pcm: Pcm) -> None:
        """Begin `pcm`, cutting off what sounds."""
        self.check()
        self.stop()
        now_s = self.clock.now_s()
        self.heard.append(Heard(pcm, now_s, now_s + pcm.seconds))

    def stop(self) -> None:
        """Cut off what sounds."""
        if self.heard:
            self.heard[-1].until_s = min(self.heard[-1].until_s, self.clock.now_s())

    def wait(self, timeout_s: float) -> bool:
        """Move the clock to the end of the sound, or by `timeout_s` if that comes first."""
        left_s = self.heard[-1].until_s - self.clock.now_s() if self.heard else 0.0
        self.clock.advance(max(0.0, min(left_s, timeout_s)))
        return left_s <= timeout_s

    def check(self) -> None:
        """Fail as told, or because it was closed."""
        if self.fail is not None:
            raise self.fail
        if self.closed:
            raise HardwareError("speaker", Reason.STOPPED, "it was closed")

    def close(self) -> None:
        """Silence, for good."""
        self.stop()
        self.closed = True


class FakeCard:
    """A sound card at the pace of life, as the sounddevice module shows it; notes when it got the first loud sample."""

    PERIODS = 4  # in which it asks for what its buffer holds, as PortAudio over ALSA does: 165 of 660 samples at 30 ms
    LOUD = 40  # of 32768

    class PortAudioError(Exception):
        """As sounddevice's."""

    def __init__(self) -> None:
        self.loud = threading.Event()
        self.loud_s = 0.0  # on time.perf_counter, when the sample was due
        self.listening_s = 0.0  # what was asked for before is no answer

    def _terminate(self) -> None:
        """Nothing to forget."""

    def _initialize(self) -> None:
        """The same card, every time."""

    def listen(self) -> None:
        """Wait for the next loud sample."""
        self.listening_s = time.perf_counter()
        self.loud.clear()

    def query_devices(self, kind: str | None = None) -> Any:
        """The only card."""
        card = {"index": 0, "name": "fake", "max_output_channels": 1, "default_samplerate": 48_000.0}
        return card if kind else [card]

    def check_output_settings(self, **settings: Any) -> None:
        """Everything is welcome."""

    def OutputStream(self, **settings: Any) -> _FakeStream:  # noqa: N802 -- sounddevice's name
        """A stream of this card."""
        return _FakeStream(self, settings)


class _FakeStream:
    def __init__(self, card: FakeCard, settings: dict[str, Any]) -> None:
        self._card, self._settings = card, settings
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fake card", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def abort(self, ignore_errors: bool = True) -> None:
        self._end.set()
        self._thread.join()

    def close(self, ignore_errors: bool = True) -> None:
        self.abort()

    def _run(self) -> None:
        rate_hz = self._settings["samplerate"]
        frames = max(1, int(self._settings["latency"] * rate_hz) // self._card.PERIODS)
        due_s, block_s = time.perf_counter(), frames / rate_hz
        block = np.zeros((frames, self._settings["channels"]), np.int16)
        while not self._end.wait(max(0.0, due_s - time.perf_counter())):
            asked_s = time.perf_counter()
            self._settings["callback"](block, frames, None, None)
            loud = np.flatnonzero(np.abs(block[:, 0].astype(np.int32)) > self._card.LOUD)
            if len(loud) and asked_s > self._card.listening_s and not self._card.loud.is_set():
                self._card.loud_s = asked_s + int(loud[0]) / rate_hz
                self._card.loud.set()
            due_s = max(due_s + block_s, asked_s)


class SilentSpeaker:
    """Plays nothing and is done at once: for `voice.driver = "none"`."""

    def play(self, pcm: Pcm) -> None:
        """Nothing is heard."""

    def stop(self) -> None:
        """Nothing was playing."""

    def wait(self, timeout_s: float) -> bool:
        """Nothing is playing."""
        return True

    def check(self) -> None:
        """Nothing can be gone."""

    def close(self) -> None:
        """There is no device."""


class FakeButton:
    """A contact that tests press; it can bounce as metal does."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.edges: list[Edge] = []  # all that happened, heard or not
        self._callback: Callable[[Edge], None] | None = None

    def listen(self, callback: Callable[[Edge], None]) -> None:
        """Call `callback` on every change, from the thread that presses."""
        self._callback = callback

    def press(self) -> None:
        """Close the contact."""
        self._change(down=True)

    def release(self) -> None:
        """Open the contact."""
        self._change(down=False)

    def bounce(self, times: int, every_s: float = 0.001) -> None:
        """Leave the present state and come back to it, `times` times."""
        down = bool(self.edges) and self.edges[-1].down
        for _ in range(times):
            for state in (not down, down):
                self.clock.advance(every_s)
                self._change(down=state)

    def close(self) -> None:
        """Tell nobody any more."""
        self._callback = None

    def _change(self, *, down: bool) -> None:
        edge = Edge(down, self.clock.now_s())
        self.edges.append(edge)
        if self._callback is not None:
            self._callback(edge)


class FakePulser:
    """A pin that remembers when it was switched."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.timeline: list[tuple[float, bool]] = []  # when it was switched, and to what
        self.fail: HardwareError | None = None  # raised by every switching while set
        self.closed = False

    @property
    def on(self) -> bool:
        """As it is now."""
        return bool(self.timeline) and self.timeline[-1][1]

    @property
    def pulses(self) -> list[tuple[float, float]]:
        """When it went on and for how many seconds, for every time that has ended."""
        switched = zip(self.timeline, self.timeline[1:], strict=False)
        return [(from_s, until_s - from_s) for (from_s, on), (until_s, _) in switched if on]

    def set(self, on: bool) -> None:
        """Switch it."""
        if self.fail is not None:
            raise self.fail
        if self.closed:
            raise HardwareError("pulses", Reason.STOPPED, "it was closed")
        if on != self.on:
            self.timeline.append((self.clock.now_s(), on))

    def close(self) -> None:
        """Off, for good."""
        if self.on:
            self.timeline.append((self.clock.now_s(), False))
        self.closed = True


@dataclass(frozen=True, slots=True)
class Message:
    """One message that reached a FakeBroker."""

    topic: str
    payload: bytes
    retain: bool


class FakeBroker:
    """Remembers messages; can be out of reach, or receive and lose its acknowledgements."""

    def __init__(self) -> None:
        self.messages: list[Message] = []  # all that arrived, duplicates too
        self.down = False
        self.lose_acks = 0  # how many of the next messages arrive without the sender learning it
        self.on_connect: Callable[[], None] | None = None  # never called: it is reached, or it is not
        self.listeners: dict[str, Callable[[str, bytes, bool], None]] = {}
        self.takeovers = 0  # what `taken_over` tells
        self.closed = False

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Keep the message, or fail as told."""
        if not topic or "+" in topic or "#" in topic:
            raise ValueError(f"not a topic to publish on: {topic!r}")
        if self.down or self.closed:
            raise TransientError("the broker does not answer")
        self.messages.append(Message(topic, payload, retain))
        if self.lose_acks > 0:
            self.lose_acks -= 1
            raise UnansweredError(f"no acknowledgement for {topic}")

    def listen(self, topic: str, heard: Callable[[str, bytes, bool], None]) -> None:
        """Remembered in `listeners`, for a test to call."""
        self.listeners[topic] = heard

    def taken_over(self) -> int:
        """As told."""
        return self.takeovers

    @property
    def retained(self) -> dict[str, bytes]:
        """What a new subscriber would get, by topic; an empty payload removes."""
        last = {message.topic: message.payload for message in self.messages if message.retain}
        return {topic: payload for topic, payload in last.items() if payload}

    def close(self) -> None:
        """Take no more messages."""
        self.closed = True


class FakeSupervisor:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.readies = 0
        self.alives = 0
        self.statuses: list[str] = []
        self.stoppings = 0

    def ready(self) -> None:
        """Counted in `readies`."""
        self.readies += 1

    def alive(self) -> None:
        """Counted in `alives`."""
        self.alives += 1

    def status(self, text: str) -> None:
        """Kept in `statuses`."""
        self.statuses.append(text)

    def stopping(self) -> None:
        """Counted in `stoppings`."""
        self.stoppings += 1


class FakeBoard:
    """Reports what it was given; all may be changed at any time."""

    def __init__(self, temperature_c: float | None = 45.0, throttled: bool | None = False) -> None:
        self.temperature = temperature_c
        self.slowed = throttled
        self.is_hot: bool | None = False
        self.is_weak: bool | None = False
        self.free: int | None = 1 << 30
        self.memory: int | None = 150 << 20

    def temperature_c(self) -> float | None:
        """As given."""
        return self.temperature

    def throttled(self) -> bool | None:
        """As given."""
        return self.slowed

    def hot(self) -> bool | None:
        """As set in `is_hot`."""
        return self.is_hot

    def weak(self) -> bool | None:
        """As set in `is_weak`."""
        return self.is_weak

    def free_bytes(self, folder: Path) -> int | None:
        """As set in `free`, whatever the folder."""
        return self.free

    def memory_bytes(self) -> int | None:
        """As set in `memory`."""
        return self.memory
