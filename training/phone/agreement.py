"""Owns how far other ways of running a bundle agree with the device's int8 model, on the same pictures.

Each way goes through the device's own stages and decision; only what runs the network differs. A picture is one second
of still frames, as measure/stills.py shows it, so that turned and near looks are part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.core import picture
from edge.core.bundle import BACKGROUND, Bundle
from edge.core.errors import PictureError
from edge.core.messages import Pixels
from edge.core.observe import Invoke
from training.errors import TrainingError
from training.learn.prepare import MODERATE, labels_for, play_material
from training.measure import specimens, stills
from training.measure.device import running
from training.measure.rates import Rate, rate
from training.playmoney import notes
from training.synth.compose import Composer

DEVICE = "device, int8"
PLAY_SEED = 77  # no training and no self-test draws from it
PLAY_SHARE = 0.1  # of the notes that a training draws
Shown = tuple[Pixels, str]  # with its truth
Opener = Callable[[], Shown | None]


@dataclass(frozen=True)
class Agreement:
    """What one way said, against the device."""

    way: str
    best: Rate  # the same likeliest label, of the pictures that the scene gate lets pass
    said: Rate  # the same amount said, or none by both
    right: Rate  # the right amount said, of notes
    wrong: int  # pictures to which a wrong amount was said


@dataclass(frozen=True)
class _Answer:
    best: int | None  # column of the likeliest label
    said: str


def photographs(data: Path, bundle: Bundle, broken: Callable[[str], None]) -> list[Opener]:
    """What opens each photograph below `data`: None and a word to `broken` where it cannot be opened."""

    def opener(path: Path, truth: str) -> Opener:
        def opened() -> Shown | None:
            try:
                return picture.read(path).pixels, truth
            except PictureError as error:
                broken(str(error))
                return None

        return opened

    return [opener(path, truth) for path, truth in specimens.list_pictures(data, None, bundle)]


def play_money(bundle: Bundle, count: int) -> list[Opener]:
    """So many drawn notes and scenes as the bundle's network sees them. Raises TrainingError for another currency."""
    if bundle.manifest.currency != notes.CURRENCY:
        raise TrainingError(f"play money is of {notes.CURRENCY}, and this bundle of {bundle.manifest.currency}")
    labels = labels_for([str(amount) for amount in notes.DENOMINATIONS])
    material = play_material(notes.DENOMINATIONS, PLAY_SEED * 1000, PLAY_SHARE)
    composer = Composer(material, labels, bundle.manifest.input.width, PLAY_SEED, MODERATE)

    def opener(number: int) -> Callable[[], Shown]:
        def opened() -> Shown:
            sample = composer.sample(number)
            label = labels[int(sample.target.argmax())]
            return sample.pixels, label if label in bundle.denominations else BACKGROUND

        return opened

    return [opener(number) for number in range(count)]


def compare(
    bundle: Bundle,
    ways: Mapping[str, Invoke],
    pictures: Iterable[Opener],
    tick: Callable[[int, int], None] = lambda i, n: None,
) -> list[Agreement]:
    """The device first, then each of `ways`. Raises TrainingError where no picture can be opened."""
    openers = list(pictures)
    with running(bundle) as invoke:
        everyone = {DEVICE: invoke, **ways}
        rows: list[tuple[str, dict[str, _Answer]]] = []
        for number, opened in enumerate(openers):
            tick(number + 1, len(openers))
            if (shown := opened()) is not None:
                rows.append((shown[1], {way: _answer(bundle, run, *shown) for way, run in everyone.items()}))
    if not rows:
        raise TrainingError(f"there is no picture that can be opened among the {len(openers)} to compare on")
    return [_counted(way, rows) for way in everyone]


def _answer(bundle: Bundle, invoke: Invoke, pixels: Pixels, truth: str) -> _Answer:
    found = stills.judge(bundle, invoke, pixels, Path(), truth)
    return _Answer(None if found.probabilities is None else int(found.probabilities.argmax()), found.said)


def _counted(way: str, rows: list[tuple[str, dict[str, _Answer]]]) -> Agreement:
    pairs = [(truth, answers[way], answers[DEVICE]) for truth, answers in rows]
    seen = [(mine.best, theirs.best) for _, mine, theirs in pairs if theirs.best is not None]
    amounts = [(truth, mine.said) for truth, mine, _ in pairs if truth != BACKGROUND]
    return Agreement(
        way,
        best=rate(sum(mine == theirs for mine, theirs in seen), len(seen)),
        said=rate(sum(mine.said == theirs.said for _, mine, theirs in pairs), len(pairs)),
        right=rate(sum(truth == said for truth, said in amounts), len(amounts)),
        wrong=sum(mine.said not in ("", truth) for truth, mine, _ in pairs),
    )
