"""Owns what one user's session remembers: the notes counted, the last amount, and a question that waits for its answer.

Amounts and finished presses in, answers out as data; voice and pulses make the same of the same answer. It reads no
clock: the caller says what time it is. It knows neither words nor sounds.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from edge.core.messages import Press

CONFIRM_WITHIN_S = 6.0  # after "clear the total?"


class Reply(enum.Enum):
    """An answer without a number in it; the value is its key in edge.core.speech.PHRASES."""

    NOTHING_YET = "nothing yet"
    UNDONE = "undone"
    NOTHING_TO_UNDO = "nothing to undo"
    ASK_CLEAR = "confirm clear"
    CLEARED = "cleared"
    KEPT = "kept"


OLD_AFTER_S = 10.0  # an amount that was told longer ago is repeated with its age


@dataclass(frozen=True, slots=True)
class Repeat:
    """The last amount again."""

    label: str
    age_s: float  # since it was told


@dataclass(frozen=True, slots=True)
class Total:
    """All that was counted since the total was cleared."""

    amount: Decimal
    notes: int


Answer: TypeAlias = Reply | Repeat | Total


class Session:
    """Counts and answers; one owner for all outlets."""

    def __init__(self) -> None:
        self._notes: list[Decimal] = []
        self._last: tuple[str, float] | None = None  # last amount and when it was told
        self._confirm_until_s: float | None = None

    def count(self, label: str, now_s: float) -> None:
        """A note of the amount `label` was shown: the next press asks about it, whatever was asked before."""
        self._confirm_until_s = None
        self._last = (label, now_s)
        self._notes.append(Decimal(label))

    def press(self, press: Press, now_s: float) -> Answer:
        """What a finished press is answered with."""
        if self._confirm_until_s is not None:
            return self._confirm(press, now_s)
        if press is Press.SHORT:
            return Reply.NOTHING_YET if self._last is None else Repeat(self._last[0], now_s - self._last[1])
        if press is Press.LONG:
            return self.total
        if press is Press.DOUBLE:
            return self._undo()
        self._confirm_until_s = now_s + CONFIRM_WITHIN_S
        return Reply.ASK_CLEAR

    def advance(self, now_s: float) -> Reply | None:
        """KEPT, once, when nobody answered the question in time."""
        if self._confirm_until_s is None or now_s <= self._confirm_until_s:
            return None
        self._confirm_until_s = None
        return Reply.KEPT

    @property
    def total(self) -> Total:
        """The total as it stands."""
        return Total(sum(self._notes, Decimal(0)), len(self._notes))

    def _confirm(self, press: Press, now_s: float) -> Reply:
        assert self._confirm_until_s is not None
        clear = press is Press.SHORT and now_s <= self._confirm_until_s
        self._confirm_until_s = None
        if clear:
            self._notes.clear()
        return Reply.CLEARED if clear else Reply.KEPT

    def _undo(self) -> Reply:
        if not self._notes:
            return Reply.NOTHING_TO_UNDO
        del self._notes[-1]
        return Reply.UNDONE
