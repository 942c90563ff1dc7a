from __future__ import annotations

import numpy as np
import pytest

from edge.core.earcons import TONES, Earcon, sound
from edge.core.messages import Pcm

RATE_HZ = 22_050


def strongest_hz(pcm: Pcm, from_s: float, seconds: float) -> float:
    part = pcm.samples[round(from_s * pcm.rate_hz) : round((from_s + seconds) * pcm.rate_hz)]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 15))
    return float(np.argmax(spectrum) * pcm.rate_hz / (1 << 15))


@pytest.mark.parametrize("earcon", Earcon)
@pytest.mark.parametrize("rate_hz", [16_000, RATE_HZ, 48_000])
def test_a_tone_is_short_soft_at_both_ends_and_quieter_than_speech(earcon: Earcon, rate_hz: int) -> None:
    pcm = sound(earcon, rate_hz)
    samples = pcm.samples.astype(int)
    assert pcm.seconds < (1.1 if earcon is Earcon.HERE else 0.25)  # that one is to be looked for by ear
    assert max(abs(samples[0]), abs(samples[-1])) < 100
    # What clicks is a step: between two samples none is larger than the tone itself makes.
    steepest = max(2 * np.pi * tone_hz / rate_hz for tone_hz, _ in TONES[earcon])
    assert np.abs(np.diff(samples)).max() <= 1.1 * steepest * 0.25 * 32_767
    assert 6000 < np.abs(samples).max() < 9000


@pytest.mark.parametrize("earcon", Earcon)
def test_a_tone_has_the_pitch_of_the_table(earcon: Earcon) -> None:
    tone_hz, seconds = TONES[earcon][0]
    assert strongest_hz(sound(earcon, RATE_HZ), 0.0, seconds) == pytest.approx(tone_hz, rel=0.03)


def test_no_two_tones_sound_alike() -> None:
    sounds = [sound(earcon, RATE_HZ).samples.tobytes() for earcon in Earcon]
    assert len(set(sounds)) == len(sounds)


def test_the_volume_holds_for_tones_too_and_never_overflows() -> None:
    peaks = [int(np.abs(sound(Earcon.SEEN, RATE_HZ, volume).samples.astype(int)).max()) for volume in (0, 0.5, 1, 9)]
    assert peaks[0] == 0
    assert peaks[1] == pytest.approx(peaks[2] / 2, abs=2)
    assert peaks[3] <= 32_767
