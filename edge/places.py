"""Owns who looks in each place of the pocket, and how one bundle gives its place to another between two frames.

    main loop   observe() and step(): a comparison more than the pocket's own; a bundle on trial that breaks down is
                left for the one before, which sees the same frame
    elsewhere   due, hand_back(), let_go(): what the loop is to do next, or what is no longer kept ready

It must not know why a bundle is to take a place, nor what becomes of it; `edge.succession` does.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from edge.core.bundle import Bundle
from edge.core.ledger import CONFIGURED
from edge.core.manifest import Manifest
from edge.core.messages import Decision, Frame, Observation
from edge.core.pocket import Pocket
from edge.ports import Engine
from edge.shadowing import SLOWER, SOME

log = logging.getLogger(__name__)


class Looks(Protocol):
    """What the main loop asks about a frame: a pocket, or what stands before one."""

    def observe(self, frame: Frame, /) -> Observation:
        """What is seen in it."""

    def step(self, observation: Observation, /) -> list[Decision]:
        """What changes by it."""


@dataclass
class Place:
    """One reader of the pocket: who looks there, and who did before while it is on trial."""

    number: int
    currency: str
    configured: Path
    manifest: Manifest  # of the configured one
    entry: str  # "" for the configured one, or its stand-in
    bundle: Bundle
    engine: Engine
    before: tuple[str, Bundle, Engine] | None = None
    since_s: float = field(default_factory=time.monotonic)  # it looks
    frames: int = 0  # since then
    ms: deque[float] = field(default_factory=lambda: deque(maxlen=200))  # of whole frames
    before_ms: float = 0.0  # median of the one before
    left: str = ""  # why the main loop has left it for the one before
    awaits: str | None = None  # this entry is taken at the next start

    def slow_ms(self, interval_ms: float) -> float:
        """What a picture takes the one on trial, where that is too much, with so long between two; else 0."""
        if self.before is None or not self.before_ms or self.frames < SOME:
            return 0.0
        median = float(np.median(list(self.ms)))
        return median if median > SLOWER * max(self.before_ms, interval_ms / SLOWER) else 0.0


@dataclass(frozen=True)
class Due:
    """Who is to look in a place from the next frame on."""

    place: Place
    entry: str
    bundle: Bundle
    engine: Engine
    back: bool = False  # the one that it replaces is not kept


class Places:
    """Stands before the pocket for the main loop; one other thread says who is due."""

    def __init__(
        self,
        pocket: Pocket,
        places: Sequence[Place],
        switched: Callable[[int, Bundle], object],
        left: Callable[[], object],
    ) -> None:
        """`switched` hears who reads in which place now, `left` that one was left; both from the main loop."""
        self._pocket, self._each, self._switched, self._left = pocket, places, switched, left
        self._changing = threading.Lock()  # who reads where, between the two threads
        self.due: Due | None = None  # for the main loop, which takes it

    def observe(self, frame: Frame) -> Observation:
        """As the pocket's; here one bundle gives place to the other, between two frames."""
        if self.due is not None:
            self._take_turn()
        try:
            return self._pocket.observe(frame)
        except Exception as error:  # of a bundle on trial: the one before sees the same frame
            if not self._leave(self._pocket.turn, f"it broke down: {error}"):
                raise
            return self._pocket.observe(frame)

    def step(self, observation: Observation) -> list[Decision]:
        """As the pocket's, and what a frame takes each is noted."""
        decisions = self._pocket.step(observation)
        for place in self._each:
            if "invoke" in observation.ms and place.number == observation.reader:
                place.frames += 1
                place.ms.append(sum(observation.ms.values()))
        return decisions

    def hand_back(self, place: Place) -> None:
        """Let the main loop take the one before again."""
        with self._changing:
            if place.before is not None:
                self.due = Due(place, *place.before, back=True)
                place.before = None

    def let_go(self, place: Place) -> None:
        """Of the one before; the place is no longer on trial."""
        with self._changing:
            before, place.before = place.before, None
        if before is not None:
            before[2].close()

    def close(self) -> None:
        """Let go of all engines; the main loop has ended."""
        for place in self._each:
            place.engine.close()
            if place.before is not None:
                place.before[2].close()

    def _take_turn(self) -> None:
        with self._changing:
            assert self.due is not None
            due, self.due = self.due, None
            place, before = due.place, (due.place.entry, due.place.bundle, due.place.engine)
            if place.before is not None:
                place.before[2].close()
            place.before_ms = float(np.median(place.ms)) if len(place.ms) >= SOME else 0.0
            place.before = None if due.back else before
            if due.back:
                before[2].close()
            self._seat(place, due.entry, due.bundle, due.engine)

    def _seat(self, place: Place, entry: str, bundle: Bundle, engine: Engine) -> None:
        place.entry, place.bundle, place.engine = entry, bundle, engine
        place.since_s, place.frames = time.monotonic(), 0
        place.ms.clear()
        self._pocket.swap(place.number, bundle, engine.invoke)
        self._switched(place.number, bundle)
        log.info("bundle %s looks from now on", entry or CONFIGURED)

    def _leave(self, number: int, why: str) -> bool:
        """Give the place back to the one before, now; False where there is none."""
        with self._changing:
            place = next((place for place in self._each if place.number == number), None)
            if place is None or place.before is None:
                return False
            failed, before, place.before = place.engine, place.before, None
            self._seat(place, *before)
            place.left = why
            failed.close()
        self._left()
        return True
