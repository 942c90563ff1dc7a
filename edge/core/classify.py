"""Owns the way from the model's raw outputs to what they say; remembers nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.core.messages import WHOLE, Box, Scores


def scores(logits: NDArray[np.float32], temperature: float) -> Scores:
    """(labels,) log-probabilities from the first output (1, labels), softened by the bundle's temperature."""
    scaled: Scores = logits.reshape(-1) / np.float32(temperature)
    shifted = scaled - np.maximum.reduce(scaled)
    # Of a dozen numbers, one by one is faster than as an array.
    result: Scores = shifted - np.float32(math.log(math.fsum(map(math.exp, shifted.tolist()))))
    return result


def box(outputs: Sequence[NDArray[np.float32]], turn: int = 0, area: Box = WHOLE) -> Box | None:
    """Where the note is, from the optional second output (1, 5); None for a model without it.

    `turn`: degrees counter-clockwise by which the model's picture was turned; `area`: what part of the frame it showed.
    The place is that in the whole frame, unturned.
    """
    if len(outputs) < 2:
        return None
    x, y, width, height, visible = (min(max(value, 0.0), 1.0) for value in outputs[1].reshape(-1).tolist())
    for _ in range(turn // 90):
        x, y, width, height = 1 - y, x, height, width
    left, top = area.centre_x - area.width / 2, area.centre_y - area.height / 2
    return Box(left + x * area.width, top + y * area.height, width * area.width, height * area.height, visible)
