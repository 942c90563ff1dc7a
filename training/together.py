"""Owns the trainings of one recipe, which learn at the same time from the same composed samples.

Nothing here needs TensorFlow or an interpreter. This module must not import Keras: the processes that train are forks,
and a GPU that was touched before does not survive that. `python -m training.together RUN` does a job that comes through
standard input, in a process without threads of others: for whoever has some.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.core.bundle import BACKGROUND, RESERVED
from training.errors import TrainingError
from training.learn.prepare import Prepared
from training.learn.scores import score
from training.learn.supply import Batch, Supply
from training.photos import dataset
from training.synth.compose import Composer
from training.variants import Variant

AHEAD_BYTES = 2_000_000_000  # of composed samples kept for trainings that go at different speeds
TOLD_EVERY = 100  # steps
POLL_S = 0.2
FIGURES = "figures.json"

Say: TypeAlias = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """Trainings of one recipe and all that they need: it can be sent to another machine."""

    variants: tuple[Variant, ...]
    prepared: Prepared
    test: tuple[NDArray[np.uint8], list[str]] | None  # pictures (n, size, size, 3) and their labels
    workers: int | None  # that compose samples; None: one for each processor

    @property
    def names(self) -> list[str]:
        """Of its trainings."""
        return [variant.name for variant in self.variants]


@dataclass(frozen=True)
class _Given:
    """What the trainings of a group share."""

    prepared: Prepared
    test: tuple[NDArray[np.uint8], list[str]] | None
    run: Path
    minutes: float | None
    say: Say


class Group:
    """A job under way: the supply of its samples and a process for each training."""

    def __init__(self, job: Job, run: Path, minutes: float | None, say: Say) -> None:
        """Each training leaves its run and its figures in `run`/NAME; `minutes` for all of it."""
        variants, prepared = job.variants, job.prepared
        given = _Given(prepared, job.test, run, minutes, say)
        first, size = variants[0], max(variant.size for variant in variants)
        composer = Composer(prepared.material, prepared.labels, size, first.seed, first.recipe)
        most = max(variant.head_steps + variant.steps for variant in variants)
        ahead = min(most, AHEAD_BYTES // (first.batch * size * size * 3)) if len(variants) > 1 else None
        workers = first.workers or job.workers
        self._names, self._say = job.names, say
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


def write(path: Path, value: Any) -> None:
    """As JSON that a person can read."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


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
    write(folder / FIGURES, figures)


def _resized(batches: Iterator[Batch], size: int) -> Iterator[Batch]:
    for pictures, targets, boxes, known in batches:
        yield _smaller(pictures, size), targets, boxes, known


def _smaller(pictures: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Pictures (n, size, size, 3) of at least that size."""
    if pictures.shape[1] == size:
        return pictures
    return np.stack([cv2.resize(p, (size, size), interpolation=cv2.INTER_AREA) for p in pictures])


def main(run: Path) -> None:
    """The job of standard input, and the minutes for it; it ends with whoever began it."""
    job, minutes = pickle.load(sys.stdin.buffer)
    begun_by, group = os.getppid(), Group(job, run, minutes, _say_here)
    try:
        while not group.ended() and os.getppid() == begun_by:
            time.sleep(POLL_S)
    finally:
        group.close()


def _say_here(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
