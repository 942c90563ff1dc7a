from __future__ import annotations

import cv2
import numpy as np
import pytest

from training.photos import cutout
from training.playmoney import notes, scenes
from training.synth import film

SECONDS = 3.0


def shot(seed: int) -> film.Film:
    rng = np.random.default_rng(seed)
    patch = cutout.Patch(note := notes.draw(20, "front", 1, 320), np.full(note.shape[:2], 255, np.uint8), exact=True)
    carried = film.Carried(patch, film.hold(patch, 0.4, 0.4 + SECONDS, rng), rng)
    return film.Film(film.Ground(scenes.draw_scene(3, (240, 320)), rng), [carried], film.Light(rng), 4.4)


def test_a_film_is_a_function_of_its_seed() -> None:
    first, again, other = (np.stack([f.pixels for f in film_.frames()[:8]]) for film_ in (shot(1), shot(1), shot(2)))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_frames_carry_on_in_number_and_time_where_they_are_told_to_begin() -> None:
    frames = shot(1).frames(first_seq=70, start_s=7.0)
    assert len(frames) == 44
    assert [frame.seq for frame in frames] == list(range(70, 114))
    assert [frame.t_s for frame in frames] == pytest.approx([7 + n / 10 for n in range(44)])
    assert {frame.pixels.shape for frame in frames} == {(240, 320, 3)}


@pytest.mark.parametrize("seed", range(5))
def test_a_note_comes_stays_and_goes(seed: int) -> None:
    thing = shot(seed).things[0]
    assert thing.seen(0.4) == thing.seen(0.4 + SECONDS) == 0
    assert thing.seen(0.45) < 0.2
    assert min(thing.seen(t) for t in np.arange(1.0, 2.9, 0.1)) > 0.7
    assert 0.4 < shot(seed).seen_from_s() < 0.9


def test_what_moves_is_smeared_and_what_is_held_is_sharp() -> None:
    def sharpness(film_: film.Film, t_s: float) -> float:
        thing = film_.things[0]
        drawn = thing.draw(np.full((240, 320, 3), 128, np.uint8), t_s)
        middle = thing.corners(t_s).mean(0).astype(int)
        part = drawn[max(0, middle[1] - 30) : middle[1] + 30, max(0, middle[0] - 30) : middle[0] + 30]
        return float(cv2.Laplacian(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), cv2.CV_32F).std())

    for seed in range(4):
        coming, held = sharpness(shot(seed), 0.65), sharpness(shot(seed), 1.8)
        assert coming < 0.6 * held


def test_a_walk_is_smooth_and_keeps_to_its_reach() -> None:
    walk = film.wander(np.random.default_rng(5), 2.0, 1.5)
    values = np.array([walk(t) for t in np.arange(0, 60, 0.1)])
    assert abs(values).max() <= 2
    assert values.std() > 0.3
    assert abs(np.diff(values)).max() < 1.5
