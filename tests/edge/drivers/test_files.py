from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from edge.core.errors import HardwareError, Reason
from edge.core.messages import Frame
from edge.drivers import files
from edge.drivers.fake import FakeClock
from edge.drivers.files import FilesCamera
from tests.pictures import empty_png, heic, not_files
from tests.ports.standins import write_picture, write_recording, write_video


def read_all(camera: FilesCamera) -> list[Frame]:
    frames = []
    while (frame := camera.read(5.0)) is not None:
        frames.append(frame)
    return frames


def open_camera(path: Path, *, pace: bool = False, clock: FakeClock | None = None) -> FilesCamera:
    return FilesCamera(path, pace=pace, clock=clock or FakeClock())


def test_a_recording_gives_its_pictures_in_order_of_name_at_its_own_rate(tmp_path: Path) -> None:
    camera = open_camera(write_recording(tmp_path / "r", 3, 'announce = "demonstration, play money"'))
    frames = read_all(camera)
    assert camera.announce == "demonstration, play money"
    assert [(frame.seq, frame.t_s, frame.name) for frame in frames] == [
        (0, 0.0, "000.png"),
        (1, 0.1, "001.png"),
        (2, 0.2, "002.png"),
    ]


def test_a_photograph_is_shown_for_a_second_and_away_for_a_second(tmp_path: Path) -> None:
    write_picture(tmp_path / "b.JPG")
    write_picture(tmp_path / "a.webp", np.zeros((20, 30, 3), np.uint8))
    (tmp_path / "notes.txt").write_text("not a picture", encoding="utf-8")
    (tmp_path / "inner").mkdir()
    write_picture(tmp_path / "inner" / "c.png")
    camera = open_camera(tmp_path)
    frames = read_all(camera)
    assert [frame.name for frame in frames] == ["a.webp"] * 10 + [""] * 10 + ["b.JPG"] * 10 + [""] * 10
    assert [frame.t_s for frame in frames] == [seq / 10 for seq in range(40)]
    assert frames[10].pixels.shape == (20, 30, 3)
    assert set(np.unique(frames[10].pixels)) == {128}
    assert camera.announce == ""


def test_one_photograph_may_be_given_by_itself(tmp_path: Path) -> None:
    assert len(read_all(open_camera(write_picture(tmp_path / "note.png")))) == 20


def test_a_video_gives_every_frame_at_its_own_rate(tmp_path: Path) -> None:
    frames = read_all(open_camera(write_video(tmp_path / "v.avi", 5)))
    assert [(frame.seq, frame.t_s, frame.name) for frame in frames] == [(i, i / 10, "v.avi") for i in range(5)]


def test_a_broken_photograph_is_named_once_and_takes_no_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    write_picture(tmp_path / "a.png")
    whole = write_picture(tmp_path / "b.jpg").read_bytes()
    (tmp_path / "b.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "c.png").write_bytes(b"")
    (tmp_path / "d.webp").write_text("words", encoding="utf-8")
    write_picture(tmp_path / "e.png")
    camera = open_camera(tmp_path)
    with caplog.at_level(logging.WARNING):
        frames = read_all(camera)
    assert [frame.name for frame in frames if frame.name] == ["a.png"] * 10 + ["e.png"] * 10
    assert [frame.seq for frame in frames] == list(range(40))
    assert camera.broken == {
        "b.jpg": "is broken: it is cut off",
        "c.png": "is broken: it is empty",
        "d.webp": "is broken: it is no JPEG, PNG or WebP",
    }
    assert len(caplog.records) == 3


def test_what_computers_put_beside_photographs_is_not_shown(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png")
    (tmp_path / "._a.png").write_bytes(b"\0\5\x16\7 of a Mac")
    write_picture(tmp_path / ".thumb.jpg")
    camera = open_camera(tmp_path)
    assert {frame.name for frame in read_all(camera)} == {"a.png", ""}
    assert camera.broken == {}


def test_what_is_no_file_and_what_is_too_large_is_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    not_files(tmp_path)
    (tmp_path / "huge.png").write_bytes(empty_png(30_000, 30_000))
    (tmp_path / "iphone.jpg").write_bytes(heic())
    write_picture(tmp_path / "z.png")
    camera = open_camera(tmp_path)
    assert {frame.name for frame in read_all(camera)} == {"z.png", ""}
    assert set(camera.broken) == {"pipe.jpg", "endless.jpg", "nowhere.jpg", "circle.jpg", "huge.png", "iphone.jpg"}
    assert "30000 x 30000 pixels" in camera.broken["huge.png"]
    assert "HEIC" in camera.broken["iphone.jpg"]


def test_one_photograph_is_known_by_its_content(tmp_path: Path) -> None:
    write_picture(tmp_path / "note.png").rename(tmp_path / "note")
    assert len(read_all(open_camera(tmp_path / "note"))) == 20


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.heic", "is a HEIC photograph"),
        ("pipe.jpg", "cannot be read: it is a device or a pipe"),
        ("endless.jpg", "cannot be read: it is a device or a pipe"),
    ],
)
def test_one_file_that_cannot_be_shown_is_named_at_once(tmp_path: Path, name: str, said: str) -> None:
    not_files(tmp_path)
    (tmp_path / "a.heic").write_bytes(heic())
    with pytest.raises(HardwareError, match=f"{name} {said}"):
        open_camera(tmp_path / name)


def test_a_broken_frame_of_a_recording_leaves_a_gap_in_time(tmp_path: Path) -> None:
    folder = write_recording(tmp_path / "r", 3)
    (folder / "001.png").write_bytes(b"damaged")
    camera = open_camera(folder)
    assert [frame.seq for frame in read_all(camera)] == [0, 2]
    assert list(camera.broken) == ["001.png"]


