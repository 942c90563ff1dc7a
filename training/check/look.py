"""Owns the look at the data before any training: what is in a folder of photographs and what is wrong with it.

Goes on where training stops at the first fault. Knows no model of ours; how it is shown is checkpage.py's.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.core import bundle as bundles
from edge.core import preprocess
from edge.core.bundle import BACKGROUND
from edge.drivers.tflite import TfliteEngine
from training.check import condition, disagreement, lookalikes
from training.check.findings import IMBALANCE, SMALL_NOTE, SOUND_CLUSTERS, Finding, Report, Suspect
from training.errors import TrainingError
from training.photos import dataset, folders, manifest
from training.photos.dataset import FEWEST_CLUSTERS, Photo
from training.pixels import as_pixels

Tick = Callable[[str, int, int], None]  # what is being done, how many are done, of how many
SUSPECT_BELOW = 0.1  # probability of the given label; above it the network is more often wrong than the label


@dataclass
class Checked:
    """The report, and what groups and sheets are made of."""

    report: Report
    photos: list[Photo]  # those that can be opened
    features: disagreement.Features | None  # of the same photographs


@dataclass(frozen=True)
class _Seen:
    """A photograph that can be opened, and what is kept of its pixels."""

    photo: Photo
    small: NDArray[np.uint8]  # (96, 96, 3)
    bits: int  # its perceptual hash
    print: lookalikes.Print | None  # None where there is nothing to see
    logits: NDArray[np.float32] | None = None  # of the bundle, where one is given


def check(
    data: Path,
    background: Path | None = None,
    against: Path | None = None,
    series: Path | None = None,
    weights: Path | None = None,
    bundle: Path | None = None,
    seed: int = 1,
    tick: Tick = lambda what, done, total: None,
    *,
    strangers: Sequence[Path] = (),
) -> Checked:
    """Look at every photograph. Raises TrainingError for options that cannot be used, BundleError for a bad bundle."""
    found = dataset.survey(data, background, series)
    tests = dataset.survey_notes(against).photos if against else []
    others = dataset.survey_strangers(strangers)
    if weights is not None and not weights.is_file():
        raise TrainingError(f"there is no weights file {weights}")
    report = Report(data, len(found.photos), _counts(found.photos))
    report.passed_over = folders.passed_over(data, background, against, *strangers)
    problems = found.problems + others.problems
    report.findings += [Finding("problem", problem.sentence, (problem.path,)) for problem in problems]
    seen = _open_all(found.photos, report, bundle, tick)
    alike = _alike(seen)
    clustered = _clusters(seen, alike)
    report.findings += [
        *_missing(data, series, found.photos),
        *_small_notes(s.photo for s in seen),
        *_copies([s.photo for s in seen], alike),
        *_between(seen, tests, "leak", "there", ("reading the test folder", tick)),
        *_between(seen, others.photos, "labels", "among the strangers", ("reading strangers", tick)),
        *_unsplit(seen),
        *_sizes(clustered),
    ]
    features = _features(seen, weights, tick)
    if features is not None:
        report.agreement, report.suspects = _suspects(features, clustered, seed)
        report.findings += [Finding("suspect", _said(suspect), (suspect.path,)) for suspect in report.suspects]
    return Checked(report, [s.photo for s in seen], features)


def _counts(photos: Iterable[Photo]) -> dict[str, dict[str, dict[str, int]]]:
    counted: dict[str, dict[str, dict[str, int]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for photo in photos:
        counted[photo.label][photo.source][photo.series] += 1
    return {label: {name: dict(of) for name, of in sources.items()} for label, sources in counted.items()}


def _open_all(photos: Sequence[Photo], report: Report, bundle: Path | None, tick: Tick) -> list[_Seen]:
    """Those that can be opened; what is wrong with the files goes into the report."""
    read = bundles.read(bundle) if bundle else None
    engine = TfliteEngine(read.model, threads=1) if read else None
    seen = []
    try:
        for number, photo in enumerate(photos):
            examined = condition.examine(photo.path)
            report.findings += examined.findings
            if (pixels := examined.pixels) is not None:
                logits = None
                if read and engine:
                    logits = engine.invoke(preprocess.to_tensor(pixels, read.manifest.input))[0][0]
                seen.append(_keep(photo, pixels, None if examined.blank else lookalikes.take(pixels), logits))
            tick("reading photographs", number + 1, len(photos))
    finally:
        if engine:
            engine.close()
    return seen


def _keep(
    photo: Photo, pixels: NDArray[np.uint8], print_: lookalikes.Print | None, logits: NDArray[np.float32] | None
) -> _Seen:
    side = disagreement.SIDE_PX
    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    return _Seen(photo, as_pixels(small), dataset.phash(pixels), print_, logits)


def _missing(data: Path, series: Path | None, photos: Sequence[Photo]) -> list[Finding]:
    there = {manifest.name_of(photo.path) for photo in photos}
    named = set(manifest.read_manifest(data)) | set(manifest.read_series(series) if series else ())
    names = sorted(name for name in named if name.startswith(f"{data.name}/") and name not in there)
    return [Finding("missing", f"{name} is in a table but not in the folder") for name in names]


def _small_notes(photos: Iterable[Photo]) -> list[Finding]:
    filled = [(photo.path, photo.box[2] * photo.box[3]) for photo in photos if photo.box]
    return [
        Finding("small_note", f"{path}: the note fills {share:.0%} of the frame", (path,))
        for path, share in filled
        if share < SMALL_NOTE
    ]


def _alike(seen: Sequence[_Seen]) -> list[tuple[int, int]]:
    """Every two that show the same."""
    there = [i for i, s in enumerate(seen) if s.print is not None]
    return [(there[i], there[j]) for i, j in lookalikes.pairs([s.print for s in seen if s.print is not None])]


def _copies(photos: Sequence[Photo], alike: Sequence[tuple[int, int]]) -> list[Finding]:
    """Groups within a label, and every pair across labels, sources and the manifest's clusters."""
    result = []
    same = []
    # Of a picture without anything to see nobody can say what it shows: only its bytes tell a copy.
    copies = dataset.under_two_labels(photos, dataset.hashes(photos))
    places = {photo.path: i for i, photo in enumerate(photos)}
    alike = sorted({*alike, *((places[one.path], places[two.path]) for one, two in copies)})
    for i, j in alike:
        one, two = photos[i], photos[j]
        if one.label != two.label:
            result.append(_pair("labels", one, two, f"{one.label} and {two.label}"))
            continue
        if one.label == BACKGROUND:
            continue  # a background twice over harms nothing
        same.append((i, j))
        if one.source != two.source:
            result.append(_pair("sources", one, two, f"{one.source} and {two.source}"))
        if one.cluster and two.cluster and one.cluster != two.cluster:
            result.append(_pair("apart", one, two, f"clusters {one.cluster} and {two.cluster}"))
    members: dict[int, list[Path]] = defaultdict(list)
    for photo, group in zip(photos, lookalikes.groups(len(photos), same), strict=True):
        members[group].append(photo.path)
    result += [
        Finding("copies", f"{paths[0]} and {len(paths) - 1} more show the same", tuple(paths))
        for paths in members.values()
        if len(paths) > 1
    ]
    return result


