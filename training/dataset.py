"""Owns what a folder of photographs means: labels, sources, near-duplicate clusters, splits. Knows no model.

DATA/<denomination>[_<face>]/*.jpg     a class of notes; faces of one denomination are one class
DATA/background/...                    pictures on which nothing may be announced
DATA/../manifest.csv                   optional: file, source, cluster, box_cxcywh for each picture
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge.core.bundle import BACKGROUND
from training.errors import TrainingError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
LONGEST_SIDE_PX = 320  # pictures are kept no larger: no model here looks closer
NEAR_DUPLICATE_BITS = 6  # of a 64-bit perceptual hash; bursts and re-saved copies lie below


@dataclass(frozen=True)
class Photo:
    """One photograph and what is known of it."""

    path: Path
    label: str
    source: str = "all"  # who took it: splits go by it
    cluster: str = ""  # near-duplicates share one
    box: tuple[float, float, float, float] | None = None  # centre x, y, width, height in 0..1
    series: str = ""  # of the note's design ("old", "new"), where known


def is_denomination(name: str) -> bool:
    """Whether a folder's name, without its face suffix, is an amount."""
    return name.isascii() and name.replace(".", "", 1).isdigit() and float(name) > 0


def label_of(folder: str) -> str:
    """The label of a class folder: "100_2" is the second face of "100"."""
    return folder.split("_")[0] if is_denomination(folder.split("_")[0]) else folder


def pictures_in(folder: Path) -> list[Path]:
    """Every picture below `folder`, sorted. Raises TrainingError for a file that is no known picture."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    for path in files:
        if path.suffix.lower() not in SUFFIXES:
            raise TrainingError(f"{path} is not a picture saynote reads ({', '.join(SUFFIXES)})")
    return files


def scan(data: Path, background: Path | None = None) -> list[Photo]:
    """The photographs of a training folder, checked for what can be seen without opening them.

    Raises TrainingError for a missing folder, an empty class, fewer than two classes, a strange file.
    """
    if not data.is_dir():
        raise TrainingError(f"there is no folder {data}")
    known = _read_manifest(data)
    photos: list[Photo] = []
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        label = label_of(folder.name)
        if not is_denomination(label) and label != BACKGROUND:
            raise TrainingError(f"{folder}: name the folder after the amount (10, 20_1, 0.5) or {BACKGROUND}")
        files = pictures_in(folder)
        if not files:
            raise TrainingError(f"{folder} holds no pictures: an empty class cannot be learnt")
        photos += [_describe(path, label, known) for path in files]
    if background is not None:
        photos += scan_background(background)
    amounts = {photo.label for photo in photos} - {BACKGROUND}
    if len(amounts) < 2:
        raise TrainingError(
            f"{data} has {len(amounts)} denomination folder(s): a reader needs at least two to tell apart"
        )
    if not any(photo.label == BACKGROUND for photo in photos):
        raise TrainingError(
            f"{data} has no {BACKGROUND} folder: give one with --background, or it will take all for money"
        )
    return photos


def scan_background(folder: Path) -> list[Photo]:
    """Every picture below `folder` as background; the first folder level is its source."""
    if not folder.is_dir():
        raise TrainingError(f"there is no folder {folder}")
    files = pictures_in(folder)
    if not files:
        raise TrainingError(f"{folder} holds no pictures")
    return [Photo(path, BACKGROUND, source=path.relative_to(folder).parts[0]) for path in files]


def _read_manifest(data: Path) -> dict[str, dict[str, str]]:
    path = data.parent / "manifest.csv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def _describe(path: Path, label: str, known: dict[str, dict[str, str]]) -> Photo:
    row = known.get(_listed_name(path), {})
    photo = Photo(path, label, row.get("source") or "all", row.get("cluster") or "", series=row.get("series") or "")
    numbers = [float(part) for part in (row.get("box_cxcywh") or "").replace(",", " ").split()]
    if len(numbers) == 4:
        return replace(photo, box=(numbers[0], numbers[1], numbers[2], numbers[3]))
    return photo


LEFT_OUT = "-"  # as a corrected label: nothing can be learnt from this picture


def corrected(photos: Iterable[Photo], notes: Path) -> list[Photo]:
    """The same photographs with what a person saw in them: `notes` is a CSV of file, series and, where wrong, label.

    A label of "-" leaves the picture out. Raises TrainingError for a file that cannot be read or has other columns.
    """
    try:
        with notes.open(newline="", encoding="utf-8") as file:
            rows = {row["file"]: (row["series"], row["label"]) for row in csv.DictReader(file)}
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise TrainingError(f"{notes} is no list of file,series,label: {error}") from error
    result = []
    for photo in photos:
        series, label = rows.get(_listed_name(photo.path), ("", ""))
        if label != LEFT_OUT:
            result.append(replace(photo, series=series or photo.series, label=label or photo.label))
    return result


def _listed_name(path: Path) -> str:
    """As a manifest names it: split, class folder, file."""
    return "/".join(path.parts[-3:])


def load(path: Path, longest_px: int = LONGEST_SIDE_PX) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 RGB, its longest side at most `longest_px`; TrainingError names a broken file."""
    data = np.fromfile(path, np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is None:
        raise TrainingError(f"{path} is broken: it cannot be opened as a picture")
    scale = longest_px / max(picture.shape[:2])
    if scale < 1:
        size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def with_clusters(photos: list[Photo], pictures: list[NDArray[np.uint8]]) -> list[Photo]:
    """The same photographs, each in a cluster: the manifest's, else near-duplicates by perceptual hash."""
    hashes: list[tuple[int, str]] = []
    result = []
    for photo, picture in zip(photos, pictures, strict=True):
        if photo.cluster:
            result.append(photo)
            continue
        bits = int(str(imagehash.phash(Image.fromarray(picture))), 16)
        name = next((c for other, c in hashes if (bits ^ other).bit_count() <= NEAR_DUPLICATE_BITS), None)
        name = name or f"{photo.label}/{photo.path.name}"
        hashes.append((bits, name))
        result.append(replace(photo, cluster=name))
    return result


def split(
    photos: Iterable[Photo], held_out_share: float, held_out_source: str | None = None
) -> tuple[list[int], list[int]]:
    """Indices to train on and indices held out: whole clusters, or one whole source where it is named.

    A cluster goes by the hash of its name, so the split stays as photographs are added.
    """
    train, held = [], []
    for index, photo in enumerate(photos):
        if held_out_source is not None and photo.label != BACKGROUND:
            out = photo.source == held_out_source
        else:
            point = int(
                hashlib.sha256(f"{photo.source}/{photo.cluster or photo.path.name}".encode()).hexdigest()[:8], 16
            )
            out = point / 2**32 < held_out_share
        (held if out else train).append(index)
    return train, held


def digest(photos: list[Photo]) -> str:
    """SHA-256 over labels and contents of all photographs: names this data, whatever folder it lies in."""
    total = hashlib.sha256()
    for photo in photos:
        total.update(f"{photo.label}:{hashlib.sha256(photo.path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def counts(photos: Iterable[Photo]) -> dict[str, int]:
    """How many photographs each label has."""
    return dict(Counter(photo.label for photo in photos))
