"""Owns the sweep: several trainings that differ in what its file says, scored alike.

Trainings of one recipe learn at the same time from the same composed samples; the recipes come one after the other, or
on several machines. Nothing here needs TensorFlow or an interpreter, so a sweep runs wherever Keras has a backend; a
network is exported from its folder by `train --resume` (docs/evaluation.md). This module must not import Keras.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.core.bundle import InputSpec
from edge.core.preprocess import to_tensor
from training.errors import TrainingError
from training.learn.prepare import Prepared, from_photos
from training.learn.settings import Only
from training.photos import dataset
from training.together import FIGURES, POLL_S, Group, Job, Say, write
from training.variants import Variant

ALL_FIGURES = "sweep.json"

Left: TypeAlias = Callable[[Job], float | None]  # minutes for a job that would begin now; None: as many as it likes
Do: TypeAlias = Callable[[Sequence[Job], Path, Left, Say], None]  # jobs, folder of their runs


def sweep(
    variants: Sequence[Variant],
    data: Path,
    background: Path | None,
    strangers: Sequence[Path],
    run: Path,
    *,
    series: Path | None = None,
    test: Path | None = None,
    do: Do | None = None,
    workers: int | None = None,
    minutes: float | None = None,
    say: Say = lambda line: None,
) -> list[dict[str, Any]]:
    """Train every variant into `run`/NAME; a row of figures for each that got to its end, in their order.

    Each row is also in `run`/NAME/figures.json as soon as it is known, and all are in `run`/sweep.json at the end.
    `do` has the jobs done, one for each recipe: `here`, one after the other, where it is left out. `workers` processes
    compose the samples of each. `minutes`: for all of it; trainings that would take longer end cooled down, and those
    whose turn does not come are left out.
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
    jobs = [Job(tuple(alike), prepared[key], test_pictures, workers) for key, alike in groups.items()]

    def left(job: Job) -> float | None:
        """Minutes for a job that would begin now, as its turn has come."""
        rest = None if minutes is None else minutes - (time.monotonic() - begun) / 60
        if rest is not None and rest <= 0:
            say(f"no time is left for {', '.join(job.names)}")
        return rest

    (do or here())(jobs, run, left, say)
    found = (run / variant.name / FIGURES for variant in variants)
    rows = [msgspec.json.decode(path.read_bytes()) for path in found if path.is_file()]
    write(run / ALL_FIGURES, rows)
    return rows


def here(at_once: int = 1) -> Do:
    """Has jobs done on this machine, so many at the same time."""

    def do(jobs: Sequence[Job], run: Path, left: Left, say: Say) -> None:
        waiting, running = list(jobs), list[Group]()
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    job = waiting.pop(0)
                    minutes = left(job)
                    if minutes is None or minutes > 0:
                        running.append(Group(job, run, minutes, say))
                time.sleep(POLL_S)
                running = [group for group in running if not group.ended()]
        finally:
            for group in running:
                group.close()

    return do


def _chosen(prepared: Prepared, only: str | None) -> Prepared:
    return prepared if only is None else prepared.of(Only(only))


def _read_test(folder: Path, square: InputSpec) -> tuple[NDArray[np.uint8], list[str]]:
    """Pictures (n, size, size, 3) and their labels."""
    photos = dataset.survey_notes(folder).photos
    if not photos:
        raise TrainingError(f"{folder} holds no pictures to test on")
    pictures = np.stack([to_tensor(dataset.load(photo.path), square)[0] for photo in photos])
    return pictures, [photo.label for photo in photos]
