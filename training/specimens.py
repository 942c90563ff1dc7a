"""Owns which photographs a bundle is shown when it is measured, and what is known of each beside its truth.

The truth is `evaluate`'s: a folder whose name the bundle does not know counts as background. Knows no model.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edge.core.bundle import BACKGROUND, Bundle
from training import cutout, dataset, evaluate
from training.cutout import Patch
from training.errors import TrainingError
from training.prepare import HELD_OUT_SHARE


@dataclass(frozen=True)
class Specimen:
    """One photograph."""

    path: Path
    truth: str  # a denomination of the bundle, or background
    source: str = ""  # who took it, "" where nobody wrote it down
    series: str = ""  # "new", "old" ..., "" where nobody wrote it down
    box: tuple[float, float, float, float] | None = None  # centre x, y, width, height in 0..1

    def patch(self) -> Patch:
        """The note alone where its place is known, else the whole photograph. Raises TrainingError if broken."""
        pixels = dataset.load(self.path)
        found = cutout.cut(pixels, self.box) if self.box else None
        return found or cutout.whole(pixels)


def gather(data: Path, background: Path | None, bundle: Bundle) -> list[Specimen]:
    """Every photograph, as `evaluate` lists them, with what manifest.csv beside `data` says of it."""
    rows = read_manifest(data)
    found = []
    for path, truth in evaluate.list_pictures(data, background, bundle):
        if background is not None and path.is_relative_to(background):
            found.append(Specimen(path, truth, source=path.relative_to(background).parts[0]))
        else:
            found.append(_described(path, truth, rows))
    return found


def held_out(data: Path, background: Path | None, bundle: Bundle, source: str | None = None) -> list[Specimen]:
    """Only what training on these folders holds out: its share of the clusters, or everything of one source."""
    photos = _clustered(dataset.scan(data, background))
    _, held = dataset.split(photos, HELD_OUT_SHARE, source)
    rows = read_manifest(data)
    found = []
    for photo in (photos[index] for index in held):
        truth = photo.label if photo.label in bundle.denominations else BACKGROUND
        known = Specimen(photo.path, truth, photo.source, rows.get(_key(photo.path), {}).get("series") or "", photo.box)
        found.append(known)
    if not found:
        raise TrainingError(f"{data}: training holds none of these photographs out")
    return found


def _clustered(photos: list[dataset.Photo]) -> list[dataset.Photo]:
    """As training does it: notes whose near-duplicates nobody named are grouped by how they look."""
    unknown = [i for i, photo in enumerate(photos) if photo.label != BACKGROUND and not photo.cluster]
    pictures = [dataset.load(photos[i].path) for i in unknown]
    found = dict(zip(unknown, dataset.with_clusters([photos[i] for i in unknown], pictures), strict=True))
    return [found.get(i, photo) for i, photo in enumerate(photos)]


def read_manifest(data: Path) -> dict[str, dict[str, str]]:
    """The rows of manifest.csv beside `data`, by their file; empty where there is none."""
    path = data.resolve().parent / "manifest.csv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file) if row.get("file")}


def _key(path: Path) -> str:
    return "/".join(path.absolute().parts[-3:])


def _described(path: Path, truth: str, rows: dict[str, dict[str, str]]) -> Specimen:
    row = rows.get(_key(path), {})
    known = Specimen(path, truth, row.get("source") or "", row.get("series") or "")
    numbers = [float(part) for part in (row.get("box_cxcywh") or "").replace(",", " ").split()]
    if len(numbers) == 4:
        return replace(known, box=(numbers[0], numbers[1], numbers[2], numbers[3]))
    return known


def evenly(specimens: Sequence[Specimen], most: int, seed: int) -> list[Specimen]:
    """At most `most` of them (0: all), drawn evenly from the truths, in a mixed order that the seed decides."""
    groups: dict[str, list[Specimen]] = defaultdict(list)
    for specimen in specimens:
        groups[specimen.truth].append(specimen)
    rng = np.random.default_rng((seed, len(specimens)))
    order = [[group[i] for i in rng.permutation(len(group))] for _, group in sorted(groups.items())]
    turns = [group[i] for i in range(max(map(len, order), default=0)) for group in order if i < len(group)]
    return turns[:most] if most else turns
