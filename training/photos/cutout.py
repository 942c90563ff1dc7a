"""Owns the way from a photograph to a note without its surroundings. Knows no class and no model."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.pixels import as_pixels

PAPER_DISTANCE = 22.0  # in CIE Lab units: a note on white paper differs at least so much somewhere
LEAST_FILL = 0.35  # of its box: a turned note fills less, a failed cut still less

# What `find` believes; measured in docs/synthesiser.md. Doubt costs a cut-out, a wrong one teaches a wrong place.
FIND_SIDE_PX = 96  # longest side it looks at
ASPECTS = 1.7, 2.6  # of notes, seen a little from the side
AREAS = 0.1, 0.9  # of the photograph
LEAST_CONTRAST = 6.0  # standard deviation of the picture: below it there is nothing to part
LEAST_SOLID = 0.88  # of its hull: fingers and grounds of the same colour leave bays
LEAST_FOUR_SIDED = 0.9  # hull and four corners: intersection over union
LEAST_CORNER_DEG, MOST_TAPER_DEG = 65.0, 15.0
FLAT_ASPECTS = 1.85, 2.6
FLAT_DETAIL = 0.22  # of the picture's own usual fine print, in the emptiest eighteenth of it
CAMERA_ASPECTS = 16 / 9, 2.0  # a photograph of these is more likely a scene than a scan of a note


@dataclass(frozen=True)
class Patch:
    """A picture of a note with what of it is note."""

    pixels: NDArray[np.uint8]  # (height, width, 3) RGB
    mask: NDArray[np.uint8]  # (height, width) 0..255
    exact: bool  # the mask follows the note's own outline, so the note's place is known
    share: float = 1.0  # of the note's face that this patch still shows: what is folded over or torn off is gone
    outline: NDArray[np.float32] | None = None  # (n, 2) convex, where the note is in a photograph that is not cut

    @property
    def placed(self) -> bool:
        """Whether it is known where in this patch the note is."""
        return self.exact or self.outline is not None


def whole(pixels: NDArray[np.uint8], outline: NDArray[np.float32] | None = None) -> Patch:
    """The photograph as it is: surroundings belong to it. `outline` says where in it the note is, if that is known."""
    return Patch(pixels, np.full(pixels.shape[:2], 255, np.uint8), exact=False, outline=outline)


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
    cv2.fillConvexPoly(mask, hull, (255,))
    return Patch(inside, as_pixels(cv2.erode(mask, np.ones((3, 3), np.uint8))), exact=True)


def find(pixels: NDArray[np.uint8]) -> Patch | None:
    """The note in a photograph of which nothing is known, cut out; None where there is doubt (see `outline`)."""
    found = outline(pixels)
    return None if found is None else along(pixels, found)


def outline(pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """The convex outline (n, 2) of a note that stands out clearly from its ground, or that fills the picture.

    None where there is doubt: for most photographs in the hand.
    """
    # A picture filled by its note comes first: parted from its white margin, the print alone would be the note.
    flat = _flat(pixels)
    return _parted(pixels) if flat is None else flat


def along(pixels: NDArray[np.uint8], outline: NDArray[np.float32]) -> Patch:
    """What lies within the outline, without its outermost pixels: they are as often ground as note."""
    mask = np.zeros(pixels.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, np.round(outline).astype(np.int32), (255,))
    inside = max(1, round(0.5 * max(mask.shape) / FIND_SIDE_PX))
    mask = as_pixels(cv2.erode(mask, np.ones((2 * inside + 1, 2 * inside + 1), np.uint8)))
    x, y, width, height = cv2.boundingRect(mask)
    window = slice(y, y + height), slice(x, x + width)
    return Patch(pixels[window], mask[window], exact=True)


def _parted(pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """The convex outline (n, 2) of the one four-sided thing of a note's shape, parted from its ground by GrabCut."""
    scale = FIND_SIDE_PX / max(pixels.shape[:2])
    size = max(16, round(pixels.shape[1] * scale)), max(16, round(pixels.shape[0] * scale))
    small = cv2.GaussianBlur(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), (3, 3), 0)
    if small.std() < LEAST_CONTRAST:
        return None
    contours, _ = cv2.findContours(_foreground(as_pixels(small)), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    largest = max(contours, key=cv2.contourArea)
    hull = cv2.convexHull(largest)
    area = cv2.contourArea(hull)
    if not AREAS[0] < area / (size[0] * size[1]) < AREAS[1] or cv2.contourArea(largest) < LEAST_SOLID * area:
        return None
    points: NDArray[np.float32] = hull[:, 0].astype(np.float32)
    if not any(
        _note_like(c) and _agreement(points, c) > LEAST_FOUR_SIDED for c in _four_sided(np.asarray(hull, np.int32))
    ):
        return None
    return np.asarray((points + 0.5) / np.array(size) * pixels.shape[1::-1], np.float32)


def _foreground(small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What differs from the rim: (height, width) 0 or 255. The rim is taken to be ground."""
    mask = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
    rim = max(2, round(0.03 * min(mask.shape)))
    mask[rim:-rim, rim:-rim] = cv2.GC_PR_FGD
    # GrabCut draws from OpenCV's generator of this thread: the same photograph gives the same outline.
    cv2.setRNGSeed(1)
    # The rectangle is ignored where there is a mask.
    cv2.grabCut(small, mask, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_MASK)
    found = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.uint8) * 255
    found = cv2.morphologyEx(found, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return as_pixels(cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((7, 7), np.uint8)))


def _four_sided(hull: NDArray[np.int32]) -> list[NDArray[np.float32]]:
    """Corners (4, 2) that may be the outline's: the narrowest rectangle's, and those left by drawing it coarser."""
    found: list[NDArray[np.float32]] = [np.asarray(cv2.boxPoints(cv2.minAreaRect(hull)), np.float32)]
    length = cv2.arcLength(hull, True)
    for coarse in np.linspace(0.01, 0.12, 23):
        corners = cv2.approxPolyDP(hull, coarse * length, True)
        if len(corners) == 4:
            found.append(corners[:, 0].astype(np.float32))
        if len(corners) <= 4:
            break
    return found


def _agreement(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Intersection over union of two convex outlines."""
    common, _ = cv2.intersectConvexConvex(one, other)
    return float(common / max(1e-6, cv2.contourArea(one) + cv2.contourArea(other) - common))


def _note_like(corners: NDArray[np.float32]) -> bool:
    """Whether the four corners can be those of a note lying flat or nearly so."""
    sides = np.roll(corners, -1, axis=0) - corners
    lengths = np.linalg.norm(sides, axis=1)
    pairs = sorted((lengths[0] + lengths[2], lengths[1] + lengths[3]))
    unit = sides / np.maximum(lengths, 1e-6)[:, None]
    turns = np.rad2deg(np.arccos(np.clip(np.abs((unit * np.roll(unit, -1, axis=0)).sum(axis=1)), 0, 1)))
    taper = np.rad2deg(np.arccos(np.clip(np.abs((unit[:2] * unit[2:]).sum(axis=1)), 0, 1)))
    return bool(
        ASPECTS[0] < pairs[1] / max(pairs[0], 1e-6) < ASPECTS[1]
        and turns.min() > LEAST_CORNER_DEG
        and taper.max() < MOST_TAPER_DEG
    )


def _flat(pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """The corners of the picture, when it is a note from edge to edge: of a note's shape, and printed all over."""
    height, width = pixels.shape[:2]
    aspect = max(height, width) / min(height, width)
    if not FLAT_ASPECTS[0] < aspect < FLAT_ASPECTS[1] or min(abs(aspect - c) for c in CAMERA_ASPECTS) < 0.01:
        return None
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    upright = cv2.resize(grey if width > height else cv2.rotate(grey, cv2.ROTATE_90_CLOCKWISE), (240, 108))
    detail = np.abs(cv2.Laplacian(upright, cv2.CV_32F)).reshape(3, 36, 6, 40).mean(axis=(1, 3))
    if detail.min() <= FLAT_DETAIL * np.median(detail):
        return None
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)


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
    return Patch(pixels, as_pixels(mask), exact=True) if 0.08 < share < 0.6 else None
