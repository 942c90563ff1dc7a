"""Owns what is counted by day, so that a page shows trends without a database; knows neither clock nor disk.

Counts of different times add up: what a minute brought is merged into its day. A stage's milliseconds are kept as a
`Spread`, of which a day's percentiles are true to 2.5 %.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from edge.core.messages import Decision, Fault, Guidance, Stretch, Verdict
from edge.core.payloads import Level
from edge.core.spread import Spread

TOLD = 30  # days, today among them
MOST_STAGES, MOST_AMOUNTS = 10, 32  # of one day; bundles have a dozen amounts

Count = Annotated[int, Meta(ge=0, le=2**52)]
Steps: TypeAlias = dict[int, Count]
Counted: TypeAlias = Decision | Guidance | Fault | Stretch


class Day(msgspec.Struct):
    """What one day has brought, or a part of one."""

    uptime_s: Annotated[float, Meta(ge=0)] = 0.0
    frames: Count = 0
    detections: Count = 0
    unsure: Count = 0
    several: Count = 0
    hints: Count = 0
    faults: Count = 0
    lost: Count = 0
    temperature_max_c: float | None = None
    amounts: dict[str, Count] = {}  # by currency and amount: "INR 500"
    stages: dict[str, Steps] = {}  # of milliseconds, as Spread.counts
    speech: Steps = {}

    def note(self, event: Counted, currency: str) -> None:
        """Count what has happened."""
        if isinstance(event, Stretch):
            self._stretch(event)
        elif isinstance(event, Fault):
            self.faults += 1
        elif isinstance(event, Guidance):
            self.hints += 1
        elif event.verdict is Verdict.AMOUNT:
            self.detections += 1
            self._add_amounts({f"{event.currency or currency} {event.label}": 1})
        else:
            self.unsure += event.verdict is Verdict.UNSURE
            self.several += event.verdict is Verdict.SEVERAL

    def merge(self, other: Day) -> None:
        """Add what `other` has counted."""
        for name in ("uptime_s", "frames", "detections", "unsure", "several", "hints", "faults", "lost"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self._warm(other.temperature_max_c)
        self._add_amounts(other.amounts)
        self._add_stages({stage: Spread(steps) for stage, steps in other.stages.items()})
        self.speech = _merged(self.speech, Spread(other.speech))

    def cut_to(self, level: Level) -> None:
        """Forget what is not shared at `level`: what is not to be told need not be kept."""
        if level != "amounts":
            self.amounts = {}
        if level == "health":
            self.detections = self.unsure = self.several = self.hints = 0
            self.speech = {}

    @property
    def empty(self) -> bool:
        """Nothing was counted."""
        return self == Day()

    def _stretch(self, stretch: Stretch) -> None:
        self.uptime_s += stretch.seconds
        self.frames += stretch.frames
        self._warm(stretch.temperature_c)
        self._add_stages(stretch.stages)
        self.speech = _merged(self.speech, stretch.speech)

    def _warm(self, celsius: float | None) -> None:
        known = [one for one in (self.temperature_max_c, celsius) if one is not None]
        self.temperature_max_c = max(known, default=None)

    def _add_amounts(self, more: Mapping[str, int]) -> None:
        for what, count in more.items():
            if what in self.amounts or len(self.amounts) < MOST_AMOUNTS:
                self.amounts[what] = self.amounts.get(what, 0) + count

    def _add_stages(self, more: Mapping[str, Spread]) -> None:
        for stage, spread in more.items():
            if stage in self.stages or len(self.stages) < MOST_STAGES:
                self.stages[stage] = _merged(self.stages.get(stage, {}), spread)


def _merged(steps: Steps, spread: Spread) -> Steps:
    both = Spread(steps)
    both.merge(spread)
    return both.counts


def told(days: Iterable[str], today: str | None) -> list[str]:
    """Which of `days` are told, the oldest first: the last thirty up to `today`, or all where nobody knows today."""
    ordered = sorted(days)
    if today is not None:
        date = datetime.date.fromisoformat(today)
        first = datetime.date.fromordinal(max(1, date.toordinal() - TOLD + 1)).isoformat()
        ordered = [day for day in ordered if first <= day <= today]
    return ordered[-TOLD:]
