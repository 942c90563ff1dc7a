from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.pictures import FORMATS, encoded, with_orientation
from training.__main__ import main
from training.check import disagreement, look, lookalikes, page
from training.check.findings import KINDS, Report
from training.playmoney import notes, scenes

Save = Callable[[Path, np.ndarray], Path]
XTS = Path(__file__).parents[3] / "edge" / "bundles" / "xts"
AMOUNTS = (5, 50)
GROUNDS = 12
EACH = 14  # enough to learn from, few enough to draw and look at in a moment


def photograph(amount: int, number: int) -> np.ndarray:
    """A play note, turned and shifted anew for each number, on a ground of its own."""
    rng = np.random.default_rng(1000 * amount + number)
    ground = scenes.draw_scene(1000 * amount + number, (144, 192))
    note = notes.draw(amount, notes.FACES[number % 2], number, 150)
    height, width = note.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(-60, 60)), 1.0)
    turn[:, 2] += np.array([192 - width, 144 - height]) / 2 + rng.uniform(-15, 15, 2)
    there = cv2.warpAffine(np.full((height, width), 255, np.uint8), turn, (192, 144))
    return np.where(there[..., None] > 127, cv2.warpAffine(note, turn, (192, 144)), ground)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing wrong but that it is small: drawn once, copied for each test."""
    root = tmp_path_factory.mktemp("drawn")
    draw(root, EACH)
    return root


def draw(root: Path, each: int) -> None:
    rows = ["file,source,series,cluster,box_cxcywh"]
    for amount in AMOUNTS:
        for number in range(each):
            file = root / "train" / str(amount) / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), photograph(amount, number)[..., ::-1])
            rows.append(f"train/{amount}/{number}.png,{'ab'[number % 2]},,,0.5 0.5 0.7 0.5")
    (root / "train" / "background").mkdir()
    for number in range(GROUNDS):
        file = root / "train" / "background" / f"{number}.png"
        cv2.imwrite(str(file), scenes.draw_scene(90_000 + number, (144, 192))[..., ::-1])
    (root / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


@pytest.fixture
def data(drawn: Path, tmp_path: Path) -> Path:
    shutil.copytree(drawn, tmp_path / "money")
    return tmp_path / "money" / "train"


def found(report: Report, kind: str) -> list[set[str]]:
    """The names of the files of each finding of one kind."""
    return [{path.name for path in finding.files} for finding in report.findings if finding.kind == kind]


def write_manifest(data: Path, *rows: str, header: str = "file,source,series,cluster,box_cxcywh") -> None:
    (data.parent / "manifest.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def test_nothing_is_found_in_a_clean_folder(tmp_path: Path) -> None:
    draw(tmp_path, 40)
    report = look.check(tmp_path / "train").report
    assert report.findings == []
    assert report.counts == {
        "5": {"a": {"": 20}, "b": {"": 20}},
        "50": {"a": {"": 20}, "b": {"": 20}},
        "background": {"all": {"": 12}},
    }


def test_every_file_that_is_broken_is_named_and_the_rest_is_looked_at(data: Path) -> None:
    whole = (data / "5" / "3.png").read_bytes()
    (data / "5" / "3.png").write_bytes(whole[: len(whole) // 2])
    (data / "50" / "7.png").write_bytes(b"")
    Image.open(data / "5" / "4.png").save(data / "5" / "4.jpg")
    (data / "5" / "4.jpg").write_bytes((data / "5" / "4.jpg").read_bytes()[:-900])
    report = look.check(data).report
    assert found(report, "broken") == [{"3.png"}, {"4.jpg"}, {"7.png"}]
    assert report.pictures == 2 * EACH + GROUNDS + 1


def test_all_that_stops_training_is_listed_at_once(data: Path, save: Save) -> None:
    (data / "5" / "list.gif").write_bytes(b"GIF89a")
    (data / "50" / "readme.txt").write_text("ours", encoding="utf-8")
    (data / "100").mkdir()
    save(data / "fifty" / "a.png", photograph(50, 99))
    report = look.check(data).report
    assert sorted(found(report, "problem"), key=str) == [{"100"}, {"fifty"}, {"list.gif"}, {"readme.txt"}]


def test_a_format_that_the_name_does_not_say_is_found(data: Path) -> None:
    (data / "5" / "0.png").rename(data / "5" / "x.jpg")
    report = look.check(data).report
    assert found(report, "format") == [{"x.jpg"}]
    assert found(report, "missing") == [set()]
    assert report.faults == 0


def test_a_picture_turned_by_its_mark_is_found(data: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photograph(5, 77)).save(data / "5" / "turned.jpg", exif=exif)
    assert found(look.check(data).report, "turned") == [{"turned.jpg"}]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_that_is_read_turned_is_found(data: Path, suffix: str) -> None:
    (data / "5" / f"turned{suffix}").write_bytes(with_orientation(suffix, encoded(suffix, photograph(5, 77)), 6))
    assert found(look.check(data).report, "turned") == [{f"turned{suffix}"}]


def test_a_picture_of_many_megabytes_is_found(data: Path, save: Save) -> None:
    save(data / "5" / "noise.png", np.random.default_rng(1).integers(0, 256, (1300, 1300, 3), dtype=np.uint8))
    (huge,) = [finding for finding in look.check(data).report.findings if finding.kind == "huge"]
    assert huge.sentence.endswith("noise.png: 1300 x 1300 pixels, 5.1 MB")


def test_tiny_huge_grey_and_blank_pictures_are_found(data: Path, save: Save) -> None:
    save(data / "5" / "tiny.png", photograph(5, 70)[:90])
    save(data / "5" / "huge.png", cv2.resize(photograph(5, 71), (4100, 200)))
    save(data / "5" / "grey.png", np.repeat(photograph(5, 72).mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2))
    save(data / "5" / "blank.png", np.full((144, 192, 3), (9, 9, 9), np.uint8))
    report = look.check(data).report
    for kind in ("tiny", "huge", "grey", "blank"):
        assert found(report, kind) == [{f"{kind}.png"}]
    assert report.faults == 0


@pytest.mark.parametrize("way", range(lookalikes.WAYS))
def test_one_picture_under_two_labels_is_a_fault_however_it_lies(data: Path, save: Save, way: int) -> None:
    save(data / "50" / "wrong.png", lookalikes.turned(photograph(5, 8), way))
    report = look.check(data).report
    assert found(report, "labels") == [{"8.png", "wrong.png"}]
    assert report.faults == 1


def test_copies_are_told_by_class_source_and_cluster(data: Path) -> None:
    copy = cv2.convertScaleAbs(cv2.imread(str(data / "5" / "0.png")), alpha=1.05, beta=6)
    cv2.imwrite(str(data / "5" / "copy.jpg"), copy, [cv2.IMWRITE_JPEG_QUALITY, 70])
    with (data.parent / "manifest.csv").open("a", encoding="utf-8") as file:
        file.write("train/5/0.png,a,,c1,\ntrain/5/copy.jpg,b,,c2,\n")
    report = look.check(data).report
    for kind in ("copies", "sources", "apart"):
        assert found(report, kind) == [{"0.png", "copy.jpg"}]
    assert report.faults == 0


def test_a_training_picture_in_the_test_folder_is_a_fault(data: Path, tmp_path: Path, save: Save) -> None:
    save(tmp_path / "test" / "50" / "fresh.png", photograph(50, 500))
    save(tmp_path / "test" / "50" / "seen.jpg", photograph(50, 9)[:, ::-1])
    report = look.check(data, against=tmp_path / "test").report
    assert found(report, "leak") == [{"9.png", "seen.jpg"}]


@pytest.mark.parametrize(("count", "kind"), [(11, "too_few"), (13, "few")])
def test_a_class_too_small_is_told_by_its_different_pictures(data: Path, save: Save, count: int, kind: str) -> None:
    for number in range(count, EACH):
        save(data / "5" / f"{number}.png", photograph(5, number % count))
    report = look.check(data).report
    sentences = [finding.sentence for finding in report.findings if finding.kind == kind]
    assert sentences[0] == f"5 has {count} different picture(s)"
    assert KINDS[kind].fault == (report.faults == 1)


def test_unlike_sizes_and_a_single_source_are_told(data: Path) -> None:
    for number in range(4, EACH):
        (data / "5" / f"{number}.png").unlink()
    write_manifest(data, *(f"train/5/{number}.png,anna,,," for number in range(4)))
    report = look.check(data).report
    said = {finding.kind: finding.sentence for finding in report.findings if finding.kind != "one_source"}
    assert said["imbalance"] == "50 has 14 pictures, 5 has 4"
    singles = [finding.sentence for finding in report.findings if finding.kind == "one_source"]
    assert singles == [
        "all pictures of 5 are of the source anna",
        "all pictures of 50 are of the source all",
    ]


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ("0.5 0.5 0.3 0.5", "small_note"),
        ("0.9 0.5 0.5 0.5", "problem"),
        ("0.5 0.5 0 0.5", "problem"),
        ("nan 0.5 0.7 0.5", "problem"),
        ("0.5 0.5 0.7 nan", "problem"),
        ("wide", "problem"),
        ("0.5 0.5 0.7", "problem"),
    ],
)
def test_boxes_that_cannot_be_and_small_notes_are_found(data: Path, box: str, kind: str) -> None:
    with (data.parent / "manifest.csv").open("a", encoding="utf-8") as file:
        file.write(f"train/5/0.png,a,,,{box}\n")
    report = look.check(data).report
    told = [(finding.kind, {path.name for path in finding.files}) for finding in report.findings]
    assert [each for each in told if each[0] != "few"] == [(kind, {"0.png"})]


def test_what_tables_name_and_the_folder_lacks_is_told(data: Path) -> None:
    (data / "5" / "0.png").unlink()
    table = data.parent / "series.csv"
    table.write_text("file,series\ntrain/5/1.png,old\ntrain/5/gone.png,old\n", encoding="utf-8")
    report = look.check(data, series=table).report
    missing = [finding.sentence.split()[0] for finding in report.findings if finding.kind == "missing"]
    assert missing == ["train/5/0.png", "train/5/gone.png"]
    assert report.counts["5"]["b"] == {"old": 1, "": 6}


@pytest.mark.skipif(not XTS.is_dir(), reason="the play-money bundle is not there: make xts")
def test_a_wrong_label_is_the_first_suspect(data: Path, save: Save) -> None:
    save(data / "50" / "wrong.png", photograph(5, 300))
    report = look.check(data, bundle=XTS).report
    assert report.agreement is not None
    assert report.agreement > 0.8
    first = report.suspects[0]
    assert (first.path.name, first.given, first.suggested) == ("wrong.png", "50", "5")


def clouds(count: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Three clouds of points, `count` each, and whose they are."""
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(3), count)
    return (np.eye(3, 16)[labels] * 8 + rng.normal(0, spread, (3 * count, 16))).astype(np.float32), labels


