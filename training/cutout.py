"""Owns the way from a photograph to a note without its surroundings. Knows no class and no model."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

PAPER_DISTANCE = 22.0  # in CIE Lab units: a note on white paper differs at least so much somewhere
LEAST_FILL = 0.35  # of its box: a turned note fills less, a failed cut still less


@dataclass(frozen=True)
class Patch:
    """A picture of a note with what of it is note."""

    pixels: NDArray[np.uint8]  # (height, width, 3) RGB
    mask: NDArray[np.uint8]  # (height, width) 0..255
    exact: bool  # the mask follows the note's own outline, so the note's place is known


def whole(pixels: NDArray[np.uint8]) -> Patch:
    """The photograph as it is: surroundings belong to it."""
    return Patch(pixels, np.full(pixels.shape[:2], 255, np.uint8), exact=False)


def cut(pixels: NDArray[np.uint8], box: tuple[float, float, float, float]) -> Patch | None:
    """The note inside `box` (centre x, y, width, height in 0..1) by its contrast to plain paper.

    None where the outline found cannot be the note's.
    """
    inside = _crop(pixels, box, margin=0.02)
    lab = cv2.cvtColor(inside, cv2.COLOR_RGB2LAB).astype(np.float32)
    rim = np.concatenate(
        [lab[:2].reshape(-1, 3), lab[-2:].reshape(-1, 3), lab[:, :2].reshape(-1, 3), lab[:, -2:].reshape(-1, 3)]
    )
    bright = rim[rim[:, 0] >= np.percentile(rim[:, 0], 60)]
    paper = np.median(bright, axis=0)
    # Shadows on paper change lightness far more than hue: lightness counts a third.
    distance = np.linalg.norm((lab - paper) * (0.34, 1.4, 1.4), axis=2)
    marked = (distance > PAPER_DISTANCE * 0.55).astype(np.uint8) * 255
    marked = cv2.morphologyEx(marked, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    marked = cv2.morphologyEx(marked, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    contours, _ = cv2.findContours(marked, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return None
    largest = max(contours, key=cv2.contourArea)
    hull = cv2.convexHull(largest)
    fill = cv2.contourArea(hull) / (inside.shape[0] * inside.shape[1])
    if fill < LEAST_FILL:
        return None
    mask = np.zeros(inside.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, hull, 255)
    return Patch(inside, cv2.erode(mask, np.ones((3, 3), np.uint8)), exact=True)


def _crop(pixels: NDArray[np.uint8], box: tuple[float, float, float, float], margin: float) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    x, y, w, h = box
    left, right = (x - w / 2 - margin) * width, (x + w / 2 + margin) * width
    top, bottom = (y - h / 2 - margin) * height, (y + h / 2 + margin) * height
    return pixels[max(0, int(top)) : min(height, int(bottom) + 1), max(0, int(left)) : min(width, int(right) + 1)]


def hand(pixels: NDArray[np.uint8]) -> Patch | None:
    """A hand photographed on a plain light ground, cut out by its colour; None where there is too little of it."""
    saturation = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)[..., 1]
    _, mask = cv2.threshold(cv2.GaussianBlur(saturation, (5, 5), 0), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    share = mask.mean() / 255
    return Patch(pixels, mask, exact=True) if 0.08 < share < 0.6 else None
