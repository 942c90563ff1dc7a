"""Owns which installed bundle takes the place of the one in use while the daemon runs, and its way back.

    candidate -> in the shadow, in a process of its own: same frames, compared, never heard
              -> switched between two frames, the note in view stays what it is; on trial, the one before kept ready
              -> stays, once it has done well for a while; or is left at once where it breaks down or is slow

    main loop    observe() and step(): as `edge.places` has them; a frame is lent, never copied
    own thread   looks whether the store has changed, loads, asks the shadow, writes down what became of it

What must survive a kill stands in `edge.core.shelf`. It must not know how a bundle came here, nor who is told.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.core.bundle import BACKGROUND, Bundle
from edge.core.errors import BundleError, HardwareError
from edge.core.ledger import CONFIGURED, Line, Tally
from edge.core.manifest import Manifest
from edge.core.messages import NOTE_LIKE, Decision, Frame, Observation
from edge.core.pocket import Pocket
from edge.core.rehearsal import verdict
from edge.core.shelf import Shelf
from edge.loading import Loaded, load
from edge.places import Due, Place, Places
from edge.ports import Engine, Shadow
from edge.settings import ModelConfig
from edge.shadowing import NOTHING, SOME, Shadowing, with_numbers

log = logging.getLogger(__name__)

POLL_S = 0.5  # between two looks whether the store has changed
REST_S = 30.0
CLOSE_S = 3.0


@dataclass(frozen=True)
class Terms:
    """On which a bundle takes another's place."""

    model: ModelConfig
    interval_ms: float  # between two pictures
    well_s: float = 60.0  # so long, and `SOME` frames, it must do well on trial
    unfit: Callable[[Bundle], str] = lambda _bundle: ""  # why this device cannot use it; "" where it can


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
        self._shelf, self._terms = shelf, terms
        self._open_engine, self._open_shadow = open_engine, open_shadow
        self._told, self._compared = told, compared
        self._places = [
            self._place(number, bundle, engine, *configured[bundle.manifest.currency])
            for number, (bundle, engine) in enumerate(loaded)
            if bundle.manifest.currency in configured
        ]
        self._wake = threading.Event()
        self._seats = Places(pocket, self._places, switched, self._wake.set)
        self._background = pocket.labels.index(BACKGROUND)
        self._stamp: object = ()  # of the store as it was looked at last
        self._lines: dict[str, Line] = {}  # as it was then
        self._rehearsal: Shadowing | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="succession", daemon=True)

    def _place(self, number: int, bundle: Bundle, engine: Engine, path: Path, manifest: Manifest) -> Place:
        entry = bundle.path.name if bundle.path.parent == self._shelf.folder else ""
        wanted = self._shelf.chosen(manifest.currency, manifest)
        # What was not taken at the start, for want of a counted one, is not taken by the back door either.
        awaits = wanted if wanted != entry else None
        return Place(number, manifest.currency, path, manifest, entry, bundle, engine, awaits=awaits)

    def start(self) -> None:
        """Begin to look after the store."""
        self._thread.start()

    def close(self) -> None:
        """End the shadow, and let go of all engines; the main loop has ended."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
        self._seats.close()

    # --- the main loop's

    def observe(self, frame: Frame) -> Observation:
        """As the pocket's, of who is in place now; the frame is lent to the shadow."""
        observation = self._seats.observe(frame)
        running = self._rehearsal
        if running is not None:
            running.offer(frame)
        return observation

    def step(self, observation: Observation) -> list[Decision]:
        """As the pocket's."""
        decisions = self._seats.step(observation)
        running = self._rehearsal
        if running is not None:
            running.note(observation.t_s, decisions, self._looks_like_note(observation))
            self._wake.set()
        return decisions

    def _looks_like_note(self, observation: Observation) -> bool:
        return observation.scores is not None and bool(observation.scores[self._background] < NOTE_LIKE)

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
        if (stamp := self._shelf.stamp()) != self._stamp and self._seats.due is None:
            self._lines = self._shelf.read().lines
            self._stamp = stamp
            for place in self._places:
                self._follow(place, self._lines.get(place.currency, Line()))
        for place in self._places:
            line = self._lines.get(place.currency, Line())
            if line.trial and line.active == place.entry and self._seats.due is None:
                self._look_after(place)
        if self._rehearsal is not None:
            self._rehearse(self._rehearsal)

    def _look_after(self, place: Place) -> None:
        """What becomes of a bundle on trial."""
        if slow_ms := place.slow_ms(self._terms.interval_ms):
            self._seats.hand_back(place)
            self._go_back(place.currency, f"a picture takes it {slow_ms:.0f} ms")
            return
        if time.monotonic() - place.since_s >= self._terms.well_s and place.frames >= SOME:
            self._shelf.settle(place.currency, place.entry)
            self._tell(place.entry, "stays", "")
            self._seats.let_go(place)

    def _go_back(self, currency: str, why: str) -> None:
        entry = self._shelf.line(currency).active
        self._shelf.roll_back(currency, why)
        self._tell(entry, "rolled back", why)

    def _follow(self, place: Place, line: Line) -> None:
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

    def _switch(self, place: Place, entry: str) -> None:
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
        self._seats.due = Due(place, entry, bundle, engine)

    # --- the shadow

    def _begin(self, place: Place, entry: str, tally: Tally) -> None:
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

    def _place_of(self, currency: str) -> Place:
        return next(place for place in self._places if place.currency == currency)

    # How many notes there were is for whoever stands at the device; who may hear of it afar, `compared` hears it.

    def _promote(self, place: Place, entry: str, why: str, tally: Tally = NOTHING) -> None:
        self._shelf.promote(place.currency, entry, place.manifest, with_numbers(why, tally))
        self._tell(entry, "switched", why)

    def _refuse(self, currency: str, entry: str, why: str, tally: Tally = NOTHING) -> None:
        self._shelf.refuse(currency, entry, with_numbers(why, tally))
        self._tell(entry, "refused", why)

    def _tell(self, entry: str, what: str, why: str) -> None:
        log.info("bundle %s: %s%s", entry or CONFIGURED, what, f": {why}" if why else "")
        self._told(entry or CONFIGURED, what, why)
