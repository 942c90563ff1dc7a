"""What can end a training is found before its first step; what is wrong with photographs is a fault of `check`, too.

Each training here would take hours if it began: no time limit of these tests would let it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.core.errors import BundleError
from tests.pictures import empty_png, heic, not_files
from training.__main__ import main
from training.errors import TrainingError
from training.learn import files, prepare
from training.learn.prepare import Prepared, labels_for, play_material
from training.learn.settings import FitSettings, Identity
from training.playmoney import notes, scenes

EACH = 14
SETTINGS = FitSettings(trunk="tiny", size=64, steps=1_000_000, head_steps=0)


def draw(data: Path) -> Path:
    for amount in (5, 50):
        for number in range(EACH):
            ground = scenes.draw_scene(1000 * amount + number, (96, 128))
            note = notes.draw(amount, notes.FACES[number % 2], 50 + number, 90)
            ground[number : number + note.shape[0], number : number + 90] = note
            save(data / str(amount) / f"{number}.jpg", ground)
    for number in range(EACH):
        save(data / "background" / f"b{number}.jpg", scenes.draw_scene(number, (96, 128)))
    return data


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels[..., ::-1])


@pytest.fixture(autouse=True)
def few_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing hundreds takes seconds, and nothing here looks at them."""
    monkeypatch.setattr(prepare, "DRAWN_STRANGERS", 8)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("drawn") / "train")


@pytest.fixture
def data(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "train"))


def one_amount_twice(data: Path) -> None:
    shutil.copytree(data / "50", data / "5.0")


def one_picture_under_two_amounts(data: Path) -> None:
    shutil.copy(data / "5" / "3.jpg", data / "50" / "copy.jpg")


def one_blank_picture_under_two_amounts(data: Path) -> None:
    for amount in ("5", "50"):
        save(data / amount / "blank.png", np.full((96, 128, 3), 200, np.uint8))


def a_single_background(data: Path) -> None:
    for number in range(1, EACH):
        (data / "background" / f"b{number}.jpg").unlink()


def a_single_picture_of_an_amount(data: Path) -> None:
    for number in range(1, EACH):
        (data / "5" / f"{number}.jpg").unlink()


def a_heic_photograph(data: Path) -> None:
    (data / "5" / "IMG_0002.jpg").write_bytes(heic())


