"""Owns what a folder of photographs means: labels, sources, near-duplicate clusters, splits. Knows no model.

DATA/<denomination>[_<face>]/*.jpg     a class of notes; faces of one denomination are one class
DATA/background/...                    pictures on which nothing may be announced
DATA/../manifest.csv                   optional: file, source, series, cluster, box_cxcywh for each picture
SERIES.csv                             optional: file, series; where it names a picture, it overrides the manifest
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge.core.bundle import BACKGROUND
from training.errors import TrainingError
from training.pixels import as_pixels

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
LEFT_OUT = "-"
HELD_OUT_SHARE = 0.08  # of the clusters of near-duplicates: for temperature and thresholds
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
    series: str = ""  # which issue of the note, such as "old" or "new"; empty: nobody said


def is_denomination(name: str) -> bool:
    """Whether a folder's name, without its face suffix, is an amount."""
    return name.isascii() and name.replace(".", "", 1).isdigit() and float(name) > 0


def label_of(folder: str) -> str:
    """The label of a class folder: "100_2" is the second face of "100"."""
    return folder.split("_")[0] if is_denomination(folder.split("_")[0]) else folder


@dataclass(frozen=True)
class Problem:
    """One thing that keeps a folder from being trained on."""

    path: Path
    sentence: str


@dataclass
class Survey:
    """What a folder holds, and everything that is wrong with it, as far as can be seen without opening a picture."""

    photos: list[Photo] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def report(self, path: Path, sentence: str) -> None:
        """Note a problem of `path` and go on."""
        self.problems.append(Problem(path, sentence))

    def raise_first(self) -> None:
        """Stop at the first problem, for those who cannot go on with one."""
        if self.problems:
            raise TrainingError(self.problems[0].sentence)


def pictures_in(folder: Path) -> list[Path]:
    """Every picture below `folder`, sorted. Raises TrainingError for a file that is no known picture."""
    found = Survey()
    files = _pictures_in(folder, found)
    found.raise_first()
    return files


def _pictures_in(folder: Path, found: Survey) -> list[Path]:
    """Every picture below `folder`, sorted; other files are reported."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    for path in files:
        if path.suffix.lower() not in SUFFIXES:
            found.report(path, f"{path} is not a picture saynote reads ({', '.join(SUFFIXES)})")
    return [path for path in files if path.suffix.lower() in SUFFIXES]


def scan(data: Path, background: Path | None = None, series: Path | None = None) -> list[Photo]:
    """The photographs of a training folder, checked for what can be seen without opening them.

    Raises TrainingError for a missing folder, an empty class, fewer than two classes, a strange file.
    """
    found = survey(data, background, series)
    found.raise_first()
    return found.photos


def survey(data: Path, background: Path | None = None, series: Path | None = None) -> Survey:
    """The photographs of a training folder and all that is wrong with it; only a missing folder or table raises."""
    found = survey_notes(data, series)
    if background is not None:
        found.photos += _background(background, found)
    amounts = {photo.label for photo in found.photos} - {BACKGROUND}
    if len(amounts) < 2:
        few = f"{data} has {len(amounts)} denomination folder(s): a reader needs at least two to tell apart"
        found.report(data, few)
    if not any(photo.label == BACKGROUND for photo in found.photos):
        lacks = f"{data} has no {BACKGROUND} folder: give one with --background, or it will take all for money"
        found.report(data, lacks)
    return found


def survey_notes(data: Path, series: Path | None = None) -> Survey:
    """The same for the class folders alone, whichever they are: what a test folder is held to."""
    if not data.is_dir():
        raise TrainingError(f"there is no folder {data}")
    known = read_manifest(data)
    named = read_series(series) if series else {}
    found = Survey()
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        label = label_of(folder.name)
        if not is_denomination(label) and label != BACKGROUND:
            found.report(folder, f"{folder}: name the folder after the amount (10, 20_1, 0.5) or {BACKGROUND}")
            continue
        files = _pictures_in(folder, found)
        if not files:
            found.report(folder, f"{folder} holds no pictures: an empty class cannot be learnt")
        photos = [_describe(path, label, known, named, found) for path in files]
        found.photos += [photo for photo in photos if photo.label != LEFT_OUT]
    if named and not any(name_of(photo.path) in named for photo in found.photos):
        raise TrainingError(f"{series} names no picture of {data}: its column `file` is written like train/10/a.jpg")
    return found


def scan_background(folder: Path) -> list[Photo]:
    """Every picture below `folder` as background; the first folder level is its source."""
    found = Survey()
    photos = _background(folder, found)
    found.raise_first()
    return photos


def _background(folder: Path, found: Survey) -> list[Photo]:
    if not folder.is_dir():
        raise TrainingError(f"there is no folder {folder}")
    files = _pictures_in(folder, found)
    if not files:
        found.report(folder, f"{folder} holds no pictures")
    parts = [path.relative_to(folder).parts for path in files]
    return [Photo(f, BACKGROUND, p[0] if len(p) > 1 else "all") for f, p in zip(files, parts, strict=True)]


def name_of(path: Path) -> str:
    """What the tables call a picture: its last two folders and its name."""
    return "/".join(path.absolute().parts[-3:])


@dataclass(frozen=True)
class Seen:
    """What a person saw in a photograph; empty for what they did not look for."""

    series: str
    label: str  # the amount, where the folder's is wrong; LEFT_OUT where nothing can be learnt from it


def read_series(path: Path) -> dict[str, Seen]:
    """What people saw in the pictures of a table: columns `file`, `series` and, where one was wrong, `label`."""
    if not path.is_file():
        raise TrainingError(f"there is no table of series {path}")
    rows = _read_table(path, ("file", "series"))
    seen = {row["file"]: Seen((row["series"] or "").strip(), (row.get("label") or "").strip()) for row in rows}
    return {name: row for name, row in seen.items() if row.series or row.label}


def read_manifest(data: Path) -> dict[str, dict[str, str]]:
    """The manifest's row of each picture it names; empty where `data` has none beside it."""
    path = data.absolute().parent / "manifest.csv"
    return {row["file"]: row for row in _read_table(path, ("file",))} if path.is_file() else {}


