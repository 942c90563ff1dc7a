"""Owns the score of the hints: what a device says to staged scenes in which one hint, or none, is right.

A scene is seen for a few seconds by the device's own stages: `observe`, `decide`, `guide`. Notes are cut-outs that the
bundle was not trained on, or whole photographs with a known box. Where the amount was said all the same nobody needs a
hint: such scenes are counted apart.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from edge.core import bundle as bundles
from edge.core.bundle import BACKGROUND, Bundle
from edge.core.messages import Frame, Hint, Pixels
from edge.core.observe import Invoke
from training import spread
from training.errors import TrainingError
from training.measure import specimens
from training.measure.device import Watcher, amounts, running
from training.measure.rates import interval
from training.measure.specimens import Specimen
from training.photos import dataset
from training.photos.material import HANDS
from training.synth.staging import CASES, Case, Note, stage, with_surroundings

FRAMES_PER_S = 10.0
NOTHING = "nothing"

Scene = Callable[[], tuple[Case, str, Iterable[Pixels]]]  # makes a scene: its case, the amount in it, its frames


@dataclass(frozen=True)
class Props:
    """What scenes are made of: none of it was trained on."""

    notes: list[tuple[str, Note]]  # denomination and cut-out
    backgrounds: list[Pixels]


@dataclass(frozen=True)
class Outcome:
    """What was said to one scene."""

    case: Case
    said: tuple[Hint, ...]
    amount: str  # announced, "" for none
    truth: str  # denomination in the scene

    @property
    def right(self) -> bool:
        """Whether exactly the right thing was said."""
        if self.case.amount_wanted:
            return not self.said and self.amount == self.truth
        return set(self.said) == ({self.case.right} if self.case.right else set())


@dataclass(frozen=True)
class Row:
    """The figures of one case."""

    case: str
    wanted: str
    scenes: int
    judged: int  # without those in which the amount was said all the same: no hint was needed
    right: int
    interval: tuple[float, float]
    said: dict[str, int] = field(default_factory=dict)  # the hints of a scene, joined -> count


def score(outcomes: Sequence[Outcome]) -> list[Row]:
    """A row for each case, then one for all of them together."""
    rows = []
    for case in dict.fromkeys(outcome.case for outcome in outcomes):
        wanted = case.right.value if case.right else "an amount" if case.amount_wanted else "no hint"
        rows.append(_row(case.name, wanted, [o for o in outcomes if o.case == case]))
    return [*rows, _row("all", "", list(outcomes))]


def _row(name: str, wanted: str, outcomes: list[Outcome]) -> Row:
    judged = [o for o in outcomes if o.case.amount_wanted or not o.amount]
    right = sum(o.right for o in judged)
    said = Counter(", ".join(dict.fromkeys(h.value for h in o.said)) or NOTHING for o in judged)
    return Row(name, wanted, len(outcomes), len(judged), right, interval(right, len(judged)), dict(said.most_common()))


def evaluate(
    folder: Path,
    data: Path,
    background: Path,
    *,
    scenes: int,
    seed: int,
    photographs: bool = False,
    series: Path | None = None,
    tick: Callable[[int, int], None] = lambda i, n: None,
    workers: int = 1,
) -> list[Outcome]:
    """Score the bundle in `folder`: `scenes` of each case from held-out cut-outs, or one of each photograph with a box.

    `series`: the table of series and corrected labels that it was trained with.
    Raises BundleError, TrainingError where there is nothing to make scenes of.
    """
    bundle = bundles.read(folder)
    if photographs:
        staged = from_photographs(specimens.trained(data, background, bundle, series), seed)
    else:
        staged = from_cutouts(specimens.held_out(data, background, bundle, series=series), scenes, seed)
    with running(bundle) as invoke:
        return show(bundle, invoke, staged, tick, workers)


def show(
    bundle: Bundle,
    invoke: Invoke,
    staged: Sequence[Scene],
    tick: Callable[[int, int], None] = lambda i, n: None,
    workers: int = 1,
) -> list[Outcome]:
    """Every scene to a device of its own: what it says must not depend on the scenes before.

    `invoke` runs the model, and in other processes one of their own.
    """
    outcomes = []
    for outcome in spread.each(
        lambda: _judging(bundle), staged, workers, here=lambda scene: judge(Watcher(bundle, invoke), *scene())
    ):
        outcomes.append(outcome)
        tick(len(outcomes), len(staged))
    return outcomes


@contextlib.contextmanager
def _judging(bundle: Bundle) -> Iterator[Callable[[Scene], Outcome]]:
    with running(bundle) as invoke:
        yield lambda scene: judge(Watcher(bundle, invoke), *scene())


def judge(watcher: Watcher, case: Case, truth: str, frames: Iterable[Pixels]) -> Outcome:
    """What a device that has just been switched on would say to one scene."""
    said: list[str] = []
    for seq, pixels in enumerate(frames):
        said += amounts(watcher.see(Frame(seq, seq / FRAMES_PER_S, pixels)))
    return Outcome(case, tuple(watcher.hints), said[0] if said else "", truth)


def from_cutouts(held_out: Sequence[Specimen], scenes: int, seed: int) -> list[Scene]:
    """`scenes` scenes of each case; each depends on the seed and its number alone.

    Raises TrainingError where there is no note to be cut out, or nothing to lie behind it.
    """
    props = gather(held_out)

    def make(index: int, number: int) -> tuple[Case, str, Iterable[Pixels]]:
        rng = np.random.default_rng((seed, index, number))
        label, note = props.notes[rng.integers(len(props.notes))]
        ground = props.backgrounds[rng.integers(len(props.backgrounds))]
        return CASES[index], label, stage(CASES[index], note, ground, rng)

    return [partial(make, index, number) for index in range(len(CASES)) for number in range(scenes)]


def gather(held_out: Sequence[Specimen]) -> Props:
    """Cut-outs and backgrounds. Raises TrainingError where there are none."""
    notes, backgrounds = [], []
    for specimen in held_out:
        if specimen.truth != BACKGROUND and specimen.box:
            patch = specimen.patch()
            notes += [(specimen.truth, Note.alone(patch))] if patch.exact else []
        elif specimen.truth == BACKGROUND and specimen.source != HANDS and not specimen.unknown_amount:
            backgrounds.append(dataset.load_to_compose(specimen.path))
    if not notes or not backgrounds:
        lacks = "background" if notes else "photograph of a note with a box"
        raise TrainingError(f"training holds out no {lacks} of these: no scenes")
    return Props(notes, backgrounds)


def from_photographs(shown: Sequence[Specimen], seed: int) -> list[Scene]:
    """A scene for each note whose box is known, the cases in turn, moved about on more of its own ground.

    Raises TrainingError where there is none.
    """
    boxed = [(s, s.box) for s in shown if s.box and s.truth != BACKGROUND]
    if not boxed:
        raise TrainingError("no photograph of a note has a box in manifest.csv: no scenes")
    cases = [case for case in CASES if case.on_photograph]

    def make(number: int) -> tuple[Case, str, Iterable[Pixels]]:
        specimen, box = boxed[number]
        rng, case = np.random.default_rng((seed, number)), cases[number % len(cases)]
        note, ground = with_surroundings(dataset.load_to_compose(specimen.path), box)
        return case, specimen.truth, stage(case, note, ground, rng)

    return [partial(make, number) for number in range(len(boxed))]
