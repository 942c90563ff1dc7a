"""Owns the near look at a sample: the part that the device cuts out about a note, and where the note lies in that.

The device looks so at what its own look before has found (docs/decisions/0010). Here the place is known, and strays
from it as a network's does. Knows nothing of how a sample is composed.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edge.core import preprocess
from edge.core.bundle import InputSpec
from edge.core.messages import Box, Pixels
from training.pixels import as_pixels

FINER = 2  # times the side of what a network sees: about what a camera of 640 x 480 has, and a near look shows
USUAL, USUAL_SHARE = 0.15, 0.6  # of a place: the device's own margin, and how often it is just that
MARGINS = -0.05, 0.4  # else
STRAYS = 0.04  # of a place's sides: standard deviation of its middle
IN_HAND = 0.7, 1.0  # of a photograph in which nobody knows where the note is: it fills most of it
GROUND = 0.25, 0.9  # of a picture with nothing in it: a network points somewhere


def area(place: NDArray[np.float32] | None, rng: Generator, *, exact: bool) -> Box:
    """What to cut out about `place` (4,) or more, centre x, y, width, height in 0..1; `exact`: it is the note's own."""
    if place is None or not place[2:4].all():
        x, y, width, height = map(float, (*rng.uniform(0, 1, 2), *rng.uniform(*GROUND, 2)))
        return preprocess.around(Box(x, y, width, height, 1.0), 0.0)
    x, y, width, height = map(float, place[:4])
    if not exact:
        width, height = width * rng.uniform(*IN_HAND), height * rng.uniform(*IN_HAND)
    margin = USUAL if rng.random() < USUAL_SHARE else float(rng.uniform(*MARGINS))
    x, y = x + width * rng.normal(0, STRAYS), y + height * rng.normal(0, STRAYS)
    return preprocess.around(Box(x, y, width, height, 1.0), margin)


def picture(pixels: Pixels, seen: Box, size: int) -> Pixels:
    """What a network of `size` pixels a side is shown of `seen`, (size, size, 3): cut and shrunk as on the device."""
    return as_pixels(preprocess.to_tensor(preprocess.cut(pixels, seen), InputSpec(size, size, "squash"))[0])


def within(box: NDArray[np.float32], seen: Box) -> NDArray[np.float32]:
    """The place `box` (5,) of a sample as it lies in `seen`, clipped to it; what is visible of the note stays."""
    low, high = box[:2] - box[2:4] / 2, box[:2] + box[2:4] / 2
    side = np.array([seen.width, seen.height])
    corner = np.array([seen.centre_x, seen.centre_y]) - side / 2
    low, high = np.clip((low - corner) / side, 0, 1), np.clip((high - corner) / side, 0, 1)
    return np.array([*(low + high) / 2, *(high - low), box[4]], np.float32)
