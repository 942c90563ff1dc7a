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
from training.synth.chances import Draw
from training.synth.photometry import blend
from training.synth.placement import Placement
from training.synth.recipe import Recipe
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
        self.around, self.place = Surroundings(material, size), Placement(size, recipe)
        self.hues = recolour.free_hues({label: material.notes[label] for label in self.denominations})

    def sample(self, number: int) -> Sample:
        """Sample `number`; the same for the same seed, whatever was made before."""
        draw = Draw(self.seed, number, self.recipe)
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
        finer.recipe = self.recipe.without("near")
        finer.around, finer.place = Surroundings(self.material, finer.size), Placement(finer.size, finer.recipe)
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

    def _note(self, draw: Draw) -> Sample:
        rng = draw["note"]
        label = self._any(rng)
        patch = self._pick(label, rng)
        stray = patch.placed and draw.on("strays") and draw["strays"].random() < self.recipe.stray_share
        patch, unit = self.place.sized(self._shown(patch, draw), self.place.scale(draw, stray))
        patch = self._handled(patch, label, draw)
        canvas = self.around.ground(draw["ground"])
        warp = self.place.seen(patch, unit, stray, draw)
        in_frame, box = self.place.box(patch, warp)
        canvas, alpha = self._paste(canvas, patch, warp, draw)
        face = alpha if patch.outline is None else self.place.drawn(patch.outline, warp)
        visible = in_frame * patch.share * (1 - self._cover(canvas, face, draw))
        box[4] = visible
        readable = visible >= LEAST_VISIBLE and max(box[2], box[3]) >= self.least_side
        index = self.labels.index(label) if readable else self.background
        return replace(self._finish(canvas, index, box, patch.placed, draw), lies=box)

    def _none(self, draw: Draw, kind: float) -> Sample:
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
        lies = self.place.around(alpha)
        if rng.random() < 0.5:
            self._cover(canvas, alpha, draw)
        if draw.happens("cameras", 0.5, "in_colours_like"):
            note = self._pick(self._any(draw["cameras"]), draw["cameras"])
            canvas = photometry.in_colours_like(canvas, note.pixels, draw["cameras"])
        sample = self._finish(canvas, self.background, np.zeros(5, np.float32), False, draw)
        return replace(sample, visible_known=True, lies=lies)

    def _stranger(self, kind: float, draw: Draw) -> Patch:
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

    def _recoloured(self, draw: Draw) -> Patch:
        rng = draw["recoloured"]
        label = self._any(rng)
        patch = self._pick_placed(label, rng) or self._pick(label, rng)
        patch = paper.smaller(patch, self.size / max(patch.mask.shape))
        return recolour.recoloured(self._handled(patch, label, draw), float(rng.choice(self.hues)), rng)

    def _lay(self, canvas: NDArray[np.uint8], patch: Patch, draw: Draw) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        patch, unit = self.place.sized(patch, self.place.scale(draw, stray=False))
        return self._paste(canvas, patch, self.place.middle(draw, patch, unit), draw)

    def _several(self, draw: Draw) -> Sample:
        rng = draw["note"]
        count = min(len(self.denominations), int(rng.choice([2, 2, 2, 3, 4])))
        chosen = rng.choice(len(self.denominations), count, replace=False)
        canvas = self.around.ground(draw["ground"])
        across = rng.random() < 0.5
        for place, index in enumerate(chosen):
            along = (place + 0.5) / count * self.size
            middle = self.size * rng.uniform(0.35, 0.65)
            scale = rng.uniform(0.75, 1.15) * (0.62 if count == 2 else 0.45)
            patch, unit = self.place.sized(self._tight(self.denominations[index], rng), scale)
            warp = self.place.warp(draw, patch, unit, (along, middle) if across else (middle, along))
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

    def _shown(self, patch: Patch, draw: Draw) -> Patch:
        """The patch, or a part of it: a photograph of 60 to 100 %, a cut-out tucked in behind something."""
        rng = draw["folds"]
        if not draw.on("folds") or rng.random() > (0.1 if patch.exact else 0.7):
            return patch
        draw.done.append("part")
        if patch.exact:
            return paper.part(patch, rng, 0.5, 0.95, along=True)
        return paper.part(patch, rng, 0.6, 1.0, along=False)

    def _handled(self, patch: Patch, label: str, draw: Draw) -> Patch:
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

    def _paste(
        self, canvas: NDArray[np.uint8], patch: Patch, warp: NDArray[np.float64], draw: Draw
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        rng, side = draw["paste"], (self.size, self.size)
        drawn = cv2.warpPerspective(patch.pixels, warp, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        alpha = as_pixels(cv2.warpPerspective(patch.mask, warp, side, flags=cv2.INTER_LINEAR))
        if not patch.exact and rng.random() < 0.3:
            alpha = as_pixels(cv2.GaussianBlur(alpha, (0, 0), self.size * rng.uniform(0.005, 0.03)))
        if patch.exact and draw.happens("shadows", 0.5, "drop_shadow"):
            canvas = photometry.drop_shadow(canvas, alpha, draw["shadows"])
        return blend(canvas, as_pixels(drawn), alpha), alpha

    def _cover(self, canvas: NDArray[np.uint8], alpha: NDArray[np.uint8], draw: Draw) -> float:
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

    def _finish(
        self, canvas: NDArray[np.uint8], index: int, box: NDArray[np.float32], known: bool, draw: Draw
    ) -> Sample:
        target = np.zeros(len(self.labels), np.float32)
        target[index] = 1
        for operation in photometry.PICTURE:
            if draw.happens(operation.family, operation.share, operation.name):
                canvas = operation.do(canvas, draw[operation.family])
        return Sample(canvas, target, box, known, done=tuple(draw.done))
