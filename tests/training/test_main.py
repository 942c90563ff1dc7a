from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge.core import bundle as bundles
from training.__main__ import main
from training.learn import prepare
from training.playmoney import notes, scenes

Save = Callable[[Path, np.ndarray], Path]
XTS = Path(__file__).parents[2] / "edge" / "bundles" / "xts"


@pytest.fixture(autouse=True)
def little_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing the usual hundreds takes seconds, and nothing here looks at them."""
    for number in ("DRAWN_STRANGERS", "PLAY_STRANGERS", "PLAY_SCENES"):
        monkeypatch.setattr(prepare, number, 8)


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    """Exit code, and what stderr said."""
    monkeypatch.setattr("sys.argv", ["training", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    code = ended.value.code
    return (code if isinstance(code, int) else int(bool(code))), " ".join(capsys.readouterr().err.split())


def train_arguments(data: Path, out: Path) -> list[str | Path]:
    return ["train", data, "--out", out, "--currency", "XTS", "--from-scratch", "--run", out / "run"]


def test_a_broken_picture_is_named_before_any_training(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "5" / "3.png").write_bytes(b"\x89PNG torn")
    code, said = run(monkeypatch, capsys, *train_arguments(photos, tmp_path / "out"))
    assert code == 1
    assert "3.png is broken" in said
    assert "Traceback" not in said
    assert not (tmp_path / "out" / "run" / "fit").exists()


def test_missing_weights_are_named(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = train_arguments(photos, tmp_path / "out")
    arguments[arguments.index("--from-scratch")] = "--weights"
    arguments.insert(arguments.index("--weights") + 1, tmp_path / "nowhere.h5")
    code, said = run(monkeypatch, capsys, *arguments)
    assert code == 1
    assert "there is no weights file" in said


def test_operations_that_do_not_exist_are_named_with_the_nearest(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run(monkeypatch, capsys, *train_arguments(photos, tmp_path / "out"), "--without", "blurr")
    assert code == 1
    assert "did you mean blur?" in said


@pytest.mark.skipif(not XTS.is_dir(), reason="the play-money bundle is not there: make xts")
def test_evaluate_scores_through_the_device_and_writes_json(
    tmp_path: Path, save: Save, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, amount in enumerate(notes.DENOMINATIONS):
        scene = np.full((240, 320, 3), 128, np.uint8)
        drawn = notes.draw(amount, "front", number, 260)
        scene[60 : 60 + drawn.shape[0], 30:290] = drawn
        save(tmp_path / "data" / f"{amount}_1" / "a.png", scene)
        # A folder that the bundle does not know: any amount said to it is false.
        save(tmp_path / "data" / "7000" / f"{number}.png", scenes.draw_scene(number + 40, (240, 320)))
    (tmp_path / "data" / "5_1" / "torn.jpg").write_bytes(b"")
    out = tmp_path / "figures.json"
    code, _ = run(monkeypatch, capsys, "evaluate", XTS, tmp_path / "data", "--json", out)
    assert code == 0
    found = json.loads(out.read_text())
    assert (found["n"], found["n_background"]) == (6, 6)
    assert found["accuracy"] >= 5 / 6
    assert found["wrong_announcement_rate"] == found["false_announcement_rate"] == 0
    assert found["ms_per_picture"] > 0
    assert set(found["confusion"]) == {*map(str, notes.DENOMINATIONS), "background"}
    assert [Path(sentence).name for sentence in found["broken"]] == ["torn.jpg is broken: it is empty"]


@pytest.mark.skipif(not XTS.is_dir(), reason="the play-money bundle is not there: make xts")
def test_corrected_labels_are_those_of_what_training_holds_out(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run(monkeypatch, capsys, "evaluate", XTS, photos, "--series", photos / "series.csv")
    assert code == 1
    assert "--series goes with --held-out" in said


def test_samples_are_shown_on_a_sheet_with_how_they_are_spread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "sys.argv", ["training", "synth", str(tmp_path / "sheet.png"), "--count", "4", "--size", "64", "--stats"]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert not ended.value.code
    assert "4 samples in" in told.err
    assert "all four: larger than the frame" in told.out
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    code, said = run(monkeypatch, capsys, "synth", tmp_path / "nowhere" / "sheet.png", "--count", "1", "--size", "64")
    assert code == 1
    assert "cannot be written" in said


def test_a_damaged_bundle_is_not_evaluated(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(XTS, tmp_path / "xts")
    model = tmp_path / "xts" / bundles.MODEL
    model.write_bytes(model.read_bytes()[:-10])
    code, said = run(monkeypatch, capsys, "evaluate", tmp_path / "xts", photos)
    assert code == 1
    assert "damaged" in said
