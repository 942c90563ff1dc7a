"""The ear of the virtual device's tests: it knows one amount from another, whatever surrounds it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edge import app
from edge.core import bundle as bundles
from edge.core.pulsecode import Rhythm, steps
from edge.core.speech import Speech
from edge.drivers.espeak import EspeakSynth
from edge.settings import VoiceConfig
from tests.e2e.vm.senses import SURE, likeness, signs, yuyv

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


def test_a_phrase_that_a_card_gave_in_pieces_is_known() -> None:
    for text, phrase in phrases().items():
        third = len(phrase) // 3
        sound = np.concatenate([phrase[:third], np.zeros(1764), phrase[third:]])
        assert likeness(sound, phrase) > 0.95, text


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


@pytest.mark.parametrize("late_s", [0.0, 0.1])
def test_what_is_felt_is_read_as_it_was_played(late_s: float) -> None:
    changes, at_s = [(0.0, False)], 5.0
    for on, length_s in steps("... -.- .", Rhythm()):
        changes.append((at_s, on))
        at_s += length_s + late_s
    assert signs(changes) == ["...", "-.-", "."]


def test_a_pulse_that_has_not_ended_is_not_felt_yet() -> None:
    assert signs([(0.0, False), (1.0, True), (1.15, False), (1.35, True)]) == ["."]
