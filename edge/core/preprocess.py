"""Owns the way from a picture to the model's tensor; training imports it, so both see the same pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.core.bundle import InputSpec
from edge.core.messages import WHOLE, Box, Pixels

LETTERBOX_GREY = 114  # neither dark nor bright, as in darknet's letterbox
NEAREST_PX = 32  # a smaller part of a frame holds nothing to read
ROTATIONS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def to_tensor(pixels: Pixels, spec: InputSpec) -> NDArray[np.uint8]:
    """(1, spec.height, spec.width, 3) uint8 RGB 0..255 from a picture of any size.

    Pixels are averaged when the picture shrinks, so that fine print does not alias.
    Raises ValueError unless `pixels` is (height, width, 3) uint8.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or pixels.size == 0:
        raise ValueError(f"a picture must be (height, width, 3) uint8, not {pixels.shape} {pixels.dtype}")
    if pixels.shape[:2] == (spec.height, spec.width):
        return np.ascontiguousarray(pixels)[None]
    if spec.fit == "squash":
        return _resize(pixels, spec.width, spec.height)[None]
    scale = min(spec.width / pixels.shape[1], spec.height / pixels.shape[0])
    width = max(1, min(spec.width, round(pixels.shape[1] * scale)))
    height = max(1, min(spec.height, round(pixels.shape[0] * scale)))
    canvas = np.full((spec.height, spec.width, 3), LETTERBOX_GREY, np.uint8)
    top, left = (spec.height - height) // 2, (spec.width - width) // 2
    canvas[top : top + height, left : left + width] = _resize(pixels, width, height)
    return canvas[None]


def turned(tensor: NDArray[np.uint8], degrees: int) -> NDArray[np.uint8]:
    """`tensor` (n, height, width, 3), n pictures, turned counter-clockwise by 0, 90, 180 or 270 degrees, contiguous."""
    if degrees == 0:
        return tensor
    # A copy of np.rot90's view takes several times as long, which half of the frames would wait for.
    found = [np.asarray(cv2.rotate(picture, ROTATIONS[degrees]), np.uint8) for picture in tensor]
    return found[0][None] if len(found) == 1 else np.stack(found)


def around(box: Box, margin: float) -> Box:
    """The part of the frame with `box` enlarged by the share `margin`, moved into the frame where it sticks out."""
    width, height = (min(1.0, side * (1 + margin)) for side in (box.width, box.height))
    centre_x = min(max(box.centre_x, width / 2), 1 - width / 2)
    centre_y = min(max(box.centre_y, height / 2), 1 - height / 2)
    return Box(centre_x, centre_y, width, height, 1.0)


def cut(pixels: Pixels, area: Box) -> Pixels:
    """What `area` shows of a picture, at least NEAREST_PX a side; a view, nothing is copied."""
    if area is WHOLE:
        return pixels
    rows, columns = (
        _span(middle, side, length)
        for middle, side, length in (
            (area.centre_y, area.height, pixels.shape[0]),
            (area.centre_x, area.width, pixels.shape[1]),
        )
    )
    return pixels[rows, columns]


def _span(middle: float, side: float, length: int) -> slice:
    wanted = min(length, max(NEAREST_PX, round(side * length)))
    first = min(max(0, round(middle * length - wanted / 2)), length - wanted)
    return slice(first, first + wanted)


def _resize(pixels: Pixels, width: int, height: int) -> Pixels:
    """A third of what INTER_AREA alone costs, and nearly its pixels: docs/decisions/0018-speed.md."""
    tall, wide = pixels.shape[:2]
    if width > wide or height > tall:
        either = width < wide or height < tall
        return _scaled(pixels, width, height, cv2.INTER_AREA if either else cv2.INTER_LINEAR)
    fold = min(wide // (2 * width), tall // (2 * height))
    if fold > 1:  # most of a large photograph would lie between the neighbours that are asked
        tall, wide = tall // fold, wide // fold
        pixels = _scaled(pixels, wide, tall, cv2.INTER_AREA)
    if wide >= 2 * width and tall >= 2 * height and wide % 2 == tall % 2 == 0:
        return _scaled(_scaled(pixels, wide // 2, tall // 2, cv2.INTER_AREA), width, height, cv2.INTER_LINEAR)
    return _scaled(_scaled(pixels, 2 * width, 2 * height, cv2.INTER_LINEAR), width, height, cv2.INTER_AREA)


def _scaled(pixels: Pixels, width: int, height: int, interpolation: int) -> Pixels:
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=interpolation), np.uint8)
