from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edge.core.bundle import BACKGROUND
from training.errors import TrainingError
from training.photos import dataset
from training.playmoney import notes

Save = Callable[[Path, np.ndarray], Path]


def test_faces_of_a_denomination_are_one_class(photos: Path) -> None:
    assert dataset.counts(dataset.scan(photos)) == {"5": 6, "50": 12, "background": 6}


def test_an_empty_class_is_named(photos: Path) -> None:
    (photos / "100").mkdir()
    with pytest.raises(TrainingError, match=r"100 holds no pictures"):
        dataset.scan(photos)


def test_one_denomination_alone_is_refused(photos: Path, tmp_path: Path) -> None:
    for folder in ("50_1", "50_2"):
        for file in (photos / folder).iterdir():
            file.unlink()
        (photos / folder).rmdir()
    with pytest.raises(TrainingError, match="at least two"):
        dataset.scan(photos)


def test_a_folder_that_is_no_amount_is_refused(photos: Path, save: Save) -> None:
    save(photos / "fifty" / "a.png", notes.draw(50, "front", 1, 160))
    with pytest.raises(TrainingError, match="fifty: name the folder after the amount"):
        dataset.scan(photos)


def test_a_file_that_is_no_picture_is_named(photos: Path) -> None:
    (photos / "5" / "notes.gif").write_bytes(b"GIF89a")
    with pytest.raises(TrainingError, match=r"notes\.gif is a GIF, which saynote does not read: save it as JPEG"):
        dataset.scan(photos)


def test_missing_background_is_refused_with_the_remedy(photos: Path) -> None:
    for file in (photos / "background").iterdir():
        file.unlink()
    (photos / "background").rmdir()
    with pytest.raises(TrainingError, match="--background"):
        dataset.scan(photos)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 not a picture", b"\x89PNG\r\n\x1a\n"])
def test_a_broken_picture_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "torn.jpg"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=r"torn\.jpg is broken"):
        dataset.load(path)


def test_pictures_are_kept_small_and_in_rgb(tmp_path: Path, save: Save) -> None:
    red = np.zeros((400, 800, 3), np.uint8)
    red[..., 0] = 255
    loaded = dataset.load(save(tmp_path / "red.png", red))
    assert loaded.shape == (160, 320, 3)
    assert loaded[80, 160].tolist() == [255, 0, 0]


def test_the_manifest_gives_source_cluster_and_box(photos: Path) -> None:
    (photos.parent / "manifest.csv").write_text(
        "file,source,cluster,box_cxcywh\ntrain/5/0.png,anna,c7,0.5 0.5 0.8 0.4\n", encoding="utf-8"
    )
    photo = dataset.scan(photos)[0]
    assert (photo.source, photo.cluster, photo.box) == ("anna", "c7", (0.5, 0.5, 0.8, 0.4))


def test_a_cluster_is_never_divided_by_a_split() -> None:
    photos = [dataset.Photo(Path(f"{i}.jpg"), "5", "a", f"c{i // 5}") for i in range(500)]
    train, held = dataset.split(photos, 0.2)
    assert sorted(train + held) == list(range(500))
    assert not {photos[i].cluster for i in train} & {photos[i].cluster for i in held}
    assert 50 < len(held) < 150


def test_a_split_stays_when_photographs_are_added() -> None:
    photos = [dataset.Photo(Path(f"{i}.jpg"), "5", "a", f"c{i}") for i in range(100)]
    more = [*photos, *(dataset.Photo(Path(f"x{i}.jpg"), "5", "a", f"x{i}") for i in range(50))]
    assert set(dataset.split(photos, 0.2)[1]) <= set(dataset.split(more, 0.2)[1])


def test_holding_out_a_source_holds_out_all_of_it() -> None:
    photos = [dataset.Photo(Path(f"{i}.jpg"), "5", "ab"[i % 2], f"c{i}") for i in range(20)]
    train, held = dataset.split(photos, 0.0, "b")
    assert {photos[i].source for i in held} == {"b"}
    assert {photos[i].source for i in train} == {"a"}


def test_near_duplicates_share_a_cluster_without_a_manifest() -> None:
    first = notes.draw(5, "front", 1, 200)
    brighter = np.clip(first.astype(int) + 12, 0, 255).astype(np.uint8)
    other = notes.draw(100, "back", 1, 200)
    photos = [dataset.Photo(Path(f"{i}.jpg"), "5") for i in range(3)]
    one, two, three = dataset.with_clusters(photos, [dataset.phash(pixels) for pixels in (first, brighter, other)])
    assert one.cluster == two.cluster != three.cluster


