from __future__ import annotations

import csv
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.errors import TrainingError
from training.learn.prepare import labels_for, play_material
from training.synth import sheet
from training.synth.compose import Composer
from training.synth.recipe import FAMILIES, Recipe
from training.synth.sheet import preview

LABELS = labels_for(["5", "50"])


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(play_material((5, 50), 1, 0.1), LABELS, 64, 3, Recipe())


def test_a_folder_holds_each_picture_and_what_makes_it_again(composer: Composer, tmp_path: Path) -> None:
    sheet.write(composer, 30, tmp_path / "a")
    rows = list(csv.DictReader((tmp_path / "a" / sheet.LABELS).open(encoding="utf-8")))
    assert len(rows) == 30
    assert {row["seed"] for row in rows} == {"3"}
    for row in rows:
        sample = composer.sample(int(row["number"]))
        assert np.array_equal(cv2.imread(str(tmp_path / "a" / row["file"]))[..., ::-1], sample.pixels)
        assert row["label"] == LABELS[int(sample.target.argmax())]
        assert row["operations"].split() == list(sample.done)
        assert (row["box_known"] == "1") == sample.box_known == bool(row["visible"])
    known = [row for row in rows if row["box_known"] == "1"]
    assert known
    assert all(0 <= float(row[c]) <= 1 for row in known for c in ("centre_x", "centre_y", "width", "height", "visible"))
    sheet.write(composer, 30, tmp_path / "b")
    assert all((tmp_path / "b" / f.name).read_bytes() == f.read_bytes() for f in (tmp_path / "a").iterdir())


def test_nothing_is_written_over(composer: Composer, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(TrainingError, match="not an empty folder"):
        sheet.write(composer, 1, tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["mine.txt"]


def test_a_sheet_shows_every_sample_asked_for(composer: Composer) -> None:
    tile = preview(composer, 1)
    assert preview(composer, 11).shape == (2 * tile.shape[0], 8 * tile.shape[1], 3)


def test_the_page_lists_every_family_as_the_code_does() -> None:
    page = (Path(__file__).parents[3] / "docs" / "synthesiser.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.M))
    assert listed == FAMILIES
