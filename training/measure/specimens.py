"""Owns which photographs a bundle is shown when it is measured, and what is known of each beside its truth.

A folder whose name the bundle does not know counts as background. Knows no model.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.core.bundle import BACKGROUND, Bundle
from training.errors import TrainingError
from training.photos import cutout, dataset, folders, manifest
from training.photos.cutout import Patch
from training.photos.dataset import Photo


@dataclass(frozen=True)
class Specimen:
    """One photograph."""

    path: Path
    truth: str  # a denomination of the bundle, or background
    source: str = ""  # who took it, "" where nobody wrote it down
    series: str = ""  # "new", "old" ..., "" where nobody wrote it down
    box: tuple[float, float, float, float] | None = None  # centre x, y, width, height in 0..1

    @property
    def unknown_amount(self) -> bool:
        """Whether it shows a note whose amount the bundle does not know: background, but money all the same."""
        return self.truth == BACKGROUND and dataset.is_denomination(dataset.label_of(self.path.parent.name))

    def patch(self) -> Patch:
        """The note alone where its place is known, else the whole photograph. Raises TrainingError if broken."""
        pixels = dataset.load_to_compose(self.path)
        found = cutout.cut(pixels, self.box) if self.box else None
        return found or cutout.whole(pixels)


def list_pictures(data: Path, background: Path | None, bundle: Bundle) -> list[tuple[Path, str]]:
    """Every picture with its truth: a denomination of the bundle, or background."""
    pictures = []
    for folder in folders.folders_in(data):
        truth = dataset.same_amount(dataset.label_of(folder.name), bundle.denominations) or BACKGROUND
        pictures += [(path, truth) for path in folders.pictures_in(folder)]
    if background is not None:
        pictures += [(photo.path, BACKGROUND) for photo in dataset.scan_background(background)]
    if not pictures:
        raise TrainingError(f"{data} holds no sub-folder with pictures")
    return pictures


def gather(data: Path, background: Path | None, bundle: Bundle) -> list[Specimen]:
    """Every photograph with what manifest.csv beside `data` says of it."""
    rows = manifest.read_manifest(data)
    found = []
    for path, truth in list_pictures(data, background, bundle):
        if background is not None and path.is_relative_to(background):
            found.append(Specimen(path, truth, source=path.relative_to(background).parts[0]))
        else:
            found.append(_described(path, truth, rows))
    return found


def trained(data: Path, background: Path | None, bundle: Bundle, series: Path | None = None) -> list[Specimen]:
    """Every photograph that training on these folders reads, as training reads it.

    `series`: the table of series and corrected labels that it was trained with. Raises TrainingError.
    """
    return [_of(photo, bundle) for photo in dataset.scan(data, background, series)]


def held_out(
    data: Path, background: Path | None, bundle: Bundle, source: str | None = None, series: Path | None = None
) -> list[Specimen]:
    """Only what of these training holds out: its share of the clusters, or everything of one source."""
    photos = dataset.clustered(dataset.scan(data, background, series))
    _, held = dataset.split(photos, dataset.HELD_OUT_SHARE, source)
    if not held:
        raise TrainingError(f"{data}: training holds none of these photographs out")
    return [_of(photos[index], bundle) for index in held]


def _of(photo: Photo, bundle: Bundle) -> Specimen:
    truth = dataset.same_amount(photo.label, bundle.denominations) or BACKGROUND
    return Specimen(photo.path, truth, photo.source, photo.series, photo.box)


def _described(path: Path, truth: str, rows: dict[str, dict[str, str]]) -> Specimen:
    row = rows.get(manifest.name_of(path), {})
    box = None
    with contextlib.suppress(ValueError):  # that of training: here what is no box is none
        box = manifest.box_of(row)
    return Specimen(path, truth, row.get("source") or "", row.get("series") or "", box)


def evenly(specimens: Sequence[Specimen], most: int, seed: int) -> list[Specimen]:
    """At most `most` of them (0: all), drawn evenly from the truths, in a mixed order that the seed decides."""
    groups: dict[str, list[Specimen]] = defaultdict(list)
    for specimen in specimens:
        groups[specimen.truth].append(specimen)
    rng = np.random.default_rng((seed, len(specimens)))
    order = [[group[i] for i in rng.permutation(len(group))] for _, group in sorted(groups.items())]
    turns = [group[i] for i in range(max(map(len, order), default=0)) for group in order if i < len(group)]
    return turns[:most] if most else turns
