"""Owns the score of the hints: what a device says to staged scenes in which one hint, or none, is right.

A scene is seen for a few seconds by the device's own stages: `observe`, `decide`, `guide`. Notes are cut-outs that the
bundle was not trained on, or whole photographs with a known box. Where the amount was said all the same nobody needs a
hint: such scenes are counted apart.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edge.core import bundle as bundles
from edge.core.bundle import BACKGROUND, Bundle
from edge.core.decide import Decider
from edge.core.guide import Guide
from edge.core.messages import Frame, Hint, Pixels, Verdict
from edge.core.observe import Observer
from training.errors import TrainingError
from training.measure.device import running
from training.measure.rates import interval
from training.photos import cutout, dataset
from training.synth.staging import CASES, Case, Note, stage, with_surroundings

FRAMES_PER_S = 10.0
NOTHING = "nothing"


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
    tick: Callable[[int, int], None] = lambda i, n: None,
) -> list[Outcome]:
    """Score the bundle in `folder`: `scenes` of each case from held-out cut-outs, or one of each photograph with a box.

    Raises BundleError, and TrainingError where there is nothing to make scenes of.
    """
    bundle = bundles.read(folder)
    with running(bundle) as invoke:
        observer = Observer(bundle, invoke, time.perf_counter)
        if photographs:
            staged = from_photographs(data, background, seed)
        else:
            staged = from_cutouts(data, background, scenes, seed)
        outcomes = []
        for number, (case, truth, frames, total) in enumerate(staged):
            tick(number + 1, total)
            outcomes.append(judge(observer, bundle, case, truth, frames))
        return outcomes


def judge(observer: Observer, bundle: Bundle, case: Case, truth: str, frames: Iterator[Pixels]) -> Outcome:
    """What the device would say to one scene."""
    spec = bundle.manifest.decision
    decider, guide = Decider(bundle.labels, spec), Guide(bundle.labels, visible_known=spec.visible_known)
    said: list[Hint] = []
    amount = ""
    for seq, pixels in enumerate(frames):
        observation = observer.observe(Frame(seq, seq / FRAMES_PER_S, pixels))
        decisions = decider.step(observation)
        amount = amount or next((d.label for d in decisions if d.verdict is Verdict.AMOUNT), "")
        if guidance := guide.step(observation, decisions):
            said.append(guidance.hint)
    return Outcome(case, tuple(said), amount, truth)


Staged = Iterator[tuple[Case, str, Iterator[Pixels], int]]


def from_cutouts(data: Path, background: Path, scenes: int, seed: int) -> Staged:
    """`scenes` scenes of each case; each depends on the seed and its number alone."""
    props = gather(data, background)
    for index, case in enumerate(CASES):
        for number in range(scenes):
            rng = np.random.default_rng((seed, index, number))
            label, note = props.notes[rng.integers(len(props.notes))]
            ground = props.backgrounds[rng.integers(len(props.backgrounds))]
            yield case, label, stage(case, note, ground, rng), len(CASES) * scenes


def gather(data: Path, background: Path) -> Props:
    """Cut-outs and backgrounds of the clusters that training holds out. Raises TrainingError where there are none."""
    photos = dataset.clustered(dataset.scan(data, background))
    _, held = dataset.split(photos, dataset.HELD_OUT_SHARE)
    notes, backgrounds = [], []
    for photo in (photos[i] for i in held):
        if photo.label == BACKGROUND and photo.source != "hands":
            backgrounds.append(dataset.load(photo.path))
        elif photo.box and (patch := cutout.cut(dataset.load(photo.path), photo.box)):
            notes.append((photo.label, Note.alone(patch)))
    if not notes or not backgrounds:
        raise TrainingError(f"{data} holds out no photograph with a box, or {background} no background: no scenes")
    return Props(notes, backgrounds)


def from_photographs(data: Path, background: Path, seed: int) -> Staged:
    """A scene for each photograph whose box is known, the cases in turn, moved about on more of its own ground."""
    photos = [photo for photo in dataset.scan(data, background) if photo.box]
    if not photos:
        raise TrainingError(f"{data} has no photograph with a box in its manifest.csv: no scenes")
    cases = [case for case in CASES if case.on_photograph]
    for number, photo in enumerate(photos):
        rng = np.random.default_rng((seed, number))
        note, ground = with_surroundings(dataset.load(photo.path), photo.box)
        case = cases[number % len(cases)]
        yield case, photo.label, stage(case, note, ground, rng), len(photos)
