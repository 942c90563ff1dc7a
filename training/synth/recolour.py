"""Owns notes in colours that no note of the currency has: strangers of the same print, such as its 1, 2, 5 or 2000.

A note recoloured like another denomination would teach the reader to reject that one, or to take it for the other: hues
are free only when they are far from those of every denomination's own pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.photos.cutout import Patch
from training.pixels import as_pixels

HUE_APART_DEG = 25.0  # between a free hue and any denomination's: coloured light turns hues by up to as much
LEAST_SHARE = 0.035  # of a denomination's colour that must lie in a bin to call its hues taken
BIN_DEG = 5
GREY_SATURATION = 60  # of 255
MIDDLE = 0.5  # of each side: in a photograph that is not cut, most of that is note
LOOKED_AT = 60  # patches a source


def recoloured(patch: Patch, hue_deg: float, rng: Generator) -> Patch:
    """The same print with all its colours turned so that the strongest becomes `hue_deg`, and no paler than a note."""
    colours = cv2.cvtColor(patch.pixels, cv2.COLOR_RGB2HSV)
    own = _histogram([patch])
    turn = hue_deg - (float(own.argmax()) + 0.5) * BIN_DEG if own.any() else 0.0
    hue, saturation, value = cv2.split(colours)
    # Each colour keeps a quarter of its distance from the strongest: a note of one ink, as real ones nearly are.
    away = (hue.astype(np.float32) * 2 + turn - hue_deg + 180) % 360 - 180
    away *= np.minimum(1, saturation / np.float32(GREY_SATURATION))  # the hue of a grey pixel is noise
    hue = np.round((hue_deg + away * 0.25 + rng.normal(0, 4)) % 360 / 2 % 180).astype(np.uint8)
    mean = max(1.0, float(saturation[patch.mask > 127].mean())) if (patch.mask > 127).any() else 60.0
    saturation = cv2.convertScaleAbs(saturation, alpha=max(1.0, rng.uniform(60, 110) / mean), beta=8)
    pixels = cv2.cvtColor(cv2.merge([hue, saturation, value]), cv2.COLOR_HSV2RGB)
    return Patch(as_pixels(pixels), patch.mask, patch.exact, patch.share, patch.outline)


def remixed(patch: Patch, rng: Generator) -> Patch:
    """Money of nobody: other money in other colours, seen in a mirror or with its parts in another order.

    What must be refused is any print that is not the currency's own, and there are few kinds of others' money to learn
    that from.
    """
    hue, saturation, value = cv2.split(cv2.cvtColor(patch.pixels, cv2.COLOR_RGB2HSV))
    hue = ((hue.astype(np.int32) + int(rng.integers(180))) % 180).astype(np.uint8)
    saturation = cv2.convertScaleAbs(saturation, alpha=rng.uniform(0.5, 1.4))
    pixels = np.asarray(cv2.cvtColor(cv2.merge([hue, saturation, value]), cv2.COLOR_HSV2RGB), np.uint8)
    mask = patch.mask
    if rng.random() < 0.5:
        pixels, mask = pixels[:, ::-1], mask[:, ::-1]
    if rng.random() < 0.4:
        pixels, mask = _reordered(pixels, mask, rng)
    return Patch(np.ascontiguousarray(pixels), np.ascontiguousarray(mask), patch.exact, patch.share)


def _reordered(
    pixels: NDArray[np.uint8], mask: NDArray[np.uint8], rng: Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Two to four parts along the longer side, in another order or the same."""
    across = 1 if mask.shape[1] >= mask.shape[0] else 0
    cuts = np.sort(rng.choice(np.arange(1, 8), int(rng.integers(1, 4)), replace=False)) * mask.shape[across] // 8
    order = rng.permutation(len(cuts) + 1)
    parts, masks = np.split(pixels, cuts, across), np.split(mask, cuts, across)
    return np.concatenate([parts[i] for i in order], across), np.concatenate([masks[i] for i in order], across)


def free_hues(notes: Mapping[str, Mapping[str, Sequence[Patch]]]) -> list[float]:
    """Hues in degrees that lie HUE_APART_DEG or more from those of every denomination; none may be left."""
    taken = np.zeros(360 // BIN_DEG, bool)
    for sources in notes.values():
        taken |= own_hues(sources)
    reach = int(np.ceil(HUE_APART_DEG / BIN_DEG))
    near = np.any([np.roll(taken, shift) for shift in range(-reach, reach + 1)], axis=0)
    return [(i + 0.5) * BIN_DEG for i in np.flatnonzero(~near)]


def own_hues(sources: Mapping[str, Sequence[Patch]]) -> NDArray[np.bool_]:
    """Which bins of BIN_DEG hold the colours of a denomination, by any of its sources."""
    taken = np.zeros(360 // BIN_DEG, bool)
    for patches in sources.values():
        taken |= _histogram(patches[:: max(1, len(patches) // LOOKED_AT)]) >= LEAST_SHARE
    return taken


def _histogram(patches: Iterable[Patch]) -> NDArray[np.float64]:
    """How the colour of the patches is spread over hues: (360 / BIN_DEG,), sums to 1; zeros for grey ones."""
    total = np.zeros(360 // BIN_DEG)
    for patch in map(_middle, patches):
        small = cv2.resize(patch.pixels, (48, 48), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(patch.mask, (48, 48), interpolation=cv2.INTER_AREA) > 127
        colours = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
        # Hues of dark and of pale pixels are noise.
        weight = np.where(mask & (colours[..., 2] > 0.15), np.maximum(0, colours[..., 1] - 0.12), 0)
        total += np.histogram(colours[..., 0] % 360, len(total), (0, 360), weights=weight)[0]
    return total / total.sum() if total.sum() > 0 else total


def _middle(patch: Patch) -> Patch:
    if patch.exact:
        return patch
    height, width = patch.mask.shape
    top, left = int(height * (1 - MIDDLE) / 2), int(width * (1 - MIDDLE) / 2)
    window = slice(top, max(top + 1, height - top)), slice(left, max(left + 1, width - left))
    return Patch(patch.pixels[window], patch.mask[window], exact=False)
