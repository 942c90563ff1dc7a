"""Owns which pictures show the same thing: perceptual hashes, confirmed by small colour pictures. Knows no labels.

A copy may have been turned or mirrored (phones turn, published sets are often augmented), so one side of each
comparison is tried in all eight ways a rectangle can lie. The hash alone takes different notes on the same white
paper for one; that is why the small colour pictures must agree as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from training.photos.dataset import NEAR_DUPLICATE_BITS

WAYS = 8  # four quarter turns, each also mirrored
HASH_BITS = 64
HASHED_PX = 32  # what imagehash's perceptual hash looks at
SMALL_PX = 16
# Correlation of the small pictures. Of drawn notes, copies that were re-saved, halved, blurred or given another gamma
# lie above 0.995, and the two amounts most alike, on the same paper, at 0.987.
ALIKE = 0.99
ROWS_AT_ONCE, PAIRS_AT_ONCE = 1024, 8192  # a few tens of megabytes


@dataclass(frozen=True)
class Print:
    """What is kept of one picture to compare it by."""

    bits: NDArray[np.float32]  # (8 ways, 64) of -1 and 1
    small: NDArray[np.float32]  # (16, 16, 3)


def take(pixels: NDArray[np.uint8]) -> Print:
    """The print of a picture, RGB."""
    grey = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (HASHED_PX, HASHED_PX), interpolation=cv2.INTER_AREA)
    hashes = [imagehash.phash(Image.fromarray(turned(grey, way))).hash for way in range(WAYS)]
    small = cv2.resize(pixels, (SMALL_PX, SMALL_PX), interpolation=cv2.INTER_AREA)
    return Print(np.reshape(hashes, (WAYS, HASH_BITS)) * np.float32(2) - np.float32(1), small.astype(np.float32))


def turned(pixels: NDArray[Any], way: int) -> NDArray[Any]:
    """A picture in one of the eight ways it can lie; way 0 is as it is."""
    return np.ascontiguousarray(np.rot90(pixels[:, ::-1] if way >= 4 else pixels, way % 4))


def pairs(prints: list[Print]) -> list[tuple[int, int]]:
    """Every two pictures of one list that show the same, the smaller index first, in order."""
    return sorted({(min(i, j), max(i, j)) for i, j in _matches(prints, prints) if i != j})


def pairs_between(prints: list[Print], others: list[Print]) -> list[tuple[int, int]]:
    """Every picture of the first list with each of the second that shows the same, in order."""
    return sorted(set(_matches(prints, others)))


def groups(count: int, alike: list[tuple[int, int]]) -> list[int]:
    """For each of `count` pictures the number of its group: those joined by pairs are in one."""
    rows, columns = np.array(alike, np.int64).reshape(-1, 2).T
    _, group = connected_components(coo_array((np.ones(len(rows)), (rows, columns)), (count, count)))
    return [int(number) for number in group]


def _matches(prints: list[Print], others: list[Print]) -> Iterable[tuple[int, int]]:
    if not prints or not others:
        return
    bits = np.stack([p.bits[0] for p in prints])
    smalls = _normalised([p.small for p in prints])
    for way in range(WAYS):
        other_bits = np.stack([p.bits[way] for p in others]).T
        other_smalls = _normalised([turned(p.small, way) for p in others])
        for start in range(0, len(bits), ROWS_AT_ONCE):
            # The product of two hashes of -1 and 1 is 64 less twice the bits that differ.
            agreement = bits[start : start + ROWS_AT_ONCE] @ other_bits
            rows, columns = np.nonzero(agreement >= HASH_BITS - 2 * NEAR_DUPLICATE_BITS)
            for part in range(0, len(rows), PAIRS_AT_ONCE):
                i, j = rows[part : part + PAIRS_AT_ONCE] + start, columns[part : part + PAIRS_AT_ONCE]
                sure = np.einsum("nd,nd->n", smalls[i], other_smalls[j]) >= ALIKE
                yield from zip(i[sure].tolist(), j[sure].tolist(), strict=True)


def _normalised(smalls: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(n, values) without brightness and contrast, so that a product of two rows is their correlation."""
    rows = np.stack(smalls).reshape(len(smalls), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6), np.float32)
