from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.errors import TrainingError
from training.photos import material
from training.photos.dataset import Photo
from training.playmoney import notes, scenes

Save = Callable[[Path, np.ndarray], Path]


def boxed(save: Save, path: Path) -> Photo:
    """A note on white paper, whose place is known."""
    paper = np.full((160, 240, 3), 245, np.uint8)
    note = notes.draw(5, "front", 1, 180)
    paper[30 : 30 + note.shape[0], 30:210] = note
    height = note.shape[0] / 160
    return Photo(save(path, paper), "5", "bert", box=(0.5, 30 / 160 + height / 2, 0.75, height))


def test_cut_outs_photographs_and_series_of_one_source_are_kept_apart(tmp_path: Path, save: Save) -> None:
    cut = boxed(save, tmp_path / "cut.png")
    whole = Photo(save(tmp_path / "whole.png", scenes.draw_scene(1, (90, 160))), "5", "bert", series="old")
    ground = Photo(save(tmp_path / "ground.png", scenes.draw_scene(2, (90, 120))), "background", "rooms")
    found = material.gather([cut, whole, ground], [])
    assert set(found.notes) == {"5"}
    assert {source: [patch.exact for patch in patches] for source, patches in found.notes["5"].items()} == {
        "bert cut": [True],
        "bert old": [False],
    }
    assert len(found.backgrounds) == 1
    assert found.strangers == found.hands == []


def test_other_countries_money_is_a_ground_and_a_stranger(tmp_path: Path, save: Save) -> None:
    foreign = Photo(save(tmp_path / "a.png", scenes.draw_scene(3, (90, 120))), "background", "foreign_x")
    other = Photo(save(tmp_path / "b.png", scenes.draw_scene(4, (90, 120))), "background", "all")
    found = material.gather([foreign], [other])
    assert (len(found.backgrounds), len(found.strangers)) == (1, 2)


def test_each_photograph_is_counted_and_a_broken_one_is_named(tmp_path: Path, save: Save) -> None:
    ground = Photo(save(tmp_path / "a.png", scenes.draw_scene(3, (90, 120))), "background", "all")
    seen: list[int] = []
    material.gather([ground, ground], [ground], lambda: seen.append(1))
    assert len(seen) == 3
    (tmp_path / "torn.png").write_bytes(b"torn")
    with pytest.raises(TrainingError, match=r"torn\.png is broken"):
        material.gather([Photo(tmp_path / "torn.png", "5")], [])
