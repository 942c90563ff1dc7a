"""`make rest-load`: a hundred clients for a minute, and what the service costs beside the model alone, on the same cores.

The bare model and the service take turns, so that whatever else the machine does falls on both. One inference is one
invocation of the model on a picture that lies ready; the service does as many for a picture as the bundle has looks, and
besides decodes the file, looks at the scene, cuts and turns, decides, and speaks HTTP to its clients on the same cores.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from edge import app
from edge.core import bundle as bundles
from edge.core import picture, still
from edge.core.bundle import Bundle
from edge.drivers.tflite import TfliteEngine
from tests.deploy.rest.service import Load, Service, press

CLIENTS, MINUTE_S, ROUNDS, ROUND_S = 100, 60.0, 5, 6.0
LEAST_SHARE = 0.8


def bare(bundle: Bundle, workers: int, seconds: float) -> float:
    """Inferences a second of the model alone, on as many threads."""
    end_s = time.perf_counter() + seconds
    counts = [0] * workers

    def run(number: int) -> None:
        engine = TfliteEngine(bundle.model, threads=1)
        tensor = np.ascontiguousarray(bundle.selftest_pictures[:1])
        while time.perf_counter() < end_s:
            engine.invoke(tensor)
            counts[number] += 1
        engine.close()

    started_s = time.perf_counter()
    with ThreadPoolExecutor(workers) as threads:
        list(threads.map(run, range(workers)))
    return sum(counts) / (time.perf_counter() - started_s)


def decoded(pictures: list[bytes], workers: int) -> float:
    """Pictures a second that are read, on as many threads."""
    started_s = time.perf_counter()
    with ThreadPoolExecutor(workers) as threads:
        list(threads.map(picture.parse, pictures * 2))
    return 2 * len(pictures) / (time.perf_counter() - started_s)


def inferences(bundle: Bundle, pictures: list[bytes]) -> float:
    """Of one picture, on the average: none where the scene gate stops it."""
    engine = TfliteEngine(bundle.model, threads=1)
    asked = []
    for data in pictures:
        held = still.hold([(bundle, engine.invoke)], picture.parse(data).pixels)
        asked.append(sum(look.scores is not None for look in held.observations))
    engine.close()
    return statistics.mean(asked)


def served(port: int, pictures: list[bytes], clients: int, seconds: float) -> tuple[Load, float]:
    """What so many clients were told, and pictures a second."""

    async def run() -> Load:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, stop.set)
        return await press(port, pictures, clients, stop)

    started_s = time.perf_counter()
    load = asyncio.run(run())
    return load, len(load.statuses) / (time.perf_counter() - started_s)


def main() -> int:
    """Measure and print; 1 where an error came back or the service is too slow."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", default="inr")
    parser.add_argument("--data", type=Path, default=app.REPLAY)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=MINUTE_S)
    given = parser.parse_args()
    bundle = bundles.read(app.find_bundle(given.bundle))
    files = sorted(path for path in given.data.rglob("*") if path.suffix.lower() in picture.SUFFIXES)
    pictures = [path.read_bytes() for path in files[:: max(1, len(files) // 100)]]
    each = inferences(bundle, pictures)
    with tempfile.TemporaryDirectory() as folder:
        service = Service(
            Path(folder), "--bundle", given.bundle, "--workers", str(given.workers), "--pictures-per-s", "0"
        )  # fmt: skip
        try:
            code = _measure(service, bundle, pictures, each, given)
        finally:
            service.stop()
    return code


def _measure(service: Service, bundle: Bundle, pictures: list[bytes], each: float, given: argparse.Namespace) -> int:
    say(f"{len(pictures)} pictures, {statistics.mean(map(len, pictures)) / 1000:.0f} kB, {each:.2f} inferences each")
    served(service.port, pictures, 8, 2.0)
    shares, without = [], []
    for number in range(ROUNDS):
        alone = bare(bundle, given.workers, ROUND_S)
        reading = decoded(pictures, given.workers)
        _, per_s = served(service.port, pictures, 4 * given.workers, ROUND_S)
        shares.append(per_s * each / alone)
        # The time that is left for the rest, had the files been read before.
        without.append(1 / (1 / per_s - 1 / reading) * each / alone)
        say(
            f"round {number + 1}: model alone {alone:.1f} inferences/s, files alone {reading:.1f}/s, service "
            f"{per_s:.1f} pictures/s = {per_s * each:.1f} inferences/s: {shares[-1]:.2f} of the model alone, "
            f"{without[-1]:.2f} with the files' decoding left out"
        )
    load, per_s = served(service.port, pictures, CLIENTS, given.seconds)
    errors = sum(status != 200 for status in load.statuses) + len(load.lost) + load.refused
    say(
        f"{CLIENTS} clients for {given.seconds:.0f} s: {len(load.statuses)} answers, {per_s:.1f}/s, {errors} errors, "
        f"p50 {load.percentile_s(0.5):.2f} s, p99 {load.percentile_s(0.99):.2f} s, "
        f"at most {service.memory_bytes() / 1e6:.0f} MB"
    )
    share = statistics.median(without)
    say(f"medians: {statistics.median(shares):.2f} of the model alone, {share:.2f} without decoding")
    return int(errors > 0 or share < LEAST_SHARE)


def say(text: str) -> None:
    """Show a line now."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