def _pair(kind: str, one: Photo, two: Photo, by: str) -> Finding:
    return Finding(kind, f"{one.path} and {two.path} show the same: {by}", (one.path, two.path))


def _between(
    seen: Sequence[_Seen], others: Sequence[Photo], kind: str, where: str, told: tuple[str, Tick]
) -> list[Finding]:
    """Pictures that are among the `others` too, by what they show."""
    kept, prints, result = [], [], []
    for number, photo in enumerate(others):
        examined = condition.examine(photo.path)
        result += [finding for finding in examined.findings if finding.kind == "broken"]
        if examined.pixels is not None and not examined.blank:
            kept.append(photo)
            prints.append(lookalikes.take(examined.pixels))
        told[1](told[0], number + 1, len(others))
    wanted = [s for s in seen if kind == "leak" or s.photo.label != BACKGROUND]
    comparable = [(s.photo, s.print) for s in wanted if s.print is not None]
    for i, j in lookalikes.pairs_between([print_ for _, print_ in comparable], prints):
        one, two = comparable[i][0], kept[j]
        there = f"{two.label} {where}" if kind == "leak" else where
        result.append(_pair(kind, one, two, f"{one.label} here, {there}"))
    return result


def _unsplit(seen: Sequence[_Seen]) -> list[Finding]:
    """Labels of which training would find nothing to hold out, or nothing to train on."""
    bits = {s.photo.path: s.bits for s in seen}
    photos = dataset.clustered([s.photo for s in seen], bits.__getitem__)
    lacking = dataset.lacking(photos, *dataset.split(photos, dataset.HELD_OUT_SHARE))
    return [Finding("problem", sentence) for sentence in lacking]


