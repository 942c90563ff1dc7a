from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

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
    with pytest.raises(TrainingError, match=r"notes\.gif is not a picture"):
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
    one, two, three = dataset.with_clusters(photos, [first, brighter, other])
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