def test_only_broken_pictures_are_an_end_not_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"damaged")
    camera = open_camera(tmp_path)
    assert read_all(camera) == []
    assert list(camera.broken) == ["a.png"]


@pytest.mark.parametrize("name", ["empty", "missing", "words.avi"])
def test_what_holds_no_pictures_is_a_missing_camera(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.avi").write_text("words", encoding="utf-8")
    with pytest.raises(HardwareError, match=name) as caught:
        open_camera(tmp_path / name)
    assert (caught.value.device, caught.value.reason) == ("camera", Reason.MISSING)


@pytest.mark.parametrize(
    "text",
    [
        *("frames_per_s = 0", 'frames_per_s = "ten"', "announce = 5", "frames_per_s =", "", "frames_per_s = inf"),
        *("frames_per_s = nan", "frames_per_s = 1e300", "frames_per_s = " + "[" * 30_000, "#" * 100_000),
    ],
    ids=lambda text: text[:20],
)
def test_a_recording_that_says_nonsense_is_broken(tmp_path: Path, text: str) -> None:
    folder = write_recording(tmp_path / "r", 1)
    (folder / "recording.toml").write_text(text, encoding="utf-8")
    with pytest.raises(HardwareError, match=r"recording\.toml") as caught:
        open_camera(folder)
    assert caught.value.reason is Reason.BROKEN


def test_in_real_time_each_frame_comes_when_it_was_taken(tmp_path: Path) -> None:
    clock = FakeClock(100.0)
    camera = open_camera(write_recording(tmp_path / "r", 4), pace=True, clock=clock)
    given = []
    while (frame := camera.read(5.0)) is not None:
        given.append((frame.seq, clock.now_s()))
    assert [seq for seq, _ in given] == [0, 1, 2, 3]
    assert [at_s for _, at_s in given] == pytest.approx([100.0, 100.1, 100.2, 100.3])


@pytest.mark.parametrize("form", ["recording", "video"])
def test_in_real_time_a_slow_reader_gets_the_newest_frame(tmp_path: Path, form: str) -> None:
    clock = FakeClock()
    path = write_recording(tmp_path / "r", 10) if form == "recording" else write_video(tmp_path / "v.avi", 10)
    camera = open_camera(path, pace=True, clock=clock)
    numbers = []
    while (frame := camera.read(5.0)) is not None:
        numbers.append(frame.seq)
        clock.advance(0.35)
    assert numbers == [0, 3, 7, 9]


def test_in_real_time_a_frame_that_is_not_due_in_time_is_a_stop(tmp_path: Path) -> None:
    clock = FakeClock()
    camera = open_camera(write_recording(tmp_path / "r", 2), pace=True, clock=clock)
    camera.read(1.0)
    with pytest.raises(HardwareError) as caught:
        camera.read(0.05)
    assert caught.value.reason is Reason.STOPPED
    assert clock.now_s() == pytest.approx(0.05)
    assert camera.read(0.06) is not None


@pytest.mark.parametrize("pace", [False, True])
def test_a_repeated_recording_begins_anew_and_its_numbers_and_times_go_on(tmp_path: Path, pace: bool) -> None:
    clock = FakeClock()
    camera = FilesCamera(write_recording(tmp_path / "r", 3), pace=pace, clock=clock, repeat=True)
    frames = [camera.read(5.0) for _ in range(8)]
    assert [frame and frame.name for frame in frames] == [f"{seq % 3:03}.png" for seq in range(8)]
    assert [frame and (frame.seq, round(frame.t_s, 3)) for frame in frames] == [(seq, seq / 10) for seq in range(8)]
    assert clock.now_s() == pytest.approx(0.7 if pace else 0.0, abs=0.01)


def test_a_repeated_video_begins_anew(tmp_path: Path) -> None:
    camera = FilesCamera(write_video(tmp_path / "v.avi", 2), pace=False, clock=FakeClock(), repeat=True)
    assert [frame and frame.seq for frame in (camera.read(5.0) for _ in range(5))] == [0, 1, 2, 3, 4]


def test_a_repeated_recording_without_one_good_picture_ends_and_names_each_once(tmp_path: Path) -> None:
    write_recording(tmp_path / "r", 1)
    (tmp_path / "r" / "000.png").write_text("rubbish", encoding="utf-8")
    camera = FilesCamera(tmp_path / "r", pace=False, clock=FakeClock(), repeat=True)
    assert camera.read(5.0) is None
    assert list(camera.broken) == ["000.png"]


def test_what_was_missed_while_the_computer_slept_is_not_caught_up_round_by_round(tmp_path: Path) -> None:
    clock = FakeClock()
    camera = FilesCamera(write_recording(tmp_path / "r", 3), pace=True, clock=clock, repeat=True)
    camera.read(5.0)
    clock.advance(3600)
    camera.read(5.0)
    before_s = clock.now_s()
    assert all(camera.read(5.0) for _ in range(30))
    assert clock.now_s() - before_s == pytest.approx(3.0, abs=0.2)


def test_photographs_are_told_from_recordings_and_films(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"torn")
    assert files.photographs(tmp_path) == [tmp_path / "a.jpg"] == files.photographs(tmp_path / "a.jpg")
    (tmp_path / "recording.toml").write_text("frames_per_s = 10.0\n")
    assert files.photographs(tmp_path) is None
    with pytest.raises(HardwareError, match="does not exist"):
        files.photographs(tmp_path / "none")
