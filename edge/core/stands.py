"""Owns what stands on a device at one moment: the last amount, the running total, the faults that were not repaired.

A part has one failure at a time: a camera that was missing and is busy now has one trouble, not two. What is measured
(`CONDITIONS`) stands by itself: a board may be too hot and lack power, and a disk that is full may break besides.

Of bundles that were installed what became of the last of each currency stands, and what it has shown in the shadow; of
those that are to be had the newest, and whether it is being taken in.

It reads no clock: the caller says when each thing happened. What of it is told is decided in `edge.core.wire`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TypeAlias

from edge.core.errors import Reason
from edge.core.ledger import Tally
from edge.core.messages import Arrival, Compared, Decision, Fault, Recovered, Verdict
from edge.core.news import Newest, News, Taking
from edge.core.seal import ENTRY
from edge.core.session import Standing, Total

MOST_FAULTS = 32  # parts are few
CONDITIONS = frozenset(reason.value for reason in (Reason.HOT, Reason.WEAK, Reason.FULL, Reason.UNSET))

Standable: TypeAlias = Decision | Standing | Fault | Recovered | Arrival | Compared | Newest | Taking


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


@dataclass(frozen=True, slots=True)
class Arrived:
    """The installed bundle of a currency that was heard of last."""

    arrival: Arrival
    tally: Tally  # of its shadow


class Stands:
    """Remembers; everything that concerns it is to be noted in the order of time."""

    def __init__(self) -> None:
        self.last: Last | None = None
        self.total = Total(Decimal(0), 0)
        self.arrived: dict[str, Arrived] = {}  # by currency
        self.newest: dict[str, tuple[News, Taking]] = {}  # likewise
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
        elif isinstance(event, Arrival | Compared):
            self._arrive(event)
        elif isinstance(event, Newest | Taking):
            self._renew(event)
        elif event.verdict is Verdict.AMOUNT:
            self.last = Last(event.label, event.currency, t_s, wall_s)

    def _arrive(self, event: Arrival | Compared) -> None:
        currency = event.entry[:3]
        before = self.arrived.get(currency)
        if before is not None and before.arrival.entry != event.entry:
            before = None
        if isinstance(event, Arrival):
            if ENTRY.fullmatch(event.entry):  # not what the settings name
                self.arrived[currency] = Arrived(event, Tally() if before is None else before.tally)
        elif before is not None:
            self.arrived[currency] = replace(before, tally=event.tally)

    def _renew(self, event: Newest | Taking) -> None:
        before = self.newest.get(event.currency)
        if isinstance(event, Taking):
            if before is not None:
                self.newest[event.currency] = (before[0], event)
        elif event.news is None:
            self.newest.pop(event.currency, None)
        elif before is None or before[0] != event.news:
            self.newest[event.currency] = (event.news, Taking(event.currency, busy=False))
