from __future__ import annotations

import numpy as np
import pytest

from edge.core.messages import Frame, Pixels
from edge.core.stale import Stale

SCENE = np.tile(np.arange(0, 160, dtype=np.uint8), (120, 1))[..., None].repeat(3, axis=2)


def noisy(seed: int) -> Pixels:
    noise = np.random.default_rng(seed).integers(0, 3, SCENE.shape, dtype=np.uint8)
    return SCENE + noise


def feed(stale: Stale, pictures: list[Pixels], per_s: float = 10.0, first: int = 0) -> list[bool]:
    return [stale.repeats(Frame(n, n / per_s, pixels)) for n, pixels in enumerate(pictures, first)]


@pytest.mark.parametrize("per_s", [1.0, 5.0, 15.0, 60.0])
def test_a_picture_that_comes_again_and_again_is_frozen_within_five_seconds(per_s: float) -> None:
    stale = Stale()
    feed(stale, [noisy(0)] * int(2.9 * per_s), per_s)
    assert not stale.frozen, "too early"
    feed(stale, [noisy(0)] * int(2.1 * per_s + 1), per_s, int(2.9 * per_s))
    assert stale.frozen


def test_a_resting_scene_under_a_sensor_with_noise_is_never_frozen() -> None:
    stale = Stale()
    assert not any(feed(stale, [noisy(n) for n in range(100)]))
    assert not stale.frozen
    assert stale.moves


def test_one_pixel_that_differs_is_life() -> None:
    other = noisy(0).copy()
    other[1, 1, 0] += 1  # not among those that are compared first
    stale = Stale()
    assert feed(stale, [noisy(0), other, noisy(0), other]) == [False] * 4


def test_a_frozen_camera_that_lives_again_is_no_longer_frozen() -> None:
    stale = Stale()
    feed(stale, [noisy(0)] * 60)
    assert stale.frozen
    feed(stale, [noisy(1)], first=60)
    assert not stale.frozen


@pytest.mark.parametrize("level", [0, 3, 255])
def test_a_picture_without_structure_proves_nothing(level: int) -> None:
    stale = Stale()
    assert not any(feed(stale, [np.full_like(SCENE, level)] * 100))
    assert not stale.frozen
    assert not stale.moves


def test_after_a_reset_the_first_picture_is_no_sign_of_life() -> None:
    stale = Stale()
    feed(stale, [noisy(0), noisy(1)])
    stale.reset()
    feed(stale, [noisy(0)], first=2)
    assert not stale.moves
    feed(stale, [noisy(1)], first=3)
    assert stale.moves


def test_a_picture_of_another_size_is_another_picture() -> None:
    assert feed(Stale(), [noisy(0), noisy(0)[:60]]) == [False, False]
