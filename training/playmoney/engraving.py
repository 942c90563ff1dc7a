"""Owns the strokes of a printed note: one ink's plate, hatching by tone, guilloche curves, numerals and letters.

Must not know any denomination, currency or layout. Lengths are in points, 640 to the width of a note.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.pixels import as_pixels

Ink = NDArray[np.uint8]  # (height, width): 0 none, 255 solid
Floats = NDArray[np.floating[Any]]
Curves = NDArray[np.float64]  # (points, 2) of a curve, (curves, points, 2) of several

SUBPIXEL_BITS = 4
CAP_HEIGHT_PX = 21.0
"""Height of a capital in OpenCV's Hershey fonts at scale 1."""


class Plate:
    """The coverage of one ink over the sheet, 0 (paper) to 255 (solid), drawn in points."""

    def __init__(self, width: float, height: float, scale: float) -> None:
        self.scale = scale
        self.ink = np.zeros((round(height * scale), round(width * scale)), np.uint8)

    def stroke(self, curves: Curves, strength: int, width: float = 1.0, closed: bool = False) -> None:
        """Draw one curve (N, 2), or many of the same length (K, N, 2), as thin anti-aliased lines."""
        many = curves[None] if curves.ndim == 2 else curves
        fixed = np.rint(many * (self.scale * 2**SUBPIXEL_BITS)).astype(np.int32)
        thickness = max(1, round(width * self.scale))
        cv2.polylines(self.ink, list(fixed), closed, (strength,), thickness, cv2.LINE_AA, SUBPIXEL_BITS)

    def fill(self, outline: Curves, strength: int) -> None:
        """Fill one outline (N, 2) with an even tone."""
        fixed = np.rint(outline * (self.scale * 2**SUBPIXEL_BITS)).astype(np.int32)
        cv2.fillPoly(self.ink, [fixed], (strength,), cv2.LINE_AA, SUBPIXEL_BITS)

    def fade(self, outline: Curves, keep: float, softness: float = 4.0) -> None:
        """Thin out what lies inside the outline, as a printer clears the ground below a figure."""
        mask = Plate(self.ink.shape[1] / self.scale, self.ink.shape[0] / self.scale, self.scale)
        mask.fill(outline, 255)
        self.mask(as_pixels(cv2.blur(mask.ink, (odd(softness * self.scale),) * 2)), keep)

    def mask(self, mask: Ink, keep: float) -> None:
        """Multiply the ink by `keep` where the mask is 255, by 1 where it is 0."""
        weight = 255 - cv2.multiply(mask, np.ones_like(mask), scale=1.0 - keep)
        self.ink = as_pixels(cv2.multiply(self.ink, weight, scale=1 / 255))

    def stamp(self, picture: Ink, x: float, y: float) -> None:
        """Add a ready-made coverage picture with its corner at (x, y); the darker of the two stays."""
        top, left = round(y * self.scale), round(x * self.scale)
        into = self.ink[max(top, 0) : top + picture.shape[0], max(left, 0) : left + picture.shape[1]]
        part = picture[max(-top, 0) :, max(-left, 0) :][: into.shape[0], : into.shape[1]]
        np.maximum(into, part, out=into)

    def letters(
        self,
        text: str,
        x: float,
        y: float,
        height: float,
        strength: int = 255,
        weight: float = 1.0,
        anchor: float = 0.0,
        widest: float = 620.0,
    ) -> None:
        """Write text on the baseline y, smaller where too wide; `anchor` is the part of it that lies left of x."""
        size, thickness = height * self.scale / CAP_HEIGHT_PX, max(1, round(weight * self.scale))
        (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_COMPLEX, size, thickness)
        shrink = min(1.0, widest * self.scale / width)
        size = size * shrink
        at = (round(x * self.scale - anchor * width * shrink), round(y * self.scale))
        cv2.putText(self.ink, text, at, cv2.FONT_HERSHEY_COMPLEX, size, (strength,), thickness, cv2.LINE_AA)


def odd(size: float) -> int:
    """The odd whole number next to a size, for filters that need a centre."""
    return max(1, round(size)) | 1


