from __future__ import annotations

import numpy as np
import pytest

from training import cutout
from training.compose import LEAST_VISIBLE, Composer, Material, Recipe
from training.playmoney import notes
from training.prepare import labels_for, play_material

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
    assert set(known.tolist()) <= {0.0, 1.0}


def test_every_label_comes_up_about_as_often_as_the_recipe_says(material: Material) -> None:
    _, targets, _, _ = composer(material).batch(0, 600)
    share = dict(zip(LABELS, targets.mean(axis=0), strict=True))
    assert share["background"] == pytest.approx(0.26, abs=0.06)
    assert share["several"] == pytest.approx(0.07, abs=0.04)
    assert share["5"] == pytest.approx(share["50"], abs=0.08)


def test_a_note_that_is_hardly_visible_is_not_asked_for(material: Material) -> None:
    one = composer(material)
    samples = [one.sample(n) for n in range(400)]
    asked = [s for s in samples if s.target[:2].any()]
    assert all(s.box[4] >= LEAST_VISIBLE for s in asked)


def test_the_box_is_where_the_note_is() -> None:
    """A white note on black ground, without light or lens: its pixels say where it is."""
    white = cutout.Patch(np.full((40, 80, 3), 255, np.uint8), np.full((40, 80), 255, np.uint8), exact=True)
    black = np.zeros((64, 64, 3), np.uint8)
    plain = Material({"5": {"drawn": [white]}}, [black], [], [])
    recipe = Recipe(none_share=0, several_share=0, strength=0, covers=False, folds=False)
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
