"""What the play money promises: one note for the same arguments, twelve faces apart, strangers of other amounts."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from training.playmoney.notes import (
    CURRENCY,
    DENOMINATIONS,
    DESIGNS,
    FACES,
    STRANGE_AMOUNTS,
    draw,
    draw_stranger,
    stranger,
)
from training.playmoney.scenes import ADDITIONS, SURFACES, WORDS, Addition, Surface, draw_scene

EVERY_FACE = list(itertools.product(DENOMINATIONS, FACES))


def likeness(first: np.ndarray, second: np.ndarray, width_px: int = 160) -> float:
    """Correlation of two pictures in grey, at the size a classifier sees: 1 is the same drawing."""
    height_px = round(width_px * first.shape[0] / first.shape[1])
    greys = [
        cv2.resize(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), (width_px, height_px), interpolation=cv2.INTER_AREA)
        for one in (first, second)
    ]
    return float(np.corrcoef(greys[0].ravel(), greys[1].ravel())[0, 1])


@pytest.mark.parametrize(("denomination", "face"), EVERY_FACE)
def test_a_note_is_an_rgb_picture_about_twice_as_wide_as_high(denomination: int, face: str) -> None:
    note = draw(denomination, face, seed=0)
    assert note.dtype == np.uint8
    assert note.shape == (290, 640, 3)
    assert note.std() > 25


@pytest.mark.parametrize("width_px", [96, 320, 641, 1000])
def test_a_note_is_drawn_at_the_width_asked_for(width_px: int) -> None:
    note = draw(20, "front", 3, width_px)
    assert note.shape[1] == width_px
    assert note.shape[1] / note.shape[0] == pytest.approx(2.2, abs=0.05)


def test_the_width_changes_the_size_of_a_note_and_hardly_its_looks() -> None:
    assert likeness(draw(100, "front", 4), draw(100, "front", 4, width_px=1000)) > 0.94


def test_the_same_arguments_draw_the_same_note_whatever_was_drawn_between() -> None:
    before = draw(50, "back", 7), draw_stranger(7), draw_scene(7, (60, 80))
    np.random.default_rng(0).random(5)
    draw(500, "front", 8)[:] = 0
    draw(50, "back", 9)[:] = 0
    after = draw(50, "back", 7), draw_stranger(7), draw_scene(7, (60, 80))
    for first, second in zip(before, after, strict=True):
        np.testing.assert_array_equal(first, second)


def test_drawing_leaves_the_global_random_numbers_alone() -> None:
    state = np.random.get_state()[1].copy()
    draw(5, "front", 1)
    draw_stranger(1)
    draw_scene(1, (60, 80))
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize(("denomination", "face"), EVERY_FACE)
def test_seeds_change_details_only(denomination: int, face: str) -> None:
    notes = [draw(denomination, face, seed) for seed in range(4)]
    for first, second in itertools.combinations(notes, 2):
        assert not np.array_equal(first, second)
        assert likeness(first, second) > 0.95
        assert np.abs(first.mean((0, 1)) - second.mean((0, 1))).max() < 25


def test_the_serial_number_differs_from_seed_to_seed() -> None:
    numbers = [draw(10, "front", seed)[32:46, 506:616].astype(int) for seed in range(6)]
    for first, second in itertools.combinations(numbers, 2):
        assert (np.abs(first - second).max(axis=2) > 60).sum() > 40


def test_every_face_differs_clearly_from_every_other_even_without_colour() -> None:
    faces = [draw(denomination, face, seed=1) for denomination, face in EVERY_FACE]
    for (first, one), (second, other) in itertools.combinations(zip(EVERY_FACE, faces, strict=True), 2):
        assert likeness(one, other, width_px=112) < 0.9, f"{first} looks like {second}"


@pytest.mark.parametrize(("one", "other"), [(5, 100), (10, 20), (50, 500)])
def test_neighbours_share_colours_so_that_colour_alone_cannot_decide(one: int, other: int) -> None:
    means = [draw(denomination, "front", seed=2).mean((0, 1)) for denomination in (one, other)]
    assert np.abs(means[0] - means[1]).max() < 30


def test_each_design_carries_its_own_amount_sitter_and_building() -> None:
    assert tuple(DESIGNS) == DENOMINATIONS
    assert all(design.amount == amount and design.code == CURRENCY for amount, design in DESIGNS.items())
    assert len({design.sitter for design in DESIGNS.values()}) == len(DENOMINATIONS)
    assert len({design.scene for design in DESIGNS.values()}) == len(DENOMINATIONS)
    assert len({design.layout for design in DESIGNS.values()}) == 1


@pytest.mark.parametrize("denomination", [0, 2, 1000, -5])
def test_an_unknown_denomination_is_refused_by_naming_the_known_ones(denomination: int) -> None:
    with pytest.raises(ValueError, match="5, 10, 20, 50, 100, 500"):
        draw(denomination, "front", 0)


def test_an_unknown_face_is_refused_by_naming_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'edge'.*front, back"):
        draw(5, "edge", 0)


def test_no_stranger_is_worth_an_amount_that_the_play_crowns_have() -> None:
    assert not set(STRANGE_AMOUNTS) & set(DENOMINATIONS)
    for design in map(stranger, range(200)):
        assert design.amount not in DENOMINATIONS
        assert design.words not in {ours.words for ours in DESIGNS.values()}
        assert design.code != CURRENCY


def test_no_stranger_stands_in_the_order_of_the_play_crowns() -> None:
    for design in map(stranger, range(200)):
        places = (design.layout.window_x, design.layout.value_x, design.layout.sitter_x)
        assert list(places) != sorted(places)


def test_strangers_are_notes_that_differ_from_each_other_and_from_every_play_crown() -> None:
    ours = [draw(denomination, face, seed=0, width_px=320) for denomination, face in EVERY_FACE]
    strange = [draw_stranger(seed, width_px=320) for seed in range(12)]
    assert all(note.dtype == np.uint8 and note.shape[1:] == (320, 3) for note in strange)
    assert len({note.shape[0] for note in strange}) > 4
    same_size = [cv2.resize(note, ours[0].shape[1::-1]) for note in strange]
    for note in same_size:
        assert max(likeness(note, other) for other in ours) < 0.9


@pytest.mark.parametrize("size_px", [(240, 320), (320, 240), (97, 33), (16, 16)])
def test_a_scene_has_the_size_asked_for(size_px: tuple[int, int]) -> None:
    for seed in range(12):
        scene = draw_scene(seed, size_px)
        assert scene.dtype == np.uint8
        assert scene.shape == (*size_px, 3)


def test_a_scene_too_small_to_show_anything_is_refused() -> None:
    with pytest.raises(ValueError, match="16 x 16"):
        draw_scene(0, (8, 320))


def test_scenes_vary_in_brightness_colour_and_detail() -> None:
    scenes = [draw_scene(seed, (120, 160)) for seed in range(120)]
    light = np.array([scene.mean() for scene in scenes])
    colours = np.array([scene.mean((0, 1)) - scene.mean() for scene in scenes])
    detail = np.array([cv2.Laplacian(cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY), cv2.CV_32F).std() for scene in scenes])
    assert light.min() < 30 < 180 < light.max()
    assert colours.std(axis=0).min() > 8
    assert detail.min() < 5 < 60 < detail.max()


@pytest.mark.parametrize("surface", SURFACES)
def test_every_surface_is_a_picture_of_its_own_in_each_seed(surface: Surface) -> None:
    first, second = (surface(np.random.default_rng(seed), (120, 160)) for seed in (1, 2))
    assert first.dtype == second.dtype == np.uint8
    assert first.shape == second.shape == (120, 160, 3)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("addition", [addition for addition, _ in ADDITIONS])
def test_every_addition_is_seen_and_leaves_some_of_the_surface(addition: Addition) -> None:
    changes = []
    for seed in range(12):
        bare = np.full((120, 160, 3), 128, np.uint8)
        changes.append((addition(np.random.default_rng(seed), bare.copy()) != bare).any(axis=2).mean())
    assert 0.02 < np.median(changes) < 0.95


def test_the_print_in_scenes_has_no_digit_that_could_pass_for_an_amount() -> None:
    assert not any(letter.isdigit() for word in WORDS for letter in word)
