from __future__ import annotations

import datetime
import stat
from pathlib import Path

import pytest

from edge.outlets import album
from edge.outlets.album import Album, Contents

TODAY = datetime.date(2026, 11, 25)
PICTURE, LINE = b"p" * 900, b"l" * 100


def days_ago(days: int) -> datetime.date:
    return TODAY - datetime.timedelta(days=days)


def make(folder: Path, max_bytes: int = 1_000_000, keep_days: int = 30) -> Album:
    return Album(folder / "captures", max_bytes=max_bytes, keep_days=keep_days)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "captures").iterdir())


def test_a_picture_is_kept_with_its_line_under_the_day(tmp_path: Path) -> None:
    assert make(tmp_path).add(PICTURE, LINE, TODAY)
    assert names(tmp_path) == ["2026-11-25-0001.jpg", "2026-11-25-0001.json"]
    assert (tmp_path / "captures" / "2026-11-25-0001.jpg").read_bytes() == PICTURE
    assert (tmp_path / "captures" / "2026-11-25-0001.json").read_bytes() == LINE


def test_only_its_owner_may_read_it_and_nothing_tells_the_time_of_day(tmp_path: Path) -> None:
    make(tmp_path).add(PICTURE, LINE, TODAY)
    folder = tmp_path / "captures"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert datetime.datetime.fromtimestamp(path.stat().st_mtime) == datetime.datetime(2026, 11, 25)


def test_a_folder_with_wider_rights_is_closed(tmp_path: Path) -> None:
    (tmp_path / "captures").mkdir(mode=0o755)
    make(tmp_path).tidy(TODAY)
    assert stat.S_IMODE((tmp_path / "captures").stat().st_mode) == 0o700


def test_the_oldest_make_room(tmp_path: Path) -> None:
    one = make(tmp_path, max_bytes=3000)
    for days in (3, 2, 1):
        one.add(PICTURE, LINE, days_ago(days))
    one.add(PICTURE, LINE, TODAY)
    one.add(PICTURE, LINE, TODAY)
    assert [name for name in names(tmp_path) if name.endswith(".jpg")] == [
        "2026-11-24-0001.jpg",
        "2026-11-25-0001.jpg",
        "2026-11-25-0002.jpg",
    ]


def test_the_size_is_never_above_the_limit(tmp_path: Path) -> None:
    one = make(tmp_path, max_bytes=2500)
    for number in range(20):
        one.add(b"p" * (100 + 97 * number % 1500), LINE, TODAY)
        assert album.contents(tmp_path / "captures").size <= 2500
    assert not one.add(b"p" * 2500, LINE, TODAY), "larger than all may be"
    assert album.contents(tmp_path / "captures").pictures >= 1


def test_numbers_are_not_given_twice_while_older_ones_are_there(tmp_path: Path) -> None:
    one = make(tmp_path, max_bytes=2000)
    for _ in range(12):
        one.add(PICTURE, LINE, TODAY)
    assert [name for name in names(tmp_path) if name.endswith(".jpg")] == ["2026-11-25-0011.jpg", "2026-11-25-0012.jpg"]


def test_what_is_too_old_is_removed_at_each_write_and_at_start(tmp_path: Path) -> None:
    one = make(tmp_path, keep_days=30)
    for days in (40, 31, 30):
        one.add(PICTURE, LINE, days_ago(days))
    one.add(PICTURE, LINE, TODAY)
    assert names(tmp_path)[::2] == ["2026-10-26-0001.jpg", "2026-11-25-0001.jpg"]
    make(tmp_path, keep_days=30).tidy(TODAY + datetime.timedelta(days=1))
    assert names(tmp_path)[::2] == ["2026-11-25-0001.jpg"]


def test_a_smaller_limit_holds_from_the_next_start(tmp_path: Path) -> None:
    one = make(tmp_path)
    for _ in range(5):
        one.add(PICTURE, LINE, TODAY)
    make(tmp_path, max_bytes=2000).tidy(TODAY)
    assert names(tmp_path)[::2] == ["2026-11-25-0004.jpg", "2026-11-25-0005.jpg"]


def test_pictures_from_before_the_clock_was_set_count_from_the_day_it_is(tmp_path: Path) -> None:
    one = make(tmp_path)
    one.add(PICTURE, LINE, None)
    one.add(PICTURE, LINE, None)
    assert names(tmp_path)[::2] == ["undated-0001.jpg", "undated-0002.jpg"]
    one.add(PICTURE, LINE, TODAY)
    assert names(tmp_path)[::2] == ["2026-11-25-0001.jpg", "2026-11-25-0002.jpg", "2026-11-25-0003.jpg"]


def test_what_was_cut_off_in_writing_is_removed(tmp_path: Path) -> None:
    one = make(tmp_path)
    one.add(PICTURE, LINE, TODAY)
    (tmp_path / "captures" / "2026-11-25-0002.jpg.part").write_bytes(b"torn")
    one.tidy(TODAY)
    assert names(tmp_path) == ["2026-11-25-0001.jpg", "2026-11-25-0001.json"]


def test_a_write_that_fails_leaves_nothing_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: object, times: object) -> None:
        raise OSError(28, "No space left on device")

    one = make(tmp_path)
    monkeypatch.setattr(album.os, "utime", full)
    with pytest.raises(OSError, match="No space left"):
        one.add(PICTURE, LINE, TODAY)
    assert names(tmp_path) == []


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    others = {"mine.jpg", "2020-01-01.jpg", "2020-01-01-1.png"}
    one = make(tmp_path, max_bytes=1000, keep_days=1)
    one.tidy(TODAY)
    for name in others:
        (tmp_path / "captures" / name).write_bytes(b"x" * 5000)
    assert one.add(PICTURE, LINE, TODAY)
    assert album.delete(tmp_path / "captures") == 1
    assert set(names(tmp_path)) == others


def test_deleting_takes_all_of_ours_and_the_folder(tmp_path: Path) -> None:
    one = make(tmp_path)
    for _ in range(3):
        one.add(PICTURE, LINE, TODAY)
    (tmp_path / "captures" / "2026-11-25-0009.jpg.part").write_bytes(b"torn")
    assert album.delete(tmp_path / "captures") == 3
    assert list(tmp_path.iterdir()) == []
    assert one.add(PICTURE, LINE, TODAY), "a daemon that runs meanwhile goes on"


def test_what_is_kept_is_counted(tmp_path: Path) -> None:
    one = make(tmp_path)
    assert album.contents(tmp_path / "captures") == Contents(0, 0, "", "")
    assert album.delete(tmp_path / "captures") == 0
    one.add(PICTURE, LINE, days_ago(1))
    one.add(PICTURE, LINE, TODAY)
    assert album.contents(tmp_path / "captures") == Contents(2, 2000, "2026-11-24", "2026-11-25")


def test_what_lies_on_shelves_is_counted_and_goes_together(tmp_path: Path) -> None:
    one = Album(tmp_path, max_bytes=2000, keep_days=30, shelves=["a/b", "lines"])
    for _ in range(3):
        assert one.add(PICTURE, LINE, TODAY, "a/b", "lines")
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == [
        "2026-11-25-0002.jpg",
        "2026-11-25-0003.jpg",
    ]
    assert sorted(path.suffix for path in (tmp_path / "lines").iterdir()) == [".json", ".json"]
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    one.tidy(TODAY + datetime.timedelta(days=31))
    assert not list((tmp_path / "a" / "b").iterdir()) + list((tmp_path / "lines").iterdir())
