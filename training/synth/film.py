"""Owns how a photograph becomes a film: a hand carries it into view, holds it as hands do, and takes it away.

Place, size, turn, tilt and light walk smoothly at random; what moves is smeared in proportion to its speed. Every
film is a function of its generator. It knows neither models nor what a note is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edge.core.messages import Frame, Pixels
from training.photos.cutout import Patch
from training.pixels import as_pixels
from training.synth.photometry import blend, times

FRAMES_PER_S = 10  # unless something else is asked for
HEIGHT_PX, WIDTH_PX = 240, 320
EXPOSURE_S = 1 / 30  # as long as a small camera exposes in a room
CARRY_S = 0.4  # to bring a note into view, and to take it out
FOCUS_S = 0.15  # the lens follows a note that comes: its blur fades in this time
SEEN = 0.5  # share of a note in the frame from which it counts as shown
NOISE_MARGIN_PX = 64

Walk = Callable[[float], float]  # seconds -> value


def wander(rng: Generator, reach: float, period_s: float) -> Walk:
    """A smooth random function of time within -reach..reach that turns about once a period."""
    speeds = 2 * np.pi / (period_s * np.exp(rng.uniform(-0.6, 0.6, 3)))
    phases = rng.uniform(0, 2 * np.pi, 3)
    weights = rng.uniform(0.3, 1.0, 3)
    weights *= reach / weights.sum()
    return lambda t_s: float((weights * np.sin(speeds * t_s + phases)).sum())


class Ground:
    """What lies behind: a crop of a picture that moves as the hand with the camera does."""

    def __init__(self, picture: Pixels, rng: Generator) -> None:
        height, width = picture.shape[:2]
        unit = max(WIDTH_PX / width, HEIGHT_PX / height) * rng.uniform(1.2, 1.7)
        self._picture = picture
        self._unit = unit
        self._x = wander(rng, max(0.0, (width * unit - WIDTH_PX) / 2), 5.0)
        self._y = wander(rng, max(0.0, (height * unit - HEIGHT_PX) / 2), 5.0)
        self._angle = wander(rng, 5.0, 4.0)

    def draw(self, t_s: float) -> Pixels:
        """(HEIGHT_PX, WIDTH_PX, 3) at `t_s`."""
        before, matrix, after = (self._matrix(t_s + shift) for shift in (-EXPOSURE_S / 2, 0.0, EXPOSURE_S / 2))
        drawn = cv2.warpAffine(self._picture, matrix, (WIDTH_PX, HEIGHT_PX), borderMode=cv2.BORDER_REFLECT_101)
        middle = np.array([self._picture.shape[1] / 2, self._picture.shape[0] / 2, 1.0])
        return _smeared(as_pixels(drawn), after @ middle - before @ middle)

    def _matrix(self, t_s: float) -> NDArray[np.float64]:
        height, width = self._picture.shape[:2]
        matrix = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), self._angle(t_s), self._unit), np.float64)
        matrix[:, 2] += WIDTH_PX / 2 - width / 2 + self._x(t_s), HEIGHT_PX / 2 - height / 2 + self._y(t_s)
        return matrix


@dataclass(frozen=True)
class Hold:
    """How something is held."""

    start_s: float  # begins to come into view
    end_s: float  # has left again
    size_px: float  # longest side, at arm's rest
    centre: tuple[float, float] = (0.5, 0.5)  # in shares of the frame
    angle_deg: float = 0.0
    side_deg: float = 90.0  # where it comes from: 0 right, 90 below


class Carried:
    """A flat thing in a moving hand."""

    def __init__(self, patch: Patch, hold: Hold, rng: Generator) -> None:
        self.hold = hold
        height, width = patch.mask.shape
        self._half = np.array([width, height]) / max(width, height) / 2
        self._patch = _fitted(patch, hold.size_px)
        self._x, self._y = wander(rng, 0.05, 1.6), wander(rng, 0.05, 1.6)
        self._tremor = wander(rng, 0.004, 0.14), wander(rng, 0.004, 0.14)
        self._size, self._turn = wander(rng, 0.1, 2.2), wander(rng, 7.0, 1.8)
        self._tilt = wander(rng, 0.07, 2.0), wander(rng, 0.07, 2.0)
        self._soft = rng.uniform(0, 2.5)
        self._shadow = rng.uniform(0, 0.4)

    def corners(self, t_s: float) -> NDArray[np.float64]:
        """(4, 2) in pixels of the frame, from the top left corner of the thing around it."""
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        tilt = 1 + signs @ [self._tilt[0](t_s), self._tilt[1](t_s)]
        angle = np.deg2rad(self.hold.angle_deg + self._turn(t_s))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        size = self.hold.size_px * np.exp(self._size(t_s))
        return np.asarray((signs * self._half * tilt[:, None] * size) @ turn.T + self._centre(t_s), np.float64)

    def _centre(self, t_s: float) -> NDArray[np.float64]:
        x = self.hold.centre[0] + self._x(t_s) + self._tremor[0](t_s)
        y = self.hold.centre[1] + self._y(t_s) + self._tremor[1](t_s)
        side = np.deg2rad(self.hold.side_deg)
        way = (np.hypot(WIDTH_PX, HEIGHT_PX) + self.hold.size_px) / 2 * 1.1
        away = np.array([np.cos(side), np.sin(side)]) * way * self._away(t_s)
        return np.asarray(np.array([x * WIDTH_PX, y * HEIGHT_PX]) + away, np.float64)

    def _away(self, t_s: float) -> float:
        """1 out of view, 0 in its place; a hand brakes as it arrives."""
        left = max(0.0, (self.hold.start_s + CARRY_S - t_s) / CARRY_S, (t_s - self.hold.end_s + CARRY_S) / CARRY_S)
        return min(1.0, left) ** 2

    def seen(self, t_s: float) -> float:
        """The share of it that is in the frame, covered or not."""
        if not self.hold.start_s < t_s < self.hold.end_s:
            return 0.0
        placed = self.corners(t_s).astype(np.float32)
        frame = np.array([[0, 0], [WIDTH_PX, 0], [WIDTH_PX, HEIGHT_PX], [0, HEIGHT_PX]], np.float32)
        inside, _ = cv2.intersectConvexConvex(cv2.convexHull(placed)[:, 0, :], frame)
        return float(inside) / max(1.0, float(cv2.contourArea(placed)))

    def draw(self, canvas: Pixels, t_s: float) -> Pixels:
        """The canvas with the thing over it."""
        if not self.hold.start_s < t_s < self.hold.end_s:
            return canvas
        height, width = self._patch.mask.shape
        start = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        warp = cv2.getPerspectiveTransform(start, self.corners(t_s).astype(np.float32))
        frame = WIDTH_PX, HEIGHT_PX
        drawn = as_pixels(cv2.warpPerspective(self._patch.pixels, warp, frame, borderMode=cv2.BORDER_REPLICATE))
        alpha = as_pixels(cv2.warpPerspective(self._patch.mask, warp, frame))
        way = self._centre(t_s + EXPOSURE_S / 2) - self._centre(t_s - EXPOSURE_S / 2)
        drawn, alpha = _smeared(drawn, way), _smeared(alpha, way)
        soft = self._soft * np.exp(-max(0.0, t_s - self.hold.start_s) / FOCUS_S)
        if soft > 0.3:
            drawn = as_pixels(cv2.GaussianBlur(drawn, (0, 0), soft))
            alpha = as_pixels(cv2.GaussianBlur(alpha, (0, 0), soft))
        return blend(_shaded(canvas, alpha, self._shadow), drawn, alpha)


class Light:
    """Lamp, exposure and sensor: brightness that drifts, a fall-off across the frame, colour, noise."""

    def __init__(self, rng: Generator) -> None:
        self._rng = rng
        self._drift = wander(rng, 0.18, 3.0)
        across, down = np.linspace(-1, 1, WIDTH_PX)[None, :], np.linspace(-1, 1, HEIGHT_PX)[:, None]
        fall = 1 + rng.uniform(-0.2, 0.2) * across + rng.uniform(-0.2, 0.2) * down
        warmth = rng.normal(0, 0.05)
        colour = np.array([1 + warmth, 1 + rng.normal(0, 0.02), 1 - warmth])
        self._field = (fall[..., None] * colour * np.exp(rng.normal(0, 0.18))).astype(np.float32)
        self._pumping = rng.uniform(0, 0.03)  # of an exposure that hunts
        big = HEIGHT_PX + NOISE_MARGIN_PX, WIDTH_PX + NOISE_MARGIN_PX, 3
        self._noise = rng.standard_normal(big, dtype=np.float32) * np.float32(rng.uniform(1, 6))

    def on(self, picture: Pixels, t_s: float) -> Pixels:
        """The picture as the sensor gives it."""
        gain = np.float32(np.exp(self._drift(t_s) + self._rng.normal(0, self._pumping)))
        top, left = self._rng.integers(NOISE_MARGIN_PX, size=2)
        lit = picture * (self._field * gain) + self._noise[top : top + HEIGHT_PX, left : left + WIDTH_PX]
        return np.asarray(np.clip(lit, 0, 255)).astype(np.uint8)


class Film:
    """A ground, things carried over it, and light; the last of the things lies on top."""

    def __init__(self, ground: Ground, things: Sequence[Carried], light: Light, length_s: float) -> None:
        self._ground, self.things, self._light, self.length_s = ground, things, light, length_s

    def frames(self, first_seq: int = 0, start_s: float = 0.0, frames_per_s: int = FRAMES_PER_S) -> list[Frame]:
        """All frames in order, counted from `first_seq`, the first taken at `start_s`."""
        times = [(number, number / frames_per_s) for number in range(round(self.length_s * frames_per_s))]
        return [Frame(first_seq + number, start_s + t_s, self.picture(t_s)) for number, t_s in times]

    def picture(self, t_s: float) -> Pixels:
        """What the camera sees `t_s` after the film began."""
        canvas = self._ground.draw(t_s)
        for thing in self.things:
            canvas = thing.draw(canvas, t_s)
        return self._light.on(canvas, t_s)

    def seen_from_s(self, thing: int = 0, frames_per_s: int = FRAMES_PER_S) -> float:
        """When half of a thing is first in a frame; the film's length if it never is."""
        times = (number / frames_per_s for number in range(round(self.length_s * frames_per_s)))
        return next((t_s for t_s in times if self.things[thing].seen(t_s) >= SEEN), self.length_s)


