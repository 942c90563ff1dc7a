"""A day of the device in simulated time: whether memory, threads, files or disk grow. `make endurance [HOURS=24]`.

The whole daemon runs with the play money's own model and recording, again and again and faster than life, and the
button is pressed each minute. Nothing travels: what telemetry does in a week is `make soak`'s part.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from edge import app
from edge.core import picture
from edge.core.messages import Frame
from edge.drivers.fake import FakeButton, FakeClock, FakeSynth, SilentSpeaker
from edge.drivers.tflite import TfliteEngine
from edge.ports import Camera
from edge.settings import Config, HealthConfig, ModelConfig
from tests.devices import fake_parts

RATE = 10.0  # frames a second
MORE_MB = 3.0  # of memory after the first hour, by which the last may exceed it: the allocator's own unrest


@dataclass(frozen=True)
class Holding:
    """What the process holds."""

    hours: float
    memory_mb: float
    threads: int
    files: int
    disk_bytes: int


class Recorder:
    """A camera that shows a recording again and again, and notes each hour what the process holds."""

    def __init__(self, hours: float, every_s: float, clock: FakeClock, button: FakeButton, state: Path) -> None:
        self.held: list[Holding] = []
        self._shown = [picture.read(path).pixels for path in sorted(app.REPLAY.glob("*.jpg"))]
        self._until, self._every = round(hours * 3600 * RATE), round(every_s * RATE)
        self._clock, self._button, self._state, self._number = clock, button, state, 0

    def read(self, _timeout_s: float) -> Frame | None:
        """The next picture, a tenth of a second later."""
        self._number += 1
        self._clock.advance(1 / RATE)
        if self._number % round(60 * RATE) == 0:
            self._button.press()
            self._button.release()
            self._button.edges.clear()  # which the fake keeps for tests
        if self._number % self._every == 0 or self._number == self._until:
            self.held.append(holding(self._number / RATE / 3600, self._state))
        if self._number >= self._until:
            return None
        return Frame(self._number, self._number / RATE, self._shown[self._number % len(self._shown)])

    def close(self) -> None:
        """Nothing is held."""


def holding(hours: float, state: Path) -> Holding:
    """What this process holds now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return Holding(
        hours,
        pages * 4096 / 1e6,
        threading.active_count(),
        len(list(Path("/proc/self/fd").iterdir())),
        sum(path.stat().st_size for path in state.rglob("*") if path.is_file()),
    )


def run(hours: float, every_s: float, state: Path) -> list[Holding]:
    """Run the daemon for so long; what it held each `every_s`, the first time included."""
    clock = FakeClock()
    button = FakeButton(clock)
    recorder = Recorder(hours, every_s, clock, button, state)
    cameras: list[Camera] = [recorder]
    config = Config(model=ModelConfig(bundle="xts"), health=HealthConfig(interval_s=60.0))
    parts = fake_parts(
        camera=lambda: cameras.pop(),
        engine=lambda bundle: TfliteEngine(bundle.model, threads=1),
        synth=FakeSynth,
        speaker=SilentSpeaker,
        button=lambda: button,
        clock=clock,
    )
    app.run(config, parts, threading.Event(), state=state)
    return recorder.held


def growth(held: list[Holding]) -> list[str]:
    """What grew from the first look to the last, each in a sentence."""
    first, last = held[0], held[-1]
    found = []
    if last.memory_mb > first.memory_mb + MORE_MB:
        found.append(f"memory grew from {first.memory_mb:.1f} to {last.memory_mb:.1f} MB")
    for name in ("threads", "files", "disk_bytes"):
        before, after = getattr(first, name), getattr(last, name)
        if after > before:
            found.append(f"{name} grew from {before} to {after}")
    return found


def main() -> int:
    """Print what was held each hour; 1 where something grew."""
    parser = argparse.ArgumentParser(description="a day of the device in simulated time")
    parser.add_argument("--hours", type=float, default=24.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="saynote-endurance-") as folder:
        held = run(given.hours, min(3600.0, given.hours * 600), Path(folder))
    lines = [
        f"{one.hours:5.2f} h {one.memory_mb:6.1f} MB {one.threads} threads {one.files} files {one.disk_bytes} bytes"
        for one in held
    ]
    grown = growth(held)
    sys.stdout.write("\n".join([*lines, *(grown or ["nothing grew"])]) + "\n")
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
