"""The small stages: scene, preprocess, classify, observe."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import edge
from edge.core import bundle as bundles
from edge.core import classify, preprocess, scene
from edge.core.bundle import InputSpec
from edge.core.messages import Box, Frame, Look
from edge.core.observe import Observer
from training.playmoney import notes

SHIPPED = Path(edge.__file__).parent / "bundles"
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


@pytest.mark.parametrize("size", [(480, 640), (479, 641), (391, 501), (300, 420), (200, 200), (1500, 2000)])
def test_a_smaller_picture_is_nearly_the_mean_of_each_part(size: tuple[int, int]) -> None:
    tall, wide = size
    soft = cv2.GaussianBlur(np.tile(NOTE, (6, 4, 1))[:tall, :wide], (0, 0), max(2, tall / 150))
    mean = cv2.resize(soft, (192, 192), interpolation=cv2.INTER_AREA).astype(int)
    off = np.abs(preprocess.to_tensor(np.asarray(soft, np.uint8), InputSpec(192, 192, "squash"))[0] - mean)
    assert off.mean() < 1.5
    assert np.percentile(off, 99) < 12


def test_fine_print_becomes_grey_and_no_other_pattern() -> None:
    lines = np.zeros((480, 640, 3), np.uint8)
    lines[::2] = 255
    tensor = preprocess.to_tensor(lines, InputSpec(192, 192, "squash"))
    assert np.abs(tensor.astype(int) - 127).max() <= 2


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a picture must be"):
        preprocess.to_tensor(bad, InputSpec(64, 64, "squash"))


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_place_found_in_a_turned_picture_is_told_as_in_the_frame(turn: int) -> None:
    frame = np.zeros((1, 64, 64, 3), np.uint8)
    frame[0, 8:24, 32:40] = 255
    several = np.concatenate([frame, 255 - frame, frame[:, ::-1]])  # training turns many at once
    assert np.array_equal(preprocess.turned(several, turn), np.rot90(several, turn // 90, axes=(1, 2)))
    rows, columns = np.nonzero(preprocess.turned(frame, turn)[0, ..., 0])
    low = np.array([columns.min(), rows.min()]) / 64
    high = np.array([columns.max() + 1, rows.max() + 1]) / 64
    seen = np.array([[*(low + high) / 2, *(high - low), 0.9]], np.float32)
    box = classify.box([np.zeros((1, 3), np.float32), seen], turn)
    assert box is not None
    place = (box.centre_x, box.centre_y, box.width, box.height, box.visible)
    assert place == pytest.approx((36 / 64, 16 / 64, 8 / 64, 16 / 64, 0.9))


def looking(**input_: object) -> bundles.Bundle:
    """The play-money bundle with these keys of `input`."""
    bundle = bundles.read(SHIPPED / "xts")
    changed = msgspec.structs.replace(bundle.manifest.input, **input_)
    return dataclasses.replace(bundle, manifest=msgspec.structs.replace(bundle.manifest, input=changed))


def test_one_look_after_the_other_is_turned_as_the_bundle_says() -> None:
    bundle = looking(turns=(0, 180))
    seen: list[np.ndarray] = []

    def invoke(tensor: np.ndarray) -> list[np.ndarray]:
        seen.append(tensor)
        return [np.zeros((1, len(bundle.labels)), np.float32), np.zeros((1, 5), np.float32)]

    observer = Observer(bundle, invoke, lambda: 0.0)
    for number in range(3):
        observer.observe(Frame(number, number / 10, NOTE))
    assert np.array_equal(seen[0], seen[2])
    assert np.array_equal(seen[1][0], np.rot90(seen[0][0], 2))


class NoteAt:
    """A model that takes every picture for a note at one place, and remembers what it was shown."""

    def __init__(self, bundle: bundles.Bundle, place: tuple[float, float, float, float]) -> None:
        self.seen: list[np.ndarray] = []
        self.note = True
        self._bundle, self._place = bundle, place

    def __call__(self, tensor: np.ndarray) -> list[np.ndarray]:
        self.seen.append(tensor)
        logits = np.full((1, len(self._bundle.labels)), -20, np.float32)
        logits[0, 0 if self.note else self._bundle.labels.index(bundles.BACKGROUND)] = 20
        return [logits, np.array([[*self._place, 0.9]], np.float32)]


def test_every_other_round_of_looks_sees_the_place_of_the_note_alone() -> None:
    bundle = looking(turns=(0, 180), near=0.25)
    model = NoteAt(bundle, (0.5, 0.25, 0.4, 0.2))
    observer = Observer(bundle, model, lambda: 0.0)
    looks = [observer.observe(Frame(number, number / 10, NOTE)) for number in range(5)]
    boxes = [look.box for look in looks]
    assert [look.near for look in looks] == [False, False, True, True, False]
    height, width = NOTE.shape[:2]
    # The first look was upright, the second upside down: the place is that of the latter, turned back.
    part = NOTE[round(0.625 * height) : round(0.875 * height), round(0.25 * width) : round(0.75 * width)]
    assert np.array_equal(model.seen[2], preprocess.to_tensor(part, bundle.manifest.input))
    assert np.array_equal(model.seen[4], model.seen[0])
    box = boxes[2]
    assert box is not None
    found = (box.centre_x, box.centre_y, box.width, box.height)
    assert found == pytest.approx((0.25 + 0.5 * 0.5, 0.625 + 0.25 * 0.25, 0.5 * 0.4, 0.25 * 0.2))


@pytest.mark.parametrize("near", [0.0, 0.25])
def test_all_of_the_frame_is_seen_where_no_note_is_or_was_long_ago(near: float) -> None:
    bundle = looking(turns=(0,), near=near)
    model = NoteAt(bundle, (0.5, 0.5, 0.4, 0.2))
    model.note = near == 0
    observer = Observer(bundle, model, lambda: 0.0)
    for number in range(4):
        observer.observe(Frame(number, number / 10, NOTE))
    model.note = True
    for t_s in (10.0, 20.0, 15.0, 16.0):  # also after a clock that went back
        observer.observe(Frame(9, t_s, NOTE))
    assert all(np.array_equal(tensor, model.seen[0]) for tensor in model.seen)


@given(st.floats(-0.5, 1.5), st.floats(-0.5, 1.5), st.floats(0, 1), st.floats(0, 1), st.integers(1, 90))
def test_a_nearer_look_never_leaves_the_frame_and_is_never_empty(
    x: float, y: float, width: float, height: float, side: int
) -> None:
    picture = np.zeros((side, 2 * side, 3), np.uint8)
    area = preprocess.around(Box(x, y, width, height, 1.0), 0.15)
    shown = preprocess.cut(picture, area)
    assert min(side, preprocess.NEAREST_PX) <= shown.shape[0] <= side
    assert min(2 * side, preprocess.NEAREST_PX) <= shown.shape[1] <= 2 * side


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
