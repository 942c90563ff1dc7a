"""Owns staged scenes for the hints: a note (or nothing) before a background, placed so that one hint would help.

A note is a cut-out, or a whole photograph with a known box that is moved within the picture. A scene is a function of
its generator. It must not know of bundles or of what is said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edge.core.messages import Hint, Pixels
from training.photos.cutout import Patch
from training.pixels import as_pixels
from training.synth import paper
from training.synth.photometry import blend

SIDE_PX = 240
ASPECT = 4 / 3  # of the camera's picture, which is squeezed into the square
BEFORE, SHOWN = 6, 24  # frames of scenery alone, then of the case
# Longer side of the note over the picture's width: a note of 15 cm fills the width at 12 cm.
OUTSTRETCHED = 0.19, 0.29  # 40 to 60 cm away
TOO_NEAR = 1.9, 3.0  # 4 to 6 cm away, and out of focus
IN_VIEW = 0.3, 0.6  # share of a note that is cut by the rim
# Which way the note has left the picture when a hint is right: towards the edge that cuts it.
AWAY = {Hint.RIGHT: (-1, 0), Hint.LEFT: (1, 0), Hint.DOWN: (0, -1), Hint.UP: (0, 1)}


@dataclass(frozen=True)
class Place:
    """Where a note lies: shares of the picture, before the squeeze."""

    x: float
    y: float
    long: float  # the note's longer side over the picture's width
    angle: float  # radians


@dataclass(frozen=True)
class Note:
    """A note with or without surroundings, and where in its pixels the note itself lies."""

    patch: Patch
    left: float  # pixels
    top: float
    width: float
    height: float

    @classmethod
    def alone(cls, patch: Patch) -> Note:
        """A cut-out, turned so that its sides are those of the note: what is in view of it is a share of the note."""
        middle, (width, height), angle = paper.rectangle(patch.mask)
        turn = np.asarray(cv2.getRotationMatrix2D(middle, angle, 1.0), np.float64)
        turn[:, 2] += width / 2 - middle[0], height / 2 - middle[1]
        size = round(width) + 1, round(height) + 1  # the rectangle goes through the middles of the outermost pixels
        pixels = cv2.warpAffine(patch.pixels, turn, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mask = cv2.warpAffine(patch.mask, turn, size, flags=cv2.INTER_LINEAR)
        return cls(replace(patch, pixels=as_pixels(pixels), mask=as_pixels(mask)), 0, 0, *size)


@dataclass(frozen=True)
class Case:
    """One situation and what is right to say in it."""

    name: str
    right: Hint | None
    amount_wanted: bool = False  # the note is well placed: the amount is right, not a hint
    on_photograph: bool = True  # can be made from a photograph, too


CASES = (
    Case("too dark", Hint.TOO_DARK),
    Case("moving", Hint.HOLD_STILL),
    Case("too small", Hint.CLOSER),
    Case("too large", Hint.FURTHER),
    Case("cut on the left", Hint.RIGHT),
    Case("cut on the right", Hint.LEFT),
    Case("cut at the top", Hint.DOWN),
    Case("cut at the bottom", Hint.UP),
    Case("covered", Hint.COVERED),
    Case("well placed", None, amount_wanted=True),
    Case("pocket", None, on_photograph=False),
    Case("table", None, on_photograph=False),
    Case("walking", None, on_photograph=False),
)


def stage(case: Case, note: Note, ground: Pixels, rng: Generator) -> Iterator[Pixels]:
    """The frames of one scene."""
    scenery = _Scenery(ground, rng)
    light, thumb, noise = _Light(rng), _Thumb(rng), _Noise(rng)
    dark = float(rng.uniform(4, 9))  # mean brightness where there is too little light
    place = _place(case, note, rng)
    shake = _Walk(rng, 0.006)
    for number in range(BEFORE + SHOWN):
        shown = number >= BEFORE
        picture = scenery.next(still=case.name == "table")
        if case.name == "pocket" or (case.name == "covered" and shown):
            yield noise.on(thumb.next(), rng)
            continue
        if shown and place is not None:
            picture = _show(case, picture, note, _moved(place, shake, number), rng, number)
        wobble = 1.0 if case.name == "table" else 1 + rng.normal(0, 0.02)
        lit = light.on(picture)
        level = dark / max(1.0, float(lit.mean())) if case.name == "too dark" else 1.0
        yield noise.on(as_pixels(cv2.convertScaleAbs(lit, alpha=level * wobble)), rng)


class _Walk:
    """A hand's tremor: numbers that wander about zero."""

    def __init__(self, rng: Generator, size: float) -> None:
        self._rng, self._size = rng, size
        self._at = np.zeros(4)

    def next(self) -> NDArray[np.float64]:
        self._at = 0.7 * self._at + self._rng.normal(0, self._size, 4)
        return self._at


