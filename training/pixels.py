"""Owns the word for the types that an array from OpenCV is a picture, made of bytes. Knows no picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.core.messages import Pixels


def as_pixels(array: NDArray[Any]) -> Pixels:
    """The same array; OpenCV's types leave open which numbers it gives back. Raises TypeError for others than bytes."""
    if array.dtype != np.uint8:
        raise TypeError(f"a picture is made of bytes, not of {array.dtype}")
    return array