def test_the_digest_names_the_data_and_not_its_place(photos: Path, tmp_path: Path, save: Save) -> None:
    before = dataset.digest(dataset.scan(photos))
    moved = photos.rename(tmp_path / "elsewhere")
    assert dataset.digest(dataset.scan(moved)) == before
    save(moved / "5" / "0.png", notes.draw(5, "front", 99, 160))
    assert dataset.digest(dataset.scan(moved)) != before


def test_copies_of_a_note_are_never_both_trained_on_and_held_out(tmp_path: Path, save: Save) -> None:
    """Without a manifest: forty pictures, each saved four times over, are split by what they show."""

    data = tmp_path / "train"
    for number in range(10):
        for copy in range(4):
            for amount in (5, 50):
                picture = np.roll(notes.draw(amount, notes.FACES[number % 2], number, 160), number * 9, axis=1)
                save(data / str(amount) / f"{copy}-{number}.png", picture)
    save(data / "background" / "0.png", np.zeros((40, 40, 3), np.uint8))
    photos = dataset.clustered(dataset.scan(data))
    train, held = dataset.split(photos, 0.4)
    seen = {photos[i].path.read_bytes() for i in train}
    assert not seen & {photos[i].path.read_bytes() for i in held}
    assert len({photo.cluster for photo in photos if photo.label == "5"}) > 1


def test_what_people_saw_in_the_photographs_is_believed(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "series.csv"
    table.write_text("file,series,label\ntrain/5/0.png,old,\ntrain/5/1.png,,50\ntrain/5/2.png,,-\n", encoding="utf-8")
    found = dataset.scan(photos, series=table)
    assert dataset.counts(found) == {"5": 4, "50": 13, "background": 6}
    assert [photo.path.name for photo in found if photo.series == "old"] == ["0.png"]


def test_a_table_of_series_overrides_the_manifest(photos: Path, tmp_path: Path) -> None:
    (photos.parent / "manifest.csv").write_text("file,series\ntrain/5/0.png,new\ntrain/5/1.png,new\n", encoding="utf-8")
    table = tmp_path / "series.csv"
    table.write_text("file,series\ntrain/5/0.png,old\ntrain/5/2.png,\n", encoding="utf-8-sig")
    found = {photo.path.name: photo.series for photo in dataset.scan(photos, series=table) if photo.label == "5"}
    assert found == {"0.png": "old", "1.png": "new", "2.png": "", "3.png": "", "4.png": "", "5.png": ""}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"name,series\na,old\n", "has no column file"),
        (b"file\ntrain/5/0.png\n", "has no column series"),
        (b"", "has no column file and no column series"),
        (b"file,series\nother/5/0.png,old\n", "names no picture of"),
        (b"file,series\n\xff\xfe\xfa,old\n", "is not a table in CSV and UTF-8"),
    ],
)
def test_a_table_of_series_that_cannot_be_used_is_refused(
    photos: Path, tmp_path: Path, content: bytes, sentence: str
) -> None:
    table = tmp_path / "series.csv"
    table.write_bytes(content)
    with pytest.raises(TrainingError, match=sentence):
        dataset.scan(photos, series=table)


def test_a_box_that_is_no_four_numbers_is_named(photos: Path) -> None:
    (photos.parent / "manifest.csv").write_text("file,box_cxcywh\ntrain/5/0.png,left\n", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"the box of train/5/0\.png in the manifest is no four numbers"):
        dataset.scan(photos)


def test_a_survey_goes_on_where_a_scan_stops(photos: Path) -> None:
    (photos / "5" / "a.gif").write_bytes(b"GIF89a")
    (photos / "100").mkdir()
    found = dataset.survey(photos)
    assert [problem.path.name for problem in found.problems] == ["100", "a.gif"]
    assert len(found.photos) == 24


def test_pictures_lying_loose_in_a_background_folder_are_of_one_source(tmp_path: Path, save: Save) -> None:
    for name in ("a.png", "b.png", "hands/c.png"):
        save(tmp_path / "ground" / name, np.zeros((40, 40, 3), np.uint8))
    assert [photo.source for photo in dataset.scan_background(tmp_path / "ground")] == ["all", "all", "hands"]


