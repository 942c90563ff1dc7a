from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge import app
from edge.core import bundle as bundles
from edge.core import picture
from edge.core.bundle import BACKGROUND, Bundle
from edge.core.messages import Frame, Observation, Pixels
from edge.core.observe import STAGES, Observer
from edge.core.still import RESTS_S

RATE = 15.0
NOTE = np.tile(picture.read(sorted(app.REPLAY.glob("*.jpg"))[60]).pixels, (2, 2, 1))


def table(seed: int = 0) -> Pixels:
    """A table with a grain and things on it, as a camera sees it."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.integers(90, 170, (12, 16, 3)), np.ones((40, 40, 1))).astype(np.int16)
    return np.clip(blocks + rng.integers(-8, 9, (480, 640, 3)), 0, 255).astype(np.uint8)


TABLE = table()


def noisy(pixels: Pixels, seed: int, sigma: float = 4.0) -> Pixels:
    noise = np.random.default_rng(seed).normal(0, sigma, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


class Model:
    """Finds nothing until it is told that there is a note; counts how often it is asked."""

    def __init__(self, bundle: Bundle) -> None:
        self.asked, self.note = 0, 0.0  # the probability of anything but background
        self._labels, self._background = len(bundle.labels), bundle.labels.index(BACKGROUND)
        self._temperature = bundle.manifest.decision.temperature

    def __call__(self, _tensor: np.ndarray) -> list[np.ndarray]:
        self.asked += 1
        shares = np.full(self._labels, max(self.note, 1e-6) / (self._labels - 1))
        shares[self._background] = 1 - self.note
        return [(np.log(shares) * self._temperature)[None].astype(np.float32), np.full((1, 5), 0.01, np.float32)]


class Camera:
    """Shows pictures to an observer, one after the other."""

    def __init__(self, bundle: str = "inr") -> None:
        found = bundles.read(app.BUNDLES / bundle)
        self.model = Model(found)
        self.turns = len(found.manifest.input.turns)
        self._observer, self._number = Observer(found, self.model, lambda: 0.0), 0

    def show(self, pixels: Pixels, passed_s: float = 1 / RATE) -> Observation:
        self._number += 1
        self._now_s = getattr(self, "_now_s", 0.0) + passed_s
        return self._observer.observe(Frame(self._number, self._now_s, pixels))

    def looks_at(self, pixels: Pixels, passed_s: float = 1 / RATE) -> bool:
        """Whether this picture costs an inference."""
        before = self.model.asked
        self.show(pixels, passed_s)
        return self.model.asked > before


@pytest.mark.parametrize("bundle", ["inr", "xts"])
def test_a_table_at_which_nothing_moves_is_looked_at_once_in_every_turn_and_then_once_a_second(bundle: str) -> None:
    camera = Camera(bundle)
    asked = [camera.looks_at(noisy(TABLE, seed)) for seed in range(round(RATE * 10))]
    assert asked[: camera.turns + 2] == [True] * camera.turns + [False] * 2
    assert sum(asked) - camera.turns == pytest.approx(10 / RESTS_S, abs=1.5)


def test_what_rests_says_what_the_last_look_said_under_its_own_name_and_time() -> None:
    camera = Camera()
    for _ in range(camera.turns):
        looked = camera.show(TABLE)
    rested = camera.show(TABLE)
    assert set(rested.ms) == {STAGES[0]}
    assert set(looked.ms) == set(STAGES)
    assert rested.scores is looked.scores
    assert rested.box == looked.box
    assert (rested.seq, rested.t_s) == (looked.seq + 1, looked.t_s + 1 / RATE)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
def test_a_note_that_comes_in_is_looked_at_in_its_first_picture(side: str, share: float) -> None:
    camera = Camera()
    while camera.looks_at(TABLE):
        pass
    came = TABLE.copy()
    wide, tall = round(640 * share), round(480 * share)
    spot = {
        "left": np.s_[120:360, :wide],
        "right": np.s_[120:360, 640 - wide :],
        "top": np.s_[:tall, 160:480],
        "bottom": np.s_[480 - tall :, 160:480],
    }[side]
    height, width = came[spot].shape[:2]
    came[spot] = NOTE[100 : 100 + height, 200 : 200 + width]
    assert camera.looks_at(came)


def test_what_comes_slowly_is_seen_to_come() -> None:
    camera = Camera()
    while camera.looks_at(TABLE):
        pass
    looks = 0
    for step in range(1, 14):  # each picture differs from the one before by less than would count
        looks += camera.looks_at(np.clip(TABLE + np.int16(step), 0, 255).astype(np.uint8), 0.01)
    assert looks >= 1


def test_a_picture_with_a_trace_of_a_note_is_looked_at_every_time() -> None:
    camera = Camera()
    camera.model.note = 0.06
    assert all(camera.looks_at(TABLE) for _ in range(20))


def test_a_note_ends_the_rest_until_it_has_gone() -> None:
    camera = Camera()
    while camera.looks_at(TABLE):
        pass
    camera.model.note = 0.9
    assert camera.looks_at(TABLE, RESTS_S), "a note that changes nothing one could measure is found by the next look"
    assert all(camera.looks_at(TABLE) for _ in range(10))
    camera.model.note = 0.0
    assert [camera.looks_at(TABLE) for _ in range(camera.turns + 1)] == [True] * camera.turns + [False]


def test_a_lens_that_finds_its_focus_is_a_change() -> None:
    camera = Camera()
    soft = np.asarray(cv2.GaussianBlur(TABLE, (0, 0), 6), np.uint8)
    while camera.looks_at(soft):
        pass
    assert camera.looks_at(TABLE)


def test_a_clock_that_went_back_is_no_reason_to_rest() -> None:
    camera = Camera()
    while camera.looks_at(TABLE):
        pass
    assert camera.looks_at(TABLE, -100.0)


def test_a_covered_lens_is_told_at_once_and_what_was_there_before_holds_after_it() -> None:
    camera = Camera()
    while camera.looks_at(TABLE):
        pass
    assert camera.show(np.zeros_like(TABLE)).scores is None
    assert not camera.looks_at(TABLE)


def test_what_one_bundle_saw_is_no_reason_for_another_to_rest() -> None:
    one, other = Camera(), Camera()
    while one.looks_at(TABLE):
        pass
    assert other.looks_at(TABLE)
