"""Owns light, lens, sensor and dirt: what happens to colours between a note and a picture of it.

Every operation is a function of pixels (height, width, 3) uint8 RGB and a generator, gives back pixels of the same
shape, and changes nothing in place; those on the whole picture take a square one. How often each happens stands in
WEAR and PICTURE; which note lies where, and what is switched off, is the composer's to know.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edge.core.messages import Pixels
from training.photos.cutout import Patch
from training.pixels import as_pixels

NOISE_SIDE_PX = 512  # of the sheet of noise that samples cut their own piece from


@dataclass(frozen=True)
class Operation:
    """One thing that may happen to a picture."""

    family: str  # what a recipe can switch off
    share: float  # of pictures, at full strength
    do: Callable[[Pixels, Generator], Pixels]

    @property
    def name(self) -> str:
        """What a sample's list of operations calls it."""
        return self.do.__name__


# ---- the paper's own colours ----


def faded(pixels: Pixels, rng: Generator) -> Pixels:
    """Washed out towards the colour of old paper."""
    share = rng.uniform(0.05, 0.35)
    paper = np.array([205, 190, 160]) * rng.uniform(0.6, 1.1)
    return as_pixels(cv2.addWeighted(pixels, 1 - share, np.full_like(pixels, np.clip(paper, 0, 255)), share, 0))


def dirty(pixels: Pixels, rng: Generator) -> Pixels:
    """Darkened and browned in clouds, as by many hands."""
    height, width = pixels.shape[:2]
    clouds = rng.uniform(0, rng.uniform(20, 90), (4, 7)).astype(np.uint8)
    depth = cv2.resize(clouds, (width, height), interpolation=cv2.INTER_CUBIC)
    brown = cv2.merge([255 - depth, 255 - times(depth, 1.15), 255 - times(depth, 1.45)])
    return as_pixels(cv2.multiply(pixels, brown, scale=1 / 255))


