from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge.core import bundle as bundles
from training.errors import TrainingError
from training.measure import specimens
from training.measure.specimens import Specimen
from training.photos import dataset, manifest
from training.photos.dataset import HELD_OUT_SHARE
from training.playmoney import notes, scenes

Save = Callable[[Path, np.ndarray], Path]
XTS = Path(__file__).parents[3] / "edge" / "bundles" / "xts"

pytestmark = pytest.mark.skipif(not XTS.is_dir(), reason="the play-money bundle is not there: make xts")


@pytest.fixture(scope="module")
def bundle() -> bundles.Bundle:
    return bundles.read(XTS)


@pytest.fixture
def data(tmp_path: Path, save: Save) -> Path:
    """Notes of two photographers with a manifest beside them, and background."""
    rows = ["file,split,denomination,series,source,cluster,box_cxcywh"]
    picture = notes.draw(5, "front", 1, 64)
    for amount in ("5", "50"):
        for number in range(40):
            save(tmp_path / "train" / amount / f"{number}.png", picture)
            source, series = ("anna", "new") if number % 2 else ("bert", "old")
            box = "0.5 0.5 0.8 0.6" if number == 0 else ""
            rows.append(f"train/{amount}/{number}.png,train,{amount},{series},{source},{amount}-{number // 2},{box}")
    for number in range(30):
        save(tmp_path / "train" / "background" / f"{number}.jpg", scenes.draw_scene(number, (48, 64)))
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "train"


def test_the_manifest_beside_the_folder_tells_source_series_and_place(data: Path, bundle: bundles.Bundle) -> None:
    found = specimens.gather(data, None, bundle)
    assert Counter(s.truth for s in found) == {"5": 40, "50": 40, "background": 30}
    first = next(s for s in found if s.path.parts[-2:] == ("5", "0.png"))
    assert (first.source, first.series, first.box) == ("bert", "old", (0.5, 0.5, 0.8, 0.6))


def test_what_is_held_out_is_what_training_does_not_see(data: Path, bundle: bundles.Bundle) -> None:
    photos = dataset.scan(data)
    train, held = dataset.split(photos, HELD_OUT_SHARE)
    shown = {s.path for s in specimens.held_out(data, None, bundle)}
    assert shown == {photos[i].path for i in held}
    assert shown.isdisjoint(photos[i].path for i in train)


def test_a_whole_source_can_be_what_was_held_out(data: Path, bundle: bundles.Bundle) -> None:
    shown = specimens.held_out(data, None, bundle, "anna")
    assert {s.source for s in shown if s.truth != "background"} == {"anna"}
    assert sum(s.truth != "background" for s in shown) == 40


def test_held_out_photographs_have_the_labels_that_training_gave_them(
    data: Path, bundle: bundles.Bundle, tmp_path: Path
) -> None:
    shown = [s for s in specimens.held_out(data, None, bundle, "anna") if s.truth == "5"]
    wrong, nothing, *rest = shown
    table = tmp_path / "series.csv"
    rows = [f"{manifest.name_of(wrong.path)},old,50", f"{manifest.name_of(nothing.path)},,-"]
    table.write_text("\n".join(["file,series,label", *rows]) + "\n")
    seen = {s.path: s for s in specimens.held_out(data, None, bundle, "anna", table)}
    assert (seen[wrong.path].truth, seen[wrong.path].series) == ("50", "old")
    assert nothing.path not in seen
    assert all(seen[s.path].truth == "5" for s in rest)


def test_what_training_reads_has_the_labels_that_training_gave_it(
    data: Path, bundle: bundles.Bundle, tmp_path: Path
) -> None:
    table = tmp_path / "series.csv"
    table.write_text("file,series,label\ntrain/5/3.png,old,50\ntrain/5/4.png,,-\n")
    seen = {dataset.name_of(s.path): s for s in specimens.trained(data, None, bundle, table)}
    assert Counter(s.truth for s in seen.values()) == {"5": 38, "50": 41, "background": 30}
    assert (seen["train/5/3.png"].truth, seen["train/5/3.png"].series) == ("50", "old")
    assert len(specimens.trained(data, None, bundle)) == 110


def test_a_note_of_an_amount_that_the_bundle_does_not_know_is_no_mere_background() -> None:
    assert Specimen(Path("train/2000_1/a.png"), "background").unknown_amount
    assert not Specimen(Path("background/rooms/a.png"), "background").unknown_amount
    assert not Specimen(Path("train/50/a.png"), "50").unknown_amount


def test_a_sample_is_drawn_evenly_and_by_the_seed(data: Path, bundle: bundles.Bundle) -> None:
    found = specimens.gather(data, None, bundle)
    chosen = specimens.evenly(found, 30, 1)
    assert Counter(s.truth for s in chosen) == {"5": 10, "50": 10, "background": 10}
    assert chosen == specimens.evenly(found, 30, 1)
    assert chosen != specimens.evenly(found, 30, 2)
    assert len(specimens.evenly(found, 0, 1)) == len(found)


def test_nothing_held_out_is_said_in_one_sentence(data: Path, bundle: bundles.Bundle) -> None:
    held = {specimen.path for specimen in specimens.held_out(data, None, bundle)}
    for folder in data.iterdir():
        one = next(path for path in sorted(folder.iterdir()) if path not in held)
        for path in set(folder.iterdir()) - {one}:
            path.unlink()
    with pytest.raises(TrainingError, match="holds none of these photographs out"):
        specimens.held_out(data, None, bundle)


def test_a_source_that_nobody_has_is_named(data: Path, bundle: bundles.Bundle) -> None:
    with pytest.raises(TrainingError, match="from the source nobody"):
        specimens.held_out(data, None, bundle, "nobody")
