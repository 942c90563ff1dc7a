"""Owns whether a picture still shows what the last looks found no note in: then it costs no inference.

A table at which nothing moves is looked at anew once in a while, and at once when anything has changed. It compares
what the scene gate made of each picture, with that of the last look, not of the last picture: what comes slowly is
seen to come. A worn camera moves, so it never rests; one above a table does nearly always. Only what is plainly no note
lets it rest: a note's edge in the picture is looked at in every frame. It knows no model and reads no clock.
"""

from __future__ import annotations

import cv2
import numpy as np

from edge.core.messages import Observation
from edge.core.scene import Luma

PLAINLY = float(np.log(0.95))  # least log-probability of "background"; below it the guide gives hints
RESTS_S = 1.0  # between two looks at what has not changed
COARSE_PX = (48, 36)  # width, height: averages most of a sensor's noise away
LEVELS = 6  # by which a pixel of those must differ to count, of 255: a sensor's noise in a room at night is 2
FEWEST = 4  # of those pixels: the first finger's breadth of a note at the rim has more
SHARPER = 1.25  # so much more or less of sharpness is a lens that has found its focus


class Still:
    """Watches what one bundle's looks find, in the order of time."""

    def __init__(self, background: int, rounds: int) -> None:
        """`background`: its place among the labels; `rounds`: so many looks in a row are to agree, one in each turn."""
        self._background, self._rounds = background, rounds
        self._calm = 0  # looks in a row that found nothing, at one and the same sight
        self._last: tuple[Observation, Luma] | None = None  # the last look, if it found nothing, and at what

    def answer(self, t_s: float, sharpness: float, small: Luma) -> Observation | None:
        """The last look, where it holds for `small` as well; None where a new one is to be taken."""
        if self._calm < self._rounds or self._last is None:
            return None
        last, _ = self._last
        fresh = 0 <= t_s - last.t_s < RESTS_S
        return last if fresh and self._same(sharpness, _coarse(small)) else None

    def heed(self, look: Observation, small: Luma) -> None:
        """`look` was taken, with scores, at `small`."""
        if look.scores is None or not look.scores[self._background] >= PLAINLY:
            self._calm, self._last = 0, None
            return
        coarse = _coarse(small)
        self._calm = self._calm + 1 if self._same(look.scene.sharpness, coarse) else 1
        self._last = look, coarse

    def _same(self, sharpness: float, coarse: Luma) -> bool:
        if self._last is None:
            return False
        last, then = self._last
        if not last.scene.sharpness / SHARPER <= sharpness <= last.scene.sharpness * SHARPER:
            return False
        return int(np.count_nonzero(cv2.absdiff(coarse, then) > LEVELS)) < FEWEST


def _coarse(small: Luma) -> Luma:
    return np.asarray(cv2.resize(small, COARSE_PX, interpolation=cv2.INTER_AREA), np.uint8)
