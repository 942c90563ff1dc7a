from __future__ import annotations

import cv2
import numpy as np
import pytest

from training.playmoney import notes
from training.synth import photometry
from training.synth.photometry import PICTURE, WEAR

OPERATIONS = {operation.name: operation.do for operation in (*WEAR, *PICTURE)}
SEEDS = range(12)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return cv2.resize(notes.draw(50, "front", 3, 240), (96, 96), interpolation=cv2.INTER_AREA)


def grey(value: int) -> np.ndarray:
    return np.full((96, 96, 3), value, np.uint8)


def edges(pixels: np.ndarray) -> float:
    return float(np.abs(cv2.Laplacian(pixels, cv2.CV_32F)).mean())


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_keeps_shape_and_type_and_depends_on_the_seed_alone(name: str, picture: np.ndarray) -> None:
    before = picture.copy()
    results = [OPERATIONS[name](picture, np.random.default_rng(seed)) for seed in SEEDS]
    again = [OPERATIONS[name](picture, np.random.default_rng(seed)) for seed in SEEDS]
    assert all(np.array_equal(a, b) for a, b in zip(results, again, strict=True))
    assert all(r.shape == picture.shape and r.dtype == np.uint8 for r in results)
    assert any(not np.array_equal(r, picture) for r in results)
    assert np.array_equal(picture, before)


@pytest.mark.parametrize("name", ["glare_spot", "glare_streak", "in_sleeve"])
def test_glare_brightens_and_darkens_nothing(name: str) -> None:
    for seed in SEEDS:
        lit = OPERATIONS[name](grey(90), np.random.default_rng(seed))
        assert lit.min() >= 90
        assert lit.mean() > 90


@pytest.mark.parametrize("name", ["edged_shadow", "dirty", "stained"])
def test_shadow_and_dirt_darken_and_brighten_nothing(name: str) -> None:
    results = [OPERATIONS[name](grey(160), np.random.default_rng(seed)) for seed in SEEDS]
    assert all(r.max() <= 161 for r in results)
    assert np.mean([r.mean() for r in results]) < 158


def test_shadows_have_hard_and_soft_edges() -> None:
    steps = []
    for seed in range(40):
        shadow = OPERATIONS["edged_shadow"](grey(200), np.random.default_rng(seed))[..., 0].astype(int)
        if np.ptp(shadow) > 60:
            steps.append(max(np.abs(np.diff(shadow, axis=a)).max() for a in (0, 1)) / np.ptp(shadow))
    assert max(steps) > 0.4
    assert min(steps) < 0.25


@pytest.mark.parametrize("name", ["out_of_focus", "moved"])
def test_blur_takes_fine_edges_away(name: str, picture: np.ndarray) -> None:
    blurred = [edges(OPERATIONS[name](picture, np.random.default_rng(seed))) for seed in SEEDS]
    assert np.mean(blurred) < 0.85 * edges(picture)


def test_sharpening_adds_to_edges(picture: np.ndarray) -> None:
    assert all(edges(OPERATIONS["sharpened"](picture, np.random.default_rng(seed))) > edges(picture) for seed in SEEDS)


def test_bright_pixels_are_noisier_than_dark_ones_and_none_is_shifted() -> None:
    bright, dark = (
        np.array([OPERATIONS["sensor_noise"](grey(v), np.random.default_rng(s)).astype(float) for s in SEEDS])
        for v in (200, 60)
    )
    assert bright.std() > dark.std() > 0.5
    assert bright.mean() == pytest.approx(200, abs=1)


def test_a_bulb_is_red_and_a_blue_sky_is_blue_and_daylight_neither() -> None:
    bulb, sky = photometry.light_gains(2700), photometry.light_gains(10000)
    assert bulb[0] > 1.2 > 0.8 > bulb[2]
    assert sky[0] < 1 < sky[2]
    assert np.allclose(photometry.light_gains(6500), 1)


def test_coloured_light_keeps_the_brightness() -> None:
    lit = [OPERATIONS["coloured_light"](grey(120), np.random.default_rng(s)) @ photometry.LUMA for s in SEEDS]
    assert all(one.mean() == pytest.approx(120, abs=2) for one in lit)


def test_another_camera_shifts_and_stretches_colours_but_keeps_grey_about_as_bright() -> None:
    greys = [photometry.other_camera(grey(128), np.random.default_rng(seed)) for seed in range(60)]
    channels = np.array([g[0, 0].astype(int) for g in greys])
    assert np.ptp(channels, axis=1).max() > 30  # a cast
    assert abs(np.median(channels @ photometry.LUMA) - 128) < 8


def test_a_picture_goes_part_of_the_way_to_the_colours_of_another(picture: np.ndarray) -> None:
    def lab(pixels: np.ndarray) -> np.ndarray:
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(float)

    blue = np.clip(picture // 2 + np.array([0, 20, 110]), 0, 255).astype(np.uint8)
    before = np.linalg.norm(lab(picture).mean(axis=0) - lab(blue).mean(axis=0))
    for seed in SEEDS:
        moved = photometry.in_colours_like(picture, blue, np.random.default_rng(seed))
        after = np.linalg.norm(lab(moved).mean(axis=0) - lab(blue).mean(axis=0))
        assert after < 0.7 * before
        assert edges(moved) > 0.3 * edges(picture)  # the print itself stays
