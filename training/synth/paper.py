"""Owns what hands do to the paper of a note: bends, folds, crumples, tears, parts of it tucked away.

Every operation is a function of a patch and a generator and gives a new patch, whose `share` says how much of the
note's face is left to see. It must not know of frames, backgrounds or light.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from training.photos.cutout import Patch
from training.pixels import as_pixels

Points = NDArray[np.float64]


def bent(patch: Patch, rng: Generator) -> Patch:
    """Bent along a line: what lies beyond it is foreshortened, slanted and in another light. Nothing is hidden."""
    patch = _with_room(patch, 0.08)
    middle, across = _fold_line(patch, rng, 0.25, 0.75)
    along = np.array([-across[1], across[0]])
    narrower, slant = rng.uniform(0.45, 0.95), rng.normal(0, 0.12)
    matrix = np.eye(2) + np.outer((narrower - 1) * across + slant * along, across)
    beyond = _beyond(patch.mask.shape, middle, across)
    kept = cv2.bitwise_and(patch.mask, 255 - beyond)
    size = patch.mask.shape[1], patch.mask.shape[0]
    map_ = _about(matrix, middle)
    flap = cv2.warpAffine(cv2.bitwise_and(patch.mask, beyond), map_, size)
    pixels = cv2.warpAffine(patch.pixels, map_, size, borderMode=cv2.BORDER_REPLICATE)
    pixels = cv2.convertScaleAbs(pixels, alpha=rng.uniform(0.6, 1.15))
    return replace(
        patch,
        pixels=_over(patch.pixels, as_pixels(pixels), as_pixels(flap)),
        mask=as_pixels(cv2.max(kept, flap)),
    )


def folded_over(patch: Patch, back: Patch, rng: Generator) -> Patch:
    """Folded so that a part of `back`, another picture of such a note, lies on the front: 50 to 85 % of it is left."""
    patch = _with_room(patch, 0.1)
    middle, across = _fold_line(patch, rng, 0.5, 0.85)
    return _folded(patch, back, middle, across, rng)


def dog_eared(patch: Patch, back: Patch, rng: Generator) -> Patch:
    """A corner turned in, its back side up."""
    corners = _corners(patch.mask)
    corner = rng.integers(4)
    to_next, to_last = corners[(corner + 1) % 4] - corners[corner], corners[corner - 1] - corners[corner]
    shorter = min(np.linalg.norm(to_next), np.linalg.norm(to_last))
    start = corners[corner] + to_next / np.linalg.norm(to_next) * shorter * rng.uniform(0.15, 0.7)
    end = corners[corner] + to_last / np.linalg.norm(to_last) * shorter * rng.uniform(0.15, 0.7)
    across = np.array([end[1] - start[1], start[0] - end[0]])
    across /= np.linalg.norm(across)
    if across @ (corners[corner] - start) < 0:
        across = -across
    return _folded(patch, back, start, across, rng)


def crumpled(patch: Patch, rng: Generator) -> Patch:
    """Pressed in a hand and smoothed again: a wavy outline, and facets that take the light differently."""
    patch = _with_room(patch, 0.04)
    height, width = patch.mask.shape
    longest = max(height, width)
    cells = (7, 4) if width >= height else (4, 7)
    waves = rng.normal(0, longest * rng.uniform(0.004, 0.014), (cells[1], cells[0], 2)).astype(np.float32)
    shift = cv2.resize(waves, (width, height), interpolation=cv2.INTER_CUBIC)
    map_x = shift[..., 0] + np.arange(width, dtype=np.float32)
    map_y = shift[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    pixels = cv2.remap(patch.pixels, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = cv2.remap(patch.mask, map_x, map_y, cv2.INTER_LINEAR)
    light = cv2.merge([_facets(height, width, rng)] * 3)
    return replace(patch, pixels=as_pixels(cv2.multiply(pixels, light, scale=1 / 128)), mask=as_pixels(mask))


def _facets(height: int, width: int, rng: Generator) -> NDArray[np.uint8]:
    """Light on crumpled paper, 128 being that on smooth paper: flat pieces that meet in edges."""
    few = int(rng.integers(4, 8))
    cells = (2 * few, few) if width >= height else (few, 2 * few)
    heights = rng.normal(0, 1, (cells[1] + 1, cells[0] + 1)).astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    lit = np.diff(heights, axis=1)[:-1] * np.cos(angle) + np.diff(heights, axis=0)[:, :-1] * np.sin(angle)
    light = np.clip(128 * (1 + rng.uniform(0.04, 0.17) * lit), 40, 250).astype(np.uint8)
    # Twice as many cells first without smoothing: the edges between the pieces stay narrow.
    light = cv2.resize(light, (cells[0] * 3, cells[1] * 3), interpolation=cv2.INTER_NEAREST)
    turn = cv2.getRotationMatrix2D((cells[0] * 1.5, cells[1] * 1.5), rng.uniform(-40, 40), 1.3)
    light = cv2.warpAffine(light, turn, (cells[0] * 3, cells[1] * 3), borderMode=cv2.BORDER_REFLECT)
    return as_pixels(cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR))


def torn(patch: Patch, rng: Generator) -> Patch:
    """A corner is missing, along an uneven edge where the white of the paper shows."""
    corners = _corners(patch.mask)
    corner = rng.integers(4)
    reach = rng.uniform(0.08, 0.45, 2) * min(
        np.linalg.norm(corners[(corner + 1) % 4] - corners[corner]),
        np.linalg.norm(corners[corner - 1] - corners[corner]),
    )
    start, end = (
        corners[corner] + (other - corners[corner]) / max(1e-6, np.linalg.norm(other - corners[corner])) * far
        for other, far in zip((corners[(corner + 1) % 4], corners[corner - 1]), reach, strict=True)
    )
    edge = np.linspace(start, end, 6)
    edge[1:-1] += rng.normal(0, float(reach.mean()) * 0.12, (4, 2))
    # Well past the corner, so that a round outline loses it too.
    gone = np.vstack([edge, corners[corner] + (corners[corner] - (start + end) / 2) * 0.6])
    mask, pixels = patch.mask.copy(), patch.pixels.copy()
    cv2.fillPoly(mask, [np.round(gone).astype(np.int32)], (0,))
    fibre = max(1, round(0.012 * max(mask.shape)))
    cv2.polylines(pixels, [np.round(edge).astype(np.int32)], False, (228, 224, 214), fibre, cv2.LINE_AA)
    return replace(patch, pixels=pixels, mask=mask, share=patch.share * _area(mask) / max(1.0, _area(patch.mask)))


def part(patch: Patch, rng: Generator, low: float, high: float, *, along: bool) -> Patch:
    """A part of the patch, `low` to `high` of each side (of its longer side where `along`): the rest is tucked away."""
    height, width = patch.mask.shape
    share = rng.uniform(low, high)
    keep_h = height if along and width >= height else max(2, int(height * share))
    keep_w = width if along and width < height else max(2, int(width * share))
    top, left = int(rng.integers(height - keep_h + 1)), int(rng.integers(width - keep_w + 1))
    window = slice(top, top + keep_h), slice(left, left + keep_w)
    mask, outline, before = patch.mask[window], patch.outline, max(1.0, _area(patch.mask))
    left_over = _area(mask) / before if patch.exact else 1.0
    if outline is not None:
        frame = np.array([[left, top], [left + keep_w, top], [left + keep_w, top + keep_h], [left, top + keep_h]])
        common, cut = cv2.intersectConvexConvex(outline, frame.astype(np.float32))
        left_over = common / max(1.0, cv2.contourArea(outline))
        some = cut is not None and len(cut) > 2
        outline = np.asarray(cut[:, 0] - np.array([left, top], np.float32), np.float32) if some else None
    return replace(patch, pixels=patch.pixels[window], mask=mask, share=patch.share * left_over, outline=outline)


def strip(patch: Patch, rng: Generator, low: float, high: float) -> Patch:
    """`low` to `high` of the patch's height, all of its width: something of about a note's shape."""
    height = patch.mask.shape[0]
    keep = max(8, int(height * rng.uniform(low, high)))
    top = rng.integers(height - keep + 1)
    return replace(patch, pixels=patch.pixels[top : top + keep], mask=patch.mask[top : top + keep])


def smaller(patch: Patch, shrink: float) -> Patch:
    """The patch averaged down to `shrink` of its size, so that fine print does not alias; as it is from 0.75 on."""
    if shrink > 0.75:
        return patch
    height, width = patch.mask.shape
    size = max(4, round(width * shrink)), max(4, round(height * shrink))
    outline = patch.outline
    if outline is not None:
        outline = np.asarray(outline * np.array([size[0] / width, size[1] / height]), np.float32)
    pixels = cv2.resize(patch.pixels, size, interpolation=cv2.INTER_AREA)
    return replace(
        patch,
        pixels=as_pixels(pixels),
        mask=as_pixels(cv2.resize(patch.mask, size, interpolation=cv2.INTER_AREA)),
        outline=outline,
    )


def _folded(patch: Patch, back: Patch, middle: Points, across: Points, rng: Generator) -> Patch:
    """What lies beyond the line through `middle` is mirrored onto the rest and shows `back`."""
    size = patch.mask.shape[1], patch.mask.shape[0]
    mirror = _about(np.eye(2) - 2 * np.outer(across, across), middle)
    beyond = _beyond(patch.mask.shape, middle, across)
    kept = cv2.bitwise_and(patch.mask, 255 - beyond)
    flap = cv2.warpAffine(cv2.bitwise_and(patch.mask, beyond), mirror, size)
    # Seen from the front, the back of a note is mirrored; folded over it reads the right way round again.
    here = _corners(patch.mask)[[1, 0, 3]] @ mirror[:, :2].T + mirror[:, 2]
    to_flap = cv2.getAffineTransform(_corners(back.mask)[:3].astype(np.float32), here.astype(np.float32))
    pixels = cv2.warpAffine(back.pixels, to_flap, size, borderMode=cv2.BORDER_REPLICATE)
    pixels = cv2.convertScaleAbs(pixels, alpha=rng.uniform(0.75, 1.1))
    reach = max(3, max(size) // 25)
    shade = 255 - as_pixels(cv2.multiply(cv2.blur(flap, (reach, reach)), np.array([rng.uniform(0.15, 0.5)])))
    under = cv2.multiply(patch.pixels, cv2.merge([shade] * 3), scale=1 / 255)
    mask = cv2.max(kept, flap)
    share = patch.share * min(1.0, _area(as_pixels(mask)) / max(1.0, _area(patch.mask)))
    return replace(
        patch,
        pixels=_over(as_pixels(under), as_pixels(pixels), as_pixels(flap)),
        mask=as_pixels(mask),
        share=share,
    )


def _fold_line(patch: Patch, rng: Generator, low: float, high: float) -> tuple[Points, Points]:
    """A point of a fold line, `low` to `high` of the way along the note, and the direction across it."""
    corners = _corners(patch.mask)
    # Notes are folded across, as for a wallet; along is rarer.
    first, second = (0, 1) if rng.random() < 0.8 else (1, 2)
    way = corners[second] - corners[first]
    if rng.random() < 0.5:
        way = -way
    centre = corners.mean(axis=0)
    length = float(np.linalg.norm(way))
    way = way / max(1e-6, length)
    tilt = rng.normal(0, 0.06)
    across = np.array([way[0] * np.cos(tilt) - way[1] * np.sin(tilt), way[0] * np.sin(tilt) + way[1] * np.cos(tilt)])
    return centre + way * length * (rng.uniform(low, high) - 0.5), across


def rectangle(mask: NDArray[np.uint8]) -> tuple[tuple[float, float], tuple[float, float], float]:
    """The narrowest rectangle around the note: middle, width and height in pixels, and angle, as `cv2.minAreaRect`."""
    points = cv2.findNonZero(cv2.threshold(mask, 127, 255, cv2.THRESH_BINARY)[1])
    if points is None:
        right, bottom = mask.shape[::-1]
        points = np.array([[[0, 0]], [[right, 0]], [[right, bottom]], [[0, bottom]]], np.int32)
    (x, y), (width, height), angle = cv2.minAreaRect(points)
    return (x, y), (width, height), angle


def _corners(mask: NDArray[np.uint8]) -> Points:
    """Corners (4, 2) of the narrowest rectangle around the note, in order, its first side a long one."""
    corners = cv2.boxPoints(rectangle(mask)).astype(np.float64)
    long_first = np.linalg.norm(corners[1] - corners[0]) >= np.linalg.norm(corners[2] - corners[1])
    return corners if long_first else np.roll(corners, -1, axis=0)


def _beyond(shape: tuple[int, ...], middle: Points, across: Points) -> NDArray[np.uint8]:
    """255 on the side of the line through `middle` to which `across` points, 0 on the other."""
    far = 2.0 * sum(shape)
    along = np.array([-across[1], across[0]]) * far
    corners = np.array([middle - along, middle + along, middle + along + across * far, middle - along + across * far])
    mask = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(mask, np.round(corners).astype(np.int32), (255,))
    return mask


def _about(matrix: Points, middle: Points) -> Points:
    """The (2, 3) affine map that does `matrix` about `middle`."""
    return np.column_stack([matrix, middle - matrix @ middle])


def _with_room(patch: Patch, margin: float) -> Patch:
    """The patch with empty space around it, `margin` of its longer side."""
    room = max(2, round(margin * max(patch.mask.shape)))
    return replace(
        patch,
        pixels=as_pixels(cv2.copyMakeBorder(patch.pixels, room, room, room, room, cv2.BORDER_REPLICATE)),
        mask=as_pixels(cv2.copyMakeBorder(patch.mask, room, room, room, room, cv2.BORDER_CONSTANT, value=(0,))),
        outline=None if patch.outline is None else patch.outline + np.float32(room),
    )


def _over(under: NDArray[np.uint8], over: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(alpha[..., None] > 127, over, under)


def _area(mask: NDArray[np.uint8]) -> float:
    return float(cv2.countNonZero(cv2.threshold(mask, 127, 255, cv2.THRESH_BINARY)[1]))
