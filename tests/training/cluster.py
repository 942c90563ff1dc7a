"""`make sweep-ray`: a sweep on a cluster of two nodes on this machine's loopback, one of them killed while it trains.

It must give what the same sweep gives without Ray. Run in an environment of its own, which `python -m
tests.training.cluster` makes: Ray and TensorFlow.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.deploy.rest.cluster import QUIET
from tests.deploy.rest.load import say
from tests.deploy.rest.service import PROJECT
from tests.environments import environment
from tests.training.drawn import SWEEP, draw_photos, weights

PATIENCE_S, POLL_S = 900.0, 0.2
NAMES = ("usual", "small", "flat")


def main() -> int:
    """Train twice and compare; 1 where anything differs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--here", action="store_true", help="in this environment, which has Ray")
    if parser.parse_args().here:
        with tempfile.TemporaryDirectory() as folder:
            return measure(Path(folder))
    command = [str(environment("ray,training") / "bin" / "python"), "-m", "tests.training.cluster", "--here"]
    return subprocess.call(command, cwd=PROJECT, env={**os.environ, **QUIET})


def measure(folder: Path) -> int:
    """The whole of it, in an environment with Ray."""
    import ray
    from ray.cluster_utils import Cluster

    photos, file = draw_photos(folder / "photos"), folder / "sweep.toml"
    file.write_text(SWEEP.replace("steps = 6", "steps = 40"))
    assert begin(file, photos, folder / "home").wait(PATIENCE_S) == 0
    say("without Ray: trained")
    node = {"num_cpus": 1, "object_store_memory": 200 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    second = cluster.add_node(**node, node_ip_address="127.0.0.2")
    try:
        sweep = begin(file, photos, folder / "away", "--ray", cluster.address)
        training = until(lambda: of(raylet(second)), sweep)
        say("both nodes train: one is killed")
        for process in second.live_processes():
            process[1].kill()
        until(lambda: not any(Path(f"/proc/{one}").exists() for one in training), sweep)
        say("what it trained has ended with it")
        code = sweep.wait(PATIENCE_S)
    finally:
        ray.shutdown()
        cluster.shutdown()
    same = {name: alike(folder, name) for name in NAMES} if code == 0 else {}
    say(f"the sweep ended with {code}; the same figures and weights as without Ray: {same}")
    return int(not same or not all(same.values()))


def begin(file: Path, photos: Path, run: Path, *more: str) -> subprocess.Popen[bytes]:
    """A sweep."""
    command = [sys.executable, "-m", "training", "sweep", file, photos, "--run", run, "--test", photos]
    return subprocess.Popen([*map(str, command), "--workers", "1", *more], cwd=PROJECT)


def until(found: Any, sweep: subprocess.Popen[bytes]) -> Any:
    """What it finds, once it finds something; the sweep must go on meanwhile."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        assert sweep.poll() is None, "the sweep has ended too soon"
        if what := found():
            return what
        time.sleep(POLL_S)
    raise AssertionError("it has not come")


def raylet(node: Any) -> int:
    """The process that looks after a node's workers."""
    return int(node.all_processes["raylet"][0].process.pid)


def of(above: int) -> list[int]:
    """The processes of trainings below this one, once a training has begun to write its run."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
    below = [one for one in parents if above in lineage(one, parents)]
    commands = {one: command(one) for one in below}
    training = {one: words[-1] for one, words in commands.items() if "training.together" in words}
    begun = any(list(Path(run).glob("*/fit")) for run in training.values())
    return list(training) if begun else []


def lineage(process: int, parents: dict[int, int]) -> list[int]:
    """Those that began it, nearest first."""
    found = []
    while process := parents.get(process, 0):
        found.append(process)
    return found


def command(process: int) -> list[str]:
    """Its command line."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().decode("utf-8", "replace").rstrip("\0").split("\0")
    except OSError:
        return []


def alike(folder: Path, name: str) -> bool:
    """Whether a training gave the same at home and away."""
    home, away = folder / "home" / name, folder / "away" / name
    figures = [json.loads((run / "figures.json").read_text()) for run in (home, away)]
    return figures[0] == figures[1] and weights(home) == weights(away)


if __name__ == "__main__":
    sys.exit(main())
