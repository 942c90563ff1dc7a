"""Owns what a folder of photographs means: labels, sources, near-duplicate clusters, splits. Knows no model.

DATA/<denomination>[_<face>]/*.jpg     a class of notes; faces of one denomination are one class
DATA/background/...                    pictures on which nothing may be announced
DATA/../manifest.csv                   optional: file, source, series, cluster, box_cxcywh for each picture
SERIES.csv                             optional: file, series; where it names a picture, it overrides the manifest
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge.core import picture
from edge.core.bundle import BACKGROUND, SEVERAL, check_labels
from edge.core.errors import BundleError, PictureError
from training.errors import TrainingError
from training.photos.folders import Walk, folders_of, pictures_of
from training.photos.manifest import LEFT_OUT, Seen, box_of, name_of, read_manifest, read_series
from training.pixels import as_pixels

HELD_OUT_SHARE = 0.08  # of the clusters of near-duplicates: for temperature and thresholds
FEWEST_CLUSTERS = round(1 / HELD_OUT_SHARE)  # of fewer, what is held out is a single one
THOUSANDS = re.compile(r"\d+(_000)+(?=_|$)")  # 10_000 is read as a face of 10, and is meant for ten thousand
LONGEST_SIDE_PX = 320  # pictures are kept no larger: no model here looks closer
LEAST_SIDE_PX = 8  # of a picture as it is kept: nothing can be composed of a strip
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


def same_amount(label: str, amounts: Iterable[str]) -> str:
    """That of `amounts` which is as much as `label`, however it is written (5, 5.0); "" where there is none."""
    if not is_denomination(label):
        return ""
    return next((amount for amount in amounts if Decimal(amount) == Decimal(label)), "")


def label_of(folder: str) -> str:
    """The label of a class folder: "100_2" is the second face of "100"."""
    return folder.split("_")[0] if is_denomination(folder.split("_")[0]) else folder


@dataclass
class Survey(Walk):
    """What a folder holds, and everything that is wrong with it, as far as can be seen without opening a picture."""

    photos: list[Photo] = field(default_factory=list)


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
    if not found.problems:
        try:
            check_labels((*amounts, BACKGROUND, SEVERAL))
        except BundleError as error:
            found.report(data, f"{data} has no labels for a bundle: {error}")
    return found


def survey_notes(data: Path, series: Path | None = None) -> Survey:
    """The same for the class folders alone, whichever they are: what a test folder is held to."""
    found = Survey()
    folders = folders_of(data, found)
    known = read_manifest(data)
    named = read_series(series) if series else {}
    for folder in folders:
        label = label_of(folder.name)
        if grouped := THOUSANDS.match(folder.name):
            plain = grouped[0].replace("_", "")
            found.report(folder, f"{folder} would be a face of {label}: write {plain}, or give the face another name")
            continue
        if not is_denomination(label) and label != BACKGROUND:
            found.report(folder, f"{folder}: name the folder after the amount (10, 20_1, 0.5) or {BACKGROUND}")
            continue
        files = pictures_of(folder, found)
        if not files:
            found.report(folder, f"{folder} holds no pictures: an empty class cannot be learnt")
        photos = [_describe(path, label, known, named, found) for path in files]
        found.photos += [photo for photo in photos if photo.label != LEFT_OUT]
    if named and not any(name_of(photo.path) in named for photo in found.photos):
        raise TrainingError(f"{series} names no picture of {data}: its column `file` is written like train/10/a.jpg")
    _report_labels(found)
    return found


def _report_labels(found: Survey) -> None:
    """Amounts that are written in two ways, and labels that no bundle can have."""
    first: dict[str, Photo] = {}
    for photo in found.photos:
        first.setdefault(photo.label, photo)
    written: dict[Decimal, Photo] = {}
    for label in sorted(first.keys() - {BACKGROUND}):
        photo = first[label]
        try:
            check_labels((label, BACKGROUND))
        except BundleError as error:
            found.report(photo.path, f"{_whence(photo)} cannot be of the amount {label}: {error}")
            continue
        other = written.setdefault(Decimal(label), photo)
        if other is not photo:
            both = f"{_whence(other)} and {_whence(photo)}"
            found.report(photo.path, f"{both} are the same amount, {other.label} and {label}: write it in one way")


def _whence(photo: Photo) -> Path:
    """The folder that a photograph has its label from; the photograph itself where a table corrected it."""
    return next((folder for folder in photo.path.parents if label_of(folder.name) == photo.label), photo.path)


def scan_background(folder: Path) -> list[Photo]:
    """Every picture below `folder` as background; the first folder level is its source."""
    found = Survey()
    photos = _background(folder, found)
    found.raise_first()
    return photos


def survey_strangers(folders: Iterable[Path]) -> Survey:
    """Every picture of other money below `folders`, and what is wrong with them; only a missing folder raises."""
    found = Survey()
    for folder in folders:
        found.photos += _background(folder, found)
    return found


def _background(folder: Path, found: Survey) -> list[Photo]:
    if not folder.is_dir():
        raise TrainingError(f"there is no folder {folder}")
    files = pictures_of(folder, found)
    if not files:
        found.report(folder, f"{folder} holds no pictures")
    parts = [path.relative_to(folder).parts for path in files]
    return [Photo(f, BACKGROUND, p[0] if len(p) > 1 else "all") for f, p in zip(files, parts, strict=True)]


def _describe(path: Path, label: str, known: dict[str, dict[str, str]], named: dict[str, Seen], found: Survey) -> Photo:
    name = name_of(path)
    row = known.get(name, {})
    seen = named.get(name, Seen("", ""))
    series = seen.series or row.get("series") or ""
    photo = Photo(path, seen.label or label, row.get("source") or "all", row.get("cluster") or "", series=series)
    try:
        return replace(photo, box=box_of(row))
    except ValueError as error:
        found.report(path, f"the box of {name} in the manifest {error}")
        return photo


def load(path: Path, longest_px: int = LONGEST_SIDE_PX) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 RGB, its longest side at most `longest_px`; TrainingError names what cannot be read."""
    try:
        return shrunk(picture.read(path).pixels, longest_px)
    except PictureError as error:
        raise TrainingError(str(error)) from None


