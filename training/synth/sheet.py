"""Owns what leaves the synthesiser for eyes and for other programs: pictures with labels, and their spread.

A folder holds NUMBER.png and labels.csv, one row a picture; every row names the seed and the number that make it again.
"""

from __future__ import annotations

import contextlib
import csv
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training import spread
from training.errors import TrainingError
from training.synth.compose import Composer, Sample

LABELS = "labels.csv"
COLUMNS = (
    "file", "label", "box_known", "centre_x", "centre_y", "width", "height", "visible", "operations", "seed", "number",
)  # fmt: skip
EDGES = (0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.001)  # of the histograms of shares
TILE_TEXT_PX = 40  # below each sample of a preview
TOUCHES = 0.01  # of the frame: a note so near to an edge is cut by it


def preview(composer: Composer, count: int, columns: int = 8) -> NDArray[np.uint8]:
    """A sheet of `count` samples with label, place, visible share and what was done, RGB, to look at."""
    tiles = [_tile(composer, number) for number in range(count)]
    columns = min(columns, count)
    tiles += [np.zeros_like(tiles[0])] * (-count % columns)
    return np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])


def write_preview(composer: Composer, count: int, file: Path) -> None:
    """Write a sheet of the first `count` samples. Raises TrainingError where that cannot be."""
    if not cv2.imwrite(str(file), preview(composer, count)[..., ::-1]):
        raise TrainingError(f"{file} cannot be written: is there such a folder?")


def _tile(composer: Composer, number: int) -> NDArray[np.uint8]:
    sample = composer.sample(number)
    tile = np.ascontiguousarray(sample.pixels)
    said = composer.labels[int(sample.target.argmax())]
    if sample.box_known and sample.box[4] > 0:
        x, y, w, h = sample.box[:4] * composer.size
        cv2.rectangle(tile, (int(x - w / 2), int(y - h / 2)), (int(x + w / 2), int(y + h / 2)), (255, 0, 0), 1)
        said += f" {sample.box[4]:.0%}"
    cv2.putText(tile, said, (3, 13), 0, 0.45, (255, 255, 0), 1, cv2.LINE_AA)
    below = np.zeros((TILE_TEXT_PX, composer.size, 3), np.uint8)
    line = 0
    for words in textwrap.wrap(" ".join(sample.done).replace("_", "-"), max(8, composer.size // 5)):
        line += 9
        cv2.putText(below, words, (2, line), 0, 0.28, (255, 255, 255), 1, cv2.LINE_AA)
    return np.vstack([tile, below])


def write(
    composer: Composer,
    count: int,
    folder: Path,
    tick: Callable[[int], None] = lambda done: None,
    workers: int = 1,
) -> None:
    """Write samples 0 to `count` - 1 into a new or empty folder. Raises TrainingError for any other."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise TrainingError(f"{folder} exists and is not an empty folder: name a new one, nothing is written over")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LABELS).open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        made = spread.each(lambda: contextlib.nullcontext(partial(_packed, composer)), range(count), workers)
        for number, (row, packed) in enumerate(made):
            (folder / row[0]).write_bytes(packed)
            rows.writerow(row)
            tick(number + 1)


def _packed(composer: Composer, number: int) -> tuple[list[str], bytes]:
    """The row of a sample and its file."""
    sample = composer.sample(number)
    _, packed = cv2.imencode(".png", cv2.cvtColor(sample.pixels, cv2.COLOR_RGB2BGR))
    label = composer.labels[int(sample.target.argmax())]
    # A place that nobody knows stays empty: zeros would be a place.
    place = [f"{value:.4f}" for value in sample.box] if sample.box_known else [""] * 5
    known = str(int(sample.box_known))
    row = [f"{number:06d}.png", label, known, *place, " ".join(sample.done), str(composer.seed), str(number)]
    return row, packed.tobytes()


def statistics(samples: Iterable[Sample], labels: tuple[str, ...]) -> list[tuple[str, str, int]]:
    """Rows (figure, range or name, count): labels, operations, and where and how large the notes of known place are."""
    kept = list(samples)
    boxes = np.array([s.box for s in kept if s.box_known]).reshape(-1, 5)
    rows = [("label", name, n) for name, n in _counted(labels[int(s.target.argmax())] for s in kept)]
    rows += [("operation", name, n) for name, n in _counted(name for s in kept for name in s.done)]
    shares = {
        "longest side": boxes[:, 2:4].max(axis=1, initial=0),
        "centre x": boxes[:, 0],
        "centre y": boxes[:, 1],
        "visible": boxes[:, 4],
    }
    for figure, values in shares.items():
        counts, _ = np.histogram(values, EDGES)
        rows += [
            (figure, f"{low:.2f} to {min(high, 1):.2f}", int(n))
            for low, high, n in zip(EDGES, EDGES[1:], counts, strict=False)
        ]
    half = boxes[:, 2:4] / 2
    low, high = boxes[:, :2] - half, boxes[:, :2] + half
    for name, cut in {
        "left": low[:, 0] < TOUCHES,
        "right": high[:, 0] > 1 - TOUCHES,
        "top": low[:, 1] < TOUCHES,
        "bottom": high[:, 1] > 1 - TOUCHES,
    }.items():
        rows.append(("cut by", name, int(cut.sum())))
    every_way = (boxes[:, 2:4] > 1 - 2 * TOUCHES).all(axis=1)
    rows.append(("cut by", "all four: larger than the frame", int(every_way.sum())))
    rows.append(("place", "known", len(boxes)))
    return rows


def _counted(names: Iterable[str]) -> list[tuple[str, int]]:
    return sorted(Counter(names).items())
