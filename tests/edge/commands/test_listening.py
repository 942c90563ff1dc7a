from __future__ import annotations

import numpy as np

from edge import app
from edge.commands import listening
from edge.core import bundle as bundles
from edge.core.messages import Pcm
from edge.drivers.fake import FakeClock, FakeSpeaker, FakeSynth
from edge.settings import Config


def test_it_plays_tone_and_count_twice_with_a_silence_between_and_then_each_amount() -> None:
    clock = FakeClock()
    speaker, synth = FakeSpeaker(clock), FakeSynth()
    bundle = bundles.read(app.BUNDLES / "xts")
    lines = list(listening.play(Config(), [bundle], synth, speaker, clock))
    assert [text for text, _ in synth.texts] == [
        listening.COUNT, *(f"{label} play crowns" for label in ("5", "10", "20", "50", "100", "500"))
    ]  # fmt: skip
    assert len(speaker.heard) == 8
    assert all(heard.whole for heard in speaker.heard)
    assert speaker.heard[1].from_s - speaker.heard[0].until_s >= listening.ASLEEP_S
    assert sum("play crowns" in line for line in lines) == 6
    assert speaker.closed


def test_the_tone_is_at_full_strength_from_its_first_sample_and_in_one_piece_with_the_words() -> None:
    words = Pcm(np.full(1000, 7, np.int16), 22_050)
    sound = listening.begun_by_tone(words)
    assert sound.samples[0] == listening.LOUDNESS
    assert (sound.samples[-1000:] == 7).all()
    assert len(sound.samples) == len(words.samples) + int(0.12 * 22_050) + int(0.05 * 22_050)
