"""What callgrind counts: each stage that is ours, a few times over, with a fence before and after.

    valgrind --tool=callgrind --dump-before=getppid python -m tests.instructions.counted

Each fence makes callgrind write down what was counted since the one before, and begin anew. No clock is read.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable

import cv2
import numpy as np

from edge import app
from edge.core import bundle as bundles
from edge.core import classify, preprocess, scene, wire
from edge.core.decide import Decider
from edge.core.guide import Guide
from edge.core.messages import WHOLE, Box, Decision, Frame, Observation, Pixels, Scores, Verdict
from edge.core.observe import Observer
from edge.hub import Hub

TIMES = 4  # that each stage runs between its fences
WARM_UP = 3
RATE = 15.0  # frames a second


class Sink:
    """An outlet that takes all."""

    def offer(self, _message: object) -> bool:
        return True


def stages() -> dict[str, Callable[[int], object]]:
    """By name what is done, given the number of the time."""
    bundle = bundles.read(app.BUNDLES / "xts")
    input_, labels = bundle.manifest.input, bundle.labels
    rng = np.random.default_rng(1)
    pixels: Pixels = cv2.resize(rng.integers(0, 255, (48, 64, 3), np.uint8), (640, 480))
    near = Box(0.5, 0.5, 0.25, 0.3, 1.0)
    outputs = [bundle.selftest_logits[:1], np.full((1, 5), 0.5, np.float32)]
    seen = scene.assess(pixels)
    scores = classify.scores(outputs[0], 1.0)

    def observed(number: int, scores: Scores = scores) -> Observation:
        return Observation(number, number / RATE, seen, scores, Box(0.5, 0.5, 0.5, 0.3, 0.9))

    decider, guide = Decider(labels, bundle.manifest.decision), Guide(labels)
    showing = [20.0 if label == bundle.denominations[0] else 0.0 for label in labels]
    said = classify.scores(np.array([showing], np.float32), 1.0)
    again = Decider(labels, bundle.manifest.decision)
    for number in range(round(2 * RATE)):
        again.step(observed(number, said))
    assert again.said == bundle.denominations[0]
    resting = Observer(
        bundle,
        lambda _: [
            20.0 * np.eye(len(labels), dtype=np.float32)[[labels.index("background")]],
            np.zeros((1, 5), np.float32),
        ],
        lambda: 0.0,
    )
    hub = Hub()
    for number in range(6):
        hub.join(f"outlet {number}", Sink(), (Observation,))
    source = wire.Source("device", "run", "1", "XTS", "xts 1", "0" * 64)
    amount = Decision(Verdict.AMOUNT, 1, 0.1, 1, "50", 0.99, 3, {"scene": 1.0, "invoke": 2.0})

    return {
        "scene": lambda _: scene.assess(pixels),
        "shrink": lambda _: preprocess.to_tensor(pixels, input_),
        "shrink near": lambda _: preprocess.to_tensor(preprocess.cut(pixels, near), input_),
        "classify": lambda _: (classify.scores(outputs[0], 1.0), classify.box(outputs, 180, WHOLE)),
        "frame at rest": lambda number: resting.observe(Frame(number, number / RATE, pixels)),
        "decide": lambda number: decider.step(observed(number)),
        "decide again": lambda number: again.step(observed(round(2 * RATE) + number, said)),
        "guide": lambda number: guide.step(observed(number)),
        "hub": lambda number: hub.post(observed(number)),
        "wire": lambda number: wire.encode(
            wire.payload(amount, source, wire.Entry(number, 0, 0, 1), wire.Moment(number / RATE, 1.0))
        ),
    }


def main() -> None:
    """Run them all; the names, in the order of the fences, on standard output."""
    cv2.setNumThreads(1)
    found = stages()
    sys.stdout.write(json.dumps(list(found)) + "\n")
    sys.stdout.flush()
    for stage in found.values():
        for number in range(WARM_UP):
            stage(number)
        os.getppid()
        for number in range(WARM_UP, WARM_UP + TIMES):
            stage(number)
        os.getppid()


if __name__ == "__main__":
    main()
