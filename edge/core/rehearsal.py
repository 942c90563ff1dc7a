"""Owns the comparison of two bundles that look at the same frames: one is heard, the other is in its shadow.

A note is what the one in use takes for one, from its coming into view until it has gone. To each note belong the
amounts that either has said while it was there. What the shadow says where nothing like a note was is as wrong as
another amount.
It reads no clock and asks no model.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from edge.core.ledger import Tally
from edge.core.messages import Decision, Verdict

AROUND_S = 1.0  # the shadow may see a note so much earlier, and its answers come so late
LEAST_SHOWN = 6  # frames of a note, before its silence counts against the shadow,
LEAST_SHARE = 0.4  # and of all that the one in use saw: who is shown little, on a busy device, cannot be sure in time
LIKE = 300  # frames that are remembered: twenty seconds
LONGEST_GAP_S = 1.0  # between frames, that counts as time looked at


class Answer(msgspec.Struct, frozen=True):
    """What the bundle in the shadow made of one frame."""

    amounts: tuple[str, ...] = ()  # that it would have said now
    cpu_ms: float = 0.0  # processor time it took
    why: str = ""  # it cannot be used at all


@dataclass
class _Note:
    """One note, as the bundle in use sees it."""

    began_s: float
    ended_s: float | None = None
    said: set[str] = field(default_factory=set)
    foreign: bool = False  # it was said as another currency's
    frames: int = 0  # in which it was to be seen
    shown: int = 0  # of its frames, to the shadow

    @property
    def was_shown(self) -> bool:
        """Whether the shadow saw enough of it to say something."""
        return self.shown >= max(LEAST_SHOWN, LEAST_SHARE * self.frames)


class Rehearsal:
    """Adds up; give it everything in the order of time, of the one in use and of the shadow each."""

    def __init__(self, currency: str, tally: Tally) -> None:
        """`currency` of the bundle in the shadow; `tally`: what it has shown on former days."""
        self.tally = tally
        self._currency = currency
        self._notes: deque[_Note] = deque()  # only the last may still be in view
        self._heard: list[tuple[float, str]] = []  # amounts of the shadow that belong to no note yet
        self._like: deque[float] = deque(maxlen=LIKE)  # when something like a note was seen last
        self._now_s: float | None = None

    @property
    def in_view(self) -> bool:
        """Whether the one in use sees a note."""
        return bool(self._notes) and self._notes[-1].ended_s is None

    def live(self, t_s: float, decisions: Sequence[Decision], note: bool) -> None:
        """What the bundle in use made of a frame; `note`: something like one is to be seen in it."""
        if self._now_s is not None and 0 < t_s - self._now_s <= LONGEST_GAP_S:
            self._add(seconds=t_s - self._now_s)
        self._now_s = t_s
        if note:
            self._like.append(t_s)
        for decision in decisions:
            self._take(decision)
        if note and self.in_view:
            self._notes[-1].frames += 1
        self._judge_those_gone()

    def _take(self, decision: Decision) -> None:
        if not self.in_view and decision.verdict is not Verdict.GONE:
            self._notes.append(_Note(decision.t_s))
        if not self.in_view:
            return
        note = self._notes[-1]
        if decision.verdict is Verdict.GONE:
            note.ended_s = decision.t_s
        elif decision.verdict is Verdict.AMOUNT:
            note.foreign |= decision.currency not in ("", self._currency)
            note.said.add(decision.label)

    def shadow(self, t_s: float, amounts: Sequence[str]) -> None:
        """What the one in the shadow said to a frame that was shown to it."""
        if self.in_view:
            self._notes[-1].shown += 1
        self._heard += [(t_s, amount) for amount in amounts]

    def _judge_those_gone(self) -> None:
        assert self._now_s is not None
        while self._notes and self._is_over(self._notes[0], self._now_s):
            self._judge(self._notes.popleft())
        begins_s = self._notes[0].began_s if self._notes else self._now_s
        stray = [one for one in self._heard if one[0] < begins_s - AROUND_S and one[0] < self._now_s - 2 * AROUND_S]
        if stray:
            self._heard = [one for one in self._heard if one not in stray]
            # Of what was in view when the comparison began, or for a moment only, nothing can be said.
            self._add(otherwise=sum(not self._was_like(t_s) for t_s, _ in stray))

    def _was_like(self, t_s: float) -> bool:
        return any(abs(t_s - like_s) <= AROUND_S for like_s in self._like)

    @staticmethod
    def _is_over(note: _Note, now_s: float) -> bool:
        return note.ended_s is not None and not 0 <= now_s - note.ended_s <= AROUND_S

    def _judge(self, note: _Note) -> None:
        assert note.ended_s is not None
        # A note has been out of sight for a while when it counts as gone: what is said later is said to the next.
        begins_s, ends_s = note.began_s - AROUND_S, note.ended_s
        said = {amount for t_s, amount in self._heard if begins_s <= t_s <= ends_s}
        self._heard = [one for one in self._heard if not begins_s <= one[0] <= ends_s]
        if note.foreign:
            return  # the others of the pocket would have had a word in it
        if note.said and said:
            self._add(**{"alike" if said <= note.said else "otherwise": 1})
        elif note.said and note.was_shown:
            self._add(silent=1)
        elif said:
            self._add(alone=1)

    def _add(self, **more: float) -> None:
        changed = {name: getattr(self.tally, name) + number for name, number in more.items()}
        self.tally = msgspec.structs.replace(self.tally, **changed)


def verdict(tally: Tally, *, least_s: float, least_alike: int, most_otherwise: int) -> tuple[bool, str]:
    """Whether the shadow's time is over, and why it must not take the place; "" where it may.

    The sentence tells nothing of how many notes there were: not everybody may hear that.
    """
    if tally.otherwise > most_otherwise:
        return True, "it said another amount to more notes than are allowed"
    if tally.silent > tally.alike and tally.silent + tally.alike >= least_alike:
        return True, "it was silent to most notes that were said"
    return tally.seconds >= least_s and tally.alike >= least_alike, ""
