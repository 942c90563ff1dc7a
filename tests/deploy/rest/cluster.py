"""`make rest-ray`: the service on a cluster of two nodes on this machine's loopback, one of them killed under load.

Run in an environment of its own, which `python -m tests.deploy.rest.cluster` makes: Ray is 200 MB.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from edge import app
from edge.core import bundle as bundles
from edge.core import picture
from tests.deploy.rest.load import bare, inferences, say
from tests.deploy.rest.service import PROJECT, Load, press
from tests.environments import environment

PORT = 8748
ROUND_S, LOAD_S, BEFORE_S, PATIENCE_S = 10.0, 60.0, 10.0, 180.0
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_raylet_start_wait_time_s": "300",  # on a machine that does other things as well
    "PYTHONPATH": str(PROJECT),
}


def main() -> int:
    """Measure and print; 1 where a request was lost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", default="inr")
    parser.add_argument("--data", type=Path, default=app.REPLAY)
    parser.add_argument("--here", action="store_true", help="in this environment, which has Ray")
    given = parser.parse_args()
    if not given.here:
        python = environment("ray") / "bin" / "python"
        command = [str(python), "-m", "tests.deploy.rest.cluster", "--here", "--bundle", given.bundle]
        return subprocess.call([*command, "--data", str(given.data)], cwd=PROJECT, env={**os.environ, **QUIET})
    return measure(given.bundle, given.data)


def measure(name: str, data: Path) -> int:
    """The whole of it, in an environment with Ray."""
    import ray
    from ray import serve
    from ray.cluster_utils import Cluster

    from deploy.rest.onray import build

    bundle = bundles.read(app.find_bundle(name))
    files = sorted(path for path in data.rglob("*") if path.suffix.lower() in picture.SUFFIXES)
    pictures = [path.read_bytes() for path in files[:: max(1, len(files) // 100)]]
    each = inferences(bundle, pictures)
    node = {"num_cpus": 1, "object_store_memory": 200 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    second = cluster.add_node(**node)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": PORT, "location": "HeadOnly"})
        options = {"bundle": name, "local": "yes", "pictures_per_s": "0"}
        for replicas in (1, 2):
            counts = {"min_replicas": str(replicas), "max_replicas": str(replicas)}
            serve.run(build({**options, **counts}), name="saynote")
            until(lambda wanted=replicas: running(serve) == wanted)  # type: ignore[misc]
            alone = bare(bundle, replicas, ROUND_S) / each
            per_s = len(asyncio.run(pressed(pictures, 8, ROUND_S)).statuses) / ROUND_S
            say(f"{replicas} replica(s): {per_s:.1f} pictures/s, {per_s / alone:.2f} of the model alone ({alone:.1f})")
        load = asyncio.run(killed(pictures, cluster, second))
        lost = [status for status in load.statuses if status != 200] + load.lost
        say(
            f"one of two nodes killed under load: {len(load.statuses)} answers, {len(lost)} lost, "
            f"{load.refused} refused; p50 {load.percentile_s(0.5):.2f} s, p99 {load.percentile_s(0.99):.2f} s, "
            f"longest {max(load.took_s):.2f} s"
        )
        until(lambda: running(serve) == 1)
        cluster.add_node(**node)
        until(lambda: running(serve) == 2)
        say("a new node came: two replicas again")
        serve.delete("saynote")
        counts = {"min_replicas": "1", "max_replicas": "2"}
        serve.run(build({**options, **counts}), name="saynote")
        until(lambda: running(serve) == 1)
        asyncio.run(pressed(pictures, 16, LOAD_S / 2))
        say(f"one replica that may become two, under load: {running(serve)} replicas")
        if lost:
            say(f"lost: {Counter(map(str, lost))}")
        return int(bool(lost))
    finally:
        serve.shutdown()
        ray.shutdown()
        cluster.shutdown()


async def pressed(pictures: list[bytes], clients: int, seconds: float) -> Load:
    """What so many clients were told."""
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, stop.set)
    return await press(PORT, pictures, clients, stop)


async def killed(pictures: list[bytes], cluster: Any, node: Any) -> Load:
    """What clients are told while a node dies."""
    pressing = asyncio.create_task(pressed(pictures, 12, LOAD_S))
    await asyncio.sleep(BEFORE_S)
    for process in node.live_processes():
        process[1].kill()
    say("killed")
    return await pressing


def running(serve: Any) -> int:
    """Replicas that answer."""
    status = serve.status().applications["saynote"].deployments["Readers"]
    return int(status.replica_states.get("RUNNING", 0))


def until(found: Any) -> None:
    """Wait for it, and for the proxy."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=10):
                if found():
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.2)
    raise AssertionError("it has not come")


if __name__ == "__main__":
    sys.exit(main())