@pytest.mark.parametrize("folders", [("5", "5.0"), ("2.50", "2.5"), ("05", "5"), ("5_1", "5.0_2")])
def test_one_amount_written_in_two_ways_is_refused(photos: Path, folders: tuple[str, str]) -> None:
    (photos / "5").rename(photos / folders[0])
    (photos / "50_1").rename(photos / folders[1])
    with pytest.raises(TrainingError, match=r"are the same amount, .* and .*: write it in one way"):
        dataset.scan(photos)


def test_an_amount_corrected_into_another_way_of_writing_is_refused_too(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "series.csv"
    table.write_text("file,series,label\ntrain/5/0.png,,50.0\n", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"train/5/0\.png and .*50_1 are the same amount|50_1 and .*/5/0\.png are"):
        dataset.scan(photos, series=table)


@pytest.mark.parametrize("label", ["fifty", "0", "-5", "1e3"])
def test_a_label_in_a_table_that_no_bundle_can_have_is_refused(photos: Path, tmp_path: Path, label: str) -> None:
    table = tmp_path / "series.csv"
    table.write_text(f"file,series,label\ntrain/5/0.png,,{label}\n", encoding="utf-8")
    with pytest.raises(TrainingError, match=rf"5/0\.png cannot be of the amount {label}"):
        dataset.scan(photos, series=table)


def test_more_amounts_than_a_bundle_can_have_are_refused(photos: Path) -> None:
    for amount in range(100, 165):
        shutil.copytree(photos / "5", photos / str(amount))
    with pytest.raises(TrainingError, match="names 69 labels, more than the 64 allowed"):
        dataset.scan(photos)


@pytest.mark.parametrize("name", ["10_000", "100_000_2"])
def test_thousands_are_not_taken_for_a_face(photos: Path, name: str) -> None:
    (photos / "5").rename(photos / name)
    with pytest.raises(
        TrainingError, match=rf"{name} would be a face of {name[:3].strip('_')}: write {name[:6].replace('_', '')}"
    ):
        dataset.scan(photos)


@pytest.mark.parametrize(
    "box", ["nan 0.5 0.5 0.5", "inf 0.5 0.5 0.5", "0.5 0.5 0 0.5", "0.5 0.5 -1 -1", "2 2 0.1 0.1", "0.9 0.5 0.5 0.5"]
)
def test_a_box_that_cannot_be_is_named(photos: Path, box: str) -> None:
    (photos.parent / "manifest.csv").write_text(f"file,box_cxcywh\ntrain/5/0.png,{box}\n", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"the box of train/5/0\.png in the manifest is empty or reaches out"):
        dataset.scan(photos)


def test_a_row_without_a_file_costs_nothing(photos: Path) -> None:
    (photos.parent / "manifest.csv").write_text("source,file\nanna\nben,train/5/0.png\n", encoding="utf-8")
    assert dataset.scan(photos)[0].source == "ben"


def named(count: int, label: str, prefix: str = "") -> list[dataset.Photo]:
    return [dataset.Photo(Path(f"{prefix}{i}.jpg"), label, cluster=f"{prefix}{i}") for i in range(count)]


@given(st.lists(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1), min_size=2, unique=True))
def test_of_two_different_pictures_one_is_held_out_and_one_is_not(names: list[str]) -> None:
    photos = [dataset.Photo(Path(f"{name}.jpg"), BACKGROUND, cluster=name) for name in names]
    train, held = dataset.split(photos, dataset.HELD_OUT_SHARE)
    assert train
    assert held
    assert sorted(train + held) == list(range(len(names)))


@given(st.integers(2, 30), st.integers(2, 30), st.sampled_from([0.02, 0.5, 0.98]))
def test_every_label_is_on_both_sides_of_a_split(fives: int, tens: int, share: float) -> None:
    photos = named(fives, "5", "a") + named(tens, "10", "b")
    for side in dataset.split(photos, share):
        assert {photos[i].label for i in side} == {"5", "10"}


def test_a_cluster_that_two_labels_share_is_not_the_last_of_one() -> None:
    """What is held out for the second amount must not be all that the first is trained on."""
    for names in (("a", "b", "c"), ("c", "a", "b"), ("b", "c", "a"), ("x", "y", "z"), ("z", "y", "x")):
        shared = [("5", names[0]), ("5", names[1]), ("50", names[1]), ("50", names[2])]
        photos = [dataset.Photo(Path(f"{i}.jpg"), label, cluster=name) for i, (label, name) in enumerate(shared)]
        for side in dataset.split(photos, 1e-9):
            assert {photos[i].label for i in side} == {"5", "50"}


