from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from training.photos.cutout import Patch
from training.playmoney import notes
from training.synth import paper

Change = Callable[[Patch, np.random.Generator], Patch]
BACK = np.full((90, 200, 3), (0, 200, 0), np.uint8)


def patch_of(pixels: np.ndarray) -> Patch:
    return Patch(pixels, np.full(pixels.shape[:2], 255, np.uint8), exact=True)


CHANGES: dict[str, Change] = {
    "bent": paper.bent,
    "folded_over": lambda patch, rng: paper.folded_over(patch, patch_of(BACK), rng),
    "dog_eared": lambda patch, rng: paper.dog_eared(patch, patch_of(BACK), rng),
    "crumpled": paper.crumpled,
    "torn": paper.torn,
    "part": lambda patch, rng: paper.part(patch, rng, 0.5, 0.9, along=True),
}


def area(patch: Patch) -> int:
    return int((patch.mask > 127).sum())


@pytest.fixture(params=["lying", "upright"])
def note(request: pytest.FixtureRequest) -> Patch:
    drawn = notes.draw(50, "front", 1, 200)
    return patch_of(drawn if request.param == "lying" else np.ascontiguousarray(np.rot90(drawn)))


@pytest.mark.parametrize("name", CHANGES)
def test_an_operation_gives_a_patch_of_its_own_the_same_for_the_same_seed(name: str, note: Patch) -> None:
    before = note.pixels.copy(), note.mask.copy()
    one, again = (CHANGES[name](note, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one.pixels, again.pixels)
    assert np.array_equal(one.mask, again.mask)
    assert one.pixels.dtype == one.mask.dtype == np.uint8
    assert one.pixels.shape == (*one.mask.shape, 3)
    assert np.array_equal(note.pixels, before[0])
    assert np.array_equal(note.mask, before[1])
    assert not np.array_equal(one.pixels, CHANGES[name](note, np.random.default_rng(6)).pixels)


@pytest.mark.parametrize("name", ["folded_over", "dog_eared", "torn", "part"])
def test_the_share_says_how_much_of_the_note_is_left(name: str, note: Patch) -> None:
    for seed in range(12):
        left = CHANGES[name](note, np.random.default_rng(seed))
        assert left.share < 1
        assert left.share == pytest.approx(area(left) / area(note), abs=0.03)


def test_a_bent_or_crumpled_note_hides_nothing(note: Patch) -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        bent, crumpled = paper.bent(note, rng), paper.crumpled(note, rng)
        assert bent.share == crumpled.share == 1
        assert 0.6 < area(bent) / area(note) < 1  # foreshortened
        assert area(crumpled) / area(note) == pytest.approx(1, abs=0.06)


def test_a_fold_shows_the_other_side(note: Patch) -> None:
    for seed in range(8):
        folded = CHANGES["folded_over"](note, np.random.default_rng(seed))
        hue = cv2.cvtColor(folded.pixels, cv2.COLOR_RGB2HSV)
        green = (np.abs(hue[..., 0].astype(int) - 60) < 2) & (hue[..., 1] > 250) & (folded.mask > 127)
        assert green.sum() / area(note) == pytest.approx(1 - folded.share, abs=0.07)


def test_the_outline_follows_a_part_of_a_photograph() -> None:
    outline = np.array([[20, 20], [180, 20], [180, 80], [20, 80]], np.float32)
    photograph = Patch(np.zeros((100, 200, 3), np.uint8), np.full((100, 200), 255, np.uint8), False, 1.0, outline)
    photograph.pixels[20:80, 20:180] = 255
    for seed in range(12):
        kept = paper.part(photograph, np.random.default_rng(seed), 0.5, 0.9, along=False)
        assert kept.outline is not None
        rows, columns = np.nonzero(kept.pixels[..., 0])
        low, high = kept.outline.min(axis=0), kept.outline.max(axis=0)
        assert np.allclose(low, (columns.min(), rows.min()), atol=1)
        assert np.allclose(high, (columns.max() + 1, rows.max() + 1), atol=1)
        assert kept.share == pytest.approx(len(rows) / (160 * 60), abs=0.02)
