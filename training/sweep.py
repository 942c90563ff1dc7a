"""Owns the sweep: several trainings that differ in what its file says, scored alike.

Trainings of one recipe learn at the same time from the same composed samples; the recipes come one after the other.
Nothing here needs TensorFlow or an interpreter, so a sweep runs wherever Keras has a backend; a network is exported
from its folder by `train --resume` (docs/evaluation.md). This module must not import Keras: the processes that train
are forks, and a GPU that was touched before does not survive that.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.core.bundle import BACKGROUND, RESERVED, InputSpec
from edge.core.preprocess import to_tensor
from training.errors import TrainingError
from training.learn.prepare import Prepared, from_photos
from training.learn.scores import score
from training.learn.settings import TRUNKS, USUAL, FitSettings, Only
from training.learn.supply import Batch, Supply
from training.photos import dataset
from training.synth.compose import Composer
from training.synth.recipe import GENTLE, Recipe

AHEAD_BYTES = 2_000_000_000  # of composed samples kept for trainings that go at different speeds
TOLD_EVERY = 100  # steps
FIGURES, ALL_FIGURES = "figures.json", "sweep.json"


Positive = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One training of a sweep; what is named like an option of `train` is what that is."""

    name: Annotated[str, msgspec.Meta(pattern=r"^\w[^/\\]*$")]
    trunk: str = USUAL.trunk
    width: float = USUAL.width
    size: Positive = USUAL.size
    steps: Positive = USUAL.steps
    head_steps: NotNegative = USUAL.head_steps
    last_layers: NotNegative | None = USUAL.last_layers
    batch: Positive = USUAL.batch
    learning_rate: float = USUAL.learning_rate
    seed: NotNegative = USUAL.seed
    weights: str | None = None  # a file of ImageNet weights; none or empty: random ones
    start_from: str | None = None  # a run's model.keras
    without: tuple[str, ...] = ()
    only: str | None = None  # a value of Only
    gentle: bool = False  # samples as an app's photographs: large, upright, hardly changed
    hold_out_source: str | None = None
    workers: Positive | None = None  # that compose its samples, where it shall be more or less than for others

    @property
    def recipe(self) -> Recipe:
        """Of its samples."""
        return (GENTLE if self.gentle else Recipe()).without(*self.without)

    @property
    def settings(self) -> FitSettings:
        """Of its training."""
        shared = {field.name for field in fields(FitSettings)} & set(self.__struct_fields__)
        return FitSettings(**{name: getattr(self, name) for name in shared})

    def samples(self) -> tuple[Any, ...]:
        """What its samples depend on, but for their size."""
        return self.hold_out_source, self.only, frozenset(self.without), self.gentle, self.batch, self.seed


