"""Owns the files of figures that commands hand to each other: what one wrote, the next reads, or says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from training.errors import TrainingError
from training.measure.films import Sequences
from training.measure.rates import rate
from training.measure.stills import Report, Shares

T = TypeVar("T")
Row = dict[str, str | float]  # of an ablation: "name", and figures by their name


class Evaluation(msgspec.Struct, frozen=True):
    """The file of `evaluate --json`: each rate as a share, with the counts that it was made of."""

    n: int
    accuracy: float
    coverage: float
    wrong_announcement_rate: float
    n_background: int
    false_announcement_rate: float
    calibration_error: float
    ms_per_picture: float
    confusion: dict[str, dict[str, int]]
    intervals: dict[str, tuple[float, float]]
    announced: int
    wrong: int
    false: int
    broken: list[str]
    right: int | None = None  # older files have the share alone


def evaluation(path: Path) -> Report:
    """What `evaluate --json` wrote. Raises TrainingError."""
    found = _read(path, Evaluation, "evaluate --json")
    right = round(found.accuracy * found.n) if found.right is None else found.right
    shares = Shares(
        accuracy=rate(right, found.n),
        coverage=rate(found.announced, found.n),
        wrong=rate(found.wrong, found.announced),
        false=rate(found.false, found.n_background),
    )
    return Report(shares, found.calibration_error, found.ms_per_picture, found.confusion, found.broken)


def write_evaluation(path: Path, report: Report) -> None:
    """Write the file that `evaluation` reads. Raises TrainingError."""
    shares = report.shares
    named = {
        "accuracy": shares.accuracy,
        "coverage": shares.coverage,
        "wrong_announcement_rate": shares.wrong,
        "false_announcement_rate": shares.false,
    }
    found = Evaluation(
        n=shares.accuracy.of,
        n_background=shares.false.of,
        calibration_error=report.calibration_error,
        ms_per_picture=report.ms_per_picture,
        confusion=report.confusion,
        intervals={name: (rate.low, rate.high) for name, rate in named.items()},
        announced=shares.coverage.count,
        wrong=shares.wrong.count,
        false=shares.false.count,
        broken=report.broken,
        right=shares.accuracy.count,
        **{name: rate.share for name, rate in named.items()},
    )
    write(path, msgspec.structs.asdict(found))


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
