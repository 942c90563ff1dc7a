"""Owns the look at a frame before any inference: too dark, covered, empty or blurred pictures cost no inference.

It must let every picture through on which a note could be read: what it stops is never announced.
"""

from __future__ import annotations

import cv2

from edge.core.messages import Look, Pixels, Scene

SMALL_PX = (96, 72)  # width, height: enough to see structure, 0.1 ms to make from 640 x 480
# The limits were set on the training photographs: each lets all but the unreadable few of them pass
# (least seen on 8,011 photographs of notes: luma 14, detail 9.9, sharpness 35).
DARK_LUMA = 12.0
NOISE_DETAIL, STRUCTURE = 0.5, 0.15  # a dark picture with less detail than NOISE + STRUCTURE x luma: a covered lens
PLAIN_DETAIL = 5.0
LEAST_SHARPNESS = 20.0


def assess(pixels: Pixels) -> Scene:
    """What can be said of a (height, width, 3) RGB picture without inference."""
    # Every n-th pixel is enough to average: all of a camera's picture would cost as much as the inference.
    step = max(1, min(pixels.shape[1] // (2 * SMALL_PX[0]), pixels.shape[0] // (2 * SMALL_PX[1])))
    small = cv2.cvtColor(cv2.resize(pixels[::step, ::step], SMALL_PX, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    (mean,), (deviation,) = cv2.meanStdDev(small)
    luma, detail = float(mean[0]), float(deviation[0])
    sharpness = float(cv2.meanStdDev(cv2.Laplacian(small, cv2.CV_32F))[1][0, 0] ** 2)
    return Scene(_look(luma, detail, sharpness), luma, detail, sharpness)


def _look(luma: float, detail: float, sharpness: float) -> Look:
    if luma < DARK_LUMA:
        return Look.COVERED if detail < NOISE_DETAIL + STRUCTURE * luma else Look.DARK
    if detail < PLAIN_DETAIL:
        return Look.EMPTY
    return Look.BLURRED if sharpness < LEAST_SHARPNESS else Look.CLEAR
