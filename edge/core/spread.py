"""Owns how a quantity spreads: percentiles of any number of values out of a bounded table of counts; keeps no value.

Each value is counted in a step that is 5 % wide, so a percentile is true to 2.5 %, two spreads add up to the spread of
both, and a day's lasts as little as a minute's. From 0.01 to a million there are 379 steps, of which a stage that takes
about as long each time fills a dozen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

STEP = math.log(1.05)
LEAST, MOST = 0.01, 1e6  # what lies beyond is counted there
FIRST, LAST = round(math.log(LEAST) / STEP), round(math.log(MOST) / STEP)


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Half of all values are no greater than `p50`, 95 of 100 no greater than `p95`."""

    p50: float
    p95: float


class Spread:
    """Counts; for one thread at a time."""

    __slots__ = ("counts",)

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        """`counts`: as another spread had them, by step; steps that there are not are left out."""
        self.counts = {step: count for step, count in (counts or {}).items() if FIRST <= step <= LAST and count > 0}

    def add(self, value: float) -> None:
        """Count a value; one that is no number is left out."""
        if value != value:
            return
        step = round(math.log(min(max(value, LEAST), MOST)) / STEP)
        self.counts[step] = self.counts.get(step, 0) + 1

    def merge(self, other: Spread) -> None:
        """Count all that `other` has counted."""
        for step, count in other.counts.items():
            self.counts[step] = self.counts.get(step, 0) + count

    def percentiles(self) -> Percentiles | None:
        """None while nothing was counted."""
        total = sum(self.counts.values())
        return Percentiles(self._at(0.5 * total), self._at(0.95 * total)) if total else None

    def _at(self, rank: float) -> float:
        seen = 0
        for step in sorted(self.counts):
            seen += self.counts[step]
            if seen >= rank:
                return math.exp(step * STEP)
        raise AssertionError("a rank beyond all that was counted")
