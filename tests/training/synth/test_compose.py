from __future__ import annotations

import numpy as np
import pytest

from training.errors import TrainingError
from training.learn.prepare import labels_for, play_material
from training.photos import cutout
from training.photos.material import Material
from training.synth import photometry, sheet
from training.synth.compose import LEAST_SIDE, LEAST_VISIBLE, MOST_COVERED, Composer, Sample
from training.synth.recipe import FAMILIES, Recipe

LABELS = labels_for(["5", "50"])


@pytest.fixture(scope="module")
def material() -> Material:
    return play_material((5, 50), 1, 0.15)


def composer(material: Material, seed: int = 1, recipe: Recipe | None = None) -> Composer:
    return Composer(material, LABELS, 64, seed, recipe or Recipe())


def test_a_sample_depends_on_seed_and_number_alone(material: Material) -> None:
    forwards = [composer(material).sample(n).pixels for n in range(8)]
    one = composer(material)
    backwards = [one.sample(n).pixels for n in reversed(range(8))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forwards, backwards, strict=True))
    assert not np.array_equal(forwards[0], composer(material, seed=2).sample(0).pixels)


def test_samples_are_pictures_with_probabilities_and_places(material: Material) -> None:
    pictures, targets, boxes, known = composer(material).batch(0, 64)
    assert pictures.shape == (64, 64, 64, 3)
    assert pictures.dtype == np.uint8
    assert np.allclose(targets.sum(axis=1), 1)
    assert ((boxes >= 0) & (boxes <= 1)).all()
    assert known.shape == (64, 5)
    assert set(known.ravel().tolist()) <= {0.0, 1.0}


def test_every_label_comes_up_about_as_often_as_the_recipe_says(material: Material) -> None:
    # Notes of which too little is left to see are background too: here nothing hides any.
    _, targets, _, _ = composer(material, recipe=Recipe().without("folds", "covers", "strays")).batch(0, 600)
    share = dict(zip(LABELS, targets.mean(axis=0), strict=True))
    assert share["background"] == pytest.approx(0.38, abs=0.06)
    assert share["several"] == pytest.approx(0.07, abs=0.04)
    assert share["5"] == pytest.approx(share["50"], abs=0.08)


def test_a_note_that_is_hardly_visible_or_too_far_away_is_not_asked_for_and_its_place_stays_known(
    material: Material,
) -> None:
    one = composer(material, recipe=Recipe(none_share=0.0, several_share=0.0, stray_share=1.0))
    samples = [one.sample(n) for n in range(400)]
    asked = [s for s in samples if s.target[:2].any()]
    assert all(s.box[4] >= LEAST_VISIBLE and s.box[2:4].max() >= LEAST_SIDE for s in asked)
    unasked = [s for s in samples if s.target[LABELS.index("background")] == 1]
    assert len(unasked) > 40
    assert all(s.box_known for s in unasked)


def test_places_cover_what_guidance_speaks_of(material: Material) -> None:
    one = composer(material, recipe=Recipe(none_share=0.0, several_share=0.0))
    rows = {(f, name): n for f, name, n in sheet.statistics((one.sample(n) for n in range(600)), LABELS)}
    assert all(rows["cut by", side] > 60 for side in ("left", "right", "top", "bottom"))
    assert rows["cut by", "all four: larger than the frame"] > 5
    assert all(n >= 5 for (figure, _), n in rows.items() if figure == "visible")
    middle = [n for (f, name), n in rows.items() if f.startswith("centre") and "0.10" <= name < "0.80"]
    assert len(middle) == 10
    assert min(middle) >= 5
    assert sum(n for (f, name), n in rows.items() if f == "longest side" and name < "0.35") >= 10