def test_large_folders_are_split_as_they_always_were() -> None:
    """The held-out figures of bundles that were made before rest on it."""
    photos = [
        dataset.Photo(
            Path(f"{i}.jpg"),
            ("5", "10", "background")[i % 3],
            ("anna", "ben")[i % 2],
            "" if i % 3 == 2 else f"c{i // 4}",
        )
        for i in range(3000)
    ]
    for source, digest in (
        (None, "0932ff4ffebb5fc108323eedb025a76c4439ec7e84715bbb47e10d3fa3444404"),
        ("ben", "0f76ae90548dfc3baec7bd2a9d6e8451e55af246c72adb8050de5c8f65d1132a"),
    ):
        _, held = dataset.split(photos, 0.08, source)
        assert hashlib.sha256(repr(held).encode()).hexdigest() == digest


def test_a_single_picture_cannot_be_trained_on_and_held_out() -> None:
    photos = named(9, "5", "a") + named(1, "10", "b") + named(1, BACKGROUND, "c")
    assert dataset.lacking(photos, *dataset.split(photos, 0.08)) == [
        f"of {label} there is a single different picture: two are needed, one of them to hold out"
        for label in ("10", "background")
    ]


def test_a_source_that_holds_all_of_an_amount_leaves_nothing_to_train_on() -> None:
    photos = [replace(p, source="ben") for p in named(9, "5", "a")] + named(9, "10", "b")
    photos += [replace(p, source="ben") for p in named(9, "10", "c")] + named(9, BACKGROUND, "d")
    train, held = dataset.split(photos, 0.08, "ben")
    assert dataset.lacking(photos, train, held) == ["no picture of 5 is left to train on: all are held out"]


def test_an_amount_with_few_pictures_and_one_of_which_none_is_held_out_are_told() -> None:
    photos = named(3, "5", "a") + named(40, "10", "b") + named(3, BACKGROUND, "d")
    assert dataset.cautions(photos, dataset.split(photos, 0.08)[1]) == [
        "5 has 3 different picture(s): its threshold will rest on a single one"
    ]
    photos += [replace(p, source="ben") for p in named(40, "10", "c")]
    assert dataset.cautions(photos, dataset.split(photos, 0.08, "ben")[1]) == [
        "no picture of 5 is held out: its threshold will rest on the other amounts"
    ]


def test_a_strip_is_too_narrow_to_compose_of(tmp_path: Path, save: Save) -> None:
    with pytest.raises(TrainingError, match=r"a\.png is too narrow to be used: 320 x 7 pixels"):
        dataset.load_to_compose(save(tmp_path / "a.png", np.zeros((14, 640, 3), np.uint8)))
    assert dataset.load_to_compose(save(tmp_path / "b.png", np.zeros((8, 320, 3), np.uint8))).shape == (8, 320, 3)


MODES = [
    ("CMYK", ".jpg"),
    ("L", ".jpg"),
    ("P", ".png"),
    ("LA", ".png"),
    ("RGBA", ".webp"),
    ("1", ".png"),
    ("I;16", ".png"),
]


@pytest.mark.parametrize(("mode", "suffix"), MODES)
def test_every_kind_of_pixel_becomes_rgb(tmp_path: Path, mode: str, suffix: str) -> None:
    grey = np.full((20, 30), 255, np.uint8)
    grey[:, 15:] = 0
    as_is = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    as_is.save(tmp_path / f"a{suffix}")
    loaded = dataset.load(tmp_path / f"a{suffix}")
    assert np.abs(loaded.astype(int) - grey[..., None]).mean() < 4


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_a_moving_picture_is_refused_with_the_way_out(tmp_path: Path, suffix: str) -> None:
    first, second = (Image.fromarray(np.full((20, 30, 3), shade, np.uint8)) for shade in (30, 200))
    first.save(tmp_path / f"a{suffix}", save_all=True, append_images=[second])
    with pytest.raises(TrainingError, match=r"is a moving picture: save one picture of it as JPEG"):
        dataset.load(tmp_path / f"a{suffix}")


def test_pictures_of_two_amounts_that_look_alike_are_told_before_training() -> None:
    photos = named(40, "5", "a") + named(40, "10", "b") + named(3, BACKGROUND, "d")
    photos[41] = replace(photos[41], cluster=photos[0].cluster or photos[0].path.name)
    photos[0] = replace(photos[0], cluster=photos[41].cluster)
    (told,) = dataset.cautions(photos, dataset.split(photos, 0.08)[1])
    assert told == f"{photos[0].path} and {photos[41].path} look alike and are told to be 5 and 10: see `check`"
