"""Owns what a model costs: multiply-adds from the shapes in its file, bytes, and milliseconds measured side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

from edge.core.observe import Invoke
from training.learn import modelfile

ROUNDS, RUNS_A_ROUND = 40, 5


def multiply_adds(model: bytes) -> int:
    """Of all convolutions and fully connected layers, for one picture. Raises TrainingError if it is no model."""
    return sum(map(_of, modelfile.layers(model)))


def _of(layer: modelfile.Layer) -> int:
    output = prod(layer.output_tensor.shape)
    weights = [int(side) for side in layer.kernel_tensor.shape]
    if layer.kind == modelfile.OPERATORS.DEPTHWISE_CONV_2D:  # weights (1, height, width, channels)
        return int(output * prod(weights[1:3]))
    return int(output * prod(weights[1:]))  # weights (channels, height, width, inputs) or (outputs, inputs)


def side_by_side(
    models: Mapping[str, tuple[Invoke, NDArray[np.uint8]]],
    timer_s: Callable[[], float] = time.perf_counter,
    rounds: int = ROUNDS,
    tick: Callable[[int, int], None] = lambda i, n: None,
) -> dict[str, tuple[float, float]]:
    """For each model, given with a picture (1, height, width, 3): median milliseconds, and the ratio to the first's.

    The models take turns, so that whatever else the machine does falls on all of them.
    """
    spent: dict[str, list[float]] = {name: [] for name in models}
    for number in range(rounds + 1):
        for name, (invoke, picture) in models.items():
            started = timer_s()
            for _ in range(RUNS_A_ROUND):
                invoke(picture)
            if number:  # the first round warms up
                spent[name].append((timer_s() - started) / RUNS_A_ROUND * 1e3)
        tick(number, rounds)
    first = next(iter(spent.values()))
    return {
        name: (statistics.median(all_ms), statistics.median(a / b for a, b in zip(all_ms, first, strict=True)))
        for name, all_ms in spent.items()
    }
