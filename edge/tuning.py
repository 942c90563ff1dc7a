"""Owns which runtime runs the model, and on how many threads, as it was measured on this very board.

    saynote bench --choose   measures what is installed, and writes it down in the state folder
    a start                  takes the best of what was measured that the settings leave open
    saynote doctor           says which, and why

It holds for what it was measured with alone: the board, the bundles, the versions of the runtimes. Where anything of it
has changed, the device does as one on which nothing was measured. What is measured, and how, it must not know.
"""

from __future__ import annotations

import logging
import os
import platform
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from edge.core import intake, whole
from edge.core.line import brief
from edge.drivers import tflite
from edge.drivers.tflite import Runtime
from edge.settings import USUAL_THREADS, Config, changed

log = logging.getLogger(__name__)

FILE = "runtime.json"
MOST_BYTES = 64 << 10
NEARLY = 1.05  # times the least: as fast, and the fewer threads leave a core to the rest
LEAST_PER_S = 10.0  # pictures: with fewer, an amount takes too long


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One runtime on so many threads, and what a whole frame took with it."""

    runtime: Runtime
    version: str  # "ai-edge-litert 2.3.0"
    threads: int
    ms: float = 0.0  # with the slowest bundle, when nothing else runs
    problem: str = ""  # why it cannot be used here; "" where it can


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was measured, and with what."""

    rows: tuple[Row, ...]
    bundles: tuple[str, ...]  # their digests
    board: str
    installed: tuple[str, ...]  # runtimes with their versions


def record(rows: Iterable[Row], bundles: Sequence[str]) -> Record:
    """What was measured here and now."""
    return Record(tuple(rows), tuple(bundles), board(), tflite.installed())


def board() -> str:
    """Which computer this is."""
    for path, kind in (("/proc/device-tree/model", r"([^\0]+)"), ("/proc/cpuinfo", r"(?m)^model name\s*:\s*(.+)$")):
        try:
            found = re.search(kind, Path(path).read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
        if found:
            return f"{found.group(1).strip()}, {os.cpu_count()} cores, {platform.machine()}"
    return f"{platform.machine()}, {os.cpu_count()} cores"


def write(state: Path, measured: Record) -> None:
    """Keep it. Raises OSError."""
    whole.write(state / FILE, msgspec.json.format(msgspec.json.encode(measured), indent=1), lasting=True)


def read(state: Path) -> Record | None:
    """What was measured last; None where nothing was, or nobody can read it. Raises PermissionError."""
    try:
        return msgspec.json.decode(intake.read(state / FILE, MOST_BYTES), type=Record)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise
    except (OSError, ValueError) as error:  # a ValueError is msgspec's, too
        log.warning("what was measured of the runtimes cannot be read: %s", brief(str(error), 200))
        return None


def outdated(measured: Record, bundles: Sequence[str]) -> str:
    """What has changed since it was measured; "" where it holds."""
    if measured.board != board():
        return f"it was measured on another board, {brief(measured.board)}"
    if measured.installed != tflite.installed():
        return f"it was measured with {brief(', '.join(measured.installed) or 'nothing')}"
    return "" if measured.bundles == tuple(bundles) else "it was measured with another bundle"


def best(rows: Iterable[Row], config: Config) -> Row | None:
    """The fastest of what the settings leave open; of those nearly as fast, the one with the fewest threads."""
    model = config.model
    usable = [
        row
        for row in rows
        if not row.problem and model.runtime in ("auto", row.runtime) and model.threads in (0, row.threads)
    ]
    if not usable:
        return None
    least = min(row.ms for row in usable)
    return min((row for row in usable if row.ms <= NEARLY * least), key=lambda row: (row.threads, row.ms))


def applied(config: Config, state: Path, bundles: Sequence[str]) -> Config:
    """`config` with the runtime and the threads that are best here, where it leaves them open."""
    usual = changed(config, "model", threads=config.model.threads or USUAL_THREADS)
    try:
        measured = read(state)
    except PermissionError:
        return usual
    if measured is None:
        return usual
    if why := outdated(measured, bundles):
        log.info("the measured runtime is not used: %s", why)
        return usual
    row = best(measured.rows, config)
    if row is None:
        return usual
    log.info("runtime as measured here: %s threads=%d ms=%.1f", row.version, row.threads, row.ms)
    # What "auto" takes first stays "auto": if it cannot be imported one day, the next is taken, and notes are read.
    first = row.version == next(iter(tflite.installed()), "")
    return changed(config, "model", runtime=config.model.runtime if first else row.runtime, threads=row.threads)


def told(rows: Iterable[Row]) -> str:
    """All that was measured, in a line."""
    return "; ".join(
        f"{row.version}: {row.problem}" if row.problem else f"{row.version} on {_threads(row.threads)}: {row.ms:.1f} ms"
        for row in rows
    )


def advice(row: Row, asked_per_s: float) -> str:
    """What to do where a board does not keep up; "" where it does."""
    per_s = 1e3 / row.ms if row.ms > 0 else asked_per_s
    if per_s >= min(LEAST_PER_S, asked_per_s):
        return ""
    return (
        f"This board looks at {per_s:.1f} pictures a second, and {LEAST_PER_S:.0f} are wanted: a bundle with a smaller "
        "network says amounts sooner (training train --width)."
    )


def _threads(number: int) -> str:
    return "1 thread" if number == 1 else f"{number} threads"
