"""Owns the change of a sound's rate, for the speakers; knows no sound card and no file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge.core.messages import Pcm


def resample(pcm: Pcm, rate_hz: int) -> NDArray[np.int16]:
    """The samples of `pcm` at `rate_hz`, by linear interpolation.

    Speech at 22 kHz has next to nothing above 8 kHz, so what a better filter would save is not heard, and
    this costs a millisecond or two before the first sound.
    """
    if pcm.rate_hz == rate_hz or len(pcm.samples) == 0:
        return pcm.samples
    length = max(1, round(len(pcm.samples) * rate_hz / pcm.rate_hz))
    wanted = np.arange(length) * (pcm.rate_hz / rate_hz)
    return np.rint(np.interp(wanted, np.arange(len(pcm.samples)), pcm.samples)).astype(np.int16)
