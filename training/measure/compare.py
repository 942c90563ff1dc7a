"""Owns the comparison of bundles in one run: how good on the same photographs, at what cost, and which is worse.

Figures come from `evaluate`, costs from `cost`. It draws nothing and changes no bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edge.core import bundle as bundles
from edge.core.bundle import BACKGROUND, Bundle
from edge.drivers.tflite import TfliteEngine
from training.errors import TrainingError
from training.measure import cost, stills
from training.measure.rates import Rate, rate
from training.measure.stills import Outcome

COSTS = {"multiply_adds": "million multiply-adds", "kilobytes": "kilobytes", "ms": "milliseconds an inference, here"}


@dataclass(frozen=True)
class Entry:
    """One bundle's row."""

    name: str
    accuracy: Rate
    coverage: Rate
    wrong: Rate  # of what was spoken to a note
    false: Rate  # amounts, of pictures without a note
    calibration_error: float
    multiply_adds: float  # million
    kilobytes: float  # of the model
    ms: float  # of one inference, median
    ratio: float  # of its time to the first bundle's
    agreement: float | None  # int8 with float at export, from the manifest
    fronts: list[str]  # of COSTS: on which Pareto fronts of accuracy it lies


@dataclass(frozen=True)
class Comparison:
    """All rows, and what each bundle did with each picture."""

    entries: list[Entry]
    outcomes: list[list[Outcome]]


def compare(
    folders: Sequence[Path],
    data: Path,
    background: Path | None = None,
    tick: Callable[[str, int, int], None] = lambda what, i, n: None,
    workers: int = 1,
) -> Comparison:
    """Measure all bundles on the same photographs. Raises BundleError, TrainingError."""
    found = [bundles.read(folder) for folder in folders]
    _require_alike(found)
    names = _names(folders)
    reports, outcomes = [], []
    for folder, name in zip(folders, names, strict=True):
        report, each = stills.evaluate(folder, data, background, partial(tick, f"evaluating {name}"), workers)
        reports.append(report)
        outcomes.append(each)
    times = _times(found, names, lambda i, n: tick("timing", i, n))
    entries = [
        _entry(name, bundle, report, times[name]) for name, bundle, report in zip(names, found, reports, strict=True)
    ]
    return Comparison(_with_fronts(entries), outcomes)


def _require_alike(found: Sequence[Bundle]) -> None:
    first = found[0]
    for other in found[1:]:
        if other.manifest.currency != first.manifest.currency or other.denominations != first.denominations:
            raise TrainingError(
                f"{other.path} says other amounts than {first.path}: "
                f"{other.manifest.currency} {', '.join(other.denominations)} "
                f"and {first.manifest.currency} {', '.join(first.denominations)} cannot be compared"
            )


def _names(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that differ."""
    paths = [folder.absolute() for folder in folders]
    if len(set(paths)) < len(paths):
        raise TrainingError("a bundle is given twice")
    depth = 1
    while len({path.parts[-depth:] for path in paths}) < len(paths):
        depth += 1
    return ["/".join(path.parts[-depth:]) for path in paths]


def _times(
    found: Sequence[Bundle], names: Sequence[str], tick: Callable[[int, int], None]
) -> dict[str, tuple[float, float]]:
    engines = [TfliteEngine(bundle.model, threads=1) for bundle in found]
    try:
        runs = zip(names, engines, found, strict=True)
        return cost.side_by_side(
            {name: (engine.invoke, bundle.selftest_pictures[:1]) for name, engine, bundle in runs}, tick=tick
        )
    finally:
        for engine in engines:
            engine.close()


def _entry(name: str, bundle: Bundle, report: stills.Report, time_: tuple[float, float]) -> Entry:
    return Entry(
        name=name,
        accuracy=report.shares.accuracy,
        coverage=report.shares.coverage,
        wrong=report.shares.wrong,
        false=report.shares.false,
        calibration_error=report.calibration_error,
        multiply_adds=cost.multiply_adds(bundle.model) / 1e6,
        kilobytes=len(bundle.model) / 1000,
        ms=time_[0],
        ratio=time_[1],
        agreement=bundle.manifest.figures.get("int8_float_agreement"),
        fronts=[],
    )


def front(costs: Sequence[float], values: Sequence[float]) -> list[bool]:
    """Which are on the Pareto front: none other costs no more and is worth no less, and differs."""
    pairs = list(zip(costs, values, strict=True))
    return [not any(c <= cost and v >= value and (c, v) != (cost, value) for c, v in pairs) for cost, value in pairs]


def _with_fronts(entries: Sequence[Entry]) -> list[Entry]:
    for key in COSTS:
        on = front([getattr(entry, key) for entry in entries], [entry.accuracy.share for entry in entries])
        for entry, lies in zip(entries, on, strict=True):
            if lies:
                entry.fronts.append(key)
    return list(entries)


def worse(comparison: Comparison, candidate: int, baseline: int) -> str | None:
    """One sentence when the candidate is worse than the baseline by more than chance explains; else None.

    Either its rate lies outside the baseline's 95 % interval, or, of the pictures on which the two differ, the
    interval of the share that it lost lies above one half (the exact McNemar test).
    """
    new, old = comparison.entries[candidate], comparison.entries[baseline]
    pairs = list(zip(comparison.outcomes[candidate], comparison.outcomes[baseline], strict=True))
    checks: tuple[tuple[str, Rate, Rate, bool, Callable[[Outcome], bool]], ...] = (
        ("wrong announcements", new.wrong, old.wrong, new.wrong.share > old.wrong.high, _is_wrong),
        ("amounts said where there is no note", new.false, old.false, new.false.share > old.false.high, _is_false),
        ("accuracy", new.accuracy, old.accuracy, new.accuracy.share < old.accuracy.low, _is_missed),
    )
    for what, mine, other, outside, bad in checks:
        if outside or _lost_more(pairs, bad):
            return f"{new.name} is worse than {old.name}: {what} {mine} against {other}"
    return None


def _lost_more(pairs: Sequence[tuple[Outcome, Outcome]], bad: Callable[[Outcome], bool]) -> bool:
    lost = sum(bad(new) and not bad(old) for new, old in pairs)
    won = sum(bad(old) and not bad(new) for new, old in pairs)
    return rate(lost, lost + won).low > 0.5


def _is_wrong(outcome: Outcome) -> bool:
    return outcome.truth != BACKGROUND and outcome.said not in ("", outcome.truth)


def _is_false(outcome: Outcome) -> bool:
    return outcome.truth == BACKGROUND and bool(outcome.said)


def _is_missed(outcome: Outcome) -> bool:
    return outcome.truth != BACKGROUND and outcome.best != outcome.truth