def test_wrong_labels_stand_out_against_the_others() -> None:
    features, labels = clouds(60)
    given = labels.copy()
    given[[5, 70]] = [2, 0]
    chances = disagreement.out_of_fold(features, given, [str(i) for i in range(180)], seed=1)
    own = chances[np.arange(180), given]
    assert set(np.argsort(own)[:2]) == {5, 70}
    assert chances[5].argmax() == 0
    assert np.allclose(chances.sum(axis=1), 1)


def test_a_wrong_label_is_not_defended_by_its_own_near_duplicates() -> None:
    """Twenty copies of one picture, all mislabelled: judged by a model that saw none of them."""
    features, labels = clouds(60)
    features[:20], given = features[0], labels.copy()
    given[:20] = 2
    clusters = ["same" if i < 20 else str(i) for i in range(180)]
    assert (disagreement.out_of_fold(features, given, clusters, seed=1)[:20].argmax(axis=1) == 0).all()


def test_names_of_series_are_spread_only_where_they_leave_no_doubt() -> None:
    features, labels = clouds(60)
    two = labels < 2
    features, labels = features[two], labels[two]
    names = ["" if i % 2 else ("old", "new")[label] for i, label in enumerate(labels)]
    features[1] = (features[:60].mean(axis=0) + features[60:].mean(axis=0)) / 2  # between the two
    spread = disagreement.spread(features, names)
    assert spread[1] == ""
    others = [i for i in range(len(labels)) if i != 1]
    assert [spread[i] for i in others] == [("old", "new")[labels[i]] for i in others]


