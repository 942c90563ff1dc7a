"""Owns what a span of time has brought: frames, how long their stages took, how long amounts waited. Reads no clock."""

from __future__ import annotations

from collections.abc import Mapping

from edge.core.spread import Spread


class Span:
    """Counts; for one thread at a time. Two that follow each other can be made one."""

    def __init__(self, began_s: float) -> None:
        self.began_s = began_s
        self.frames = 0
        self.stages: dict[str, Spread] = {}  # of milliseconds
        self.speech = Spread()
        self._sums: dict[str, tuple[float, int]] = {}  # of milliseconds, and how many, by stage

    def count(self, ms: Mapping[str, float]) -> None:
        """Another frame, and how long each of its stages took."""
        self.frames += 1
        for stage, took in ms.items():
            total, count = self._sums.get(stage, (0.0, 0))
            self._sums[stage] = (total + took, count + 1)
            self.stages.setdefault(stage, Spread()).add(took)

    def merge(self, later: Span) -> None:
        """Take in what came after it."""
        self.frames += later.frames
        self.speech.merge(later.speech)
        for stage, spread in later.stages.items():
            self.stages.setdefault(stage, Spread()).merge(spread)
        for stage, (total, count) in later._sums.items():
            before, number = self._sums.get(stage, (0.0, 0))
            self._sums[stage] = (before + total, number + count)

    def means(self) -> dict[str, float]:
        """Of each stage's milliseconds."""
        return {stage: total / count for stage, (total, count) in self._sums.items()}