def _clusters(seen: Sequence[_Seen], alike: Sequence[tuple[int, int]]) -> list[Photo]:
    """The photographs, each in a cluster: the manifest's, joined where pictures show the same."""
    joined = list(alike)
    first: dict[tuple[str, str], int] = {}
    for i, s in enumerate(seen):
        if s.photo.cluster:
            joined.append((first.setdefault((s.photo.source, s.photo.cluster), i), i))
    found = lookalikes.groups(len(seen), joined)
    return [replace(s.photo, cluster=str(group)) for s, group in zip(seen, found, strict=True)]


def _sizes(photos: Sequence[Photo]) -> list[Finding]:
    """What is to be said of each class as a whole; `photos` are clustered."""
    notes = [photo for photo in photos if photo.label != BACKGROUND]
    different = {label: len({p.cluster for p in notes if p.label == label}) for label in {p.label for p in notes}}
    result = []
    for label, count in sorted(different.items(), key=lambda item: float(item[0])):
        if count < SOUND_CLUSTERS:
            kind = "too_few" if count < FEWEST_CLUSTERS else "few"
            result.append(Finding(kind, f"{label} has {count} different picture(s)"))
        sources = {photo.source for photo in notes if photo.label == label}
        if len(sources) == 1:
            result.append(Finding("one_source", f"all pictures of {label} are of the source {sources.pop()}"))
    sizes = Counter(photo.label for photo in notes).most_common()
    if sizes and sizes[0][1] > IMBALANCE * sizes[-1][1]:
        (most, many), (least, few) = sizes[0], sizes[-1]
        result.append(Finding("imbalance", f"{most} has {many} pictures, {least} has {few}"))
    return result


def _features(seen: Sequence[_Seen], weights: Path | None, tick: Tick) -> disagreement.Features | None:
    """What a frozen network says of each picture: ImageNet's where its weights are given, else the bundle."""
    if len({s.photo.label for s in seen}) < 2:
        return None
    if weights is not None:
        small = [s.small for s in seen]
        described = disagreement.describe(small, weights, lambda n: tick("describing photographs", n, len(seen)))
        return disagreement.reduced(described)
    logits = [s.logits for s in seen if s.logits is not None]
    return disagreement.reduced(np.stack(logits).astype(np.float32)) if logits else None


def _suspects(features: disagreement.Features, photos: Sequence[Photo], seed: int) -> tuple[float, list[Suspect]]:
    """The share of labels that the others confirm, and those that they do not, the most suspicious first."""
    names = sorted({photo.label for photo in photos})
    labels = np.array([names.index(photo.label) for photo in photos])
    chances = disagreement.out_of_fold(features, labels, [photo.cluster for photo in photos], seed)
    best, own = chances.argmax(axis=1), chances[np.arange(len(labels)), labels]
    doubtful = [int(i) for i in np.argsort(own, kind="stable") if own[i] < SUSPECT_BELOW and best[i] != labels[i]]
    suspects = [
        Suspect(photos[i].path, photos[i].label, names[best[i]], float(chances[i, best[i]]), float(own[i]))
        for i in doubtful
    ]
    return float((best == labels).mean()), suspects


def _said(suspect: Suspect) -> str:
    return f"{suspect.path}: labelled {suspect.given}, looks like {suspect.suggested} ({suspect.probability:.0%})"


def name_series(checked: Checked, features: disagreement.Features) -> list[tuple[str, str]]:
    """(file, series) of every note whose series is known or follows from those that are, class by class."""
    result = []
    for label in sorted({photo.label for photo in checked.photos} - {BACKGROUND}, key=float):
        inside = [i for i, photo in enumerate(checked.photos) if photo.label == label]
        known = disagreement.spread(features[inside], [checked.photos[i].series for i in inside])
        names = [manifest.name_of(checked.photos[i].path) for i in inside]
        result += [(name, series) for name, series in zip(names, known, strict=True) if series]
    return result


def group(checked: Checked, features: disagreement.Features, count: int, seed: int) -> dict[str, list[list[Path]]]:
    """For each denomination its pictures in `count` groups that look alike, the largest first."""
    result = {}
    for label in sorted({photo.label for photo in checked.photos} - {BACKGROUND}, key=float):
        inside = [i for i, photo in enumerate(checked.photos) if photo.label == label]
        numbers = disagreement.grouped(features[inside], count, seed)
        sets = [[checked.photos[i].path for i, n in zip(inside, numbers, strict=True) if n == k] for k in range(count)]
        result[label] = sorted((paths for paths in sets if paths), key=len, reverse=True)
    return result
