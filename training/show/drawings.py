"""Owns a comparison as drawings: accuracy against each cost, with its Pareto front, in a folder beside the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from training.measure import figures
from training.measure.compare import COSTS, Comparison, Entry
from training.show import charts


def draw(entries: Sequence[Entry], key: str) -> str:
    """Accuracy against one of COSTS."""
    points = [
        charts.Point(
            entry.name,
            getattr(entry, key),
            entry.accuracy.share,
            entry.accuracy.low,
            entry.accuracy.high,
            key in entry.fronts,
        )
        for entry in entries
    ]
    return charts.scatter(points, COSTS[key], "accuracy")


def write(comparison: Comparison, folder: Path) -> list[Path]:
    """The figures and one drawing for each cost into `folder`; what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "compare.json"]
    figures.write(written[0], [asdict(entry) for entry in comparison.entries])
    for key in COSTS:
        written.append(folder / f"accuracy_by_{key}.svg")
        written[-1].write_text(charts.standalone(draw(comparison.entries, key)), encoding="utf-8")
    return written
