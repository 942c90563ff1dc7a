"""Owns where a patch lies in the frame: its size, turn and perspective, and what of it is in view.

Knows no label and no ground.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.photos.cutout import Patch
from training.synth import paper
from training.synth.chances import Draw
from training.synth.recipe import Recipe


class Placement:
    """For frames of `size` pixels a side, as a recipe has it."""

    def __init__(self, size: int, recipe: Recipe) -> None:
        self._size, self._recipe = size, recipe

    def scale(self, draw: Draw, stray: bool) -> float:
        """Longest side of the whole patch over the side of the frame."""
        low, high = self._recipe.scale_low, self._recipe.scale_high
        if stray:
            kind = draw["strays"].random()
            low, high = (0.15, low) if kind < 0.3 else (high, 2.6) if kind < 0.45 else (0.6, high)
        return float(np.exp(draw["placement"].uniform(np.log(low), np.log(high))))

    def sized(self, patch: Patch, scale: float) -> tuple[Patch, float]:
        """The patch no finer than the frame will show it, and pixels of the frame to one of it."""
        longest = max(patch.mask.shape)
        shrink = scale * self._size / longest
        # Half as much again is left for a view from the side that stretches it.
        patch = paper.smaller(patch, 1.25 * shrink)
        return patch, scale * self._size / max(patch.mask.shape)

    def seen(self, patch: Patch, unit: float, stray: bool, draw: Draw) -> NDArray[np.float64]:
        """A placement in which enough of the patch is in the frame, or a stray one."""
        if stray:
            # Anywhere from the middle to just outside, so that every side of the frame cuts notes.
            reach = 0.5 + 0.35 * unit * max(patch.mask.shape) / self._size
            centre = self._size * (0.5 + draw["placement"].uniform(-reach, reach, 2))
            return self.warp(draw, patch, unit, (float(centre[0]), float(centre[1])))
        for _ in range(12):
            warp = self.middle(draw, patch, unit)
            if self.box(patch, warp)[0] >= 0.55:
                break
        return warp

    def middle(self, draw: Draw, patch: Patch, unit: float) -> NDArray[np.float64]:
        """A homography that puts the patch somewhere about the middle of the frame."""
        scale = unit * max(patch.mask.shape) / self._size
        reach = 0.12 + 0.28 * abs(1 - min(scale, 1.4))
        centre = self._size * (0.5 + draw["placement"].uniform(-reach, reach, 2))
        return self.warp(draw, patch, unit, (float(centre[0]), float(centre[1])))

    def warp(self, draw: Draw, patch: Patch, unit: float, centre: tuple[float, float]) -> NDArray[np.float64]:
        """Homography (3, 3) from the patch to the frame: any turn, shear, another aspect, some perspective."""
        height, width = patch.mask.shape
        rng = draw["turns"]
        # Photographs of photographers hold the note upright or across more often than in between.
        angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.6 else rng.integers(4) * np.pi / 2 + rng.normal(0, 0.12)
        if not draw.on("turns"):
            angle = rng.normal(0, 0.08)
        rng, much = draw["perspective"], float(draw.on("perspective"))
        aspect = float(np.exp(much * rng.normal(0, 0.16)))
        shear = much * rng.normal(0, 0.12)
        cos, sin = np.cos(angle), np.sin(angle)
        # The aspect changes after the turn: it stands for a frame of another shape squeezed into the square.
        affine = (
            np.diag([unit * aspect, unit / aspect])
            @ np.array([[cos, -sin], [sin, cos]])
            @ np.array([[1, shear], [0, 1]])
        )
        corners = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
        target = corners @ affine.T
        target += much * rng.normal(0, 0.05, (4, 2)) * unit * min(height, width)
        target += centre
        start = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        return np.asarray(cv2.getPerspectiveTransform(start, target.astype(np.float32)), np.float64)

    def box(self, patch: Patch, warp: NDArray[np.float64]) -> tuple[float, NDArray[np.float32]]:
        """Share of the note that is in the frame, and its place clipped to the frame, the visible share still open."""
        outline = patch.outline
        if outline is None or patch.exact:
            contours, _ = cv2.findContours(patch.mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            if not contours:
                return 0.0, np.zeros(5, np.float32)
            outline = cv2.convexHull(np.concatenate(contours))[:, 0].astype(np.float32)
        placed = cv2.perspectiveTransform(outline[None], warp)[0]
        frame = np.array([[0, 0], [self._size, 0], [self._size, self._size], [0, self._size]], np.float32)
        hull = cv2.convexHull(placed)[:, 0, :]
        inside, _ = cv2.intersectConvexConvex(hull, frame)
        visible = min(1.0, float(inside) / max(1.0, cv2.contourArea(hull)))
        if visible == 0.0:
            return 0.0, np.zeros(5, np.float32)
        low, high = (
            np.clip(placed.min(0), 0, self._size) / self._size,
            np.clip(placed.max(0), 0, self._size) / self._size,
        )
        return visible, np.array([*(low + high) / 2, *(high - low), 0.0], np.float32)

    def drawn(self, outline: NDArray[np.float32], warp: NDArray[np.float64]) -> NDArray[np.uint8]:
        """The mask (size, size) of what `outline` (n, 2) of a patch encloses."""
        mask = np.zeros((self._size, self._size), np.uint8)
        placed = cv2.perspectiveTransform(outline[None], warp)[0]
        cv2.fillConvexPoly(mask, np.round(placed).astype(np.int32), (255,))
        return mask

    def around(self, alpha: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """The place (4,) of what is not 0; None where all is."""
        x, y, width, height = cv2.boundingRect(alpha)
        place = np.array([x + width / 2, y + height / 2, width, height], np.float32) / self._size
        return place if width else None
