"""Owns the measurement of every runtime that is installed, on one thread and on more, with the bundles in use.

Each runtime is tried in a process of its own: one that this processor cannot run may take its process down. Before
anything is timed it must give the answers of the self-test. All numbers of threads take turns, frame by frame, so that
a slow moment of the machine hits all. What is chosen of it, and kept, is the part of `edge.tuning`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from edge import apart, folders, selection, tuning
from edge.commands.measurement import FRAMES_PER_S, moving
from edge.commands.shell import put
from edge.core import bundle as bundles
from edge.core.errors import EXIT_OK, EdgeError, HardwareError, Reason
from edge.core.line import brief
from edge.core.messages import Frame
from edge.core.observe import Observer
from edge.devices import open_engine
from edge.drivers import tflite
from edge.drivers.tflite import Runtime
from edge.loading import Loaded
from edge.settings import Config, changed
from edge.tuning import Row

MOST_THREADS = 4  # more cores a board hardly has, and the rest of the device needs one
ROUNDS, WARM_UP = 60, 5  # frames
WITHIN_S = 90.0  # all of it
TIMED_S = 8.0  # of one runtime: a slow one has had frames enough by then
QUICK = 0.1  # share of the frames that are quicker than what is told


class Trial(msgspec.Struct, frozen=True):
    """What the process that tries one runtime is told."""

    runtime: Runtime
    bundles: tuple[str, ...]
    threads: tuple[int, ...]
    seconds: float


def run(config: Config, *, once: bool = False) -> int:
    """Measure, keep what was found, and say it; with `once` only where nothing is kept that holds.

    Raises HardwareError where no runtime can be used, or nothing can be kept.
    """
    state = folders.state_folder()
    if once and _holds(config, state):
        put("measured already")
        return EXIT_OK
    rows = list(measured(config.model.bundles))
    found = tuning.record(rows, selection.digests(config))
    row = tuning.best(rows, config)
    if row is None:
        why = tuning.told(rows) or "none is installed"
        raise HardwareError("engine", Reason.BROKEN, f"no runtime can be used here: {why}")
    try:
        tuning.write(state, found)
    except OSError as error:
        raise HardwareError("disk", Reason.BROKEN, f"{state} cannot be written: {error.strerror}") from error
    put(tuning.told(rows))
    put(f"chosen: {row.version}, threads {row.threads}, {row.ms:.1f} ms a frame")
    if advice := tuning.advice(row, config.camera.frames_per_s):
        put(advice)
    return EXIT_OK


def _holds(config: Config, state: Path) -> bool:
    try:
        kept = tuning.read(state)
    except PermissionError as error:
        raise HardwareError("disk", Reason.DENIED, f"{state} cannot be read: {error.strerror}") from error
    return (
        kept is not None
        and not tuning.outdated(kept, selection.digests(config))
        and tuning.best(kept.rows, config) is not None
    )


def measured(bundles: Sequence[str], within_s: float = WITHIN_S) -> Iterator[Row]:
    """Every installed runtime, with each number of threads."""
    until_s = time.monotonic() + within_s
    threads = tuple(range(1, 1 + min(MOST_THREADS, os.cpu_count() or 1)))
    for version in tflite.installed():
        runtime: Runtime = "tflite-runtime" if version.startswith("tflite-runtime ") else "ai-edge-litert"
        yield from _apart(Trial(runtime, tuple(bundles), threads, TIMED_S), version, until_s - time.monotonic())


def _apart(trial: Trial, version: str, patience_s: float) -> list[Row]:
    """What the trial gives in a process of its own, or why it gives nothing."""
    command, told = apart.command(__name__, "try_one"), msgspec.json.encode(trial)
    try:
        done = subprocess.run(
            command,
            input=told,
            capture_output=True,
            timeout=max(0.0, patience_s),
            check=False,
            env=apart.environment(),
        )
    except subprocess.TimeoutExpired:
        return [Row(trial.runtime, version, 0, problem="it was not done in time")]
    except OSError as error:
        return [Row(trial.runtime, version, 0, problem=f"it cannot be tried: {error.strerror}")]
    if done.returncode < 0:
        return [Row(trial.runtime, version, 0, problem=f"it breaks down ({signal.Signals(-done.returncode).name})")]
    try:
        return msgspec.json.decode(done.stdout.rpartition(b"\n")[2], type=list[Row])
    except ValueError:
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
        return [Row(trial.runtime, version, 0, problem=f"it cannot be tried: {brief(last, 200)}")]


def try_one() -> None:
    """In that other process: the rows, as JSON, in the last line of standard output."""
    trial = msgspec.json.decode(sys.stdin.buffer.read(), type=Trial)
    sys.stdout.write("\n" + msgspec.json.encode(list(tried(trial))).decode())


def tried(trial: Trial) -> Iterator[Row]:
    """What each number of threads takes for a whole frame with the slowest of the bundles."""
    version = next((one for one in tflite.installed() if one.startswith(f"{trial.runtime} ")), trial.runtime)
    ready: dict[int, list[Loaded]] = {}
    for threads in trial.threads:
        names = trial.bundles[0] if len(trial.bundles) == 1 else trial.bundles
        config = changed(Config(), "model", bundle=names, runtime=trial.runtime, threads=threads)
        try:
            ready[threads] = selection.load(config, lambda bundle: open_engine(config, bundle))  # noqa: B023 -- called at once
        except EdgeError as error:
            yield Row(trial.runtime, version, threads, problem=brief(str(error), 200))
    for threads, ms in _timed(ready, trial.seconds).items():
        yield Row(trial.runtime, version, threads, ms)


def _timed(ready: dict[int, list[Loaded]], seconds: float) -> dict[int, float]:
    """Milliseconds of a frame by the number of threads, with the slowest bundle.

    A tenth of its frames takes less: what else runs, while it is installed, does not count.
    """
    films = {bundle.path: moving(bundles.read(bundle.path)) for loaded in ready.values() for bundle, _ in loaded}
    ways = [
        (threads, bundle.path, Observer(bundle, engine.invoke, time.perf_counter))
        for threads, loaded in ready.items()
        for bundle, engine in loaded
    ]
    taken: dict[tuple[int, Path], list[float]] = {(threads, path): [] for threads, path, _ in ways}
    until_s = time.monotonic() + seconds
    for number in range(WARM_UP + ROUNDS):
        for threads, path, observer in ways:
            frame = Frame(number, number / FRAMES_PER_S, films[path][number % len(films[path])])
            began_s = time.perf_counter()
            observer.observe(frame)
            taken[threads, path].append((time.perf_counter() - began_s) * 1e3)
        if number > WARM_UP and time.monotonic() > until_s:
            break
    return {
        threads: max(float(np.quantile(taken[one, path][WARM_UP:], QUICK)) for one, path in taken if one == threads)
        for threads in ready
    }
