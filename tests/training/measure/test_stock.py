from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.errors import TrainingError
from training.measure import stock
from training.measure.specimens import Specimen
from training.playmoney import scenes

Save = Callable[[Path, np.ndarray], Path]


def test_denominations_the_bundle_does_not_know_and_other_countries_money_are_strangers(
    tmp_path: Path, save: Save
) -> None:
    grey = scenes.draw_scene(1, (48, 64))
    places = {"2000/a.png": "", "grocery/a.png": "grocery", "foreign_x/a.png": "foreign_x"}
    behind = [Specimen(save(tmp_path / place, grey), "background", source) for place, source in places.items()]
    found = stock.gather([Specimen(tmp_path / "10.png", "10"), *behind], 0, 1)
    assert (len(found.strangers), len(found.grounds), found.drawn) == (2, 1, False)


def test_without_any_background_it_is_drawn(tmp_path: Path) -> None:
    found = stock.gather([Specimen(tmp_path / "10.png", "10")], 0, 1)
    assert found.drawn
    assert len(found.grounds) == stock.DRAWN_GROUNDS
    assert found.strangers


def test_without_a_note_of_the_bundle_there_is_nothing_to_show(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="none of these photographs shows a denomination"):
        stock.gather([Specimen(tmp_path / "a.png", "background")], 0, 1)
