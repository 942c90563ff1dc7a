"""Owns the look at a frame before any inference: too dark, covered, empty or blurred pictures cost no inference.

It must let every picture through on which a note could be read: what it stops is never announced.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.core.messages import Look, Pixels, Scene

Luma: TypeAlias = NDArray[np.uint8]  # (height, width), brightness 0..255

SMALL_PX = (96, 72)  # width, height: enough to see structure, 0.1 ms to make from 640 x 480
# The limits were set on the training photographs: each lets all but the unreadable few of them pass
# (least seen on 8,011 photographs of notes: luma 14, detail 9.9, sharpness 35).
DARK_LUMA = 12.0
NOISE_DETAIL, STRUCTURE = 0.5, 0.15  # a dark picture with less detail than NOISE + STRUCTURE x luma: a covered lens
PLAIN_DETAIL = 5.0
LEAST_SHARPNESS = 20.0


def assess(pixels: Pixels) -> Scene:
    """What can be said of a (height, width, 3) RGB picture without inference."""
    return judge(small(pixels))


def small(pixels: Pixels) -> Luma:
    """SMALL_PX of a picture's brightness: what is judged of it, and by what two pictures are compared."""
    # Every n-th pixel is enough to average: all of a camera's picture would cost as much as the inference.
    step = max(1, min(pixels.shape[1] // (2 * SMALL_PX[0]), pixels.shape[0] // (2 * SMALL_PX[1])))
    some = cv2.resize(pixels, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_NEAREST) if step > 1 else pixels
    grey = cv2.cvtColor(some, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, SMALL_PX, interpolation=cv2.INTER_AREA), np.uint8)


def judge(luma: Luma) -> Scene:
    """What can be said of a picture by what `small` made of it."""
    mean, deviation = cv2.meanStdDev(luma)
    # Sums of five bytes fit in 16 bits.
    edges = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S))[1].item()
    brightness, detail, sharpness = mean.item(), deviation.item(), edges * edges
    return Scene(_look(brightness, detail, sharpness), brightness, detail, sharpness)


def _look(luma: float, detail: float, sharpness: float) -> Look:
    if luma < DARK_LUMA:
        return Look.COVERED if detail < NOISE_DETAIL + STRUCTURE * luma else Look.DARK
    if detail < PLAIN_DETAIL:
        return Look.EMPTY
    return Look.BLURRED if sharpness < LEAST_SHARPNESS else Look.CLEAR
