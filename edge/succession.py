"""Owns which installed bundle takes the place of the one in use while the daemon runs, and its way back.

    candidate -> in the shadow, in a process of its own: same frames, compared, never heard
              -> switched between two frames, the note in view stays what it is; on trial, the one before kept ready
              -> stays, once it has done well for a while; or is left at once where it breaks down or is slow

    main loop    observe() and step(): a few comparisons more than without; a frame is lent, never copied
    own thread   looks whether the store has changed, loads, asks the shadow, writes down what became of it

What must survive a kill stands in `edge.core.shelf`. It must not know how a bundle came here, nor who is told.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from edge.core.bundle import BACKGROUND, Bundle
from edge.core.errors import BundleError, HardwareError
from edge.core.ledger import CONFIGURED, Line, Tally
from edge.core.manifest import Manifest
from edge.core.messages import NOTE_LIKE, Decision, Frame, Observation
from edge.core.pocket import Pocket
from edge.core.rehearsal import verdict
from edge.core.shelf import Shelf
from edge.loading import Loaded, load
from edge.ports import Engine, Shadow
from edge.settings import ModelConfig
from edge.shadowing import NOTHING, SLOWER, SOME, Shadowing, with_numbers

log = logging.getLogger(__name__)

POLL_S = 0.5  # between two looks whether the store has changed
REST_S = 30.0
CLOSE_S = 3.0


class Looks(Protocol):
    """What the main loop asks about a frame: a pocket, or what stands before one."""

    def observe(self, frame: Frame, /) -> Observation:
        """What is seen in it."""

    def step(self, observation: Observation, /) -> list[Decision]:
        """What changes by it."""


@dataclass(frozen=True)
class Terms:
    """On which a bundle takes another's place."""

    model: ModelConfig
    interval_ms: float  # between two pictures
    well_s: float = 60.0  # so long, and `SOME` frames, it must do well on trial
    unfit: Callable[[Bundle], str] = lambda _bundle: ""  # why this device cannot use it; "" where it can


@dataclass
class _Place:
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


@dataclass(frozen=True)
class _Due:
    """Who is to look in a place from the next frame on."""

    place: _Place
    entry: str
    bundle: Bundle
    engine: Engine
    back: bool = False  # the one that it replaces is not kept