def hatch(tone: Floats, scale: float, angle: float, pitch: float = 3.6, bend: float = 0.0) -> Ink:
    """Turn a tone (0 light .. 1 dark, float32) into lines whose thickness carries it; `bend` bows them, in points."""
    height, width = tone.shape
    x = np.arange(width, dtype=np.float32)[None, :] / scale
    y = np.arange(height, dtype=np.float32)[:, None] / scale
    bow = bend * np.cos((x / x[0, -1] - 0.5) * np.pi) if bend else 0.0
    turns = (x * np.sin(angle) + (y + bow) * np.cos(angle)) * (2 * np.pi / pitch)
    carrier = 0.5 + 0.5 * np.cos(turns.astype(np.float32))
    # One pixel of a line's flank spans about pi / pitch of the carrier: a steeper edge would alias.
    edge = max(1.0, pitch * scale / np.pi)
    cover = (tone * (1 + 1 / edge) - 0.5 / edge - carrier) * edge + 0.5
    return np.asarray(np.clip(cover, 0, 1) * 255).astype(np.uint8)


def oval(x: float, y: float, rx: float, ry: float, points: int = 72) -> Curves:
    """The outline of an ellipse."""
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([x + rx * np.cos(turn), y + ry * np.sin(turn)], axis=1)


def rosette(x: float, y: float, inner: float, outer: float, petals: int, strands: int, squash: float = 1.0) -> Curves:
    """A ring of lace: `strands` closed curves that swing between two radii, each a little later than the last."""
    turn = np.linspace(0, 2 * np.pi, 24 * petals, endpoint=False)[None, :]
    late = np.linspace(0, 2 * np.pi, strands, endpoint=False)[:, None]
    swing = 0.5 + 0.36 * np.cos(petals * turn + late) + 0.14 * np.cos(2 * petals * turn - late)
    radius = inner + (outer - inner) * swing
    return np.stack([x + radius * np.cos(turn), y + squash * radius * np.sin(turn)], axis=2)


def waves(width: float, top: float, bottom: float, pitch: float, swell: float, beats: float) -> Curves:
    """A field of wavy lines over the sheet whose phase drifts from line to line, so that they never run parallel."""
    x = np.linspace(0, width, 90)[None, :]
    rows = np.arange(top, bottom, pitch)[:, None]
    drift = rows / (bottom - top) * 4.0
    turn = x / width * 2 * np.pi * beats
    y = rows + swell * np.sin(turn + drift) + 0.45 * swell * np.sin(2.6 * turn - 2 * drift)
    return np.stack([np.broadcast_to(x, y.shape), y], axis=2)


def braid(start: float, end: float, middle: float, reach: float, turns: float, strands: int) -> Curves:
    """A braided band along x; swap the last axis to let it run along y."""
    x = np.linspace(start, end, int(turns * 14))[None, :]
    late = np.linspace(0, 2 * np.pi, strands, endpoint=False)[:, None]
    turn = (x - start) / (end - start) * 2 * np.pi * turns
    y = middle + reach * (0.7 * np.sin(turn + late) + 0.3 * np.sin(3 * turn - late))
    return np.stack([np.broadcast_to(x, y.shape), y], axis=2)


def figure(text: str, height: float, weight: float, scale: float) -> tuple[Ink, Ink]:
    """A numeral as (face, body): the engraved face with outline and inner lines, and the mask to clear below it."""
    size, thickness = height * scale / CAP_HEIGHT_PX, max(1, round(weight * scale))
    rim = max(1, round(weight * scale / 6))
    (wide, tall), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_COMPLEX, size, thickness)
    margin = thickness + 2 * rim
    body = np.zeros((tall + 2 * margin, wide + 2 * margin), np.uint8)
    at = (margin, tall + margin)
    cv2.putText(body, text, at, cv2.FONT_HERSHEY_COMPLEX, size, (255,), thickness, cv2.LINE_AA)
    core = cv2.erode(body, np.ones((2 * rim + 1,) * 2, np.uint8))
    fall = np.linspace(0.95, 0.5, body.shape[0], dtype=np.float32)[:, None]
    lines = hatch(np.broadcast_to(fall, body.shape), scale, 0.0, pitch=3.0)
    face = as_pixels(np.maximum(cv2.subtract(body, core), np.minimum(core, lines)))
    return face, as_pixels(cv2.dilate(body, np.ones((2 * rim + 3,) * 2, np.uint8)))
