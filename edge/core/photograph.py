"""Owns the way from one photograph to what a device would decide on it: replay, evaluation and the service all go it.

The photograph is held before a device that has just been switched on, ten frames a second: for a second, and where it
said nothing to it, on until it has lost its patience. An amount counts within that second alone; later it is "not
sure", since the same few looks would be asked again and again until their sum comes out well. Frames that do not change
are looked at once in each turn of the bundle: after that a look says what it said before, so a photograph costs a few
inferences, however long it is held.
It reads no clock and no file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from edge.core.bundle import Bundle
from edge.core.messages import Decision, Frame, Observation, Pixels, Verdict
from edge.core.observe import Invoke, Shown
from edge.core.pocket import Pocket

FRAMES_PER_S = 10
HELD_S = 1.0  # at least: every look of a bundle with up to four has then been last in the window
MOST_S = 10.0  # no longer than that, however patient a bundle is
SPOKEN = (Verdict.AMOUNT, Verdict.SEVERAL, Verdict.UNSURE)


@dataclass(frozen=True, slots=True)
class Held:
    """What came of a photograph."""

    decisions: list[Decision]  # all that were made, in order; `seq` counts the frames it was held for
    observations: list[Observation]  # the looks that differ, in order

    @property
    def spoken(self) -> list[Decision]:
        """Those that a device speaks."""
        return [decision for decision in self.decisions if decision.verdict in SPOKEN]

    @property
    def answer(self) -> Decision | None:
        """The one thing to be said of it, for whoever takes one answer only; None for silence.

        An amount that was said beside another, or beside "one note at a time", is no answer.
        """
        told: dict[tuple[Verdict, str], Decision] = {}
        for decision in self.spoken:
            told.setdefault((decision.verdict, decision.label), decision)
        found = {verdict: [one for one in told.values() if one.verdict is verdict] for verdict in SPOKEN}
        if found[Verdict.SEVERAL]:
            return found[Verdict.SEVERAL][0]
        if len(found[Verdict.AMOUNT]) > 1:
            return _doubt(found[Verdict.AMOUNT][-1])
        return next(iter(found[Verdict.AMOUNT] + found[Verdict.UNSURE]), None)


def hold(readers: Sequence[tuple[Bundle, Invoke]], pixels: Pixels, timer_s: Callable[[], float] = lambda: 0.0) -> Held:
    """Hold (height, width, 3) RGB `pixels` before the bundles of one device; what `invoke` raises is passed on."""
    pocket = Pocket(readers, timer_s)
    looks, held = _Looks(pocket, [bundle.manifest.input.looks for bundle, _ in readers], pixels), Held([], [])
    # What one bundle alone looks at hangs on no decision. In a row each kind of work finds its own in the processor's
    # cache, which every inference empties.
    first = [looks.at(number) for number in range(looks.periods[0])] if len(readers) == 1 else []
    for number in range(_frames(readers)):
        found = pocket.step(first[number] if number < len(first) else looks.at(number))
        held.decisions.extend(map(_late, found) if number > HELD_S * FRAMES_PER_S else found)
        if number >= HELD_S * FRAMES_PER_S and held.spoken:
            break
    held.observations.extend(looks.known.values())
    return held


class _Looks:
    """The looks of one device at one photograph, each of them taken once."""

    def __init__(self, pocket: Pocket, periods: list[int], pixels: Pixels) -> None:
        """`periods`: so many looks of each bundle differ."""
        self.periods = periods
        self.known: dict[tuple[int, int], Observation] = {}  # by who looked, and which of its looks it was
        self._pocket, self._pixels, self._shown = pocket, pixels, Shown(pixels)
        self._looked = [0] * len(periods)

    def at(self, number: int) -> Observation:
        """What frame `number` says; each is asked for once, in order."""
        turn, t_s = self._pocket.turn, number / FRAMES_PER_S
        key = turn, self._looked[turn] % self.periods[turn]
        self._looked[turn] += 1
        if key in self.known:
            return replace(self.known[key], seq=number, t_s=t_s)
        self.known[key] = self._pocket.observe(Frame(number, t_s, self._pixels), self._shown)
        return self.known[key]


def _frames(readers: Sequence[tuple[Bundle, Invoke]]) -> int:
    """At most so many: until the most patient bundle says that it is not sure, had it seen something at the last."""
    patience_s = max(bundle.manifest.decision.unsure_after_s for bundle, _ in readers)
    return round(min(MOST_S, HELD_S + patience_s) * FRAMES_PER_S) + 1


def _late(decision: Decision) -> Decision:
    return _doubt(decision) if decision.verdict is Verdict.AMOUNT else decision


def _doubt(decision: Decision) -> Decision:
    return replace(decision, verdict=Verdict.UNSURE, label="", currency="")