def stained(pixels: Pixels, rng: Generator) -> Pixels:
    """One to three spots of tea, oil or ink that went into the paper."""
    height, width = pixels.shape[:2]
    colours = ((150, 110, 70), (205, 185, 130), (70, 80, 150), (180, 90, 90))
    stain = np.full_like(pixels, 255)
    for _ in range(rng.integers(1, 4)):
        middle = int(rng.uniform(0, width)), int(rng.uniform(0, height))
        axes = max(2, int(width * rng.uniform(0.03, 0.14))), max(2, int(width * rng.uniform(0.02, 0.1)))
        # A drop dries from the middle: some leave a ring only.
        thick = -1 if rng.random() < 0.7 else max(1, axes[1] // 4)
        cv2.ellipse(stain, middle, axes, rng.uniform(0, 180), 0, 360, colours[rng.integers(len(colours))], thick)
    stain = as_pixels(cv2.GaussianBlur(stain, (0, 0), max(0.6, width * rng.uniform(0.004, 0.02))))
    return as_pixels(cv2.addWeighted(pixels, 0.25, cv2.multiply(pixels, stain, scale=1 / 255), 0.75, 0))


def creased(pixels: Pixels, rng: Generator) -> Pixels:
    """One to three fold lines: a worn line, and another brightness on each side of it."""
    height, width = pixels.shape[:2]
    light = np.full((height, width), 128, np.uint8)
    for _ in range(rng.integers(1, 4)):
        start, end = _line_across(width, height, rng)
        side = np.full_like(light, 128)
        cv2.fillPoly(side, [_half_plane(start, end, width + height)], (int(128 * (1 + rng.normal(0, 0.13))),))
        light = as_pixels(cv2.multiply(light, cv2.blur(side, (max(1, width // 24),) * 2), scale=1 / 128))
        worn = int(128 * (1 + rng.uniform(-0.3, 0.35)))
        cv2.line(light, start.astype(int).tolist(), end.astype(int).tolist(), (worn,), 1, cv2.LINE_AA)
    return as_pixels(cv2.multiply(pixels, cv2.merge([light] * 3), scale=1 / 128))


def written(pixels: Pixels, rng: Generator) -> Pixels:
    """A few words or figures in pen."""
    height, width = pixels.shape[:2]
    pen = rng.uniform(0, 110, 3) * (0.6, 0.6, 1.0)
    words = "".join(rng.choice(list("abdeghklmnoprstuvy0123456789 "), rng.integers(2, 9)))
    ink = np.zeros((height, width), np.uint8)
    place = int(width * rng.uniform(0.02, 0.6)), int(height * rng.uniform(0.25, 0.95))
    font = cv2.FONT_HERSHEY_SCRIPT_SIMPLEX if rng.random() < 0.7 else cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(ink, words, place, font, height * rng.uniform(0.004, 0.009), (255,), 1, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D(place, rng.normal(0, 14), 1)
    return blend(pixels, np.full_like(pixels, pen), as_pixels(cv2.warpAffine(ink, turn, (width, height))))


def taped(pixels: Pixels, rng: Generator) -> Pixels:
    """A strip of yellowed sticky tape across the note."""
    height, width = pixels.shape[:2]
    start, end = _line_across(width, height, rng)
    strip = np.zeros((height, width), np.uint8)
    thick = max(2, int(height * rng.uniform(0.1, 0.25)))
    cv2.line(strip, start.astype(int).tolist(), end.astype(int).tolist(), (int(255 * rng.uniform(0.2, 0.5)),), thick)
    return blend(pixels, np.full_like(pixels, rng.uniform([200, 190, 150], [245, 240, 225])), strip)


def _line_across(width: int, height: int, rng: Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two points of a line across a note, about along one of its sides, as notes are folded."""
    middle = np.array([width, height]) * rng.uniform(0.2, 0.8, 2)
    # Wallets fold notes across; along is rarer.
    angle = (np.pi / 2 if rng.random() < 0.7 else 0.0) + rng.normal(0, 0.12)
    along = np.array([np.cos(angle), np.sin(angle)]) * (width + height)
    return middle - along, middle + along


def _half_plane(start: NDArray[np.float64], end: NDArray[np.float64], far: float) -> NDArray[np.int32]:
    """Corners of all that lies on one side of the line."""
    along = (end - start) / np.linalg.norm(end - start)
    away = np.array([-along[1], along[0]]) * far
    return np.asarray(np.round(np.array([start, end, end + away, start + away]))).astype(np.int32)


# ---- light ----


def edged_shadow(pixels: Pixels, rng: Generator) -> Pixels:
    """The shadow of a straight or crooked thing, with a hard edge or a soft one."""
    size = pixels.shape[0]
    # Drawn at half size: a soft edge costs a quarter.
    half = max(2, size // 2)
    light = np.full((half, half), 255, np.uint8)
    depth = int(255 * (1 - rng.uniform(0.2, 0.7)))
    middle = half * (0.5 + rng.uniform(-0.4, 0.4, 2))
    if rng.random() < 0.6:
        angle = rng.uniform(0, 2 * np.pi)
        along = np.array([np.cos(angle), np.sin(angle)]) * 2 * half
        shape = _half_plane(middle - along, middle + along, 4 * half)
    else:
        corners = middle + rng.normal(0, half * 0.35, (rng.integers(3, 7), 2))
        shape = np.asarray(cv2.convexHull(corners.astype(np.int32)), np.int32)
    cv2.fillPoly(light, [shape], (depth,), cv2.LINE_AA)
    light = as_pixels(cv2.blur(light, (1 + 2 * int(half * rng.uniform(0, 0.12) ** 1.5),) * 2))
    light = as_pixels(cv2.resize(light, (size, size), interpolation=cv2.INTER_LINEAR))
    return as_pixels(cv2.multiply(pixels, cv2.merge([light] * 3), scale=1 / 255))


def light_from_one_side(pixels: Pixels, rng: Generator) -> Pixels:
    """Brighter towards one side, darker towards the other."""
    size = pixels.shape[0]
    angle, fall = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.45)
    across = np.linspace(-1, 1, 8, dtype=np.float32)
    plane = across * np.cos(angle) + across[:, None] * np.sin(angle) + rng.uniform(-0.6, 0.6)
    light = cv2.resize(np.clip(128 * (1 + fall * plane), 0, 255).astype(np.uint8), (size, size))
    return as_pixels(cv2.multiply(pixels, cv2.merge([light] * 3), scale=1 / 128))


def glare_spot(pixels: Pixels, rng: Generator) -> Pixels:
    """A lamp mirrored as a soft bright spot."""
    size = pixels.shape[0]
    few = 32
    centre, radius = rng.uniform(0.1, 0.9, 2) * few, rng.uniform(0.04, 0.2, 2) * few
    along = np.arange(few, dtype=np.float32)
    spot = np.exp(-(((along - centre[0]) / radius[0]) ** 2) / 2) * np.exp(
        -(((along - centre[1]) / radius[1]) ** 2)[:, None] / 2
    )
    bright = cv2.resize((rng.uniform(60, 255) * spot).astype(np.uint8), (size, size), interpolation=cv2.INTER_CUBIC)
    return as_pixels(cv2.add(pixels, cv2.merge([bright] * 3)))


def glare_streak(pixels: Pixels, rng: Generator) -> Pixels:
    """A tube, a window's edge or a bent shiny face: one to three bright streaks in one direction."""
    size = pixels.shape[0]
    bright = np.zeros((size, size), np.uint8)
    angle = rng.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    for _ in range(rng.integers(1, 4)):
        middle, reach = size * rng.uniform(0.1, 0.9, 2), size * rng.uniform(0.1, 0.8) * along
        ends = (middle - reach).astype(int).tolist(), (middle + reach).astype(int).tolist()
        thick = max(1, int(size * rng.uniform(0.006, 0.05)))
        cv2.line(bright, ends[0], ends[1], (int(rng.uniform(60, 230)),), thick, cv2.LINE_AA)
    bright = as_pixels(cv2.GaussianBlur(bright, (0, 0), size * rng.uniform(0.003, 0.015)))
    return as_pixels(cv2.add(pixels, cv2.merge([bright] * 3)))


def in_sleeve(pixels: Pixels, rng: Generator) -> Pixels:
    """Behind clear plastic: a haze over all, a few wavy reflections, an edge of the sleeve."""
    haze = rng.uniform(0.04, 0.22)
    hazy = cv2.addWeighted(pixels, 1 - haze, np.full_like(pixels, 235), haze, 0)
    hazy = glare_streak(as_pixels(hazy), rng)
    size = pixels.shape[0]
    start, end = _line_across(size, size, rng)
    edge = np.zeros((size, size), np.uint8)
    cv2.line(edge, start.astype(int).tolist(), end.astype(int).tolist(), (int(rng.uniform(30, 110)),), 1, cv2.LINE_AA)
    return as_pixels(cv2.add(hazy, cv2.merge([edge] * 3)))


def coloured_light(pixels: Pixels, rng: Generator) -> Pixels:
    """Lit by anything from a candle to a blue sky, as far as the camera's white balance did not take it back."""
    kelvin = float(np.exp(rng.uniform(np.log(2200), np.log(11000))))
    left = rng.beta(1.3, 4.0)  # most cameras take most of the cast back, some hardly any
    gains = light_gains(kelvin) ** left
    gains[1] *= np.exp(rng.normal(0, 0.025))  # tubes and LEDs lie off the line of glowing bodies, green or magenta
    return as_pixels(cv2.transform(pixels, np.diag(gains / (gains @ LUMA))))


def light_gains(kelvin: float) -> NDArray[np.float64]:
    """What a glowing body of that temperature does to red, green and blue, daylight (6500 K) being 1, 1, 1."""
    # Planck's law at the middle of each colour's band.
    bands_um = np.array([0.60, 0.54, 0.46])

    def glow(at: float) -> NDArray[np.float64]:
        return np.asarray(1 / (np.exp(14388 / (bands_um * at)) - 1))

    gains = glow(kelvin) / glow(6500)
    return np.asarray(gains / gains[1])


LUMA = np.array([0.299, 0.587, 0.114])


def saturated(pixels: Pixels, rng: Generator) -> Pixels:
    """Paler or more garish colours."""
    amount = float(np.exp(rng.normal(0, 0.32)))
    return as_pixels(cv2.transform(pixels, amount * np.eye(3) + (1 - amount) * LUMA[None, :]))


def exposed(pixels: Pixels, rng: Generator) -> Pixels:
    """Exposure, gamma and contrast, harsh phone processing included."""
    value = np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.28))
    middle = pixels[::4, ::4].mean() / 255 if rng.random() < 0.5 else 0.5
    value = (value - middle) * np.exp(rng.normal(0.05, 0.25)) + middle + rng.normal(0, 0.06)
    return as_pixels(cv2.LUT(pixels, np.clip(value * 255, 0, 255).astype(np.uint8)))


def other_camera(pixels: Pixels, rng: Generator) -> Pixels:
    """As another make of camera gives colours back: its own gains, saturation and gamma, beyond what light does."""
    gains = np.exp(rng.normal(0, 0.13, 3))
    strength = rng.uniform(0.55, 1.5)
    mixed = (strength * np.eye(3) + (1 - strength) / 3) @ np.diag(gains / (gains @ LUMA))
    curve = 255 * np.linspace(0, 1, 256) ** np.exp(rng.normal(0, 0.2))
    return as_pixels(cv2.LUT(as_pixels(cv2.transform(pixels, mixed)), np.round(curve).astype(np.uint8)))


def in_colours_like(pixels: Pixels, other: Pixels, rng: Generator) -> Pixels:
    """Part of the way to the mean and the spread of the colours of `other`, in CIE Lab (Reinhard et al. 2001).

    Where all notes were taken by one camera in one room, that room's colours alone must not say "note".
    """
    own = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
    theirs = cv2.cvtColor(other, cv2.COLOR_RGB2LAB)
    (mean, spread), (aim, wide) = ([part.ravel() for part in cv2.meanStdDev(lab)] for lab in (own, theirs))
    far = rng.uniform(0.4, 1.0)
    scale = 1 - far + far * np.clip(wide / (spread + 1), 0.5, 2)
    shift = mean + far * (aim - mean) - scale * mean
    moved_ = cv2.transform(own, np.column_stack([np.diag(scale), shift]))
    return as_pixels(cv2.cvtColor(moved_, cv2.COLOR_LAB2RGB))


# ---- lens and sensor ----


def out_of_focus(pixels: Pixels, rng: Generator) -> Pixels:
    """Blurred evenly, as by a lens that focused elsewhere."""
    return as_pixels(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 2.0) * _per_192(pixels)))


def moved(pixels: Pixels, rng: Generator) -> Pixels:
    """Blurred along a line, as by a hand that moved."""
    length = max(2, round(rng.integers(3, 10) * _per_192(pixels)))
    kernel = np.zeros((length, length), np.float32)
    angle, middle = rng.uniform(0, np.pi), (length - 1) / 2
    reach = np.array([np.cos(angle), np.sin(angle)]) * middle
    start, end = np.round(middle - reach).astype(int), np.round(middle + reach).astype(int)
    cv2.line(kernel, start.tolist(), end.tolist(), (1.0,))
    return as_pixels(cv2.filter2D(pixels, -1, kernel / kernel.sum()))


def sharpened(pixels: Pixels, rng: Generator) -> Pixels:
    """Sharpened by the phone, finely or in wide halos."""
    size = pixels.shape[0]
    amount, reach = rng.uniform(0.2, 1.0), rng.uniform(0.8, 12) * _per_192(pixels)
    few = max(2, int(size / max(1.0, reach / 1.5)))  # a wide blur is as good on a small picture
    soft = cv2.GaussianBlur(cv2.resize(pixels, (few, few), interpolation=cv2.INTER_AREA), (0, 0), 1.5 * min(1, reach))
    soft = cv2.resize(soft, (size, size), interpolation=cv2.INTER_LINEAR)
    return as_pixels(cv2.addWeighted(pixels, 1 + amount, soft, -amount, 0))


def sensor_noise(pixels: Pixels, rng: Generator) -> Pixels:
    """Noise that grows with the light that fell on it, and with the gain of a dark room."""
    size = pixels.shape[0]
    read, shot = rng.uniform(0.5, 5), rng.uniform(0.2, 8)
    spread = np.sqrt(read**2 + shot**2 * np.linspace(0, 1, 256)).astype(np.float32)
    sheet = _noise(smooth=bool(rng.random() < 0.4))
    top, left = rng.integers(NOISE_SIDE_PX - size, size=2) if size < NOISE_SIDE_PX else (0, 0)
    piece = sheet[top : top + size, left : left + pixels.shape[1]]
    return as_pixels(cv2.add(pixels, cv2.multiply(cv2.LUT(pixels, spread), piece), dtype=cv2.CV_8U))


def packed_as_jpeg(pixels: Pixels, rng: Generator) -> Pixels:
    """Through JPEG at a quality of 25 to 90."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
    _, packed = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)
    return as_pixels(cv2.cvtColor(cv2.imdecode(packed, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))


def _per_192(pixels: Pixels) -> float:
    """Blur is given in pixels of a 192 pixel picture; a smaller one shows less of it."""
    return float(np.clip(pixels.shape[0] / 192, 0.5, 2))


@lru_cache(maxsize=2)
def _noise(smooth: bool) -> NDArray[np.float32]:
    """A sheet of normal noise, always the same; `smooth` as left by a camera's own noise filter."""
    sheet = np.random.default_rng(20).standard_normal((NOISE_SIDE_PX, NOISE_SIDE_PX, 3), np.float32)
    if smooth:
        sheet = np.asarray(cv2.GaussianBlur(sheet, (0, 0), 0.9), np.float32)
        sheet /= sheet.std()
    return sheet


# ---- between note and ground ----


def drop_shadow(canvas: Pixels, alpha: NDArray[np.uint8], rng: Generator) -> Pixels:
    """The note's own shadow on what lies under it."""
    size = canvas.shape[0]
    shift = rng.normal(0, size * 0.02, 2)
    moved_ = cv2.warpAffine(alpha, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]), (size, size))
    soft = cv2.blur(moved_, (1 + 2 * int(size * rng.uniform(0.004, 0.03)),) * 2)
    light = 255 - times(soft, rng.uniform(0.2, 0.7))
    return as_pixels(cv2.multiply(canvas, cv2.merge([light] * 3), scale=1 / 255))


def times(picture: NDArray[Any], factor: float) -> Pixels:
    """Every value times a number, rounded as OpenCV does; its types know no numbers beside pictures."""
    return as_pixels(cv2.multiply(picture, np.array([factor])))


def blend(under: Pixels, over: Pixels, alpha: NDArray[np.uint8]) -> Pixels:
    """`over` where alpha is 255, `under` where it is 0."""
    wide = cv2.merge([alpha] * 3)
    return as_pixels(cv2.add(cv2.multiply(over, wide, scale=1 / 255), cv2.multiply(under, 255 - wide, scale=1 / 255)))


# ---- notes that are none ----


def unreadable(patch: Patch, rng: Generator) -> Patch:
    """The colours of a note with nothing left to read."""
    height, width = patch.mask.shape
    few = (
        max(2, round(width / max(height, width) * rng.integers(4, 9))),
        max(2, round(height / max(height, width) * rng.integers(4, 9))),
    )
    small = cv2.resize(patch.pixels, few, interpolation=cv2.INTER_AREA)
    return Patch(as_pixels(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)), patch.mask, exact=False)


WEAR = (
    Operation("wear", 0.22, faded),
    Operation("wear", 0.15, dirty),
    Operation("wear", 0.10, stained),
    Operation("wear", 0.25, creased),
    Operation("wear", 0.06, written),
    Operation("wear", 0.04, taped),
)
PICTURE = (
    Operation("shadows", 0.33, edged_shadow),
    Operation("shadows", 0.30, light_from_one_side),
    Operation("glare", 0.09, glare_spot),
    Operation("glare", 0.06, glare_streak),
    Operation("glare", 0.03, in_sleeve),
    Operation("light", 0.80, coloured_light),
    Operation("cameras", 0.60, other_camera),
    Operation("exposure", 0.70, saturated),
    Operation("exposure", 0.95, exposed),
    Operation("blur", 0.22, out_of_focus),
    Operation("blur", 0.13, moved),
    Operation("sharpening", 0.22, sharpened),
    Operation("noise", 0.50, sensor_noise),
    Operation("jpeg", 0.35, packed_as_jpeg),
)
