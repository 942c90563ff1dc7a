from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge import app
from edge.core import preprocess
from edge.core.bundle import Bundle, DecisionSpec, InputSpec, Manifest
from edge.core.messages import Hint
from training.errors import TrainingError
from training.measure import hints
from training.measure.hints import Outcome
from training.measure.specimens import Specimen
from training.playmoney import notes, scenes
from training.synth.staging import CASES

Save = Callable[[Path, np.ndarray], Path]
BY_NAME = {case.name: case for case in CASES}


def outcome(name: str, *said: Hint, amount: str = "", truth: str = "50") -> Outcome:
    return Outcome(BY_NAME[name], said, amount, truth)


def test_only_the_right_hint_and_no_other_counts() -> None:
    assert outcome("too small", Hint.CLOSER).right
    assert outcome("too small", Hint.CLOSER, Hint.CLOSER).right
    assert not outcome("too small").right
    assert not outcome("too small", Hint.CLOSER, Hint.LEFT).right
    assert outcome("walking").right
    assert not outcome("walking", Hint.HOLD_STILL).right
    assert outcome("well placed", amount="50").right
    assert not outcome("well placed", amount="20").right
    assert not outcome("well placed").right


def test_scenes_that_were_read_all_the_same_are_not_judged() -> None:
    rows = hints.score(
        [
            outcome("too small", Hint.CLOSER),
            outcome("too small", amount="50"),
            outcome("too small", Hint.LEFT),
            outcome("well placed", amount="50"),
        ]
    )
    small, placed, everything = rows
    assert (small.scenes, small.judged, small.right) == (3, 2, 1)
    assert small.said == {"closer": 1, "left": 1}
    assert (placed.scenes, placed.judged, placed.right) == (1, 1, 1)
    assert (everything.case, everything.scenes, everything.judged, everything.right) == ("all", 4, 3, 2)
    assert small.interval[0] < 0.5 < small.interval[1]


@pytest.fixture
def boxed(tmp_path: Path, save: Save) -> Path:
    """Play notes on white paper with their boxes, and scenery: enough that some of each is held out."""
    rows = []
    for amount in (20, 50):
        for number in range(30):
            paper = np.full((160, 240, 3), 245, np.uint8)
            note = notes.draw(amount, "front", number, 180)
            paper[30 : 30 + note.shape[0], 30:210] = note
            save(tmp_path / "train" / str(amount) / f"{number}.png", paper)
            height = note.shape[0] / 160
            box = f"0.5 {30 / 160 + height / 2} 0.75 {height}"
            rows.append([f"train/{amount}/{number}.png", "one", f"{amount}-{number}", box])
    for number in range(40):
        save(tmp_path / "background" / "drawn" / f"{number}.png", scenes.draw_scene(number, (120, 160)))
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "source", "cluster", "box_cxcywh"], *rows])
    return tmp_path


@pytest.mark.integration
@pytest.mark.parametrize("photographs", [False, True])
def test_the_devices_own_stages_are_scored_on_every_case(boxed: Path, photographs: bool) -> None:
    found = hints.evaluate(
        app.BUNDLES / "xts", boxed / "train", boxed / "background", scenes=3, seed=1, photographs=photographs
    )
    expected = [case for case in CASES if case.on_photograph or not photographs]
    assert {outcome.case for outcome in found} == set(expected)
    assert len(found) == (60 if photographs else 3 * len(CASES))
    rows = {row.case: row for row in hints.score(found)}
    for name in ("covered", *(() if photographs else ("pocket", "table"))):
        assert rows[name].right == rows[name].judged, name


def test_every_scene_is_shown_to_a_device_of_its_own() -> None:
    """Whose turn it is must not be left over from the scene before: each begins with an upright look."""
    decision = DecisionSpec(1.0, {"10": 0.8}, 0.6, 3, 0.0, 1.5, 0.7)
    manifest = Manifest(
        1, "turned", "1", "XTS", InputSpec(48, 48, "squash", (0, 180)), decision, False, 0.1, {}, "d" * 64
    )
    nothing = np.zeros((1, 48, 48, 3), np.uint8)
    bundle = Bundle(Path("turned"), manifest, ("10", "background", "several"), b"", nothing, np.zeros((1, 3)))
    picture = notes.draw(50, "front", 1, 200)
    upright: list[bool] = []
    expected = preprocess.to_tensor(picture, manifest.input)

    def invoke(tensor: np.ndarray) -> list[np.ndarray]:
        upright.append(bool(np.array_equal(tensor, expected)))
        return [np.array([[9.0, 0.0, 0.0]], np.float32)]

    outcomes = hints.show(bundle, invoke, [lambda: (BY_NAME["well placed"], "10", [picture] * 5)] * 2)
    assert upright == [True, False, True, False, True] * 2
    assert [o.amount for o in outcomes] == ["10", "10"]


def test_notes_whose_amount_the_bundle_does_not_know_are_neither_shown_nor_scenery(tmp_path: Path, save: Save) -> None:
    ground = scenes.draw_scene(1, (120, 160))
    white = np.full((160, 240, 3), 245, np.uint8)
    note = notes.draw(50, "front", 1, 180)
    white[30 : 30 + note.shape[0], 30:210] = note
    height = note.shape[0] / 160
    box = 0.5, 30 / 160 + height / 2, 0.75, height
    known = Specimen(save(tmp_path / "50" / "a.png", white), "50", box=box)
    unknown = Specimen(save(tmp_path / "2000" / "a.png", white), "background", box=box)
    hand = Specimen(save(tmp_path / "hands" / "a.png", ground), "background", "hands")
    scenery = Specimen(save(tmp_path / "drawn" / "a.png", ground), "background", "drawn")
    props = hints.gather([known, unknown, hand, scenery])
    assert [label for label, _ in props.notes] == ["50"]
    assert len(props.backgrounds) == 1
    shown = [scene() for scene in hints.from_photographs([known, unknown, scenery], 1)]
    assert [truth for _, truth, _ in shown] == ["50"]
    with pytest.raises(TrainingError, match="holds out no background"):
        hints.gather([known, unknown, hand])


def test_data_without_boxes_is_refused_in_words(photos: Path) -> None:
    for found in (True, False):
        with pytest.raises(TrainingError, match="no scenes"):
            hints.evaluate(app.BUNDLES / "xts", photos, photos / "background", scenes=1, seed=1, photographs=found)
