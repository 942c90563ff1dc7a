"""Owns whether a camera's pictures are alive: a sensor has noise, so one that repeats a picture to the byte is frozen.

Only for cameras with a sensor: a recording may show one picture for as long as it likes. A picture without any
structure (a covered lens, glaring light) proves nothing, since noise is cut off at black and at white. It keeps the
last picture in memory and reads no clock.
"""

from __future__ import annotations

import numpy as np

from edge.core.messages import Frame, Pixels

FROZEN_AFTER_S = 3.0
FROZEN_REPEATS = 3  # at least so many, however slow the camera
STEP_PX = 16  # every n-th pixel tells whether there is any structure
GLANCE_PX = 64  # every n-th tells two living pictures apart; all of them are compared only where those agree
PLAIN = 8  # levels between darkest and brightest of those: less is no structure


class Stale:
    """Watches the frames of one camera, in the order of time."""

    def __init__(self) -> None:
        self._last: Pixels | None = None
        self._glance = b""  # some of its pixels
        self._since_s = 0.0  # when the last picture was first seen
        self._repeats = 0
        self._stale_s = 0.0
        self.moves = False  # two different pictures have followed each other since `reset`

    def reset(self) -> None:
        """The camera was opened anew."""
        self._last = None
        self._repeats = 0
        self._stale_s = 0.0
        self.moves = False

    def repeats(self, frame: Frame) -> bool:
        """Whether `frame` shows the very picture of the frame before, and so nothing new."""
        glance = frame.pixels[::GLANCE_PX, ::GLANCE_PX].tobytes()
        same = self._last is not None and glance == self._glance and _same(self._last, frame.pixels)
        if same and not _plain(frame.pixels):
            self._repeats += 1
            self._stale_s = frame.t_s - self._since_s
            return True
        self.moves = self.moves or (self._last is not None and not _plain(frame.pixels))
        self._last, self._glance, self._since_s = frame.pixels, glance, frame.t_s
        self._repeats = 0
        self._stale_s = 0.0
        return False

    @property
    def frozen(self) -> bool:
        """Whether the same picture has come for too long."""
        return self._repeats >= FROZEN_REPEATS and self._stale_s >= FROZEN_AFTER_S


def _plain(pixels: Pixels) -> bool:
    some = pixels[::STEP_PX, ::STEP_PX]
    return int(some.max()) - int(some.min()) < PLAIN


def _same(one: Pixels, other: Pixels) -> bool:
    return one.shape == other.shape and bool(np.array_equal(one, other))
