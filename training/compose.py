"""Owns the synthesiser: a note, a background, light and a hand become one labelled picture.

Every sample is a function of the seed and its number, so any of them can be made again, in any order and on
any thread. It knows where it put the note. It must not know of models or files.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training import photometry
from training.cutout import Patch

LEAST_VISIBLE = 0.35  # share of a note that must be in view and uncovered for its label to be asked for


@dataclass(frozen=True)
class Sample:
    """One picture to learn from."""

    pixels: NDArray[np.uint8]  # (size, size, 3) RGB
    target: NDArray[np.float32]  # (labels,) probabilities
    box: NDArray[np.float32]  # (5,) centre x, y, width, height, visible share, all 0..1
    box_known: bool


@dataclass(frozen=True)
class Material:
    """What samples are made from."""

    notes: dict[str, dict[str, list[Patch]]]  # denomination -> source -> patches
    backgrounds: list[NDArray[np.uint8]]
    strangers: list[Patch]  # other money and other flat things, pasted like a note
    hands: list[Patch]


@dataclass(frozen=True)
class Recipe:
    """How often what happens; shares are of all samples."""

    none_share: float = 0.26
    several_share: float = 0.07
    exact_weight: float = 0.35  # of choosing a cut-out source against the photographs in the hand
    scale_low: float = 0.42  # longest side of the patch over the side of the frame
    scale_high: float = 1.55
    strength: float = 1.0  # of light and lens
    turns: bool = True  # notes lie at any angle
    covers: bool = True  # hands and things over the picture
    folds: bool = True  # parts of notes are shown for notes


GENTLE = Recipe(several_share=0.0, scale_low=0.8, scale_high=1.1, strength=0.2, turns=False, covers=False, folds=False)


class Composer:
    """Makes samples of `size` pixels a side for `labels` (denominations, then "background", then "several")."""

    def __init__(self, material: Material, labels: tuple[str, ...], size: int, seed: int, recipe: Recipe) -> None:
        self.material, self.labels, self.size, self.seed, self.recipe = material, labels, size, seed, recipe
        self.denominations = [label for label in labels if label in material.notes]
        self.background, self.several = labels.index("background"), labels.index("several")

    def sample(self, number: int) -> Sample:
        """Sample `number`; the same for the same seed, whatever was made before."""
        rng = np.random.default_rng((self.seed, number))
        kind = rng.random()
        if kind < self.recipe.none_share:
            return self._none(rng)
        if kind < self.recipe.none_share + self.recipe.several_share:
            return self._several(rng)
        return self._note(rng)

    def batch(
        self, first: int, count: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Pictures (count, size, size, 3), targets (count, labels), boxes (count, 5), box weights (count,)."""
        samples = [self.sample(first + i) for i in range(count)]
        return (
            np.stack([s.pixels for s in samples]),
            np.stack([s.target for s in samples]),
            np.stack([s.box for s in samples]),
            np.array([s.box_known for s in samples], np.float32),
        )

    def _note(self, rng: Generator) -> Sample:
        label = self.denominations[rng.integers(len(self.denominations))]
        patch = photometry.wear(self._fold(self._pick(label, rng), rng), rng)
        canvas = self._ground(rng)
        for _ in range(12):
            warp = self._placement(rng, patch)
            visible, box = self._box(patch, warp)
            if visible >= 0.55:
                break
        canvas, alpha = self._paste(canvas, patch, warp, rng)
        covered = self._cover(canvas, alpha, rng, limit=0.4)
        visible *= 1 - covered
        return self._finish(canvas, self.labels.index(label), box, visible, patch.exact, rng)

    def _none(self, rng: Generator) -> Sample:
        canvas = self._ground(rng)
        kind = rng.random()
        alpha = np.zeros(canvas.shape[:2], np.uint8)
        if kind < 0.3 and self.material.strangers:
            stranger = self._fold(self.material.strangers[rng.integers(len(self.material.strangers))], rng)
            canvas, alpha = self._paste(canvas, stranger, self._placement(rng, stranger), rng)
        elif kind < 0.5:
            other = self.material.backgrounds[rng.integers(len(self.material.backgrounds))]
            flat = self._note_shaped(Patch(other, np.full(other.shape[:2], 255, np.uint8), exact=False), rng)
            canvas, alpha = self._paste(canvas, flat, self._placement(rng, flat), rng)
        elif kind < 0.56:
            # The colours of a note without anything to read: colour alone must not be an amount.
            label = self.denominations[rng.integers(len(self.denominations))]
            ghost = photometry.unreadable(self._pick(label, rng), rng)
            canvas, alpha = self._paste(canvas, ghost, self._placement(rng, ghost), rng)
        if rng.random() < 0.5:
            self._cover(canvas, alpha, rng, limit=0.4)
        return self._finish(canvas, self.background, np.zeros(5, np.float32), 0.0, False, rng)

    def _several(self, rng: Generator) -> Sample:
        count = min(len(self.denominations), int(rng.choice([2, 2, 2, 3, 4])))
        chosen = rng.choice(len(self.denominations), count, replace=False)
        canvas = self._ground(rng)
        across = rng.random() < 0.5
        for place, index in enumerate(chosen):
            patch = self._tight(self.denominations[index], rng)
            along = (place + 0.5) / count * self.size
            middle = self.size * rng.uniform(0.35, 0.65)
            centre = (along, middle) if across else (middle, along)
            scale = rng.uniform(0.75, 1.15) * (0.62 if count == 2 else 0.45)
            warp = self._warp(rng, patch, scale, centre)
            canvas, _ = self._paste(canvas, patch, warp, rng)
        return self._finish(canvas, self.several, np.zeros(5, np.float32), 0.0, False, rng)

    def _pick(self, label: str, rng: Generator) -> Patch:
        sources = self.material.notes[label]
        weights = np.array(
            [self.recipe.exact_weight if p[0].exact else (len(p) / 400) ** 0.35 for p in sources.values()]
        )
        source = list(sources.values())[rng.choice(len(sources), p=weights / weights.sum())]
        return source[rng.integers(len(source))]

    def _tight(self, label: str, rng: Generator) -> Patch:
        exact = [patches for patches in self.material.notes[label].values() if patches[0].exact]
        patches = (
            exact[0]
            if exact and rng.random() < 0.7
            else self.material.notes[label][next(iter(self.material.notes[label]))]
        )
        patch = patches[rng.integers(len(patches))]
        return patch if patch.exact else self._crop(patch, 0.7, rng)

    def _fold(self, patch: Patch, rng: Generator) -> Patch:
        """The patch, or a part of 50 to 100 % of it, as a folded or half-covered note shows."""
        if not self.recipe.folds:
            return patch
        if patch.exact:
            return self._crop(patch, rng.uniform(0.5, 0.95), rng, along=True) if rng.random() < 0.3 else patch
        return self._crop(patch, rng.uniform(0.6, 1.0), rng) if rng.random() < 0.7 else patch

    @staticmethod
    def _crop(patch: Patch, share: float, rng: Generator, along: bool = False) -> Patch:
        height, width = patch.mask.shape
        keep_h, keep_w = (height, width) if along else (int(height * share), int(width * share))
        if along and width >= height:
            keep_w = int(width * share)
        elif along:
            keep_h = int(height * share)
        top, left = rng.integers(height - keep_h + 1), rng.integers(width - keep_w + 1)
        window = slice(top, top + keep_h), slice(left, left + keep_w)
        return Patch(patch.pixels[window], patch.mask[window], patch.exact)

    @staticmethod
    def _note_shaped(patch: Patch, rng: Generator) -> Patch:
        height = patch.mask.shape[0]
        keep = max(8, int(height * rng.uniform(0.3, 1.0)))
        top = rng.integers(height - keep + 1)
        return Patch(patch.pixels[top : top + keep], patch.mask[top : top + keep], exact=False)

    def _ground(self, rng: Generator) -> NDArray[np.uint8]:
        picture = self.material.backgrounds[rng.integers(len(self.material.backgrounds))]
        height, width = picture.shape[:2]
        share = rng.uniform(0.4, 1.0)
        keep_h, keep_w = max(8, int(height * share)), max(8, int(width * share))
        top, left = rng.integers(height - keep_h + 1), rng.integers(width - keep_w + 1)
        ground = cv2.resize(
            picture[top : top + keep_h, left : left + keep_w], (self.size, self.size), interpolation=cv2.INTER_LINEAR
        )
        ground = np.ascontiguousarray(np.rot90(ground, rng.integers(4)))
        return np.ascontiguousarray(ground[:, ::-1]) if rng.random() < 0.5 else ground

    def _placement(self, rng: Generator, patch: Patch) -> NDArray[np.float64]:
        """A homography that puts the patch somewhere about the middle of the frame."""
        # A photograph in the hand shows the note smaller than itself: it is not shrunk as far as a cut-out.
        high = self.recipe.scale_high
        low = self.recipe.scale_low if patch.exact else min(high, self.recipe.scale_low * 1.4)
        scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        reach = 0.12 + 0.28 * abs(1 - min(scale, 1.4))
        centre = self.size * (0.5 + rng.uniform(-reach, reach, 2))
        return self._warp(rng, patch, scale, (float(centre[0]), float(centre[1])))

    def _warp(self, rng: Generator, patch: Patch, scale: float, centre: tuple[float, float]) -> NDArray[np.float64]:
        """Homography (3, 3) from the patch to the frame: any turn, shear, another aspect, some perspective."""
        height, width = patch.mask.shape
        unit = scale * self.size / max(height, width)
        # Photographs of photographers hold the note upright or across more often than in between.
        angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.6 else rng.integers(4) * np.pi / 2 + rng.normal(0, 0.12)
        aspect = float(np.exp(rng.normal(0, 0.16)))
        if not self.recipe.turns:
            angle = rng.normal(0, 0.08)
        shear = rng.normal(0, 0.12)
        cos, sin = np.cos(angle), np.sin(angle)
        # The aspect changes after the turn: it stands for a frame of another shape squeezed into the square.
        affine = (
            np.diag([unit * aspect, unit / aspect])
            @ np.array([[cos, -sin], [sin, cos]])
            @ np.array([[1, shear], [0, 1]])
        )
        corners = np.array([[-width, -height], [width, -height], [width, height], [-width, height]]) / 2
        target = corners @ affine.T
        target += rng.normal(0, 0.05, (4, 2)) * unit * min(height, width)
        target += centre
        start = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        return cv2.getPerspectiveTransform(start, target.astype(np.float32))

    def _paste(
        self, canvas: NDArray[np.uint8], patch: Patch, warp: NDArray[np.float64], rng: Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        side = self.size, self.size
        pixels, mask = _shrunk(patch, warp)
        factor = pixels.shape[1] / patch.mask.shape[1], pixels.shape[0] / patch.mask.shape[0]
        warp = warp @ np.diag([1 / factor[0], 1 / factor[1], 1.0])
        drawn = cv2.warpPerspective(pixels, warp, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        alpha = cv2.warpPerspective(mask, warp, side, flags=cv2.INTER_LINEAR)
        if not patch.exact and rng.random() < 0.3:
            alpha = cv2.GaussianBlur(alpha, (0, 0), self.size * rng.uniform(0.005, 0.03))
        if patch.exact and rng.random() < 0.5:
            canvas = photometry.drop_shadow(canvas, alpha, rng)
        return _blend(canvas, drawn, alpha), alpha

    def _cover(self, canvas: NDArray[np.uint8], alpha: NDArray[np.uint8], rng: Generator, limit: float) -> float:
        """Put fingers or things over the picture, in place; the share of the note they hide."""
        if not self.recipe.covers:
            return 0.0
        area = max(1.0, float(alpha.sum()))
        free = alpha.copy()
        for _ in range(rng.choice([0, 0, 1, 1, 2])):
            shape = self._hand(rng) if self.material.hands and rng.random() < 0.6 else self._thing(rng, canvas)
            hidden = float(cv2.multiply(free, shape[1], scale=1 / 255).sum())
            if 1 - (float(free.sum()) - hidden) / area > limit and alpha.any():
                continue
            canvas[:] = _blend(canvas, shape[0], shape[1])
            free = cv2.multiply(free, 255 - shape[1], scale=1 / 255)
        return 1 - float(free.sum()) / area if alpha.any() else 0.0

    def _hand(self, rng: Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """A real hand that reaches in from an edge, in any skin tone."""
        patch = self.material.hands[rng.integers(len(self.material.hands))]
        height, width = patch.mask.shape
        angle = rng.uniform(0, 360)
        scale = self.size / max(height, width) * rng.uniform(0.7, 1.6)
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
        away = np.deg2rad(-angle + 90)
        reach = self.size * rng.uniform(0.35, 0.75)
        matrix[:, 2] += np.array(
            [self.size / 2 + np.cos(away) * reach - width / 2, self.size / 2 + np.sin(away) * reach - height / 2]
        )
        side = self.size, self.size
        tone = rng.uniform(0.35, 1.25)
        pixels = np.clip(patch.pixels * (np.array([1.0, 0.96, 0.9]) * tone), 0, 255).astype(np.uint8)
        return cv2.warpAffine(pixels, matrix, side, borderMode=cv2.BORDER_REPLICATE), cv2.warpAffine(
            patch.mask, matrix, side
        )

    def _thing(self, rng: Generator, canvas: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        mask = np.zeros((self.size, self.size), np.uint8)
        centre = rng.uniform(0, self.size, 2)
        corners = centre + rng.normal(0, self.size * 0.16, (rng.integers(3, 7), 2))
        cv2.fillConvexPoly(mask, cv2.convexHull(corners.astype(np.int32)), 255, lineType=cv2.LINE_AA)
        if rng.random() < 0.5:
            return self._ground(rng), mask
        skin = np.array([224, 172, 138]) * rng.uniform(0.3, 1.1) if rng.random() < 0.6 else rng.uniform(0, 255, 3)
        return np.broadcast_to(np.clip(skin, 0, 255).astype(np.uint8), canvas.shape).copy(), mask

    def _box(self, patch: Patch, warp: NDArray[np.float64]) -> tuple[float, NDArray[np.float32]]:
        """Visible share of the patch, and its place clipped to the frame."""
        contours, _ = cv2.findContours(patch.mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        outline = cv2.convexHull(np.concatenate(contours)).astype(np.float32)
        placed = cv2.perspectiveTransform(outline, warp)[:, 0, :]
        frame = np.array([[0, 0], [self.size, 0], [self.size, self.size], [0, self.size]], np.float32)
        inside, _ = cv2.intersectConvexConvex(cv2.convexHull(placed)[:, 0, :], frame)
        visible = float(inside) / max(1.0, cv2.contourArea(placed))
        low, high = np.clip(placed.min(0), 0, self.size) / self.size, np.clip(placed.max(0), 0, self.size) / self.size
        return min(1.0, visible), np.array([*(low + high) / 2, *(high - low), min(1.0, visible)], np.float32)

    def _finish(
        self,
        canvas: NDArray[np.uint8],
        index: int,
        box: NDArray[np.float32],
        visible: float,
        known: bool,
        rng: Generator,
    ) -> Sample:
        target = np.zeros(len(self.labels), np.float32)
        target[index] = 1
        if index not in (self.background, self.several) and visible < LEAST_VISIBLE:
            target[:] = 0
            target[self.background] = 1
        pixels = photometry.expose(canvas, rng, self.recipe.strength)
        return Sample(pixels, target, box, known)


def _shrunk(patch: Patch, warp: NDArray[np.float64]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The patch averaged down to about the size it will have, so that fine print does not alias."""
    height, width = patch.mask.shape
    corners = cv2.perspectiveTransform(np.array([[[0, 0]], [[width, 0]], [[width, height]]], np.float64), warp)[:, 0]
    shrink = max(np.linalg.norm(corners[1] - corners[0]) / width, np.linalg.norm(corners[2] - corners[1]) / height)
    if shrink > 0.75:
        return patch.pixels, patch.mask
    size = max(4, round(width * shrink)), max(4, round(height * shrink))
    return cv2.resize(patch.pixels, size, interpolation=cv2.INTER_AREA), cv2.resize(
        patch.mask, size, interpolation=cv2.INTER_AREA
    )


def _blend(under: NDArray[np.uint8], over: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    wide = cv2.merge([alpha, alpha, alpha])
    return cv2.add(cv2.multiply(over, wide, scale=1 / 255), cv2.multiply(under, 255 - wide, scale=1 / 255))