def test_names_are_not_spread_from_a_handful() -> None:
    features, _ = clouds(60)
    names = ["old"] * 19 + ["new"] * 60 + [""] * 101
    assert disagreement.spread(features, names) == names


def test_groups_follow_what_pictures_look_like() -> None:
    features, labels = clouds(50)
    found_groups = disagreement.grouped(features, 3, seed=1)
    assert len({(a, b) for a, b in zip(labels.tolist(), found_groups.tolist(), strict=True)}) == 3


def test_different_notes_on_the_same_paper_are_not_taken_for_one() -> None:
    prints = []
    for amount in notes.DENOMINATIONS:
        paper = np.full((200, 320, 3), 245, np.uint8)
        note = cv2.resize(notes.draw(amount, "front", 1, 200), (200, 96))
        paper[50:146, 60:260] = note
        prints.append(lookalikes.take(paper))
    assert lookalikes.pairs(prints) == []


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    """Exit code of `check`, and the errors in what it said."""
    monkeypatch.setattr("sys.argv", ["training", "check", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0), " ".join(capsys.readouterr().err.split())


def test_the_exit_code_says_whether_there_are_faults(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], save: Save
) -> None:
    assert run(monkeypatch, capsys, data)[0] == 0
    save(data / "50" / "wrong.png", photograph(5, 8))
    (data / "5" / "torn.png").write_bytes(b"\x89PNG")
    code, said = run(monkeypatch, capsys, data, "--json", tmp_path / "found.json")
    assert code == 1
    assert "has 2 fault(s) to mend" in said
    assert "Traceback" not in said
    written = json.loads((tmp_path / "found.json").read_text())
    assert written["faults"] == 2
    assert {finding["kind"] for finding in written["findings"] if finding["fault"]} == {"labels", "broken"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--weights", "none.h5"], "there is no weights file none.h5"),
        (["--against", "nowhere"], "there is no folder nowhere"),
        (["--background", "nowhere"], "there is no folder nowhere"),
        (["--series", "nowhere.csv"], "there is no table of series nowhere.csv"),
        (["--groups", "4"], "--groups needs --out"),
        (["--json", "nowhere/found.json"], "nowhere/found.json cannot be written"),
    ],
)
def test_wrong_options_are_one_sentence(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str], sentence: str
) -> None:
    code, said = run(monkeypatch, capsys, data, *options)
    assert code == 1
    assert sentence in said
    assert "Traceback" not in said