def test_what_covers_a_note_and_what_is_folded_away_lowers_its_visible_share() -> None:
    white = cutout.Patch(np.full((40, 80, 3), 255, np.uint8), np.full((40, 80), 255, np.uint8), exact=True)
    plain = Material({"5": {"drawn": [white]}}, [np.zeros((64, 64, 3), np.uint8)], [], [])
    recipe = Recipe(none_share=0, several_share=0, stray_share=0, scale_low=0.6, scale_high=0.7)
    one = Composer(plain, ("5", "background", "several"), 64, 1, recipe)
    bare = Composer(plain, ("5", "background", "several"), 64, 1, recipe.without("covers", "folds", "crumples"))
    samples = [(one.sample(n), bare.sample(n)) for n in range(200)]
    covered = [(a.box[4], b.box[4]) for a, b in samples if {"fingers", "thing"} & set(a.done) and not hides(a)]
    folded = [a.box[4] for a, _ in samples if "folded_over" in a.done]
    assert len(covered) > 20
    assert np.mean([a < b - 0.02 for a, b in covered]) > 0.4
    assert all(a > 1 - MOST_COVERED - 0.6 for a, _ in covered)
    assert folded
    assert max(folded) < 0.9


def hides(sample: Sample) -> bool:
    """Whether paper is folded or torn away in it."""
    return bool({"part", "folded_over", "dog_eared", "torn", "crumpled", "bent"} & set(sample.done))


MIXED = Recipe(none_share=0.4, recoloured_share=0.1)


@pytest.fixture(scope="module")
def mixed(material: Material) -> list[Sample]:
    one = composer(material, recipe=MIXED)
    return [one.sample(number) for number in range(80)]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_that_is_switched_off_does_nothing_and_leaves_the_others_as_they_were(
    material: Material, mixed: list[Sample], family: str
) -> None:
    less = composer(material, recipe=MIXED.without(family))
    pairs = [(sample, less.sample(number)) for number, sample in enumerate(mixed)]
    assert any(not np.array_equal(a.pixels, b.pixels) for a, b in pairs)
    own = {o.name for o in (*photometry.WEAR, *photometry.PICTURE) if o.family == family}
    own |= {"folds": {"part", "folded_over", "dog_eared", "bent"}, "crumples": {"torn", "crumpled"}}.get(family, set())
    own |= {"covers": {"hand", "fingers", "thing"}, "shadows": {"drop_shadow"}}.get(family, set())
    own |= {"strangers": {"stranger"}, "recoloured": {"recoloured"}, "remixed": {"remixed"}}.get(family, set())
    own |= {"near": {"near"}, "cameras": {"in_colours_like"}}.get(family, set())
    assert not any(own & set(b.done) for _, b in pairs)
    kept = [(a, b) for a, b in pairs if not own & set(a.done)]
    if family not in ("turns", "perspective", "strays", "recoloured", "strangers", "folds", "crumples"):
        assert all(np.array_equal(a.pixels, b.pixels) for a, b in kept)


def test_an_unknown_family_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(TrainingError, match="did you mean folds"):
        Recipe().without("fold")


def test_the_box_is_where_the_note_is() -> None:
    """A white note on black ground, without light or lens: its pixels say where it is."""
    white = cutout.Patch(np.full((40, 80, 3), 255, np.uint8), np.full((40, 80), 255, np.uint8), exact=True)
    black = np.zeros((64, 64, 3), np.uint8)
    plain = Material({"5": {"drawn": [white]}}, [black], [], [])
    recipe = Recipe(none_share=0, several_share=0, stray_share=0, strength=0).without("covers", "folds")
    one = Composer(plain, ("5", "background", "several"), 64, 1, recipe)
    errors = []
    for number in range(60):
        sample = one.sample(number)
        rows, columns = np.nonzero(sample.pixels.max(axis=2) > 100)
        if len(rows) == 0:
            continue
        found = np.array([columns.min() + columns.max() + 1, rows.min() + rows.max() + 1]) / 128
        errors.append(np.abs(found - sample.box[:2]).max())
    assert len(errors) > 40
    assert np.median(errors) < 0.03


def test_several_notes_are_different_ones(material: Material) -> None:
    recipe = Recipe(none_share=0.0, several_share=1.0)
    _, targets, _, known = composer(material, recipe=recipe).batch(0, 20)
    assert (targets[:, LABELS.index("several")] == 1).all()
    assert not known.any()
