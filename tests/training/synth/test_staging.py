from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.core import scene
from edge.core.messages import Hint, Look
from training.photos.cutout import Patch
from training.playmoney import notes, scenes
from training.synth import staging
from training.synth.staging import AWAY, BEFORE, CASES, SHOWN, SIDE_PX, Case, Note, Place

DRAWN = notes.draw(50, "front", 1, 200)
NOTE = Note.alone(Patch(DRAWN, np.full(DRAWN.shape[:2], 255, np.uint8), exact=True))
GROUND = scenes.draw_scene(1, (180, 240))
BY_NAME = {case.name: case for case in CASES}


def frames(case: Case, seed: int = 1) -> list[np.ndarray]:
    return list(staging.stage(case, NOTE, GROUND, np.random.default_rng(seed)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_scene_is_a_function_of_its_seed(case: Case) -> None:
    first, again, other = frames(case), frames(case), frames(case, seed=2)
    assert len(first) == BEFORE + SHOWN
    assert {(f.shape, f.dtype.name) for f in first} == {((SIDE_PX, SIDE_PX, 3), "uint8")}
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[-1], other[-1])


def test_every_hint_has_a_case_and_silence_has_several() -> None:
    assert {case.right for case in CASES} == {*Hint, None}
    assert sum(case.right is None for case in CASES) >= 4


@pytest.mark.parametrize("hint", AWAY)
@pytest.mark.parametrize("seed", range(5))
def test_a_cut_note_shows_the_wanted_share_of_itself_and_crosses_that_rim(hint: Hint, seed: int) -> None:
    case = next(case for case in CASES if case.right is hint)
    place = staging._place(case, NOTE, np.random.default_rng(seed))
    assert place is not None
    outline = staging._outline(NOTE, place)
    assert staging.IN_VIEW[0] - 0.01 <= staging._visible(NOTE, place) <= staging.IN_VIEW[1] + 0.01
    beyond = {
        Hint.RIGHT: outline[:, 0].min() < 0,
        Hint.LEFT: outline[:, 0].max() > 1,
        Hint.DOWN: outline[:, 1].min() < 0,
        Hint.UP: outline[:, 1].max() > 1,
    }
    assert [way for way, crossed in beyond.items() if crossed] == [hint]


def test_the_sides_of_a_note_that_lies_askew_in_its_cut_out_are_those_of_the_note() -> None:
    mask = np.zeros((100, 100), np.uint8)
    corners = cv2.boxPoints(((50, 50), (80, 30), 35))
    cv2.fillConvexPoly(mask, np.round(corners).astype(np.int32), 255)
    note = Note.alone(Patch(cv2.merge([mask] * 3), mask, exact=True))
    assert sorted((note.width, note.height)) == [pytest.approx(31, abs=2), pytest.approx(81, abs=2)]
    assert note.patch.mask.shape == (note.height, note.width)
    assert (note.patch.mask > 127).mean() > 0.93


def test_a_note_is_drawn_where_its_outline_says() -> None:
    white = Note.alone(Patch(np.full((80, 160, 3), 255, np.uint8), np.full((80, 160), 255, np.uint8), exact=True))
    place = Place(0.4, 0.6, 0.5, 0.3)
    drawn = staging.paste(np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8), white, place)[..., 0] > 127
    rows, columns = np.nonzero(drawn)
    low, high = staging._outline(white, place).min(0) * SIDE_PX, staging._outline(white, place).max(0) * SIDE_PX
    assert (columns.min(), columns.max()) == (pytest.approx(low[0], abs=2), pytest.approx(high[0], abs=2))
    assert (rows.min(), rows.max()) == (pytest.approx(low[1], abs=2), pytest.approx(high[1], abs=2))


def test_a_photograph_brings_its_surroundings_and_is_placed_by_its_box() -> None:
    photograph = np.full((100, 200, 3), 230, np.uint8)
    photograph[30:70, 50:130] = (200, 0, 0)
    note, ground = staging.with_surroundings(photograph, (0.45, 0.5, 0.4, 0.4))
    drawn = staging.paste(cv2.resize(ground, (SIDE_PX, SIDE_PX)), note, Place(0.5, 0.5, 0.5, 0.0))
    rows, columns = np.nonzero(drawn[..., 1] < 100)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(SIDE_PX / 2, abs=2)
    assert columns.max() - columns.min() == pytest.approx(SIDE_PX / 2, abs=3)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(SIDE_PX / 2, abs=2)
    assert np.abs(ground.astype(int) - 230).max() <= 1


@pytest.mark.parametrize(
    ("name", "looks"),
    [
        ("too dark", {Look.DARK}),
        ("covered", {Look.COVERED, Look.DARK, Look.EMPTY}),
        ("pocket", {Look.COVERED, Look.DARK, Look.EMPTY}),
        ("well placed", {Look.CLEAR}),
    ],
)
def test_what_is_shown_looks_like_its_name(name: str, looks: set[Look]) -> None:
    shown = [frame for seed in range(4) for frame in frames(BY_NAME[name], seed)[BEFORE:]]
    assert {scene.assess(frame).look for frame in shown} <= looks


def test_only_a_table_stands_still() -> None:
    def change(name: str) -> float:
        shown = np.stack(frames(BY_NAME[name])[BEFORE:]).astype(np.float32).mean(axis=(1, 2, 3))
        return float(np.ptp(shown) / shown.mean())

    assert change("table") < 0.005
    assert min(change(name) for name in ("walking", "cut on the left", "pocket")) > 0.02