def read(path: Path, files: Path | None = None, pick: Sequence[str] | None = None) -> list[Variant]:
    """The trainings in a TOML file: tables `variant`, and one `all` of what they have in common.

    Weights it names lie in the folder `files`, or beside it. `pick`: names of those that are wanted; all where there
    are none. Raises TrainingError.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        common = raw.pop("all", {})
        rows = [{**common, **row} for row in raw.pop("variant", [])]
        variants = [msgspec.convert(row, Variant) for row in rows]
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError, TypeError, AttributeError) as error:
        raise TrainingError(f"{path} is not a list of trainings: {error}") from error
    names = [variant.name for variant in variants]
    if raw or not names or len(set(names)) < len(names):
        raise TrainingError(f"{path} needs tables `variant`, each with a name of its own, and one `all` at most")
    for variant in variants:
        _ = variant.recipe  # names an unknown family before anything is read
        if variant.trunk not in TRUNKS:
            raise TrainingError(f"{path}: {variant.name} has an unknown trunk {variant.trunk}: {', '.join(TRUNKS)}")
        if variant.only not in (None, *(only.value for only in Only)):
            raise TrainingError(f"{path}: {variant.name} is only of {variant.only}: it is cut-outs or photographs")
    if unknown := set(pick or ()) - set(names):
        raise TrainingError(f"{path} has no training called {', '.join(sorted(unknown))}")
    return [_found(variant, files or path.parent) for variant in variants if not pick or variant.name in pick]


def _found(variant: Variant, folder: Path) -> Variant:
    """With whole paths. Raises TrainingError for a file that is not there."""
    named = {key: folder / name for key in ("weights", "start_from") if (name := getattr(variant, key))}
    for path in named.values():
        if not path.is_file():
            raise TrainingError(f"{variant.name} begins with {path}: there is no such file")
    return msgspec.structs.replace(variant, **{key: str(path) for key, path in named.items()})


def sweep(
    variants: Sequence[Variant],
    data: Path,
    background: Path | None,
    strangers: Sequence[Path],
    run: Path,
    *,
    series: Path | None = None,
    test: Path | None = None,
    at_once: int = 1,
    workers: int | None = None,
    minutes: float | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[dict[str, Any]]:
    """Train every variant into `run`/NAME; a row of figures for each that got to its end, in their order.

    Each row is also in `run`/NAME/figures.json as soon as it is known, and all are in `run`/sweep.json at the end.
    Of `at_once` recipes samples are composed at the same time, by `workers` processes each. `minutes`: for all of it;
    trainings that would take longer end cooled down, and those whose turn does not come are left out.
    Raises TrainingError.
    """
    begun = time.monotonic()
    run.mkdir(parents=True, exist_ok=True)
    for variant in variants:
        (run / variant.name / FIGURES).unlink(missing_ok=True)
    square = InputSpec(size := max(variant.size for variant in variants), size, "squash")
    groups: dict[tuple[Any, ...], list[Variant]] = {}
    for variant in variants:
        groups.setdefault(variant.samples(), []).append(variant)
    test_pictures = _read_test(test, square) if test else None
    # All of it before the first training: what is wrong with the last one is not told after hours.
    say("reading photographs")
    sources = {variant.hold_out_source for variant in variants}
    read_ = {
        source: from_photos(data, background, strangers, square, series=series, held_out_source=source)
        for source in sources
    }
    for caution in dict.fromkeys(caution for found in read_.values() for caution in found.cautions):
        say(caution)
    prepared = {key: _chosen(read_[group[0].hold_out_source], group[0].only) for key, group in groups.items()}
    waiting, running = list(groups.items()), list[_Group]()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                key, alike = waiting.pop(0)
                left = None if minutes is None else minutes - (time.monotonic() - begun) / 60
                if left is not None and left <= 0:
                    say(f"no time is left for {', '.join(variant.name for variant in alike)}")
                    continue
                running.append(_Group(alike, _Given(prepared[key], test_pictures, run, left, say), workers))
            time.sleep(0.2)
            running = [group for group in running if not group.ended()]
    finally:
        for group in running:
            group.close()
    found = (run / variant.name / FIGURES for variant in variants)
    rows = [msgspec.json.decode(path.read_bytes()) for path in found if path.is_file()]
    _write(run / ALL_FIGURES, rows)
    return rows


def _write(path: Path, value: Any) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def _chosen(prepared: Prepared, only: str | None) -> Prepared:
    return prepared if only is None else prepared.of(Only(only))


def _read_test(folder: Path, square: InputSpec) -> tuple[NDArray[np.uint8], list[str]]:
    """Pictures (n, size, size, 3) and their labels."""
    photos = dataset.survey_notes(folder).photos
    if not photos:
        raise TrainingError(f"{folder} holds no pictures to test on")
    pictures = np.stack([to_tensor(dataset.load(photo.path), square)[0] for photo in photos])
    return pictures, [photo.label for photo in photos]


@dataclass(frozen=True)
class _Given:
    """What the trainings of a group share."""

    prepared: Prepared
    test: tuple[NDArray[np.uint8], list[str]] | None
    run: Path
    minutes: float | None
    say: Callable[[str], None]


class _Group:
    """The trainings of one recipe, under way: the supply of their samples and a process for each."""

    def __init__(self, variants: Sequence[Variant], given: _Given, workers: int | None) -> None:
        first, size = variants[0], max(variant.size for variant in variants)
        prepared = given.prepared
        composer = Composer(prepared.material, prepared.labels, size, first.seed, first.recipe)
        most = max(variant.head_steps + variant.steps for variant in variants)
        ahead = min(most, AHEAD_BYTES // (first.batch * size * size * 3)) if len(variants) > 1 else None
        workers = first.workers or workers
        self._names, self._say = [variant.name for variant in variants], given.say
        self._supply = Supply(composer, first.batch, readers=len(variants), workers=workers, ahead=ahead)
        self._supply.start()
        context = multiprocessing.get_context("fork")
        self._learning = {
            reader: context.Process(
                target=_learn, args=(variant, partial(self._supply.batches, reader=reader), given), daemon=True
            )
            for reader, variant in enumerate(variants)
        }
        for process in self._learning.values():
            process.start()

    def ended(self) -> bool:
        """Look after the processes; True when all have ended."""
        for reader, process in list(self._learning.items()):
            if process.exitcode is not None:
                self._supply.leave(reader)
                self._say(f"{self._names[reader]} {'has failed' if process.exitcode else 'is trained'}")
                del self._learning[reader]
        self._supply.notice()
        if not self._learning:
            self.close()
        return not self._learning

    def close(self) -> None:
        """End everything of it."""
        for process in self._learning.values():
            process.kill()
            process.join()
        self._supply.close()


def _learn(variant: Variant, batches: Callable[[int], Iterator[Batch]], given: _Given) -> None:
    """One training, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the sweep ends it
    os.nice(5)  # composing goes first: a driver may wait for its GPU as busily as if it worked
    from training.learn import network
    from training.learn.fit import fit

    start = variant.start_from
    prepared, folder = given.prepared, given.run / variant.name
    begun = time.monotonic()
    last = 0

    def tick(step: int, losses: dict[str, float]) -> None:
        nonlocal last
        last = step
        if step == 1 or step % TOLD_EVERY == 0:
            given.say(f"{variant.name}: step {step}, loss {losses['loss']:.3f}, {time.monotonic() - begun:.0f} s")

    try:
        model = fit(
            variant.settings,
            len(prepared.labels),
            Path(variant.weights) if variant.weights else None,
            lambda step: _resized(batches(step), variant.size),
            folder / "fit",
            start=None if not start else lambda model: network.take(model, Path(start)),
            minutes=given.minutes,
            tick=tick,
        )
    except TrainingError as error:
        given.say(f"{variant.name}: {error}")
        sys.exit(1)

    def scored(pictures: NDArray[np.uint8], truth: NDArray[np.int64]) -> dict[str, float]:
        return score(network.logits(model, _smaller(pictures, variant.size)), truth, prepared.labels)

    held = scored(prepared.held_pictures, prepared.held_truth)
    figures: dict[str, Any] = {"name": variant.name, "steps": last, "samples": last * variant.batch}
    figures |= {f"held out: {key}": value for key, value in held.items()}
    if given.test is not None:
        pictures, labels = given.test
        amounts = [label for label in prepared.labels if label not in RESERVED]
        truth = [prepared.labels.index(dataset.same_amount(label, amounts) or BACKGROUND) for label in labels]
        figures |= {f"test: {key}": value for key, value in scored(pictures, np.array(truth)).items()}
    _write(folder / FIGURES, figures)


def _resized(batches: Iterator[Batch], size: int) -> Iterator[Batch]:
    for pictures, targets, boxes, known in batches:
        yield _smaller(pictures, size), targets, boxes, known


def _smaller(pictures: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Pictures (n, size, size, 3) of at least that size."""
    if pictures.shape[1] == size:
        return pictures
    return np.stack([cv2.resize(p, (size, size), interpolation=cv2.INTER_AREA) for p in pictures])