class _Scenery:
    """What lies behind the note: a part of a photograph that sways a little with the wearer."""

    def __init__(self, ground: Pixels, rng: Generator) -> None:
        share = rng.uniform(0.5, 0.8)
        self._ground = np.ascontiguousarray(ground[:, ::-1]) if rng.random() < 0.5 else ground
        self._size = share * ground.shape[1], share * ground.shape[0]
        self._room = ground.shape[1] - self._size[0], ground.shape[0] - self._size[1]
        self._at = rng.uniform(0.2, 0.8, 2)
        self._pace = rng.normal(0, 0.01, 2)
        self._rng = rng

    def next(self, *, still: bool) -> Pixels:
        """The next picture, (SIDE_PX, SIDE_PX, 3)."""
        if not still:
            self._at = np.clip(self._at + self._pace + self._rng.normal(0, 0.01, 2), 0, 1)
        x, y = self._at * self._room
        scale = SIDE_PX / self._size[0], SIDE_PX / self._size[1]
        warp = np.array([[scale[0], 0, -x * scale[0]], [0, scale[1], -y * scale[1]]])
        side = SIDE_PX, SIDE_PX
        return as_pixels(
            cv2.warpAffine(self._ground, warp, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        )


def _place(case: Case, note: Note, rng: Generator) -> Place | None:
    """Where the note is to be for `case`; None where there is none."""
    angle = float(rng.integers(4) * np.pi / 2 + rng.normal(0, 0.15))
    middle = Place(0.5 + rng.uniform(-0.07, 0.07), 0.5 + rng.uniform(-0.07, 0.07), _fitting(note, angle, rng), angle)
    if case.name in ("pocket", "table", "walking", "covered"):
        return None
    if case.name == "too small":
        at = rng.uniform(0.3, 0.7, 2)
        return Place(float(at[0]), float(at[1]), float(rng.uniform(*OUTSTRETCHED)), angle)
    if case.name == "too large":
        at = rng.uniform(0.4, 0.6, 2)
        return Place(float(at[0]), float(at[1]), float(rng.uniform(*TOO_NEAR)), angle)
    if case.right in AWAY:
        return _cut(middle, note, AWAY[case.right], float(rng.uniform(*IN_VIEW)))
    return middle


def _fitting(note: Note, angle: float, rng: Generator) -> float:
    """A size that a hand at 12 to 22 cm gives, and with which the turned note fits into the picture."""
    across, along = _extent(note, Place(0.5, 0.5, 1.0, angle))
    return float(min(rng.uniform(0.55, 0.95), 0.84 / max(across, along)))


def _extent(note: Note, place: Place) -> tuple[float, float]:
    """Width and height of the box around the placed note, in shares of the picture."""
    low, high = _outline(note, place).min(0), _outline(note, place).max(0)
    return float(high[0] - low[0]), float(high[1] - low[1])


def _outline(note: Note, place: Place) -> NDArray[np.float32]:
    left, top, right, bottom = note.left, note.top, note.left + note.width, note.top + note.height
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
    return np.asarray(
        (corners @ _warp(note, place)[:, :2].T + _warp(note, place)[:, 2]).astype(np.float32) / SIDE_PX, np.float32
    )


def _visible(note: Note, place: Place) -> float:
    outline = _outline(note, place)
    frame = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    inside, _ = cv2.intersectConvexConvex(outline, frame)
    return float(inside) / max(1e-6, cv2.contourArea(outline))


def _cut(place: Place, note: Note, towards: tuple[int, int], visible: float) -> Place:
    """The place moved over an edge until `visible` of the note is left."""
    near, far = 0.0, 2.0
    for _ in range(20):
        by = (near + far) / 2
        moved = Place(place.x + towards[0] * by, place.y + towards[1] * by, place.long, place.angle)
        near, far = (by, far) if _visible(note, moved) > visible else (near, by)
    return moved


def _warp(note: Note, place: Place) -> NDArray[np.float64]:
    """(2, 3) from the note's pixels to the squeezed picture."""
    unit = place.long * SIDE_PX / max(note.height, note.width)
    cos, sin = np.cos(place.angle) * unit, np.sin(place.angle) * unit
    linear = np.array([[cos, -sin], [sin * ASPECT, cos * ASPECT]])
    centre = np.array([place.x, place.y]) * SIDE_PX
    middle = np.array([note.left + note.width / 2, note.top + note.height / 2])
    return np.column_stack([linear, centre - linear @ middle])


def _moved(place: Place, shake: _Walk, number: int) -> Place:
    x, y, size, turn = shake.next()
    return Place(place.x + x, place.y + y, place.long * (1 + size), place.angle + 3 * turn)


def _show(case: Case, picture: Pixels, note: Note, place: Place, rng: Generator, number: int) -> Pixels:
    if case.name == "moving":
        return _swept(picture, note, place, number, rng)
    shown = paste(picture, note, place)
    return as_pixels(cv2.GaussianBlur(shown, (0, 0), 1.5) if case.name == "too large" else shown)


def _swept(picture: Pixels, note: Note, place: Place, number: int, rng: Generator) -> Pixels:
    """A note that is waved: the mean of where it was while the picture was taken."""
    phase = number * 1.9
    total = np.zeros(picture.shape, np.float32)
    for step in range(6):
        at = 0.25 * np.sin(phase + 0.9 * step / 5)
        total += paste(picture, note, Place(place.x + at, place.y + at * 0.3, place.long, place.angle))
    return (total / 6).astype(np.uint8)


def paste(picture: Pixels, note: Note, place: Place) -> Pixels:
    """The picture with the note on it."""
    whole, warp = note.patch, _warp(note, place)
    shown = paper.smaller(whole, place.long * SIDE_PX * ASPECT / max(note.width, note.height))
    factor = shown.mask.shape[1] / whole.mask.shape[1], shown.mask.shape[0] / whole.mask.shape[0]
    warp = np.column_stack([warp[:, 0] / factor[0], warp[:, 1] / factor[1], warp[:, 2]])
    side = SIDE_PX, SIDE_PX
    drawn = cv2.warpAffine(shown.pixels, warp, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return blend(
        picture,
        as_pixels(drawn),
        as_pixels(cv2.warpAffine(shown.mask, warp, side, flags=cv2.INTER_LINEAR)),
    )


class _Light:
    """One light for a whole scene: brightness, contrast, colour, shadow to one side, a lens not quite sharp."""

    def __init__(self, rng: Generator) -> None:
        warmth, gamma, contrast = rng.normal(0, 0.06), np.exp(rng.normal(0, 0.2)), np.exp(rng.normal(0, 0.12))
        values = (np.arange(256) / 255) ** gamma
        values = np.clip((values - 0.5) * contrast + 0.5 + rng.normal(0, 0.03), 0, 1)
        curve = values[:, None] * np.array([1 + warmth, 1.0, 1 - warmth])
        self._curve = np.clip(255 * curve, 0, 255).astype(np.uint8).reshape(1, 256, 3)
        self._blur = float(rng.choice([0.0, 0.0, rng.uniform(0.4, 1.2)]))
        y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX].astype(np.float32) / SIDE_PX - 0.5
        angle = rng.uniform(0, 2 * np.pi)
        shade = 1 - rng.uniform(0, 0.5) * np.clip(0.5 + x * np.cos(angle) + y * np.sin(angle), 0, 1)
        self._shade = cv2.merge([(255 * shade).astype(np.uint8)] * 3)

    def on(self, picture: Pixels) -> Pixels:
        """The picture in this light."""
        if self._blur:
            picture = as_pixels(cv2.GaussianBlur(picture, (0, 0), self._blur))
        return as_pixels(cv2.multiply(cv2.LUT(picture, self._curve), self._shade, scale=1 / 255))


class _Noise:
    """A sensor's noise: another part of one sheet of it for each frame."""

    def __init__(self, rng: Generator, deviation: float = 1.5) -> None:
        self._sheet = rng.normal(0, deviation, (SIDE_PX + 64, SIDE_PX + 64, 3)).astype(np.int16)

    def on(self, picture: Pixels, rng: Generator) -> Pixels:
        """The picture with noise."""
        x, y = rng.integers(0, 64, 2)
        noisy = picture + self._sheet[y : y + SIDE_PX, x : x + SIDE_PX]
        return np.asarray(np.clip(noisy, 0, 255)).astype(np.uint8)


class _Thumb:
    """What a covered lens sees: a dull red glow at most, brighter to one side, that changes with the pressure."""

    def __init__(self, rng: Generator) -> None:
        y, x = np.mgrid[0:SIDE_PX, 0:SIDE_PX].astype(np.float32) / SIDE_PX - 0.5
        slope = 1 + 0.2 * (x * rng.normal() + y * rng.normal())
        self._glow = slope[..., None] * np.array([1.0, 0.35, 0.3], np.float32) * rng.uniform(0, 14)
        self._number = 0

    def next(self) -> Pixels:
        """The next picture."""
        self._number += 1
        return np.asarray(np.clip(self._glow * (1 + 0.06 * np.sin(self._number)), 0, 255)).astype(np.uint8)


def with_surroundings(pixels: Pixels, box: tuple[float, float, float, float]) -> tuple[Note, Pixels]:
    """A photograph as a note that brings its surroundings, and a ground in the colour of its rim to go on with."""
    height, width = pixels.shape[:2]
    x, y, w, h = box
    mask = np.zeros((height, width), np.uint8)
    rim = max(2, min(height, width) // 24)
    mask[rim:-rim, rim:-rim] = 255
    mask = as_pixels(cv2.blur(mask, (rim, rim)))
    left, top = max(0.0, x - w / 2), max(0.0, y - h / 2)
    note = Note(Patch(pixels, mask, exact=False), left * width, top * height, w * width, h * height)
    edge = np.concatenate([pixels[:rim].reshape(-1, 3), pixels[-rim:].reshape(-1, 3), pixels[:, :rim].reshape(-1, 3)])
    return note, np.full((height, width, 3), np.median(edge, axis=0), np.uint8)
