"""Owns what a process holds, and whether that grows; and the hand and ear of a device in simulated time."""

from __future__ import annotations

import gc
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from edge.core.messages import Pcm
from edge.drivers.fake import FakeButton, FakeClock, FakeSupervisor, FakeSynth, SilentSpeaker

MORE_MB = 3.0  # of memory after the first look, by which the last may exceed it: the allocator's own unrest
MORE_BYTES = 32_768  # of disk, likewise: a database grows by pages and gives none back
PRESSES = {  # seconds after its beginning at which the contact closes and opens
    "short": ((0.0, True), (0.1, False)),
    "long": ((0.0, True), (1.0, False)),
    "double": ((0.0, True), (0.1, False), (0.2, True), (0.3, False)),
    "very long": ((0.0, True), (4.5, False)),
}


@dataclass(frozen=True)
class Holding:
    """What the process holds, and what it has done by then."""

    hours: float  # of the device's time
    memory_mb: float
    threads: int
    files: int
    disk_bytes: int
    sounds: int = 0  # words and tones that were played
    messages: int = 0  # that a broker has acknowledged

    def __str__(self) -> str:
        return (
            f"{self.hours:6.2f} h {self.memory_mb:6.1f} MB {self.threads:3} threads {self.files:3} files "
            f"{self.disk_bytes:9} bytes {self.sounds:7} sounds {self.messages:6} messages"
        )


def holding(hours: float, state: Path, sounds: int = 0, messages: int = 0) -> Holding:
    """What this process holds now; `state`: the folder that it writes into."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return Holding(
        hours,
        pages * 4096 / 1e6,
        threading.active_count(),
        len(list(Path("/proc/self/fd").iterdir())),
        sum(path.stat().st_size for path in state.rglob("*") if path.is_file()),
        sounds,
        messages,
    )


def growth(held: list[Holding]) -> list[str]:
    """What grew from the first look to the last, each in a sentence."""
    first, last = held[0], held[-1]
    found = []
    if last.memory_mb > first.memory_mb + MORE_MB:
        found.append(f"memory grew from {first.memory_mb:.1f} to {last.memory_mb:.1f} MB")
    for name, more in (("threads", 0), ("files", 0), ("disk_bytes", MORE_BYTES)):
        before, after = getattr(first, name), getattr(last, name)
        if after > before + more:
            found.append(f"{name} grew from {before} to {after}")
    return found


class Ear(SilentSpeaker):
    """Counts what is played; keeps none of it."""

    def __init__(self) -> None:
        self.sounds = 0

    def play(self, pcm: Pcm) -> None:
        self.sounds += 1


class Voice(FakeSynth):
    """The fake's tones, but it does not remember the texts."""

    def render(self, text: str, language: str) -> Pcm:
        sound = super().render(text, language)
        self.texts.clear()
        return sound


class Watcher(FakeSupervisor):
    """Is told how it goes, and remembers nothing."""

    def status(self, text: str) -> None:
        """Heard."""


class Hand:
    """Presses the button, each time in the next of the ways there are."""

    def __init__(self, clock: FakeClock, button: FakeButton, ways: tuple[str, ...]) -> None:
        self._clock, self._button, self._ways = clock, button, ways
        self._due: deque[tuple[float, bool]] = deque()
        self.presses = 0

    def begin(self) -> None:
        """The next press begins now."""
        way = self._ways[self.presses % len(self._ways)]
        self.presses += 1
        now_s = self._clock.now_s()
        self._due.extend((now_s + after_s, down) for after_s, down in PRESSES[way])

    def move(self) -> bool:
        """Do what is due by now; False once the press is over."""
        while self._due and self._due[0][0] <= self._clock.now_s() + 1e-6:
            down = self._due.popleft()[1]
            self._button.press() if down else self._button.release()
        self._button.edges.clear()  # which the fake keeps for tests
        return bool(self._due)
