"""Owns the synthesiser: a note, a background, light and a hand become one labelled picture.

Every sample is a function of the seed and its number, so any of them can be made again, in any order and on
any thread. It knows where it put the note and what it did to it. It must not know of models or files.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.photos import cutout
from training.photos.cutout import Patch
from training.photos.material import Material
from training.pixels import as_pixels
from training.synth import near, paper, photometry, recolour
from training.synth.photometry import blend
from training.synth.recipe import FAMILIES, Recipe
from training.synth.surroundings import Surroundings

LEAST_VISIBLE = 0.35  # share of a note's face that must be in view and uncovered for its label to be asked for
LEAST_SIDE = 0.24  # of the frame: a longest side below it leaves nothing to read, and the label is not asked for
MOST_COVERED = 0.4  # of a note, by fingers and things
AHEAD = 10_000_000  # sample numbers that training never reaches


@dataclass(frozen=True)
class Sample:
    """One picture to learn from."""

    pixels: NDArray[np.uint8]  # (size, size, 3) RGB
    target: NDArray[np.float32]  # (labels,) probabilities
    # (5,) centre x, y, width, height, visible share, all 0..1. The place is clipped to the frame. The visible share is
    # that of the note's whole face: what the frame cuts off, what covers it and what is folded away all count.
    box: NDArray[np.float32]
    box_known: bool
    visible_known: bool = False  # of a picture without a note: nothing of one is visible
    # (4,) or more: where that lies which was laid on the ground, a note or not; None: nothing was, or more than one.
    lies: NDArray[np.float32] | None = None
    done: tuple[str, ...] = ()  # names of the operations, in order


class Composer:
    """Makes samples of `size` pixels a side for `labels` (denominations, then "background", then "several")."""

    least_side = LEAST_SIDE

    def __init__(self, material: Material, labels: tuple[str, ...], size: int, seed: int, recipe: Recipe) -> None:
        self.material, self.labels, self.size, self.seed, self.recipe = material, labels, size, seed, recipe
        self.denominations = [label for label in labels if label in material.notes]
        self.background, self.several = labels.index("background"), labels.index("several")
        self.around = Surroundings(material, size)
        self.hues = recolour.free_hues({label: material.notes[label] for label in self.denominations})

    def sample(self, number: int) -> Sample:
        """Sample `number`; the same for the same seed, whatever was made before."""
        draw = _Draw(self.seed, number, self.recipe)
        kind = draw["kind"].random()
        several = self.recipe.none_share <= kind < self.recipe.none_share + self.recipe.several_share
        if several:  # of which a near look may show one alone
            return self._several(draw)
        if draw.on("near") and draw["near"].random() < self.recipe.near_share:
            return self._near(self._finer.sample(number), draw["near"])
        return self._none(draw, kind / self.recipe.none_share) if kind < self.recipe.none_share else self._note(draw)

    @cached_property
    def _finer(self) -> Composer:
        """One whose pictures a near look is cut from."""
        finer = copy.copy(self)
        finer.size, finer.least_side = near.FINER * self.size, LEAST_SIDE / near.FINER
        finer.around, finer.recipe = Surroundings(self.material, finer.size), self.recipe.without("near")
        return finer

    def _near(self, whole: Sample, rng: Generator) -> Sample:
        seen = near.area(whole.lies, rng, exact=whole.box_known or whole.visible_known)
        box = near.within(whole.box, seen) if whole.box_known else whole.box
        pixels = near.picture(whole.pixels, seen, self.size)
        return replace(whole, pixels=pixels, box=box, lies=None, done=(*whole.done, "near"))

    def batch(
        self, first: int, count: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Pictures (count, size, size, 3), targets (count, labels), boxes and what of them is known (count, 5) each."""
        samples = [self.sample(first + i) for i in range(count)]
        return (
            np.stack([s.pixels for s in samples]),
            np.stack([s.target for s in samples]),
            np.stack([s.box for s in samples]),
            np.array([[s.box_known] * 4 + [s.box_known or s.visible_known] for s in samples], np.float32),
        )

    def unseen(self, count: int) -> NDArray[np.uint8]:
        """Pictures (count, size, size, 3) that no training of this seed sees."""
        return np.stack([self.sample(AHEAD + i).pixels for i in range(count)])

    def _note(self, draw: _Draw) -> Sample:
        rng = draw["note"]
        label = self._any(rng)
        patch = self._pick(label, rng)
        stray = patch.placed and draw.on("strays") and draw["strays"].random() < self.recipe.stray_share
        patch, unit = self._sized(self._shown(patch, draw), self._scale(patch, draw, stray))
        patch = self._handled(patch, label, draw)
        canvas = self.around.ground(draw["ground"])
        warp = self._seen(patch, unit, stray, draw)
        in_frame, box = self._box(patch, warp)
        canvas, alpha = self._paste(canvas, patch, warp, draw)
        face = alpha if patch.outline is None else self._drawn_outline(patch.outline, warp)
        visible = in_frame * patch.share * (1 - self._cover(canvas, face, draw))
        box[4] = visible
        readable = visible >= LEAST_VISIBLE and max(box[2], box[3]) >= self.least_side
        index = self.labels.index(label) if readable else self.background
        return replace(self._finish(canvas, index, box, patch.placed, draw), lies=box)

    def _none(self, draw: _Draw, kind: float) -> Sample:
        """`kind`, 0..1, says which sort of picture without a note."""
        rng = draw["note"]
        canvas = self.around.ground(draw["ground"])
        alpha = np.zeros(canvas.shape[:2], np.uint8)
        if kind > 1 - self.recipe.recoloured_share / max(1e-9, self.recipe.none_share):
            if self.hues and draw.on("recoloured"):
                canvas, alpha = self._lay(canvas, self._recoloured(draw), draw)
                draw.done.append("recoloured")
        elif kind < 0.62 and draw.on("strangers"):
            canvas, alpha = self._lay(canvas, self._stranger(kind, draw), draw)
            draw.done.append("stranger")
        lies = self._around(alpha)
        if rng.random() < 0.5:
            self._cover(canvas, alpha, draw)
        if draw.happens("cameras", 0.5, "in_colours_like"):
            note = self._pick(self._any(draw["cameras"]), draw["cameras"])
            canvas = photometry.in_colours_like(canvas, note.pixels, draw["cameras"])
        sample = self._finish(canvas, self.background, np.zeros(5, np.float32), False, draw)
        return replace(sample, visible_known=True, lies=lies)

    def _around(self, alpha: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """The place (4,) of what is not 0; None where all is."""
        x, y, width, height = cv2.boundingRect(alpha)
        place = np.array([x + width / 2, y + height / 2, width, height], np.float32) / self.size
        return place if width else None

    def _stranger(self, kind: float, draw: _Draw) -> Patch:
        """Something that is no note but lies there like one."""
        rng = draw["note"]
        if kind < 0.42 and self.material.strangers:
            stranger = self.material.strangers[rng.integers(len(self.material.strangers))]
            if draw.on("remixed") and draw["remixed"].random() < 0.6:
                stranger = recolour.remixed(stranger, draw["remixed"])
                draw.done.append("remixed")
            return paper.part(stranger, rng, 0.6, 1.0, along=False) if rng.random() < 0.5 else stranger
        if kind < 0.56:
            other = self.material.backgrounds[rng.integers(len(self.material.backgrounds))]
            return paper.strip(cutout.whole(other), rng, 0.3, 1.0)
        # The colours of a note without anything to read: colour alone must not be an amount.
        return photometry.unreadable(self._pick(self._any(rng), rng), rng)

    def _recoloured(self, draw: _Draw) -> Patch:
        rng = draw["recoloured"]
        label = self._any(rng)
        patch = self._pick_placed(label, rng) or self._pick(label, rng)
        patch = paper.smaller(patch, self.size / max(patch.mask.shape))
        return recolour.recoloured(self._handled(patch, label, draw), float(rng.choice(self.hues)), rng)

    def _lay(self, canvas: NDArray[np.uint8], patch: Patch, draw: _Draw) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        patch, unit = self._sized(patch, self._scale(patch, draw, stray=False))
        return self._paste(canvas, patch, self._placement(draw, patch, unit), draw)

    def _several(self, draw: _Draw) -> Sample:
        rng = draw["note"]
        count = min(len(self.denominations), int(rng.choice([2, 2, 2, 3, 4])))
        chosen = rng.choice(len(self.denominations), count, replace=False)
        canvas = self.around.ground(draw["ground"])
        across = rng.random() < 0.5
        for place, index in enumerate(chosen):
            along = (place + 0.5) / count * self.size
            middle = self.size * rng.uniform(0.35, 0.65)
            scale = rng.uniform(0.75, 1.15) * (0.62 if count == 2 else 0.45)
            patch, unit = self._sized(self._tight(self.denominations[index], rng), scale)
            warp = self._warp(draw, patch, unit, (along, middle) if across else (middle, along))
            canvas, _ = self._paste(canvas, patch, warp, draw)
        return self._finish(canvas, self.several, np.zeros(5, np.float32), False, draw)

    def _any(self, rng: Generator) -> str:
        return self.denominations[rng.integers(len(self.denominations))]

    def _pick(self, label: str, rng: Generator) -> Patch:
        sources = self.material.notes[label]
        weights = np.array(
            [self.recipe.exact_weight if p[0].exact else (len(p) / 400) ** 0.35 for p in sources.values()]
        )
        source = list(sources.values())[rng.choice(len(sources), p=weights / weights.sum())]
        return source[rng.integers(len(source))]

    def _pick_placed(self, label: str, rng: Generator) -> Patch | None:
        """A cut-out of `label`; None where there is none."""
        cut = [patches for patches in self.material.notes[label].values() if patches[0].exact]
        if not cut:
            return None
        patches = cut[rng.integers(len(cut))]
        return patches[rng.integers(len(patches))]

    def _tight(self, label: str, rng: Generator) -> Patch:
        patch = (self._pick_placed(label, rng) if rng.random() < 0.7 else None) or self._pick(label, rng)
        return patch if patch.exact else paper.part(patch, rng, 0.7, 0.7, along=False)

    def _shown(self, patch: Patch, draw: _Draw) -> Patch:
        """The patch, or a part of it: a photograph of 60 to 100 %, a cut-out tucked in behind something."""
        rng = draw["folds"]
        if not draw.on("folds") or rng.random() > (0.1 if patch.exact else 0.7):
            return patch
        draw.done.append("part")
        if patch.exact:
            return paper.part(patch, rng, 0.5, 0.95, along=True)
        return paper.part(patch, rng, 0.6, 1.0, along=False)

    def _handled(self, patch: Patch, label: str, draw: _Draw) -> Patch:
        """The note after the hands it went through."""
        if patch.exact:
            for name, share, fold in (("folded_over", 0.1, paper.folded_over), ("dog_eared", 0.07, paper.dog_eared)):
                if draw.happens("folds", share, name):
                    back = self._pick_placed(label, draw["folds"]) or patch
                    patch = fold(
                        patch, paper.smaller(back, max(patch.mask.shape) / max(back.mask.shape)), draw["folds"]
                    )
            if draw.happens("folds", 0.2, "bent"):
                patch = paper.bent(patch, draw["folds"])
            if draw.happens("crumples", 0.05, "torn"):
                patch = paper.torn(patch, draw["crumples"])
        if draw.happens("crumples", 0.25 if patch.exact else 0.1, "crumpled"):
            patch = paper.crumpled(patch, draw["crumples"])
        pixels = patch.pixels
        for operation in photometry.WEAR:
            if draw.happens(operation.family, operation.share, operation.name):
                pixels = operation.do(pixels, draw[operation.family])
        return replace(patch, pixels=pixels)

    def _scale(self, patch: Patch, draw: _Draw, stray: bool) -> float:
        """Longest side of the whole patch over the side of the frame."""
        # A photograph in the hand shows the note smaller than itself: it is not shrunk as far as a cut-out.
        high = self.recipe.scale_high
        low = self.recipe.scale_low if patch.exact else min(high, self.recipe.scale_low * 1.4)
        if stray:
            kind = draw["strays"].random()
            low, high = (0.15, low) if kind < 0.3 else (high, 2.6) if kind < 0.45 else (0.6, high)
        return float(np.exp(draw["placement"].uniform(np.log(low), np.log(high))))

    def _sized(self, patch: Patch, scale: float) -> tuple[Patch, float]:
        """The patch no finer than the frame will show it, and pixels of the frame to one of it."""
        longest = max(patch.mask.shape)
        shrink = scale * self.size / longest
        # Half as much again is left for a view from the side that stretches it.
        patch = paper.smaller(patch, 1.25 * shrink)
        return patch, scale * self.size / max(patch.mask.shape)

    def _seen(self, patch: Patch, unit: float, stray: bool, draw: _Draw) -> NDArray[np.float64]:
        """A placement in which enough of the patch is in the frame, or a stray one."""
        if stray:
            # Anywhere from the middle to just outside, so that every side of the frame cuts notes.
            reach = 0.5 + 0.35 * unit * max(patch.mask.shape) / self.size
            centre = self.size * (0.5 + draw["placement"].uniform(-reach, reach, 2))
            return self._warp(draw, patch, unit, (float(centre[0]), float(centre[1])))
        for _ in range(12):
            warp = self._placement(draw, patch, unit)
            if self._box(patch, warp)[0] >= 0.55:
                break
        return warp

    def _placement(self, draw: _Draw, patch: Patch, unit: float) -> NDArray[np.float64]:
        """A homography that puts the patch somewhere about the middle of the frame."""
        scale = unit * max(patch.mask.shape) / self.size
        reach = 0.12 + 0.28 * abs(1 - min(scale, 1.4))
        centre = self.size * (0.5 + draw["placement"].uniform(-reach, reach, 2))
        return self._warp(draw, patch, unit, (float(centre[0]), float(centre[1])))

    def _warp(self, draw: _Draw, patch: Patch, unit: float, centre: tuple[float, float]) -> NDArray[np.float64]:
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

    def _paste(
        self, canvas: NDArray[np.uint8], patch: Patch, warp: NDArray[np.float64], draw: _Draw
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        rng, side = draw["paste"], (self.size, self.size)
        drawn = cv2.warpPerspective(patch.pixels, warp, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        alpha = as_pixels(cv2.warpPerspective(patch.mask, warp, side, flags=cv2.INTER_LINEAR))
        if not patch.exact and rng.random() < 0.3:
            alpha = as_pixels(cv2.GaussianBlur(alpha, (0, 0), self.size * rng.uniform(0.005, 0.03)))
        if patch.exact and draw.happens("shadows", 0.5, "drop_shadow"):
            canvas = photometry.drop_shadow(canvas, alpha, draw["shadows"])
        return blend(canvas, as_pixels(drawn), alpha), alpha

    def _cover(self, canvas: NDArray[np.uint8], alpha: NDArray[np.uint8], draw: _Draw) -> float:
        """Put fingers or things over the picture, in place; the share of the note they hide."""
        if not draw.on("covers"):
            return 0.0
        rng = draw["covers"]
        area = max(1.0, float(alpha.sum()))
        free = alpha.copy()
        for _ in range(rng.choice([0, 0, 1, 1, 2])):
            name, pixels, mask = self.around.covering(rng, canvas, alpha)
            hidden = float(cv2.multiply(free, mask, scale=1 / 255).sum())
            if 1 - (float(free.sum()) - hidden) / area > MOST_COVERED and alpha.any():
                continue
            canvas[:] = blend(canvas, pixels, mask)
            free = as_pixels(cv2.multiply(free, 255 - mask, scale=1 / 255))
            draw.done.append(name)
        return 1 - float(free.sum()) / area if alpha.any() else 0.0

    def _box(self, patch: Patch, warp: NDArray[np.float64]) -> tuple[float, NDArray[np.float32]]:
        """Share of the note that is in the frame, and its place clipped to the frame, the visible share still open."""
        outline = patch.outline
        if outline is None or patch.exact:
            contours, _ = cv2.findContours(patch.mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            if not contours:
                return 0.0, np.zeros(5, np.float32)
            outline = cv2.convexHull(np.concatenate(contours))[:, 0].astype(np.float32)
        placed = cv2.perspectiveTransform(outline[None], warp)[0]
        frame = np.array([[0, 0], [self.size, 0], [self.size, self.size], [0, self.size]], np.float32)
        hull = cv2.convexHull(placed)[:, 0, :]
        inside, _ = cv2.intersectConvexConvex(hull, frame)
        visible = min(1.0, float(inside) / max(1.0, cv2.contourArea(hull)))
        if visible == 0.0:
            return 0.0, np.zeros(5, np.float32)
        low, high = np.clip(placed.min(0), 0, self.size) / self.size, np.clip(placed.max(0), 0, self.size) / self.size
        return visible, np.array([*(low + high) / 2, *(high - low), 0.0], np.float32)

    def _drawn_outline(self, outline: NDArray[np.float32], warp: NDArray[np.float64]) -> NDArray[np.uint8]:
        mask = np.zeros((self.size, self.size), np.uint8)
        placed = cv2.perspectiveTransform(outline[None], warp)[0]
        cv2.fillConvexPoly(mask, np.round(placed).astype(np.int32), (255,))
        return mask

    def _finish(
        self, canvas: NDArray[np.uint8], index: int, box: NDArray[np.float32], known: bool, draw: _Draw
    ) -> Sample:
        target = np.zeros(len(self.labels), np.float32)
        target[index] = 1
        for operation in photometry.PICTURE:
            if draw.happens(operation.family, operation.share, operation.name):
                canvas = operation.do(canvas, draw[operation.family])
        return Sample(canvas, target, box, known, done=tuple(draw.done))


class _Draw:
    """The chances of one sample: a generator for each family of operations, and what was done."""

    def __init__(self, seed: int, number: int, recipe: Recipe) -> None:
        self.done: list[str] = []
        self._key, self._recipe = (seed, number), recipe
        self._generators: dict[str, Generator] = {}

    def __getitem__(self, family: str) -> Generator:
        """The generator of `family`."""
        if family not in self._generators:
            self._generators[family] = np.random.default_rng((*self._key, STREAMS.index(family)))
        return self._generators[family]

    def on(self, family: str) -> bool:
        """Whether the recipe has `family`."""
        return family not in self._recipe.off

    def happens(self, family: str, share: float, name: str) -> bool:
        """Whether `name` happens to this sample; it is noted as done."""
        yes = self[family].random() < share * self._recipe.strength and self.on(family)
        if yes:
            self.done.append(name)
        return bool(yes)


# Appending keeps older samples as they were.
STREAMS = ("kind", "note", "ground", "placement", "paste", *FAMILIES)
