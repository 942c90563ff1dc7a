"""Owns what lies under a note and over it: grounds, hands, fingers, things. Knows no label."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edge.core import preprocess
from training.photos.material import Material
from training.pixels import as_pixels


class Surroundings:
    """Draws for frames of `size` pixels a side; every method draws from the generator it is given alone."""

    def __init__(self, material: Material, size: int) -> None:
        self._material, self._size = material, size

    def ground(self, rng: Generator) -> NDArray[np.uint8]:
        """A part of a background, turned by quarters and perhaps mirrored, (size, size, 3)."""
        picture = self._material.backgrounds[rng.integers(len(self._material.backgrounds))]
        height, width = picture.shape[:2]
        share = rng.uniform(0.4, 1.0)
        keep_h, keep_w = max(8, int(height * share)), max(8, int(width * share))
        top, left = rng.integers(height - keep_h + 1), rng.integers(width - keep_w + 1)
        ground = cv2.resize(
            picture[top : top + keep_h, left : left + keep_w], (self._size, self._size), interpolation=cv2.INTER_LINEAR
        )
        ground = preprocess.turned(as_pixels(ground[None]), 90 * int(rng.integers(4)))[0]
        return as_pixels(cv2.flip(ground, 1) if rng.random() < 0.5 else ground)

    def covering(
        self, rng: Generator, canvas: NDArray[np.uint8], alpha: NDArray[np.uint8]
    ) -> tuple[str, NDArray[np.uint8], NDArray[np.uint8]]:
        """What lies over the note: its name, pixels and mask."""
        kind = rng.random()
        if self._material.hands and kind < 0.45:
            return "hand", *self._hand(rng)
        if kind < 0.85:
            return "fingers", *self._fingers(rng, canvas, alpha)
        return "thing", *self._thing(rng, canvas)

    def _hand(self, rng: Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """A real hand that reaches in from an edge, in any skin tone."""
        patch = self._material.hands[rng.integers(len(self._material.hands))]
        height, width = patch.mask.shape
        angle = rng.uniform(0, 360)
        scale = self._size / max(height, width) * rng.uniform(0.7, 1.6)
        matrix = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale), np.float64)
        away = np.deg2rad(-angle + 90)
        reach = self._size * rng.uniform(0.35, 0.75)
        matrix[:, 2] += np.array(
            [self._size / 2 + np.cos(away) * reach - width / 2, self._size / 2 + np.sin(away) * reach - height / 2]
        )
        side = self._size, self._size
        tone = rng.uniform(0.35, 1.25)
        pixels = cv2.transform(patch.pixels, np.diag([1.0, 0.96, 0.9]) * tone)
        drawn = cv2.warpAffine(pixels, matrix, side, borderMode=cv2.BORDER_REPLICATE)
        return as_pixels(drawn), as_pixels(cv2.warpAffine(patch.mask, matrix, side))

    def _fingers(
        self, rng: Generator, canvas: NDArray[np.uint8], alpha: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """One to four fingertips that hold the note by its rim, round in the light and with nails."""
        x, y, width, height = cv2.boundingRect(alpha) if alpha.any() else (0, 0, self._size, self._size)
        centre = np.array([x + width / 2, y + height / 2])
        angle = rng.uniform(0, 2 * np.pi)
        out = np.array([np.cos(angle), np.sin(angle)])
        beside = np.array([-out[1], out[0]])
        rim = min(width / 2 / max(abs(out[0]), 1e-6), height / 2 / max(abs(out[1]), 1e-6))
        thick = max(3, int(self._size * rng.uniform(0.08, 0.16)))
        skin = np.array([224, 172, 138]) * rng.uniform(0.35, 1.1) * rng.uniform(0.94, 1.06, 3)
        mask = np.zeros((self._size, self._size), np.uint8)
        pixels = np.full_like(canvas, np.clip(skin, 0, 255))
        nail = tuple(int(v) for v in np.clip(skin * 1.12 + 8, 0, 255))
        count, lean = int(rng.choice([1, 1, 2, 3, 4])), rng.normal(0, 0.3)
        for finger in range(count):
            along = out * np.cos(lean) + beside * np.sin(lean + rng.normal(0, 0.06))
            tip = centre + out * rim * rng.uniform(0.66, 0.95) + beside * (finger - (count - 1) / 2) * thick * 1.1
            base = tip + along * self._size * 1.5
            cv2.line(mask, tip.astype(int).tolist(), base.astype(int).tolist(), (255,), thick, cv2.LINE_AA)
            under_nail = tip + along * thick * 0.1
            axes = max(1, int(thick * 0.36)), max(1, int(thick * 0.26))
            turn = float(np.degrees(np.arctan2(along[1], along[0])))
            cv2.ellipse(pixels, under_nail.astype(int).tolist(), axes, turn, 0, 360, nail, -1, cv2.LINE_AA)
        # The blurred mask is bright in the middle of a finger and dark at its sides: as round things are.
        round_ = np.maximum(cv2.blur(mask, (thick | 1, thick | 1)), 40)
        return as_pixels(cv2.multiply(pixels, cv2.merge([round_] * 3), scale=1.15 / 255)), mask

    def _thing(self, rng: Generator, canvas: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        mask = np.zeros((self._size, self._size), np.uint8)
        centre = rng.uniform(0, self._size, 2)
        corners = centre + rng.normal(0, self._size * 0.16, (rng.integers(3, 7), 2))
        cv2.fillConvexPoly(mask, cv2.convexHull(corners.astype(np.int32)), (255,), lineType=cv2.LINE_AA)
        if rng.random() < 0.7:
            return self.ground(rng), mask
        return np.full_like(canvas, rng.uniform(0, 255, 3)), mask
