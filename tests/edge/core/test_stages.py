"""The small stages: scene, preprocess, classify, observe."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge.core import classify, preprocess, scene
from edge.core.bundle import InputSpec
from edge.core.messages import Look
from training.playmoney import notes

NOTE = notes.draw(50, "front", 1)


@pytest.mark.parametrize(
    ("pixels", "look"),
    [
        (np.zeros((480, 640, 3), np.uint8), Look.COVERED),
        (np.full((480, 640, 3), 128, np.uint8), Look.EMPTY),
        ((NOTE // 20).astype(np.uint8), Look.DARK),
        (NOTE, Look.CLEAR),
        ((NOTE // 4).astype(np.uint8), Look.CLEAR),
    ],
)
def test_the_scene_is_named(pixels: np.ndarray, look: Look) -> None:
    assert scene.assess(pixels).look is look


def test_a_ramp_of_light_without_edges_is_a_blur() -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 640)[None, :, None], (480, 640, 3)).astype(np.uint8)
    assert scene.assess(ramp).look is Look.BLURRED


@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from(["squash", "letterbox"]))
def test_any_shape_of_picture_becomes_the_tensor(height: int, width: int, fit: str) -> None:
    picture = np.full((height, width, 3), 200, np.uint8)
    tensor = preprocess.to_tensor(picture, InputSpec(64, 96, fit))  # type: ignore[arg-type]
    assert tensor.shape == (1, 64, 96, 3)
    assert tensor.dtype == np.uint8
    assert set(np.unique(tensor)) <= {200, preprocess.LETTERBOX_GREY}


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a picture must be"):
        preprocess.to_tensor(bad, InputSpec(64, 64, "squash"))


def test_a_letterbox_keeps_the_shape_of_things() -> None:
    tensor = preprocess.to_tensor(np.full((100, 200, 3), 255, np.uint8), InputSpec(64, 64, "letterbox"))[0]
    assert (tensor[16:48] == 255).all()
    assert (tensor[:16] == preprocess.LETTERBOX_GREY).all()


@given(arrays.arrays(np.float32, 6, elements=st.floats(-200, 200, width=32)), st.floats(0.2, 5))
def test_scores_are_log_probabilities(logits: np.ndarray, temperature: float) -> None:
    scores = classify.scores(logits[None], temperature)
    assert np.isfinite(scores).all()
    assert np.exp(scores.astype(np.float64)).sum() == pytest.approx(1, abs=1e-4)
    assert scores[logits.argmax()] == scores.max()


def test_the_place_is_read_where_there_is_one_and_kept_inside_the_frame() -> None:
    logits = np.zeros((1, 3), np.float32)
    assert classify.box([logits]) is None
    found = classify.box([logits, np.array([[0.5, -0.1, 1.2, 0.3, 0.9]], np.float32)])
    assert found is not None
    assert (found.centre_x, found.centre_y, found.width) == pytest.approx((0.5, 0.0, 1.0))
