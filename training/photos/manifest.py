"""Owns the tables beside photographs: the manifest and what people saw, row by row. Knows no picture."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from training.errors import TrainingError

LEFT_OUT = "-"  # the label of a picture from which nothing can be learnt
BOX_EDGE = 0.01  # of the frame: a box drawn by hand may reach over by as much


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
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise TrainingError(f"{path} is not a table in CSV and UTF-8: {error}") from None
    if lacking:
        raise TrainingError(f"{path} has no column {' and no column '.join(lacking)}")
    return [row for row in rows if row["file"]]


def box_of(row: dict[str, str]) -> tuple[float, float, float, float] | None:
    """The box in a row of the manifest, None where there is none. Raises ValueError, quoting what is no box."""
    text = (row.get("box_cxcywh") or "").replace(",", " ")
    if not text.split():
        return None
    try:
        x, y, width, height = map(float, text.split())
    except ValueError:
        raise ValueError(f"is no four numbers: {text!r}") from None
    edges = (x - width / 2, x + width / 2, y - height / 2, y + height / 2)
    inside = all(-BOX_EDGE <= edge <= 1 + BOX_EDGE for edge in edges)
    if not (inside and width > BOX_EDGE and height > BOX_EDGE):  # so that a box of "nan" is refused too
        raise ValueError(f"is empty or reaches out of the picture: {text!r}")
    return x, y, width, height