def _read_table(path: Path, needed: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark before the first column
            table = csv.DictReader(file)
            lacking = [name for name in needed if name not in (table.fieldnames or ())]
            rows = list(table)
    except (UnicodeDecodeError, csv.Error) as error:
        raise TrainingError(f"{path} is not a table in CSV and UTF-8: {error}") from None
    if lacking:
        raise TrainingError(f"{path} has no column {' and no column '.join(lacking)}")
    return rows


def _describe(path: Path, label: str, known: dict[str, dict[str, str]], named: dict[str, Seen], found: Survey) -> Photo:
    name = name_of(path)
    row = known.get(name, {})
    seen = named.get(name, Seen("", ""))
    series = seen.series or row.get("series") or ""
    photo = Photo(path, seen.label or label, row.get("source") or "all", row.get("cluster") or "", series=series)
    try:
        return replace(photo, box=box_of(row))
    except ValueError as error:
        found.report(path, f"the box of {name} in the manifest is no four numbers: {error}")
        return photo


def box_of(row: dict[str, str]) -> tuple[float, float, float, float] | None:
    """The box in a row of the manifest, None where there is none. Raises ValueError, quoting what is no box."""
    text = (row.get("box_cxcywh") or "").replace(",", " ")
    if not text.split():
        return None
    try:
        x, y, width, height = map(float, text.split())
    except ValueError:
        raise ValueError(repr(text)) from None
    return x, y, width, height


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
    return as_pixels(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))


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


def clustered(photos: list[Photo]) -> list[Photo]:
    """The same photographs in order; notes whose near-duplicates nobody named are grouped by how they look."""
    unknown = [i for i, photo in enumerate(photos) if photo.label != BACKGROUND and not photo.cluster]
    pictures = [load(photos[i].path) for i in unknown]
    found = dict(zip(unknown, with_clusters([photos[i] for i in unknown], pictures), strict=True))
    return [found.get(i, photo) for i, photo in enumerate(photos)]


def split(
    photos: Iterable[Photo], held_out_share: float, held_out_source: str | None = None
) -> tuple[list[int], list[int]]:
    """Indices to train on and indices held out: whole clusters, or one whole source where it is named.

    A cluster goes by the hash of its name, so the split stays as photographs are added. Raises TrainingError for a
    source of which there is no photograph of a note.
    """
    photos = list(photos)
    if held_out_source is not None and held_out_source not in {p.source for p in photos if p.label != BACKGROUND}:
        raise TrainingError(f"no photograph of a note is from the source {held_out_source}")
    train: list[int] = []
    held: list[int] = []
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
