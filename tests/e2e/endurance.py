"""A day of the device in simulated time, and a week of its button and telemetry: whether memory, threads, files or disk
grow. `make endurance [HOURS=24] [DAYS=7]`.

The day: the whole daemon with the play money's own model and recording, again and again and faster than life, and a
press each minute. The week is `week`'s.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from edge import app
from edge.core import picture
from edge.core.messages import Frame
from edge.drivers.fake import FakeButton, FakeClock
from edge.drivers.tflite import TfliteEngine
from edge.ports import Camera
from edge.settings import Config, HealthConfig, ModelConfig
from tests.devices import fake_parts
from tests.e2e import week
from tests.e2e.holding import Ear, Hand, Holding, Voice, Watcher, growth, holding

RATE = 10.0  # frames a second
WAYS = ("short", "long", "short", "double")

Tell = Callable[[Holding], object]


class Recorder:
    """A camera that shows a recording again and again, and notes each hour what the process holds."""

    def __init__(
        self, hours: float, every_s: float, clock: FakeClock, hand: Hand, note: Callable[[float], None]
    ) -> None:
        self._shown = [picture.read(path).pixels for path in sorted(app.REPLAY.glob("*.jpg"))]
        self._until, self._every = round(hours * 3600 * RATE), round(every_s * RATE)
        self._clock, self._hand, self._note, self._number = clock, hand, note, 0

    def read(self, _timeout_s: float) -> Frame | None:
        """The next picture, a tenth of a second later."""
        self._number += 1
        self._clock.advance(1 / RATE)
        if self._number % round(60 * RATE) == 0:
            self._hand.begin()
        self._hand.move()
        if self._number % self._every == 0 or self._number == self._until:
            self._note(self._number / RATE / 3600)
        if self._number >= self._until:
            return None
        return Frame(self._number, self._number / RATE, self._shown[self._number % len(self._shown)])

    def close(self) -> None:
        """Nothing is held."""


def run(hours: float, every_s: float, state: Path, tell: Tell = lambda held: None) -> list[Holding]:
    """Run the daemon for so long; what it held each `every_s`, the first time included, `tell` hears at once."""
    clock, ear, held = FakeClock(), Ear(), list[Holding]()
    button = FakeButton(clock)

    def note(at_hours: float) -> None:
        held.append(holding(at_hours, state, ear.sounds))
        tell(held[-1])

    cameras: list[Camera] = [Recorder(hours, every_s, clock, Hand(clock, button, WAYS), note)]
    config = Config(model=ModelConfig(bundle="xts"), health=HealthConfig(interval_s=60.0))
    parts = fake_parts(
        camera=lambda: cameras.pop(),
        engine=lambda bundle: TfliteEngine(bundle.model, threads=1),
        synth=Voice,
        speaker=lambda: ear,
        button=lambda: button,
        clock=clock,
        supervisor=Watcher(),
    )
    app.run(config, parts, threading.Event(), state=state)
    return held


def main() -> int:
    """Print what was held each hour and each day; 1 where something grew."""
    parser = argparse.ArgumentParser(description="a day of the device in simulated time, and a week of its telemetry")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--days", type=int, default=7)
    given = parser.parse_args()
    # A second of the device is a millisecond here: its announcer seems late whenever this computer does something else.
    logging.getLogger("edge.outlets.health").setLevel(logging.CRITICAL)
    grown = []
    with tempfile.TemporaryDirectory(prefix="saynote-endurance-") as folder:
        if given.hours:
            _say("the device, each hour")
            grown += growth(run(given.hours, min(3600.0, given.hours * 600), Path(folder), _say))
    with tempfile.TemporaryDirectory(prefix="saynote-endurance-") as folder:
        if given.days:
            _say("its button and its telemetry, each day")
            grown += growth(week.run(given.days, Path(folder), _say))
    for line in grown or ["nothing grew"]:
        _say(line)
    return 1 if grown else 0


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
