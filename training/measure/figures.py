"""Owns the files of figures that commands hand to each other: what one wrote, the next reads, or says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from training.errors import TrainingError
from training.measure.films import Sequences
from training.measure.stills import Report

T = TypeVar("T")
Row = dict[str, str | float]  # of an ablation: "name", and figures by their name


def evaluation(path: Path) -> Report:
    """What `evaluate --json` wrote. Raises TrainingError."""
    return _read(path, Report, "evaluate --json")


def sequences(path: Path) -> Sequences:
    """What `sequences --json` wrote. Raises TrainingError."""
    return _read(path, Sequences, "sequences --json")


def ablation(path: Path) -> list[Row]:
    """A list of rows, each with a `name` and figures. Raises TrainingError."""
    rows = _read(path, list[Row], "an ablation")
    if not rows or any(not isinstance(row.get("name"), str) for row in rows):
        raise TrainingError(f"{path}: an ablation is a list of rows, each with a name and its figures")
    return rows


def _read(path: Path, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} does not hold the figures of {what}: {str(error).lower()}") from error


def write(path: Path, value: Any) -> None:
    """Write figures as JSON. Raises TrainingError."""
    try:
        path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{path} cannot be written: {error.strerror}") from error
