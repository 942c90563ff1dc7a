"""Owns what one user's session remembers: the notes counted, the last amount, and a question that waits for its answer.

Amounts and finished presses in, answers out as data; voice and pulses make the same of the same answer. It reads no
clock: the caller says what time it is. It knows neither words nor sounds.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from edge.core.messages import Press

CONFIRM_WITHIN_S = 6.0  # after "clear the total?"
REMEMBERED = 1000  # notes that can be taken back, one by one; older ones stay in the total, and a device runs for years


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
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Total:
    """All that was counted in one currency since the total was cleared, and what was in others."""

    amount: Decimal
    notes: int
    currency: str = ""
    others: tuple[Total, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """The total as it has become, for those whom nobody asks."""

    total: Total


Answer: TypeAlias = Reply | Repeat | Total


class Session:
    """Counts and answers; one owner for all outlets."""

    def __init__(self) -> None:
        self._notes: deque[tuple[str, Decimal]] = deque(maxlen=REMEMBERED)  # currency and amount
        self._sums: dict[str, tuple[Decimal, int]] = {}  # by currency: of all that were counted, and their number
        self._last: tuple[str, str, float] | None = None  # currency and amount of the last note, and when it was told
        self._confirm_until_s: float | None = None

    def count(self, label: str, now_s: float, currency: str = "") -> None:
        """A note of the amount `label` was shown: the next press asks about it, whatever was asked before."""
        self._confirm_until_s = None
        self._last = (currency, label, now_s)
        amount = Decimal(label)
        self._notes.append((currency, amount))
        self._add(currency, amount, 1)

    def press(self, press: Press, now_s: float) -> Answer:
        """What a finished press is answered with."""
        if self._confirm_until_s is not None:
            return self._confirm(press, now_s)
        if press is Press.SHORT:
            return self.repeat(now_s)
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
        """The total as it stands, of each currency in the order in which they were first shown."""
        found = [Total(amount, notes, currency) for currency, (amount, notes) in self._sums.items()]
        return replace(found[0], others=tuple(found[1:])) if found else Total(Decimal(0), 0)

    def _add(self, currency: str, amount: Decimal, notes: int) -> None:
        before, count = self._sums.get(currency, (Decimal(0), 0))
        self._sums[currency] = (before + amount, count + notes)
        if count + notes == 0:
            del self._sums[currency]

    def repeat(self, now_s: float) -> Answer:
        """What a short press would be answered with; a question that waits for its answer goes on waiting."""
        if self._last is None:
            return Reply.NOTHING_YET
        currency, label, told_s = self._last
        return Repeat(label, now_s - told_s, currency)

    def _confirm(self, press: Press, now_s: float) -> Reply:
        assert self._confirm_until_s is not None
        clear = press is Press.SHORT and now_s <= self._confirm_until_s
        self._confirm_until_s = None
        if clear:
            self._notes.clear()
            self._sums.clear()
        return Reply.CLEARED if clear else Reply.KEPT

    def _undo(self) -> Reply:
        if not self._notes:
            return Reply.NOTHING_TO_UNDO
        currency, amount = self._notes.pop()
        self._add(currency, -amount, -1)
        return Reply.UNDONE
