from __future__ import annotations

import cv2
import numpy as np
import pytest

from training.photos import cutout
from training.playmoney import notes, scenes


def on_ground(turn_deg: float, ground: tuple[int, int, int] = (60, 70, 90)) -> tuple[np.ndarray, np.ndarray]:
    """A drawn note on plain cloth, and its true corners (4, 2)."""
    note = notes.draw(50, "front", 1, 200)
    height, width = note.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn_deg, 1)
    matrix[:, 2] += np.array([160 - width / 2, 120 - height / 2])
    picture = np.full((240, 320, 3), ground, np.uint8)
    mask = cv2.warpAffine(np.full((height, width), 255, np.uint8), matrix, (320, 240))
    picture = np.where(mask[..., None] > 127, cv2.warpAffine(note, matrix, (320, 240)), picture)
    noise = np.random.default_rng(1).normal(0, 4, picture.shape)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]]) @ matrix[:, :2].T + matrix[:, 2]
    return np.clip(picture + noise, 0, 255).astype(np.uint8), corners.astype(np.float32)


def test_a_note_is_cut_out_of_white_paper_by_its_box() -> None:
    paper = np.full((200, 300, 3), 235, np.uint8)
    note = notes.draw(50, "front", 1, 200)
    paper[60 : 60 + note.shape[0], 50:250] = note
    box = (0.5, (60 + note.shape[0] / 2) / 200, 210 / 300, (note.shape[0] + 10) / 200)
    patch = cutout.cut(paper, box)
    assert patch is not None
    assert patch.exact
    true_area = note.shape[0] * note.shape[1]
    assert (patch.mask > 127).sum() == pytest.approx(true_area, rel=0.1)


def test_plain_paper_gives_no_cut_out() -> None:
    assert cutout.cut(np.full((100, 200, 3), 235, np.uint8), (0.5, 0.5, 0.8, 0.8)) is None


@pytest.mark.parametrize("turn_deg", [0, 25, 90, 140])
def test_a_note_that_stands_out_from_its_ground_is_found_without_a_box(turn_deg: float) -> None:
    picture, corners = on_ground(turn_deg)
    found = cutout.outline(picture)
    assert found is not None
    common, _ = cv2.intersectConvexConvex(cv2.convexHull(found)[:, 0], corners)
    assert common / (cv2.contourArea(found) + cv2.contourArea(corners) - common) > 0.85
    patch = cutout.find(picture)
    assert patch is not None
    assert patch.exact
    assert (patch.mask > 127).sum() == pytest.approx(cv2.contourArea(corners), rel=0.15)


def test_the_same_photograph_gives_the_same_outline() -> None:
    picture, _ = on_ground(25)
    first = cutout.outline(picture)
    cutout.outline(on_ground(70)[0])
    assert np.array_equal(first, cutout.outline(picture))


def test_a_picture_filled_by_the_note_is_the_note() -> None:
    note = notes.draw(50, "front", 1, 320)
    found = cutout.outline(note)
    assert found is not None
    assert cv2.contourArea(found) > 0.85 * note.shape[0] * note.shape[1]


def test_what_is_no_note_is_not_cut_out() -> None:
    square, _ = on_ground(0)
    square[:] = (60, 70, 90)
    square[70:170, 110:210] = notes.draw(50, "front", 1, 240)[:100, :100]
    assert cutout.find(square) is None
    assert cutout.find(np.full((100, 220, 3), 128, np.uint8)) is None
    found = [cutout.find(scenes.draw_scene(seed, (180, 240))) for seed in range(12)]
    assert sum(patch is not None for patch in found) <= 1
