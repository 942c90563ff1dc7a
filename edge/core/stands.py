"""Owns what stands on a device at one moment: the last amount, the running total, the faults that were not repaired.

A part has one failure at a time: a camera that was missing and is busy now has one trouble, not two. What is measured
(`CONDITIONS`) stands by itself: a board may be too hot and lack power, and a disk that is full may break besides.

It reads no clock: the caller says when each thing happened. What of it is told is decided in `edge.core.wire`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from edge.core.errors import Reason
from edge.core.messages import Decision, Fault, Recovered, Verdict
from edge.core.session import Standing, Total

MOST_FAULTS = 32  # parts are few
CONDITIONS = frozenset(reason.value for reason in (Reason.HOT, Reason.WEAK, Reason.FULL, Reason.UNSET))

Standable: TypeAlias = Decision | Standing | Fault | Recovered


@dataclass(frozen=True, slots=True)
class Last:
    """The last amount."""

    label: str
    currency: str  # empty: of the only bundle
    t_s: float
    wall_s: float | None


@dataclass(frozen=True, slots=True)
class Stood:
    """A fault, and since when."""

    fault: Fault
    since_t_s: float


class Faults:
    """Those that stand; everything that concerns them is to be noted in the order of time."""

    def __init__(self) -> None:
        self._standing: dict[tuple[str, str], Stood] = {}

    @property
    def standing(self) -> tuple[Stood, ...]:
        """The oldest first."""
        return tuple(self._standing.values())

    def note(self, event: Fault | Recovered, t_s: float = 0.0) -> bool:
        """Take what has happened at `t_s`; True when a trouble has begun that was not there before."""
        key = (event.device, event.reason if event.reason in CONDITIONS else "")
        if isinstance(event, Recovered):
            self._standing.pop(key, None)
            return False
        before = self._standing.get(key)
        if before is not None or len(self._standing) < MOST_FAULTS:
            self._standing[key] = Stood(event, t_s if before is None else before.since_t_s)
        return before is None


class Stands:
    """Remembers; everything that concerns it is to be noted in the order of time."""

    def __init__(self) -> None:
        self.last: Last | None = None
        self.total = Total(Decimal(0), 0)
        self._faults = Faults()

    @property
    def faults(self) -> tuple[Stood, ...]:
        """Those that stand, the oldest first."""
        return self._faults.standing

    def note(self, event: Standable, t_s: float, wall_s: float | None) -> None:
        """Take what has happened at `t_s`."""
        if isinstance(event, Standing):
            self.total = event.total
        elif isinstance(event, Fault | Recovered):
            self._faults.note(event, t_s)
        elif event.verdict is Verdict.AMOUNT:
            self.last = Last(event.label, event.currency, t_s, wall_s)