def a_picture_that_is_cut_off(data: Path) -> None:
    whole = (data / "5" / "3.jpg").read_bytes()
    (data / "5" / "3.jpg").write_bytes(whole[: len(whole) * 2 // 3])


def a_picture_of_900_megapixels(data: Path) -> None:
    (data / "background" / "huge.png").write_bytes(empty_png(30_000, 30_000))


def a_strip(data: Path) -> None:
    save(data / "background" / "strip.png", np.zeros((3, 320, 3), np.uint8))


def what_is_no_file(data: Path) -> None:
    not_files(data / "50")


def a_box_that_cannot_be(data: Path) -> None:
    (data.parent / "manifest.csv").write_text("file,box_cxcywh\ntrain/5/0.jpg,nan 0.5 0.5 0.5\n", encoding="utf-8")


HARMS = [
    (one_amount_twice, "are the same amount, 5 and 5.0"),
    (one_picture_under_two_amounts, "the same"),
    (one_blank_picture_under_two_amounts, "the same"),
    (a_single_background, "of background there is a single different picture"),
    (a_single_picture_of_an_amount, "of 5 there is a single different picture"),
    (a_heic_photograph, "IMG_0002.jpg is a HEIC photograph"),
    (a_picture_that_is_cut_off, "3.jpg is broken: it is cut off"),
    (a_picture_of_900_megapixels, "huge.png is too large, 30000 x 30000 pixels"),
    (a_strip, "strip.png is too narrow"),
    (what_is_no_file, "pipe.jpg cannot be read|circle.jpg cannot be read"),
    (a_box_that_cannot_be, "the box of train/5/0.jpg in the manifest"),
]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr("sys.argv", ["training", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def train(data: Path, out: Path, *more: str | Path) -> list[str | Path]:
    usual = ["--currency", "XTS", "--from-scratch", "--trunk", "tiny", "--size", "64", "--head-steps", "0"]
    return ["train", data, "--out", out / "bundle", "--run", out / "run", *usual, "--steps", "1000000", *more]


@pytest.mark.parametrize(("harm", "said"), HARMS, ids=lambda value: getattr(value, "__name__", ""))
def test_what_stops_a_training_is_named_before_it_and_by_check(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    harm: Callable[[Path], None],
    said: str,
) -> None:
    harm(data)
    assert run(monkeypatch, *train(data, tmp_path / "out")) == 1
    sentence = " ".join(capsys.readouterr().err.split())
    assert any(part in sentence for part in said.split("|")), sentence
    assert "Traceback" not in sentence
    assert not (tmp_path / "out").exists(), "nothing is left of a training that did not begin"
    assert run(monkeypatch, "check", data) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert any(part in told for part in said.split("|")), told


def test_a_stranger_that_is_a_note_or_cannot_be_read_is_a_fault_of_both(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    strangers = tmp_path / "strangers"
    strangers.mkdir()
    shutil.copy(data / "5" / "3.jpg", strangers)
    assert run(monkeypatch, *train(data, tmp_path / "out", "--strangers", strangers)) == 1
    assert "are the same picture: 5 and background" in " ".join(capsys.readouterr().err.split())
    assert run(monkeypatch, "check", data, "--strangers", strangers) == 1
    assert "show the same: 5 here, among the strangers" in capsys.readouterr().out


def test_what_was_passed_over_is_counted_wherever_it_lies(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (data / "5", data / "background", tmp_path / "strangers"):
        (folder / ".thumbnails").mkdir(parents=True)
        shutil.copy(data / "50" / "1.jpg", folder / ".thumbnails")
    shutil.copy(data / "background" / "b1.jpg", tmp_path / "strangers")
    a_single_background(data)
    assert run(monkeypatch, *train(data, tmp_path / "out", "--strangers", tmp_path / "strangers")) == 1
    assert "passed over: 3 (.thumbnails)" in capsys.readouterr().err
    report = tmp_path / "report.json"
    assert run(monkeypatch, "check", data, "--strangers", tmp_path / "strangers", "--json", report) == 1
    assert "passed over: 3 (.thumbnails)" in capsys.readouterr().err
    assert len(json.loads(report.read_text())["passed_over"]) == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--currency", "inr"], "the bundle's currency 'inr' must be three capital letters, as in ISO 4217"),
        (["--currency", "INX"], "there is no currency INX in ISO 4217: did you mean INR?"),
        (["--currency", "QQQ"], "there is no currency QQQ in ISO 4217"),
        (["--name", "../escaped"], "the bundle's name '../escaped' must be"),
        (["--version", "1.0 beta"], "the bundle's version '1.0 beta' must be"),
        (["--resume"], "was begun with the labels 10, 20, background, several"),
        (["--out", "/proc/nowhere"], "/proc/nowhere cannot be written"),
        (["--run", "/proc/nowhere"], "/proc/nowhere cannot be written"),
    ],
)
def test_an_option_that_would_end_it_is_named_before_it(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    (tmp_path / "out" / "run").mkdir(parents=True)
    begun = {"labels": ["10", "20", "background", "several"]}
    (tmp_path / "out" / "run" / "prepared.json").write_text(json.dumps(begun), encoding="utf-8")
    assert run(monkeypatch, *train(data, tmp_path / "out", *options)) == 1
    sentence = " ".join(capsys.readouterr().err.split())
    assert said in sentence
    assert "Traceback" not in sentence
    assert not (tmp_path / "out" / "run" / "fit").exists()
    assert not (tmp_path / "out" / "bundle").exists()


@pytest.mark.parametrize(
    "option", ["--steps=0", "--size=31", "--size=2000", "--seed=-1", "--learning-rate=0", "--width=0"]
)
def test_a_number_that_cannot_be_is_refused_with_its_name(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert run(monkeypatch, *train(data, tmp_path / "out", option)) == 2
    assert option.split("=")[0] in capsys.readouterr().err


@pytest.mark.parametrize("denominations", ["7", "5,x", "5,", "5", "5,5"])
def test_play_notes_that_there_are_not_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], denominations: str
) -> None:
    assert run(monkeypatch, "play", "--out", tmp_path / "b", "--denominations", denominations) == 1
    assert "play note" in (said := capsys.readouterr().err) or "at least two" in said


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    drawn = play_material((5, 50), 1, 0.1)
    black = np.zeros((2, 64, 64, 3), np.uint8)
    held = black, black, np.array([0, 1])
    return Prepared(drawn, labels_for(["5", "50"]), *held, drawn, "digest", {"5": 4, "50": 4}, ("drawn",), "seeds")


def begin(prepared: Prepared, tmp_path: Path, settings: FitSettings = SETTINGS, name: str = "xts") -> None:
    from training.train import train as path

    path(prepared, settings, Identity(name, "0.1.0", "XTS"), None, tmp_path / "run", tmp_path / "out")


def test_labels_that_a_bundle_refuses_end_it_before_the_first_step(prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="names a label twice"):
        begin(replace(prepared, labels=("5", "5.0", "background", "several")), tmp_path)
    assert not any(tmp_path.iterdir())


def test_an_input_that_a_bundle_refuses_ends_it_before_the_first_step(prepared: Prepared, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="1024"):
        begin(prepared, tmp_path, replace(SETTINGS, size=2000))
    assert not any(tmp_path.iterdir())


def test_a_bundle_that_is_there_stays_until_the_new_one_is_made(prepared: Prepared, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text("of the last training", encoding="utf-8")
    with pytest.raises(BundleError):
        begin(replace(prepared, labels=("5", "5.0", "background", "several")), tmp_path)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["manifest.json"]
    assert (tmp_path / "out" / "manifest.json").read_text() == "of the last training"


def test_a_disk_without_room_is_named_before_it_is_full(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"run is on a disk with \d+ MB left: a training needs 1000000000000"):
        files.room(tmp_path / "a" / "run", 10**18).__enter__()
    assert not (tmp_path / "a").exists()


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine", encoding="utf-8")
    for folder in (tmp_path / "out", tmp_path / "out" / "bundle"):
        with pytest.raises(TrainingError, match="cannot be written"), files.room(folder, 1):
            raise AssertionError
    assert (tmp_path / "out").read_text() == "mine"


def test_a_name_that_is_no_text_is_told_in_one_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(os.fsdecode(os.fsencode(data / "5") + b"/a\xffb\n\x1b[31m.jpg")).write_bytes(b"")
    assert run(monkeypatch, *train(data, tmp_path / "out")) == 1
    assert r"a\udcffb\n\x1b[31m.jpg is broken: it is empty" in capsys.readouterr().err
    assert run(monkeypatch, "check", data) == 1
    assert r"a\udcffb\n\x1b[31m.jpg is broken: it is empty" in capsys.readouterr().out


def test_a_class_of_three_pictures_is_told_before_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3, EACH):
        (data / "5" / f"{number}.jpg").unlink()
    assert run(monkeypatch, *train(data, tmp_path / "out", "--out", "/proc/nowhere")) == 1
    assert "5 has 3 different picture(s): its threshold will rest on a single one" in capsys.readouterr().err
    assert run(monkeypatch, "check", data) == 1
    assert "5 has 3 different picture(s)" in capsys.readouterr().out


def test_figures_that_cannot_be_written_are_named_before_the_hours_that_lead_to_them(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("evaluate", "sequences"):
        # There is no such bundle either: that would be the second thing to say.
        assert run(monkeypatch, command, tmp_path / "gone", data, "--json", tmp_path / "nowhere" / "f.json") == 1
        assert "f.json cannot be written" in " ".join(capsys.readouterr().err.split())
    for command in (["report", tmp_path / "gone", data], ["compare", tmp_path / "gone", "--data", data]):
        assert run(monkeypatch, *command, "--out", data / "5" / "1.jpg" / "page") == 1
        assert "page cannot be written" in " ".join(capsys.readouterr().err.split())
