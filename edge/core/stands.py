"""Owns what stands on a device at one moment: the last amount, the running total, the faults that were not repaired.

It reads no clock: the caller says when each thing happened. What of it is told is decided in `edge.core.wire`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from edge.core.messages import Decision, Fault, Recovered, Verdict
from edge.core.session import Standing, Total

MOST_FAULTS = 32  # parts and their reasons are few; a detail makes no new fault

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


class Stands:
    """Remembers; everything that concerns it is to be noted in the order of time."""

    def __init__(self) -> None:
        self.last: Last | None = None
        self.total = Total(Decimal(0), 0)
        self._faults: dict[tuple[str, str], Stood] = {}

    @property
    def faults(self) -> tuple[Stood, ...]:
        """Those that stand, the oldest first."""
        return tuple(self._faults.values())

    def note(self, event: Standable, t_s: float, wall_s: float | None) -> None:
        """Take what has happened at `t_s`."""
        if isinstance(event, Standing):
            self.total = event.total
        elif isinstance(event, Recovered):
            self._faults = {key: stood for key, stood in self._faults.items() if key[0] != event.device}
        elif isinstance(event, Fault):
            key = (event.device, event.reason)
            if key in self._faults or len(self._faults) < MOST_FAULTS:
                since_s = self._faults[key].since_t_s if key in self._faults else t_s
                self._faults[key] = Stood(event, since_s)
        elif event.verdict is Verdict.AMOUNT:
            self.last = Last(event.label, event.currency, t_s, wall_s)
