"""`make rest-load`: a hundred clients for a minute, and what the service costs beside the model alone.

All take turns on the same cores, so that whatever else the machine does falls on all of them:

    model alone      invocations of the interpreter on a picture that lies ready, nothing else
    device alone     the device's stages (gate, cut, turn, model, decide) on pictures that lie decoded
    service          the same and decoding, HTTP and its clients

Two shares are told: of pictures a second, where the clients take their part of the cores, and of processor time, which
a machine that does other things as well disturbs less.
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

import cv2
import numpy as np

from edge import app
from edge.core import bundle as bundles
from edge.core import photograph, picture
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


def bare_ms(bundle: Bundle, count: int = 200) -> float:
    """Processor time of one inference of the model alone."""
    engine = TfliteEngine(bundle.model, threads=1)
    tensor = np.ascontiguousarray(bundle.selftest_pictures[:1])
    started_s = time.thread_time()
    for _ in range(count):
        engine.invoke(tensor)
    took_ms = (time.thread_time() - started_s) / count * 1e3
    engine.close()
    return took_ms


def device(bundle: Bundle, files: list[bytes], workers: int, seconds: float) -> tuple[float, float]:
    """Pictures a second through the device's stages on as many threads, and milliseconds that decoding one takes."""
    started_s = time.perf_counter()
    pictures = [picture.parse(data).pixels for data in files]
    decode_ms = (time.perf_counter() - started_s) / len(files) * 1e3
    end_s = time.perf_counter() + seconds
    counts = [0] * workers

    def run(number: int) -> None:
        engine = TfliteEngine(bundle.model, threads=1)
        while time.perf_counter() < end_s:
            photograph.hold([(bundle, engine.invoke)], pictures[(number + counts[number]) % len(pictures)])
            counts[number] += 1
        engine.close()

    started_s = time.perf_counter()
    with ThreadPoolExecutor(workers) as threads:
        list(threads.map(run, range(workers)))
    return sum(counts) / (time.perf_counter() - started_s), decode_ms


def inferences(bundle: Bundle, pictures: list[bytes]) -> float:
    """Of one picture, on the average: none where the scene gate stops it."""
    engine = TfliteEngine(bundle.model, threads=1)
    asked = []
    for data in pictures:
        held = photograph.hold([(bundle, engine.invoke)], picture.parse(data).pixels)
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
    """Measure and print; 1 where an error came back or the service costs too much of what the device does alone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", default="inr")
    parser.add_argument("--data", type=Path, default=app.REPLAY)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=MINUTE_S)
    given = parser.parse_args()
    cv2.setNumThreads(1)  # as in the service
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
    of_model, of_device, of_judging, of_time = [], [], [], []
    for number in range(ROUNDS):
        alone = bare(bundle, given.workers, ROUND_S) / each
        stages, decode_ms = device(bundle, pictures, given.workers, ROUND_S)
        before_s = service.spent_s()
        load, per_s = served(service.port, pictures, 4 * given.workers, ROUND_S)
        spent_ms = (service.spent_s() - before_s) / len(load.statuses) * 1e3
        model_ms = bare_ms(bundle) * each
        judging = 1 / (1 / per_s - decode_ms / 1e3 / given.workers)  # had the files been decoded before
        of_model.append(per_s / alone)
        of_device.append(per_s / stages)
        of_judging.append(judging / stages)
        of_time.append(model_ms / spent_ms)
        say(
            f"round {number + 1}, pictures/s: model alone {alone:.1f}, device alone {stages:.1f}, service {per_s:.1f} "
            f"({decode_ms:.1f} ms decoding each, {judging:.1f} without); processor time of a picture: "
            f"model {model_ms:.1f} ms, service {spent_ms:.1f} ms"
        )
    load, per_s = served(service.port, pictures, CLIENTS, given.seconds)
    errors = sum(status != 200 for status in load.statuses) + len(load.lost) + load.refused
    say(
        f"{CLIENTS} clients for {given.seconds:.0f} s: {len(load.statuses)} answers, {per_s:.1f}/s, {errors} errors, "
        f"p50 {load.percentile_s(0.5):.2f} s, p99 {load.percentile_s(0.99):.2f} s, "
        f"at most {service.memory_bytes() / 1e6:.0f} MB"
    )
    share = statistics.median(of_judging)
    say(
        f"medians: the service gives {statistics.median(of_model):.2f} of the model alone, "
        f"{statistics.median(of_device):.2f} of the device alone, {share:.2f} of it without decoding; of its processor "
        f"time {statistics.median(of_time):.2f} is the model's"
    )
    return int(errors > 0 or share < LEAST_SHARE)


def say(text: str) -> None:
    """Show a line now."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