def load_to_compose(path: Path) -> NDArray[np.uint8]:
    """`load` for what samples and films are made of. Raises TrainingError for a strip, too, of which none can be."""
    pixels = load(path)
    require_sides(path, pixels)
    return pixels


def require_sides(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Raises TrainingError where a picture, made as small as it is kept, is a strip."""
    height, width = pixels.shape[:2]
    if min(height, width) < LEAST_SIDE_PX:
        kept = f"{width} x {height} pixels, made no longer than {LONGEST_SIDE_PX}"
        raise TrainingError(f"{path} is too narrow to be used: {kept}")


def shrunk(pixels: NDArray[np.uint8], longest_px: int = LONGEST_SIDE_PX) -> NDArray[np.uint8]:
    """The picture with its longest side at most `longest_px`."""
    scale = longest_px / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    return as_pixels(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def with_clusters(photos: list[Photo], hashes: Sequence[int]) -> list[Photo]:
    """The same photographs, each in a cluster: the manifest's, else those whose perceptual hashes nearly agree."""
    seen: list[tuple[int, str]] = []
    result = []
    for photo, bits in zip(photos, hashes, strict=True):
        if photo.cluster:
            result.append(photo)
            continue
        name = next((c for other, c in seen if (bits ^ other).bit_count() <= NEAR_DUPLICATE_BITS), None)
        name = name or f"{photo.label}/{photo.path.name}"
        seen.append((bits, name))
        result.append(replace(photo, cluster=name))
    return result


def phash(pixels: NDArray[np.uint8]) -> int:
    """The perceptual hash of a picture, 64 bits."""
    return int(str(imagehash.phash(Image.fromarray(pixels))), 16)


def clustered(photos: list[Photo], hash_of: Callable[[Path], int] = lambda path: phash(load(path))) -> list[Photo]:
    """The same photographs in order; notes whose near-duplicates nobody named are grouped by how they look."""
    unknown = [i for i, photo in enumerate(photos) if photo.label != BACKGROUND and not photo.cluster]
    hashes = [hash_of(photos[i].path) for i in unknown]
    found = dict(zip(unknown, with_clusters([photos[i] for i in unknown], hashes), strict=True))
    return [found.get(i, photo) for i, photo in enumerate(photos)]


def split(
    photos: Iterable[Photo], held_out_share: float, held_out_source: str | None = None
) -> tuple[list[int], list[int]]:
    """Indices to train on and indices held out: whole clusters, or one whole source where it is named.

    A cluster goes by the hash of its name, so the split stays as photographs are added. Of a label none of which
    would be held out, or all, the cluster nearest to the share changes sides. Raises TrainingError for a source of
    which there is no photograph of a note.
    """
    photos = list(photos)
    if held_out_source is not None and held_out_source not in {p.source for p in photos if p.label != BACKGROUND}:
        raise TrainingError(f"no photograph of a note is from the source {held_out_source}")
    by_cluster = [photo for photo in photos if held_out_source is None or photo.label == BACKGROUND]
    out = _held_clusters(by_cluster, held_out_share)
    train: list[int] = []
    held: list[int] = []
    for index, photo in enumerate(photos):
        if held_out_source is not None and photo.label != BACKGROUND:
            is_out = photo.source == held_out_source
        else:
            is_out = _cluster_of(photo) in out
        (held if is_out else train).append(index)
    return train, held


def _cluster_of(photo: Photo) -> str:
    return f"{photo.source}/{photo.cluster or photo.path.name}"


def _held_clusters(photos: Sequence[Photo], share: float) -> set[str]:
    """The clusters that are held out: `share` of them, and of each label at least one and not all."""
    of_label: dict[str, set[str]] = defaultdict(set)
    for photo in photos:
        of_label[photo.label].add(_cluster_of(photo))
    point = {name: _point(name) for names in of_label.values() for name in names}
    held = {name for name in point if point[name] < share}
    for label in sorted(of_label) if share > 0 else ():
        names = sorted(of_label[label], key=point.__getitem__)
        if len(names) > 1 and held.isdisjoint(names):
            # Pictures of two labels may look alike and share a cluster: the last one of a label is left to it.
            last = {left.pop() for others in of_label.values() if len(left := others - held) == 1}
            held.add(next((name for name in names if name not in last), names[0]))
        elif len(names) > 1 and held.issuperset(names):
            held.discard(names[-1])
    return held


def _point(name: str) -> float:
    """Where in 0..1 a cluster of this name lies."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32


def lacking(photos: Sequence[Photo], train: Sequence[int], held: Sequence[int]) -> list[str]:
    """A sentence for each label that no bundle can be made with: nothing is left to train on, or to hold out.

    A split by source may hold nothing out of an amount: that is a matter for `cautions`.
    """
    trained, kept = ({photos[index].label for index in side} for side in (train, held))
    found = []
    for label, different in _different(photos).items():
        if different < 2 and (label not in kept or label not in trained):
            found.append(f"of {label} there is a single different picture: two are needed, one of them to hold out")
        elif label not in trained:
            found.append(f"no picture of {label} is left to train on: all are held out")
    return found


def cautions(photos: Sequence[Photo], held: Sequence[int]) -> list[str]:
    """What to know of amounts whose threshold will rest on hardly anything, and of pictures of two that look alike."""
    kept = {photos[index].label for index in held}
    found = _alike_under_two_labels(photos)
    for label, different in _different(photos).items():
        if label == BACKGROUND:
            continue
        if label not in kept:
            found.append(f"no picture of {label} is held out: its threshold will rest on the other amounts")
        elif different < FEWEST_CLUSTERS:
            found.append(f"{label} has {different} different picture(s): its threshold will rest on a single one")
    return found


def _alike_under_two_labels(photos: Iterable[Photo]) -> list[str]:
    first: dict[str, Photo] = {}
    notes = [(first.setdefault(_cluster_of(photo), photo), photo) for photo in photos if photo.label != BACKGROUND]
    pairs = [(one, other) for one, other in notes if one.label != other.label]
    if not pairs:
        return []
    one, other = pairs[0]
    more = f", and {len(pairs) - 1} more pairs do" if len(pairs) > 1 else ""
    return [
        f"{one.path} and {other.path} look alike and are told to be {one.label} and {other.label}{more}: see `check`"
    ]


def _different(photos: Iterable[Photo]) -> dict[str, int]:
    """How many clusters each label has."""
    found: dict[str, set[str]] = defaultdict(set)
    for photo in photos:
        found[photo.label].add(_cluster_of(photo))
    return {label: len(found[label]) for label in sorted(found)}


def hashes(photos: Iterable[Photo]) -> list[str]:
    """SHA-256 of the contents of each photograph."""
    return [hashlib.sha256(photo.path.read_bytes()).hexdigest() for photo in photos]


def under_two_labels(photos: Sequence[Photo], contents: Sequence[str]) -> list[tuple[Photo, Photo]]:
    """Every picture that lies under two labels, byte for byte; `contents` are the hashes of `photos`."""
    first: dict[str, Photo] = {}
    pairs = [(first.setdefault(content, photo), photo) for photo, content in zip(photos, contents, strict=True)]
    return [(one, other) for one, other in pairs if one.label != other.label]


def digest(photos: Sequence[Photo], contents: Sequence[str] | None = None) -> str:
    """SHA-256 over labels and contents of all photographs: names this data, whatever folder it lies in."""
    total = hashlib.sha256()
    for photo, content in zip(photos, contents or hashes(photos), strict=True):
        total.update(f"{photo.label}:{content}\n".encode())
    return total.hexdigest()


def counts(photos: Iterable[Photo]) -> dict[str, int]:
    """How many photographs each label has."""
    return dict(Counter(photo.label for photo in photos))