class Succession:
    """Stands between the main loop and its pocket; `start` it, then `observe` and `step`, `close` it in the end."""

    def __init__(
        self,
        pocket: Pocket,
        loaded: Sequence[Loaded],
        configured: Mapping[str, tuple[Path, Manifest]],
        shelf: Shelf,
        terms: Terms,
        open_engine: Callable[[Bundle], Engine],
        open_shadow: Callable[[Path], Shadow],
        *,
        switched: Callable[[int, Bundle], object] = lambda _number, _bundle: None,
        told: Callable[[str, str, str], object] = lambda _entry, _what, _why: None,
        compared: Callable[[str, Tally], object] = lambda _entry, _tally: None,
    ) -> None:
        """`configured`: what the settings name, by currency, and where it lies.

        `switched` hears who reads in which place now, from the main loop; `told` what became of an entry, and
        `compared` what it has shown in the shadow, from the thread. None may block.
        """
        self._pocket, self._shelf, self._terms = pocket, shelf, terms
        self._open_engine, self._open_shadow = open_engine, open_shadow
        self._switched, self._told, self._compared = switched, told, compared
        self._places = [
            self._place(number, bundle, engine, *configured[bundle.manifest.currency])
            for number, (bundle, engine) in enumerate(loaded)
            if bundle.manifest.currency in configured
        ]
        self._background = pocket.labels.index(BACKGROUND)
        self._stamp: object = ()  # of the store as it was looked at last
        self._lines: dict[str, Line] = {}  # as it was then
        self._due: _Due | None = None  # for the main loop, which takes it
        self._changing = threading.Lock()  # who reads where, against the thread
        self._rehearsal: Shadowing | None = None
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="succession", daemon=True)

    def _place(self, number: int, bundle: Bundle, engine: Engine, path: Path, manifest: Manifest) -> _Place:
        entry = bundle.path.name if bundle.path.parent == self._shelf.folder else ""
        wanted = self._shelf.chosen(manifest.currency, manifest)
        # What was not taken at the start, for want of a counted one, is not taken by the back door either.
        awaits = wanted if wanted != entry else None
        return _Place(number, manifest.currency, path, manifest, entry, bundle, engine, awaits=awaits)

    def start(self) -> None:
        """Begin to look after the store."""
        self._thread.start()

    def close(self) -> None:
        """End the shadow, and let go of all engines; the main loop has ended."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
        for place in self._places:
            place.engine.close()
            if place.before is not None:
                place.before[2].close()

    # --- the main loop's

    def observe(self, frame: Frame) -> Observation:
        """As the pocket's; here one bundle gives place to the other, between two frames."""
        if self._due is not None:
            self._take_turn()
        try:
            observation = self._pocket.observe(frame)
        except Exception as error:  # of a bundle on trial: the one before sees the same frame
            if not self._leave(self._pocket.turn, f"it broke down: {error}"):
                raise
            observation = self._pocket.observe(frame)
        running = self._rehearsal
        if running is not None:
            running.offer(frame)
        return observation

    def step(self, observation: Observation) -> list[Decision]:
        """As the pocket's."""
        decisions = self._pocket.step(observation)
        running = self._rehearsal
        if running is not None:
            running.note(observation.t_s, decisions, self._looks_like_note(observation))
            self._wake.set()
        for place in self._places:
            if "invoke" in observation.ms and place.number == observation.reader:
                place.frames += 1
                place.ms.append(sum(observation.ms.values()))
        return decisions

    def _looks_like_note(self, observation: Observation) -> bool:
        return observation.scores is not None and bool(observation.scores[self._background] < NOTE_LIKE)

    def _take_turn(self) -> None:
        with self._changing:
            assert self._due is not None
            due, self._due = self._due, None
            place, before = due.place, (due.place.entry, due.place.bundle, due.place.engine)
            if place.before is not None:
                place.before[2].close()
            place.before_ms = float(np.median(place.ms)) if len(place.ms) >= SOME else 0.0
            place.before = None if due.back else before
            if due.back:
                before[2].close()
            self._seat(place, due.entry, due.bundle, due.engine)

    def _seat(self, place: _Place, entry: str, bundle: Bundle, engine: Engine) -> None:
        place.entry, place.bundle, place.engine = entry, bundle, engine
        place.since_s, place.frames = time.monotonic(), 0
        place.ms.clear()
        self._pocket.swap(place.number, bundle, engine.invoke)
        self._switched(place.number, bundle)
        log.info("bundle %s looks from now on", entry or CONFIGURED)

    def _leave(self, number: int, why: str) -> bool:
        """For the main loop: give the place back to the one before, now; False where there is none."""
        with self._changing:
            place = next((place for place in self._places if place.number == number), None)
            if place is None or place.before is None:
                return False
            failed, before, place.before = place.engine, place.before, None
            self._seat(place, *before)
            place.left = why
            failed.close()
        self._wake.set()
        return True

    # --- the thread's

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._turn()
            except OSError as error:  # the disk takes nothing: nothing is switched
                log.warning("the store of bundles cannot be changed: %s", error)
                self._rest()
            except Exception:  # outermost of this thread: what is in use stays
                log.exception("a bundle cannot take its place")
                self._rest()
            self._wake.wait(POLL_S)
            self._wake.clear()
        self._end_rehearsal()

    def _rest(self) -> None:
        """After something that may fail again: the shadow ends, and all begins anew in a while."""
        self._end_rehearsal()
        self._stamp = ()
        self._stopping.wait(REST_S)

    def _turn(self) -> None:
        for place in self._places:
            if place.left:
                why, place.left = place.left, ""
                self._go_back(place.currency, why)
        if (stamp := self._shelf.stamp()) != self._stamp and self._due is None:
            self._lines = self._shelf.read().lines
            self._stamp = stamp
            for place in self._places:
                self._follow(place, self._lines.get(place.currency, Line()))
        for place in self._places:
            line = self._lines.get(place.currency, Line())
            if line.trial and line.active == place.entry and self._due is None:
                self._look_after(place)
        if self._rehearsal is not None:
            self._rehearse(self._rehearsal)

    def _look_after(self, place: _Place) -> None:
        """What becomes of a bundle on trial."""
        if slow_ms := self._slow_ms(place):
            self._hand_back(place)
            self._go_back(place.currency, f"a picture takes it {slow_ms:.0f} ms")
            return
        if time.monotonic() - place.since_s >= self._terms.well_s and place.frames >= SOME:
            self._shelf.settle(place.currency, place.entry)
            self._tell(place.entry, "stays", "")
            self._let_go(place)

    def _slow_ms(self, place: _Place) -> float:
        if place.before is None or not place.before_ms or place.frames < SOME:
            return 0.0
        median = float(np.median(list(place.ms)))
        return median if median > SLOWER * max(place.before_ms, self._terms.interval_ms / SLOWER) else 0.0

    def _let_go(self, place: _Place) -> None:
        """Of the one before; the place is no longer on trial."""
        with self._changing:
            before, place.before = place.before, None
        if before is not None:
            before[2].close()

    def _hand_back(self, place: _Place) -> None:
        """Let the main loop take the one before again."""
        with self._changing:
            if place.before is not None:
                self._due = _Due(place, *place.before, back=True)
                place.before = None

    def _go_back(self, currency: str, why: str) -> None:
        entry = self._shelf.line(currency).active
        self._shelf.roll_back(currency, why)
        self._tell(entry, "rolled back", why)

    def _follow(self, place: _Place, line: Line) -> None:
        """Do what the store says of one currency."""
        wanted = self._shelf.chosen(place.currency, place.manifest)
        if wanted != place.entry and wanted != place.awaits:
            self._end_rehearsal()
            self._switch(place, wanted)
        elif line.candidate and self._rehearsal is None:
            self._begin(place, line.candidate, line.tally)
        elif (running := self._rehearsal) and running.currency == place.currency and running.entry != line.candidate:
            self._end_rehearsal()
            if line.candidate:
                self._begin(place, line.candidate, line.tally)

    def _switch(self, place: _Place, entry: str) -> None:
        """Load `entry`, "" for the configured one, and let the main loop take it."""
        path = self._shelf.path(entry) if entry else place.configured
        try:
            bundle, engine = load(path, self._open_engine)
            with contextlib.ExitStack() as closing:
                closing.callback(engine.close)
                if why := self._terms.unfit(bundle):
                    raise BundleError(why)
                if bundle.labels != place.bundle.labels:
                    place.awaits = entry
                    log.info("bundle %s has other labels: it is used from the next start on", entry or CONFIGURED)
                    return
                closing.pop_all()
        except (BundleError, HardwareError) as error:
            if entry:
                self._go_back(place.currency, str(error))
            return
        place.awaits = None
        self._due = _Due(place, entry, bundle, engine)

    # --- the shadow

    def _begin(self, place: _Place, entry: str, tally: Tally) -> None:
        if not self._terms.model.shadow_s:
            self._promote(place, entry, "without a shadow")
            return
        try:
            shadow = self._open_shadow(self._shelf.path(entry))
        except BundleError as error:
            self._refuse(place.currency, entry, str(error))
            return
        log.info("bundle %s is in the shadow of %s", entry, place.entry or CONFIGURED)
        if tally.since_wall_s is None:
            tally = msgspec.structs.replace(tally, since_wall_s=self._shelf.now_s())
        self._rehearsal = Shadowing(place.currency, entry, shadow, tally, lambda: list(place.ms))
        self._tell(entry, "in the shadow", "")
        self._compared(entry, tally)

    def _rehearse(self, running: Shadowing) -> None:
        try:
            running.turn()
        except BundleError as error:
            self._end_rehearsal()
            self._refuse(running.currency, running.entry, str(error))
            return
        model, tally = self._terms.model, running.tally
        slow_ms = running.slow_ms(self._terms.interval_ms)
        over, why = verdict(
            tally,
            least_s=model.shadow_s,
            least_alike=model.shadow_notes,
            most_otherwise=model.shadow_disagreements,
        )
        if slow_ms:
            over, why = True, f"a picture takes it {slow_ms:.0f} ms in the shadow"
        if over:
            self._end_rehearsal()
            self._compared(running.entry, tally)
        if why:
            self._refuse(running.currency, running.entry, why, tally)
        elif over:
            self._promote(self._place_of(running.currency), running.entry, "", tally)
        elif running.is_worth_counting():
            self._shelf.count(running.currency, running.entry, tally)
            self._compared(running.entry, tally)

    def _end_rehearsal(self) -> None:
        running, self._rehearsal = self._rehearsal, None
        if running is not None:
            running.shadow.close()

    def _place_of(self, currency: str) -> _Place:
        return next(place for place in self._places if place.currency == currency)

    # How many notes there were is for whoever stands at the device; who may hear of it afar, `compared` hears it.

    def _promote(self, place: _Place, entry: str, why: str, tally: Tally = NOTHING) -> None:
        self._shelf.promote(place.currency, entry, place.manifest, with_numbers(why, tally))
        self._tell(entry, "switched", why)

    def _refuse(self, currency: str, entry: str, why: str, tally: Tally = NOTHING) -> None:
        self._shelf.refuse(currency, entry, with_numbers(why, tally))
        self._tell(entry, "refused", why)

    def _tell(self, entry: str, what: str, why: str) -> None:
        log.info("bundle %s: %s%s", entry or CONFIGURED, what, f": {why}" if why else "")
        self._told(entry or CONFIGURED, what, why)
