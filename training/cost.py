"""Owns what a model costs: multiply-adds from the shapes in its file, bytes, and milliseconds measured side by side."""

from __future__ import annotations

import statistics
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge.core.observe import Invoke
from training.errors import TrainingError

ROUNDS, RUNS_A_ROUND = 40, 5
OPERATORS = schema.BuiltinOperator


def multiply_adds(model: bytes) -> int:
    """Of all convolutions and fully connected layers, for one picture. Raises TrainingError if it is no model."""
    try:
        parsed = schema.ModelT.InitFromPackedBuf(model, 0)
        graph = parsed.subgraphs[0]
    except (TypeError, IndexError, AttributeError, struct.error, UnicodeDecodeError) as error:
        raise TrainingError("this is no TensorFlow Lite model") from error
    return sum(_of(operator, parsed.operatorCodes, graph.tensors) for operator in graph.operators)


def _of(operator: Any, codes: Sequence[Any], tensors: Sequence[Any]) -> int:
    code = codes[operator.opcodeIndex]
    # Old converters write small codes into the first field, new ones into the second.
    kind = max(code.builtinCode, code.deprecatedBuiltinCode)
    if kind not in (OPERATORS.CONV_2D, OPERATORS.DEPTHWISE_CONV_2D, OPERATORS.FULLY_CONNECTED):
        return 0
    output = prod(tensors[operator.outputs[0]].shape)
    weights = [int(side) for side in tensors[operator.inputs[1]].shape]
    if kind == OPERATORS.DEPTHWISE_CONV_2D:  # weights (1, height, width, channels)
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
