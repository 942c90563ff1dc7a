"""Owns a sweep on several machines: a recipe's trainings on one of a Ray cluster, begun again where that one is lost.

What they learn from travels with them: a machine needs saynote of this version with the extras `training` and `ray`,
and no files. They run in a process of their own there, as they would here, so what they learn is the same; their runs
come back when they have ended. Ray is an extra: it is imported when it is asked for.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from training.errors import TrainingError
from training.sweep import Do, Left
from training.together import Job, Say

AGAIN = 5  # times that a machine may be lost with the same trainings
POLL_S = 1.0
BEGIN = "begin"  # folder of the files that trainings begin with

Files = dict[str, bytes]  # by their path below a folder


def on(address: str, at_once: int | None = None) -> Do:
    """Has jobs done on the cluster at `address`, "auto" for this machine's; so many at a time, else one a machine.

    Raises TrainingError where Ray is not installed or nothing answers there.
    """
    try:
        import ray
    except ImportError as error:
        raise TrainingError("Ray is not installed: pip install 'saynote[ray]'") from error
    try:
        ray.init(address=address, logging_level="error")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise TrainingError(f"there is no Ray cluster at {address}: {' '.join(str(error).split())}") from error

    def do(jobs: Sequence[Job], run: Path, left: Left, say: Say) -> None:
        try:
            _do(ray, jobs, run, left, say, at_once)
        finally:
            ray.shutdown()

    return do


def _do(ray: Any, jobs: Sequence[Job], run: Path, left: Left, say: Say, at_once: int | None) -> None:
    machines = _machines(ray)
    gpus = min(1, ray.cluster_resources().get("GPU", 0))
    train = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=AGAIN, scheduling_strategy="SPREAD")(done)
    waiting, running = list(jobs), dict[Any, Job]()
    while waiting or running:
        while waiting and len(running) < (at_once or machines):
            job = waiting.pop(0)
            minutes = left(job)
            if minutes is None or minutes > 0:
                until_s = None if minutes is None else time.time() + 60 * minutes
                running[train.remote(job, files_of(job), until_s)] = job
        for ended in ray.wait(list(running), timeout=POLL_S)[0] if running else []:
            _keep(ray, ended, running.pop(ended), run, say)
        if (now := _machines(ray)) < machines:
            say("a machine of the cluster is lost: what it trained is begun again on another")
        machines = max(1, now)


def _machines(ray: Any) -> int:
    return sum(node["Alive"] for node in ray.nodes())


def files_of(job: Job) -> Files:
    """What its trainings begin with, by the path here."""
    named = {path for one in job.variants for path in (one.weights, one.start_from) if path}
    return {path: Path(path).read_bytes() for path in sorted(named)}


def done(job: Job, files: Files, until_s: float | None) -> Files:
    """All that the trainings of `job` leave; on a machine of the cluster. `until_s`: of the clock, when it must end."""
    with tempfile.TemporaryDirectory(prefix="saynote-") as folder:
        begin = {path: Path(folder, BEGIN, str(number), Path(path).name) for number, path in enumerate(files)}
        for path, place in begin.items():
            place.parent.mkdir(parents=True)
            place.write_bytes(files[path])
        minutes = None if until_s is None else max(0.01, (until_s - time.time()) / 60)
        runs = Path(folder, "runs")
        subprocess.run(
            [sys.executable, "-m", "training.together", str(runs)],
            input=pickle.dumps((_beginning(job, begin), minutes)),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            check=True,
        )
        return {str(path.relative_to(runs)): path.read_bytes() for path in sorted(runs.rglob("*")) if path.is_file()}


def _beginning(job: Job, places: dict[str, Path]) -> Job:
    """`job` with its files where they lie on this machine."""
    found = []
    for variant in job.variants:
        named = {key: str(places[path]) for key in ("weights", "start_from") if (path := getattr(variant, key))}
        found.append(msgspec.structs.replace(variant, **named))
    return replace(job, variants=tuple(found))


def _keep(ray: Any, ended: Any, job: Job, run: Path, say: Say) -> None:
    try:
        keep(ray.get(ended), run)
    except ray.exceptions.RayError as error:
        say(f"{', '.join(job.names)}: {' '.join(str(error).split())[:300]}")
    else:
        say(f"{', '.join(job.names)}: back from the cluster")


def keep(left: Files, run: Path) -> None:
    """Write here what `done` has left there."""
    for name, content in left.items():
        place = run / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
