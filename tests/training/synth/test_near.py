from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge.core.messages import Box
from training.photos import cutout
from training.photos.material import Material
from training.synth import near
from training.synth.compose import LEAST_SIDE, Composer
from training.synth.recipe import Recipe

LABELS = ("5", "background", "several")
WHITE = cutout.Patch(np.full((40, 80, 3), 255, np.uint8), np.full((40, 80), 255, np.uint8), exact=True)
BLACK = np.zeros((64, 64, 3), np.uint8)
PLAIN = Recipe(none_share=0, several_share=0, strength=0, near_share=1).without("covers", "folds")


def composer(recipe: Recipe = PLAIN) -> Composer:
    return Composer(Material({"5": {"drawn": [WHITE]}}, [BLACK], [], []), LABELS, 64, 1, recipe)


def test_the_part_about_a_place_is_mostly_the_one_that_the_device_cuts_out() -> None:
    rng = np.random.default_rng(1)
    place = np.array([0.5, 0.5, 0.4, 0.2, 1.0], np.float32)
    areas = [near.area(place, rng, exact=True) for _ in range(400)]
    usual = sum(area.width == pytest.approx(0.46) for area in areas)
    assert 200 < usual < 280
    assert all(0.38 <= area.width <= 0.56 and abs(area.centre_x - 0.5) < 0.1 for area in areas)


@pytest.mark.parametrize("place", [None, np.zeros(5, np.float32)], ids=["nothing lies there", "it lies outside"])
def test_where_nothing_lies_the_part_is_anywhere_within_the_frame(place: np.ndarray | None) -> None:
    rng = np.random.default_rng(1)
    for _ in range(100):
        area = near.area(place, rng, exact=True)
        assert 0.25 <= area.width <= 0.9
        assert area.centre_x - area.width / 2 >= -1e-6
        assert area.centre_x + area.width / 2 <= 1 + 1e-6


def test_a_place_is_told_in_the_part_and_clipped_to_it() -> None:
    seen = Box(0.5, 0.5, 0.5, 0.25, 1.0)
    inside = near.within(np.array([0.5, 0.5, 0.25, 0.125, 0.8], np.float32), seen)
    assert inside == pytest.approx([0.5, 0.5, 0.5, 0.5, 0.8])
    cut = near.within(np.array([0.25, 0.5, 0.5, 0.125, 0.8], np.float32), seen)
    assert cut == pytest.approx([0.25, 0.5, 0.5, 0.5, 0.8])


def test_the_note_fills_a_near_look_and_lies_where_the_sample_says() -> None:
    one = composer(PLAIN.without("strays"))
    for number in range(40):
        sample = one.sample(number)
        rows, columns = np.nonzero(sample.pixels.max(axis=2) > 100)
        if not len(rows):
            continue
        assert "near" in sample.done
        found = np.array([columns.min() + columns.max() + 1, rows.min() + rows.max() + 1]) / 128
        assert found == pytest.approx(sample.box[:2], abs=0.06)
        assert sample.box[2:4].max() > 0.6


def test_a_note_that_is_too_far_away_to_be_read_can_be_read_near() -> None:
    far = replace(PLAIN, stray_share=1)
    whole, one = composer(far.without("near")), composer(far)
    sizes = [(whole.sample(n).box[2:4].max(), one.sample(n).target[0]) for n in range(400)]
    small = [asked for size, asked in sizes if LEAST_SIDE / 2 < size < LEAST_SIDE]
    assert len(small) > 10
    assert np.mean(small) > 0.5


def test_several_notes_are_looked_at_whole_since_one_alone_might_be_left_of_them() -> None:
    notes = {amount: {"drawn": [WHITE]} for amount in ("5", "50")}
    material = Material(notes, [BLACK], [], [])
    recipe = Recipe(none_share=0, several_share=1, near_share=1)
    one = Composer(material, ("5", "50", "background", "several"), 64, 1, recipe)
    assert not any("near" in one.sample(number).done for number in range(20))