def hold(patch: Patch, start_s: float, end_s: float, rng: Generator) -> Hold:
    """One way to hold a patch; notes are held upright, upside down and at any angle between."""
    # A photograph in the hand shows the note smaller than itself: it is held nearer than a cut-out.
    size = rng.uniform(0.6, 0.95) if patch.exact else rng.uniform(0.9, 1.25)
    angle = rng.normal(0, 12) + 180 * rng.integers(2) if rng.random() < 0.7 else rng.uniform(0, 360)
    side = rng.choice([0.0, 90.0, 90.0, 180.0]) + rng.normal(0, 20)
    place = float(rng.uniform(0.45, 0.55)), float(rng.uniform(0.45, 0.55))
    return Hold(start_s, end_s, size * WIDTH_PX, place, float(angle), float(side))


def _fitted(patch: Patch, longest_px: float) -> Patch:
    """The patch averaged down to the size it is shown in, so that fine print does not alias; soft where it is cut."""
    height, width = patch.mask.shape
    scale = min(1.0, 1.15 * longest_px / max(height, width))
    size = max(4, round(width * scale)), max(4, round(height * scale))
    pixels = cv2.resize(patch.pixels, size, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(patch.mask, size, interpolation=cv2.INTER_AREA)
    if not patch.exact:
        mask[[0, -1]] = 0
        mask[:, [0, -1]] = 0
        mask = cv2.GaussianBlur(mask, (0, 0), 2.0)
    return Patch(as_pixels(pixels), as_pixels(mask), patch.exact)


def _smeared(picture: NDArray[np.uint8], way: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The picture moved by `way` (x, y in pixels) while the sensor was open."""
    length = int(np.ceil(np.hypot(*way)))
    if length < 2:
        return picture
    side = length | 1
    kernel = np.zeros((side, side), np.float32)
    middle, reach = side // 2, way / 2
    start, end = np.round(middle - reach).astype(int), np.round(middle + reach).astype(int)
    cv2.line(kernel, (int(start[0]), int(start[1])), (int(end[0]), int(end[1])), (1.0,))
    return as_pixels(cv2.filter2D(picture, -1, kernel / kernel.sum()))


def _shaded(canvas: Pixels, alpha: NDArray[np.uint8], depth: float) -> Pixels:
    """The thing's own shadow on what lies under it."""
    shift = np.array([[1.0, 0, 4], [0, 1, 5]])
    soft = cv2.GaussianBlur(cv2.warpAffine(alpha, shift, (WIDTH_PX, HEIGHT_PX)), (0, 0), 4)
    light = 255 - times(soft, depth)
    return as_pixels(cv2.multiply(canvas, cv2.merge([light, light, light]), scale=1 / 255))
