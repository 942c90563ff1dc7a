from __future__ import annotations

import colorsys

import cv2
import numpy as np
import pytest

from training.photos.cutout import Patch
from training.playmoney import notes
from training.synth import recolour


def inked(*hues_deg: float) -> Patch:
    """A note printed in these hues, side by side."""
    stripes = [
        np.full((40, 30, 3), [255 * v for v in colorsys.hsv_to_rgb(h / 360, 0.7, 0.8)], np.uint8) for h in hues_deg
    ]
    pixels = np.hstack(stripes)
    return Patch(pixels, np.full(pixels.shape[:2], 255, np.uint8), exact=True)


def apart(a: float, b: float) -> float:
    return abs((a - b + 180) % 360 - 180)


def test_free_hues_keep_their_distance_from_the_hues_of_every_denomination() -> None:
    own = {"10": [30.0], "50": [185.0, 300.0], "100": [355.0]}
    free = recolour.free_hues({label: {"a": [inked(*hues)]} for label, hues in own.items()})
    assert free
    for hue in free:
        assert all(
            apart(hue, taken) >= recolour.HUE_APART_DEG - recolour.BIN_DEG / 2
            for hues in own.values()
            for taken in hues
        )


def test_a_recoloured_note_lands_on_the_free_hue_and_not_on_that_of_another_denomination() -> None:
    drawn = {
        str(d): {
            "drawn": [Patch(p, np.full(p.shape[:2], 255, np.uint8), True) for p in [notes.draw(d, "front", 1, 160)]]
        }
        for d in (5, 50)
    }
    free = recolour.free_hues(drawn)
    assert free
    taken = [recolour.own_hues(sources) for sources in drawn.values()]
    for seed, hue in enumerate(free):
        turned = recolour.recoloured(drawn["5"]["drawn"][0], hue, np.random.default_rng(seed))
        found = recolour.own_hues({"turned": [turned]})
        middles = (np.flatnonzero(found) + 0.5) * recolour.BIN_DEG
        assert apart(float(middles[np.argmin([apart(m, hue) for m in middles])]), hue) <= 15
        strongest = strongest_hue(turned)
        assert apart(strongest, hue) <= 15
        own = [(i + 0.5) * recolour.BIN_DEG for row in taken for i in np.flatnonzero(row)]
        assert min(apart(strongest, other) for other in own) >= recolour.HUE_APART_DEG - 15


def strongest_hue(patch: Patch) -> float:
    colours = cv2.cvtColor(patch.pixels.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
    angle = np.deg2rad(colours[..., 0])
    weight = colours[..., 1]
    return float(np.rad2deg(np.arctan2((np.sin(angle) * weight).sum(), (np.cos(angle) * weight).sum())) % 360)


def test_a_grey_note_gets_a_colour_and_keeps_its_print() -> None:
    pixels = np.full((40, 80, 3), 150, np.uint8)
    pixels[10:20, 10:70] = 60
    grey = Patch(pixels, np.full((40, 80), 255, np.uint8), exact=True)
    turned = recolour.recoloured(grey, 110, np.random.default_rng(1))
    assert strongest_hue(turned) == pytest.approx(110, abs=15)
    value = turned.pixels.max(axis=2)
    assert np.allclose(value, pixels.max(axis=2), atol=2)


def test_where_every_hue_is_taken_none_is_free() -> None:
    assert recolour.free_hues({"10": {"a": [inked(*range(0, 360, 30))]}}) == []


def test_remixed_money_keeps_its_size_and_differs_each_time() -> None:
    pixels = notes.draw_stranger(3, 160)
    patch = Patch(pixels, np.full(pixels.shape[:2], 255, np.uint8), exact=False)
    made = [recolour.remixed(patch, np.random.default_rng(seed)).pixels for seed in range(12)]
    assert {picture.shape for picture in made} == {pixels.shape}
    assert all(np.abs(picture.astype(int) - pixels).mean() > 2 for picture in made)
    assert len({picture.tobytes() for picture in made}) == len(made)


def test_remixing_changes_colours_and_places_and_no_print() -> None:
    """Light and dark stay what they are, wherever they have gone."""
    pixels = notes.draw_stranger(3, 160)
    patch = Patch(pixels, np.full(pixels.shape[:2], 255, np.uint8), exact=False)
    values = np.sort(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)[..., 2], axis=None).astype(int)
    for seed in range(6):
        made = recolour.remixed(patch, np.random.default_rng(seed)).pixels
        found = np.sort(cv2.cvtColor(made, cv2.COLOR_RGB2HSV)[..., 2], axis=None)
        assert np.abs(found - values).max() <= 1
