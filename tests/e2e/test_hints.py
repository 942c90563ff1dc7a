"""The whole daemon over the shipped fakes: what a hand is told that holds a note so that it cannot be read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import app
from edge.core import scene
from edge.core.bundle import Bundle
from edge.core.messages import Frame, Hint, Look, Pixels
from edge.core.speech import HINTS, PHRASES
from edge.drivers.fake import (
    FakeCamera,
    FakeEngine,
    SilentSpeaker,
)
from edge.settings import CameraConfig, Config, GuidanceConfig, ModelConfig
from tests.devices import fake_engine, fake_parts
from training.playmoney import notes

PICTURE = notes.draw(50, "front", 1, 320)
LABELS = ("5", "10", "20", "50", "100", "500", "background", "several")
NOWHERE, MIDDLE = [0.5, 0.5, 0.1, 0.1, 0.0], [0.5, 0.5, 0.7, 0.5, 1.0]
CUT_LEFT = [0.15, 0.5, 0.3, 0.4, 0.4]

Shown = tuple[Pixels, str, list[float]]  # what is before the lens, what the model takes it for, and where


def as_it_is(picture: Pixels) -> Pixels:
    return picture


def dark(picture: Pixels) -> Pixels:
    return cv2.convertScaleAbs(picture, alpha=0.05)


def blurred(picture: Pixels) -> Pixels:
    return cv2.GaussianBlur(picture, (0, 0), 14)


def covered(picture: Pixels) -> Pixels:
    return np.zeros_like(picture)


def show(frames: int, taken_for: str, box: list[float], how: Callable[[Pixels], Pixels] = as_it_is) -> list[Shown]:
    """Frames of a hand that moves a little: the light on the note changes."""
    return [(how(cv2.convertScaleAbs(PICTURE, alpha=1 - 0.1 * (n % 3))), taken_for, box) for n in range(frames)]


SCENERY = show(12, "background", NOWHERE)


def said(shown: list[Shown], state: Path, **settings: object) -> list[str]:
    """What the daemon says to these frames, ten a second, but for its first words."""
    outputs = [([9.0 * (name == label) for name in LABELS], box) for _, label, box in shown]

    def engine(bundle: Bundle) -> FakeEngine:
        # The model is asked about clear pictures alone, so the script answers those alone.
        asked = [scene.assess(picture).look is Look.CLEAR for picture, *_ in shown]
        seen = [output for output, wanted in zip(outputs, asked, strict=True) if wanted]
        return fake_engine(bundle, *seen)

    parts = fake_parts(
        camera=lambda: FakeCamera([Frame(n, n / 10, picture) for n, (picture, *_) in enumerate(shown)]),
        engine=engine,
        speaker=SilentSpeaker,
    )
    config = Config(model=ModelConfig(bundle="xts"), **settings)  # type: ignore[arg-type]
    utterances = app.run(config, parts, threading.Event(), state=state)
    first = [PHRASES[key] for key in ("ready", "not genuine")]
    return [utterance.text for utterance in utterances if utterance.text not in first]


@pytest.mark.parametrize(
    ("hint", "frames"),
    [
        (Hint.TOO_DARK, show(20, "", NOWHERE, dark)),
        (Hint.HOLD_STILL, show(20, "", NOWHERE, blurred)),
        (Hint.CLOSER, show(14, "", [0.5, 0.5, 0.25, 0.2, 1.0])),
        (Hint.FURTHER, show(14, "", [0.5, 0.5, 0.98, 0.97, 0.3])),
        (Hint.RIGHT, show(14, "", CUT_LEFT)),
        (Hint.LEFT, show(14, "", [0.85, 0.5, 0.3, 0.4, 0.4])),
        (Hint.DOWN, show(14, "", [0.5, 0.15, 0.4, 0.3, 0.4])),
        (Hint.UP, show(14, "", [0.5, 0.85, 0.4, 0.3, 0.4])),
        (Hint.COVERED, [*SCENERY, *show(14, "", NOWHERE, covered)]),
    ],
)
def test_each_hint_is_spoken(hint: Hint, frames: list[Shown], tmp_path: Path) -> None:
    assert said(frames, tmp_path) == [HINTS[hint]]


def test_every_hint_has_its_case_above() -> None:
    (mark,) = [m for m in test_each_hint_is_spoken.pytestmark if m.name == "parametrize"]  # type: ignore[attr-defined]
    assert {hint for hint, _ in mark.args[1]} == set(Hint)


def test_the_camera_that_looks_at_the_person_leads_the_hand_as_the_person_sees_it(tmp_path: Path) -> None:
    frames = show(14, "", CUT_LEFT)
    assert said(frames, tmp_path, camera=CameraConfig(mount="facing")) == ["Left"]
    assert said(frames, tmp_path, camera=CameraConfig(rotation=90)) == ["Down"]


def test_hints_may_be_switched_off(tmp_path: Path) -> None:
    frames = [*show(20, "", NOWHERE, dark), *show(14, "", CUT_LEFT)]
    assert said(frames, tmp_path, guidance=GuidanceConfig(enabled=False)) == []


def test_a_note_that_is_led_to_the_middle_is_read_and_taken_away_in_peace(tmp_path: Path) -> None:
    frames = [
        *SCENERY,
        *show(12, "", CUT_LEFT),
        *show(8, "50", MIDDLE),
        *show(20, "50", CUT_LEFT),
        *show(10, "", CUT_LEFT),
    ]
    assert said([*frames, *SCENERY], tmp_path) == ["Right", "50 play crowns"]


def test_a_pocket_and_a_table_hear_nothing(tmp_path: Path) -> None:
    assert said(show(300, "", NOWHERE, covered), tmp_path) == []
    still = (PICTURE, "background", CUT_LEFT)
    assert said([still] * 100, tmp_path) == []


def test_hints_come_more_and_more_rarely(tmp_path: Path) -> None:
    heard = said(show(600, "", NOWHERE, dark), tmp_path)
    assert 3 <= len(heard) <= 8
    assert all(earlier == later == "Too dark" for earlier, later in pairwise(heard))