def test_a_report_is_not_written_among_other_things(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".gitignore").write_text("runs/\n", encoding="utf-8")
    code, said = run(monkeypatch, capsys, data, "--out", tmp_path / "home")
    assert code == 1
    assert "holds other things than a report" in said
    assert (tmp_path / "home" / ".gitignore").read_text() == "runs/\n"


@pytest.mark.skipif(not XTS.is_dir(), reason="the play-money bundle is not there: make xts")
def test_the_page_the_sheets_and_the_tables_are_whole_and_stay_out_of_git(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], save: Save
) -> None:
    save(data / "50" / "<b>&'\".png", photograph(5, 8))
    out = tmp_path / "report"
    for _ in range(2):  # a second report takes the place of the first
        assert run(monkeypatch, capsys, data, "--bundle", XTS, "--groups", "3", "--out", out)[0] == 1
    page = (out / "index.html").read_text()
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;" in page
    assert set(re.findall(r'(?:src|href)="(.{5})', page)) == {"data:"}
    assert (out / ".gitignore").read_text() == "*\n"
    sheets = sorted(path.name for path in out.glob("group-*.png"))
    assert {name.split("-")[1] for name in sheets} == {"5", "50"}
    rows = (out / "groups.csv").read_text().splitlines()
    assert rows[0] == "file,series,label,group"
    assert len(rows) == 2 * EACH + 2
    named = "\n".join([rows[0], rows[1].replace(",,", ",old,", 1), *rows[2:]])
    (out / "groups.csv").write_text(named, encoding="utf-8")
    _, said = run(monkeypatch, capsys, data, "--bundle", XTS, "--groups", "3", "--out", out)
    assert "holds names that you gave" in said
    assert (out / "groups.csv").read_text() == named


def test_a_sheet_shows_what_it_can_open(data: Path, tmp_path: Path) -> None:
    (data / "5" / "1.png").write_bytes(b"torn")
    canvas = page.sheet([data / "5" / f"{number}.png" for number in range(14)])
    side = page.THUMB_PX
    assert canvas.shape == (2 * side, page.SHEET_COLUMNS * side, 3)
    assert (canvas[:side, side : 2 * side] == 255).all()
    assert (canvas[side:, side : 2 * side] != 255).any()


@pytest.mark.integration
def test_imagenets_network_tells_a_wrong_label(data: Path, tmp_path: Path, save: Save) -> None:
    """With random weights, which tell colours apart: the file is read, the pictures described."""
    import keras

    keras.utils.set_random_seed(1)
    network = keras.applications.MobileNetV2(input_shape=(96, 96, 3), include_top=False, weights=None)
    network.save_weights(tmp_path / "random.weights.h5")
    steps: list[tuple[str, int, int]] = []
    checked = look.check(
        data, weights=tmp_path / "random.weights.h5", tick=lambda what, done, total: steps.append((what, done, total))
    )
    assert checked.features is not None
    assert checked.features.shape[0] == 2 * EACH + GROUNDS
    assert np.isfinite(checked.features).all()
    assert steps[-1] == ("describing photographs", 2 * EACH + GROUNDS, 2 * EACH + GROUNDS)


def test_a_file_that_holds_no_weights_is_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.weights.h5").write_bytes(b"no weights")
    code, said = run(monkeypatch, capsys, data, "--weights", tmp_path / "notes.weights.h5")
    assert code == 1
    assert "notes.weights.h5 holds no MobileNetV2" in said
