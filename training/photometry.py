"""Owns light, lens, wear and sensor: what happens to colours between a note and a picture of it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.cutout import Patch

Pixels = NDArray[np.uint8]


def wear(patch: Patch, rng: Generator) -> Patch:
    """The note after some years: pale or dirty, creased, written on."""
    if rng.random() < 0.55:
        return patch
    pixels = patch.pixels
    if rng.random() < 0.5:
        paper = np.array([205, 190, 160]) * rng.uniform(0.6, 1.1)
        pixels = cv2.addWeighted(
            pixels, 1 - (fade := rng.uniform(0.05, 0.35)), np.full_like(pixels, np.clip(paper, 0, 255)), fade, 0
        )
    if rng.random() < 0.6:
        pixels = _creases(pixels, rng)
    if rng.random() < 0.15:
        pixels = pixels.copy()
        points = (rng.uniform(0.1, 0.9, (5, 2)) * [pixels.shape[1], pixels.shape[0]]).astype(np.int32)
        cv2.polylines(pixels, [points], False, tuple(int(v) for v in rng.integers(0, 110, 3)), 1, cv2.LINE_AA)
    return Patch(pixels, patch.mask, patch.exact)


def _creases(pixels: Pixels, rng: Generator) -> Pixels:
    """One to three fold lines: a thin line, and another brightness on each side of it."""
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    light = np.ones((height, width), np.float32)
    for _ in range(rng.integers(1, 4)):
        angle = rng.integers(2) * np.pi / 2 + rng.normal(0, 0.15)
        distance = (x - rng.uniform(0.2, 0.8) * width) * np.cos(angle) + (y - rng.uniform(0.2, 0.8) * height) * np.sin(
            angle
        )
        light *= 1 + rng.normal(0, 0.09) * np.tanh(distance / (0.04 * width + 1))
        light *= 1 + rng.uniform(-0.3, 0.2) * np.exp(-((distance / 1.3) ** 2))
    return np.clip(pixels * light[..., None], 0, 255).astype(np.uint8)


def unreadable(patch: Patch, rng: Generator) -> Patch:
    """The colours of a note with nothing left to read."""
    height, width = patch.mask.shape
    few = (
        max(2, round(width / max(height, width) * rng.integers(4, 9))),
        max(2, round(height / max(height, width) * rng.integers(4, 9))),
    )
    small = cv2.resize(patch.pixels, few, interpolation=cv2.INTER_AREA)
    return Patch(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), patch.mask, exact=False)


def drop_shadow(canvas: Pixels, alpha: NDArray[np.uint8], rng: Generator) -> Pixels:
    """The note's own shadow on what lies under it."""
    size = canvas.shape[0]
    shift = rng.normal(0, size * 0.02, 2)
    moved = cv2.warpAffine(alpha, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]), (size, size))
    soft = cv2.GaussianBlur(moved, (0, 0), size * rng.uniform(0.008, 0.03))
    light = 255 - cv2.multiply(soft, rng.uniform(0.2, 0.7))
    return cv2.multiply(canvas, cv2.merge([light, light, light]), scale=1 / 255)


def expose(pixels: Pixels, rng: Generator, strength: float) -> Pixels:
    """The picture as a phone or a small camera would have taken it."""
    picture = pixels.astype(np.float32) / 255
    picture = _lit(picture, rng, strength)
    picture = _tone(picture, rng, strength)
    picture = _lens(picture, rng, strength)
    if rng.random() < 0.5 * strength:
        picture = picture + rng.normal(0, rng.uniform(0.005, 0.05), picture.shape).astype(np.float32)
    result = np.clip(picture * 255, 0, 255).astype(np.uint8)
    if rng.random() < 0.35 * strength:
        _, packed = cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])
        result = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    return result


def _lit(picture: NDArray[np.float32], rng: Generator, strength: float) -> NDArray[np.float32]:
    """Shadows with an edge, light that falls off, a spot of glare, coloured light."""
    size = picture.shape[0]
    field = _field(rng, size)
    if rng.random() < 0.4 * strength:
        edge = 1 / (1 + np.exp(-field * rng.uniform(4, 40)))
        picture = picture * (1 - rng.uniform(0.2, 0.65) * edge)[..., None]
    elif rng.random() < 0.4 * strength:
        picture = picture * (1 + rng.uniform(-0.4, 0.4) * field)[..., None]
    if rng.random() < 0.15 * strength:
        y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
        centre, radius = rng.uniform(0.1, 0.9, 2), rng.uniform(0.04, 0.2)
        spot = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * radius**2))
        picture = picture + (rng.uniform(0.2, 0.8) * spot)[..., None]
    warmth = rng.normal(0, 0.07 * strength)
    gains = np.array([1 + warmth, 1 + rng.normal(0, 0.03 * strength), 1 - warmth], np.float32)
    return (picture * gains).astype(np.float32)


def _field(rng: Generator, size: int) -> NDArray[np.float32]:
    """A plane through the picture's middle, tilted any way: (size, size), about -1..1."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size * 2 - 1
    angle = rng.uniform(0, 2 * np.pi)
    return (x * np.cos(angle) + y * np.sin(angle) + rng.uniform(-0.6, 0.6)).astype(np.float32)


def _tone(picture: NDArray[np.float32], rng: Generator, strength: float) -> NDArray[np.float32]:
    """Exposure, gamma, contrast and saturation, harsh phone processing included."""
    picture = np.clip(picture, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.28 * strength)))
    if rng.random() < 0.8:
        middle = picture.mean() if rng.random() < 0.5 else 0.5
        picture = (picture - middle) * np.float32(np.exp(rng.normal(0.05, 0.25 * strength))) + middle
    if rng.random() < 0.7:
        grey = picture @ np.array([0.299, 0.587, 0.114], np.float32)
        picture = grey[..., None] + (picture - grey[..., None]) * np.float32(np.exp(rng.normal(0, 0.3 * strength)))
    return (picture + np.float32(rng.normal(0, 0.06 * strength))).astype(np.float32)


def _lens(picture: NDArray[np.float32], rng: Generator, strength: float) -> NDArray[np.float32]:
    """Out of focus, moved, or sharpened by the phone."""
    kind = rng.random()
    if kind < 0.22 * strength:
        return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 2.0))
    if kind < 0.36 * strength:
        length = int(rng.integers(3, 10))
        kernel = np.zeros((length, length), np.float32)
        angle = rng.uniform(0, np.pi)
        reach = np.array([np.cos(angle), np.sin(angle)]) * (length - 1) / 2
        middle = (length - 1) / 2
        start, end = (np.round([middle, middle] - reach)).astype(int), (np.round([middle, middle] + reach)).astype(int)
        cv2.line(kernel, tuple(map(int, start)), tuple(map(int, end)), 1.0)
        return cv2.filter2D(picture, -1, kernel / kernel.sum())
    if kind < 0.6 * strength:
        soft = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.8, 12))
        return picture + (picture - soft) * np.float32(rng.uniform(0.2, 1.0))
    return picture
