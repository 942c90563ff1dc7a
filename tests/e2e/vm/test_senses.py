"""The ear of the virtual device's tests: it knows one amount from another, whatever surrounds it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edge import app
from edge.core import bundle as bundles
from edge.core.speech import Speech
from edge.drivers.espeak import EspeakSynth
from edge.settings import VoiceConfig
from tests.e2e.vm.senses import SURE, likeness, yuyv

AMOUNTS = bundles.read(app.find_bundle("xts")).denominations


def phrases() -> dict[str, np.ndarray]:
    speech, synth = Speech("en", "XTS"), EspeakSynth(VoiceConfig())
    texts = [*(speech.amount(label) for label in AMOUNTS), "Ready", "The camera works again"]
    return {text: synth.render(text, "en").samples.astype(np.float64) for text in texts}


def test_no_phrase_is_taken_for_another() -> None:
    rendered = phrases()
    assert len(rendered) >= 7
    quiet = np.random.default_rng(0).integers(-300, 300, 9000).astype(np.float64)
    for said, meant in itertools.product(rendered, rendered):
        sound = np.concatenate([quiet, 0.5 * rendered[said], quiet])
        assert (likeness(sound, rendered[meant]) >= SURE) == (said == meant), (said, meant)


def test_silence_and_what_is_too_short_are_like_nothing() -> None:
    phrase = phrases()["Ready"]
    assert likeness(np.zeros(100_000), phrase) == 0
    assert likeness(np.zeros(0), phrase) == 0
    assert likeness(phrase[: len(phrase) // 2], phrase) == 0


@pytest.mark.parametrize(("colour", "luma"), [((0, 0, 0), 0), ((255, 255, 255), 255)])
def test_a_picture_becomes_what_a_camera_gives(colour: tuple[int, int, int], luma: int) -> None:
    packed = np.frombuffer(yuyv(np.full((480, 640, 3), colour, np.uint8)), np.uint8).reshape(480, 640, 2)
    assert (packed[..., 0] == luma).all()
    assert (packed[..., 1] == 128).all()
