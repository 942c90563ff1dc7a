"""Owns the earcons: short tones that say in a tenth of a second what a sentence would take a second for.

They are computed, from the tables below; each begins and ends softly, so that no loudspeaker clicks. It knows
nothing of when they are played.
"""

from __future__ import annotations

import enum

import numpy as np
from numpy.typing import NDArray

from edge.core.messages import Pcm

SOFT_S = 0.008  # attack and release
LOUDNESS = 0.25  # of full scale: less than speech, which is what matters
PAUSE_S = 0.03  # between two tones


class Earcon(enum.Enum):
    """What a tone says."""

    SEEN = "seen"  # something has come into view
    UNSURE = "unsure"  # before the words for it
    ACCEPTED = "accepted"  # the button was felt
    LONG = "long"  # held long enough for a long press
    VERY_LONG = "very long"
    HERE = "here"  # asked for from afar, so that a helper finds this device


# (Hz, seconds) of each tone, one after the other. Rising is good news, falling is doubt; the button ticks.
TONES: dict[Earcon, tuple[tuple[float, float], ...]] = {
    Earcon.SEEN: ((523.0, 0.04), (784.0, 0.05)),
    Earcon.UNSURE: ((440.0, 0.08), (330.0, 0.10)),
    Earcon.ACCEPTED: ((1047.0, 0.03),),
    Earcon.LONG: ((880.0, 0.07),),
    Earcon.VERY_LONG: ((880.0, 0.07), (880.0, 0.07)),
    Earcon.HERE: ((1319.0, 0.15), (988.0, 0.15)) * 3,
}


def sound(earcon: Earcon, rate_hz: int, volume: float = 1.0) -> Pcm:
    """The sound of `earcon`; `volume` 1 is the normal one."""
    pause = np.zeros(round(PAUSE_S * rate_hz))
    parts: list[NDArray[np.float64]] = []
    for tone_hz, seconds in TONES[earcon]:
        parts += [*([pause] if parts else []), _tone(tone_hz, seconds, rate_hz)]
    loud = min(1.0, LOUDNESS * volume) * 32_767
    return Pcm(np.rint(loud * np.concatenate(parts)).astype(np.int16), rate_hz)


def _tone(tone_hz: float, seconds: float, rate_hz: int) -> NDArray[np.float64]:
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    edge = np.clip(np.minimum(time_s, time_s[::-1]) / SOFT_S, 0.0, 1.0)
    shape: NDArray[np.float64] = np.sin(2 * np.pi * tone_hz * time_s) * (0.5 - 0.5 * np.cos(np.pi * edge))
    return shape
