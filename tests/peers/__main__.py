"""Runs the device beside what hobby projects do: Keras' `model.predict` on each frame, the same network in float.

The weights are those of chance: how long it takes does not depend on them. Both see the same frames in turn, in
one process, from the camera's picture to the scores. CPU time is that of all threads.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np

from edge import app
from edge.commands.measurement import PLACES, WARM_UP, moving
from edge.core import bundle as bundles
from edge.core.decide import Decider
from edge.core.messages import Frame
from edge.core.observe import Observer
from edge.drivers.tflite import TfliteEngine
from training.learn import network

FRAMES = 60


def main() -> int:
    """Print a table in Markdown."""
    bundle = bundles.read(app.find_bundle("inr"))
    side, told = bundle.manifest.input.width, bundle.manifest.training
    trunk, width = str(told.get("trunk", "mobilenet_v2")), float(told.get("width", 0.35))
    model = network.build(trunk, width, side, len(bundle.labels), None, 0.0)
    observer = Observer(bundle, TfliteEngine(bundle.model, threads=2).invoke, time.perf_counter)
    decider = Decider(bundle.labels, bundle.manifest.decision)
    pictures = moving(bundle)

    def device(number: int) -> None:
        decider.step(observer.observe(Frame(number, number / 15, pictures[number % PLACES])))

    def predict(number: int) -> None:
        small = cv2.resize(pictures[number % PLACES], (side, side)).astype(np.float32) / 127.5 - 1
        model.predict(small[None], verbose=0)

    def call(number: int) -> None:
        small = cv2.resize(pictures[number % PLACES], (side, side)).astype(np.float32) / 127.5 - 1
        np.asarray(model(small[None], training=False)["logits"])

    ways = {"saynote": device, "model.predict(frame)": predict, "model(frame)": call}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(WARM_UP + FRAMES):
        for name, way in ways.items():
            taken[name].append(timed(way, number))
    middle = {
        name: [statistics.median(column) for column in zip(*found[WARM_UP:], strict=True)]
        for name, found in taken.items()
    }
    out = [
        f"{trunk} {width} at {side} x {side}",
        "",
        "| a frame | ms | times | CPU ms | times |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, (wall, cpu) in middle.items():
        own_wall, own_cpu = middle["saynote"]
        out.append(f"| {name} | {wall:.2f} | {wall / own_wall:.1f} | {cpu:.2f} | {cpu / own_cpu:.1f} |")
    sys.stdout.write("\n".join(out) + "\n")
    return 0


def timed(way: Callable[[int], None], number: int) -> tuple[float, float]:
    """Milliseconds of wall and of CPU."""
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    way(number)
    return (time.perf_counter() - wall_s) * 1e3, (time.process_time() - cpu_s) * 1e3


if __name__ == "__main__":
    sys.exit(main())
