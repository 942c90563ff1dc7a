"""Owns the figures of a bundle on photographs: the int8 model, through the device's own stages and decision.

A single picture is held before the device as `edge/core/photograph.py` holds it. A folder whose name the bundle does
not know counts as background: any amount announced on it is false.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.core import bundle as bundles
from edge.core import photograph, picture
from edge.core.bundle import BACKGROUND, Bundle
from edge.core.decide import fuse
from edge.core.errors import PictureError
from edge.core.messages import Pixels
from edge.core.observe import Invoke
from training import spread
from training.errors import TrainingError
from training.learn import calibrate
from training.measure import specimens
from training.measure.device import amounts, running
from training.measure.rates import Rate, rate

SILENT = "silent"


@dataclass(frozen=True)
class Outcome:
    """What one picture led to."""

    path: Path
    truth: str  # a denomination, or "background"
    best: str  # most likely denomination, "" where the scene gate stopped the picture
    said: str  # announced denomination, "" for none
    probabilities: NDArray[np.float32] | None = field(repr=False, default=None)  # (labels,)


@dataclass(frozen=True)
class Shares:
    """What was counted of some pictures."""

    accuracy: Rate  # the most likely amount is the right one, of notes
    coverage: Rate  # spoken to, of notes
    wrong: Rate  # of what was spoken to notes
    false: Rate  # an amount was said, of pictures without these notes


@dataclass(frozen=True)
class Report:
    """The figures of all pictures."""

    shares: Shares
    calibration_error: float
    ms_per_picture: float
    confusion: dict[str, dict[str, int]]  # truth -> most likely label or "silent" -> count
    broken: list[str]  # pictures that could not be read, each with the reason


def evaluate(
    folder: Path,
    data: Path,
    background: Path | None = None,
    tick: Callable[[int, int], None] = lambda i, n: None,
    workers: int = 1,
) -> tuple[Report, list[Outcome]]:
    """Score the bundle in `folder` on `data` (a sub-folder a denomination). Raises BundleError, TrainingError."""
    bundle = bundles.read(folder)
    return score(bundle, specimens.list_pictures(data, background, bundle), tick, workers)


def score(
    bundle: Bundle,
    pictures: Sequence[tuple[Path, str]],
    tick: Callable[[int, int], None] = lambda i, n: None,
    workers: int = 1,
) -> tuple[Report, list[Outcome]]:
    """Score `bundle` on pictures with their truths. Raises BundleError, TrainingError."""
    outcomes, broken, spent_s = [], [], 0.0
    for number, (found, took_s) in enumerate(spread.each(lambda: _scorer(bundle), pictures, workers)):
        tick(number + 1, len(pictures))
        if isinstance(found, str):
            broken.append(found)
        else:
            outcomes.append(found)
            spent_s += took_s
    if not outcomes:
        raise TrainingError(f"there is no picture that can be opened among the {len(pictures)} to score on")
    return report(outcomes, bundle.labels, spent_s / len(outcomes) * 1e3, broken), outcomes


@contextlib.contextmanager
def _scorer(bundle: Bundle) -> Iterator[Callable[[tuple[Path, str]], tuple[Outcome | str, float]]]:
    """Gives the outcome of a picture, or why it cannot be read, and how long it took."""
    with running(bundle) as invoke:

        def score_one(shown: tuple[Path, str]) -> tuple[Outcome | str, float]:
            path, truth = shown
            try:
                pixels = picture.read(path).pixels  # in full size, as the device's own recordings are
            except PictureError as error:
                return str(error), 0.0
            started = time.perf_counter()
            return judge(bundle, invoke, pixels, path, truth), time.perf_counter() - started

        yield score_one


def judge(bundle: Bundle, invoke: Invoke, pixels: Pixels, path: Path, truth: str) -> Outcome:
    """What a device that has just been switched on would say to this picture; the first amount counts."""
    held = photograph.hold([(bundle, invoke)], pixels)
    said = next(iter(amounts(held.decisions)), "")
    scores = [look.scores for look in held.observations if look.scores is not None]
    if not scores:
        return Outcome(path, truth, "", said)
    fused = fuse(np.stack(scores))
    best = max(bundle.denominations, key=lambda label: float(fused[bundle.labels.index(label)]))
    return Outcome(path, truth, best, said, fused)


def report(outcomes: Iterable[Outcome], labels: tuple[str, ...], ms_per_picture: float, broken: list[str]) -> Report:
    """The figures of all outcomes."""
    outcomes = list(outcomes)
    error = _calibration_error(outcomes, labels)
    return Report(shares(outcomes), error, ms_per_picture, _confusion(outcomes, labels), broken)


def shares(outcomes: Iterable[Outcome]) -> Shares:
    """What is to be counted of these outcomes."""
    outcomes = list(outcomes)
    notes = [o for o in outcomes if o.truth != BACKGROUND]
    rest = [o for o in outcomes if o.truth == BACKGROUND]
    spoken = [o for o in notes if o.said]
    return Shares(
        accuracy=rate(sum(o.best == o.truth for o in notes), len(notes)),
        coverage=rate(len(spoken), len(notes)),
        wrong=rate(sum(o.said != o.truth for o in spoken), len(spoken)),
        false=rate(sum(bool(o.said) for o in rest), len(rest)),
    )


def _calibration_error(outcomes: list[Outcome], labels: tuple[str, ...]) -> float:
    scored = [o for o in outcomes if o.probabilities is not None]
    if not scored:
        return 0.0
    probs = np.stack([o.probabilities for o in scored if o.probabilities is not None])
    truth = np.array([labels.index(o.truth) for o in scored])
    return calibrate.calibration_error(probs, truth)


def _confusion(outcomes: list[Outcome], labels: tuple[str, ...]) -> dict[str, dict[str, int]]:
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        top = SILENT if outcome.probabilities is None else labels[int(outcome.probabilities.argmax())]
        table[outcome.truth][top] += 1
    return {truth: dict(sorted(row.items())) for truth, row in sorted(table.items())}
