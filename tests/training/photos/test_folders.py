from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.pictures import heic, not_files
from training.errors import TrainingError
from training.photos import dataset, folders

Save = Callable[[Path, np.ndarray], Path]
LITTER = (
    ".stfolder",
    "__MACOSX",
    "$RECYCLE.BIN",
    "5/.thumbnails",
    "5/@eaDir/0.png",
    "background/#recycle",
    "lost+found",
)


def litter(data: Path) -> None:
    """What a telephone, a storage box, Windows and a Mac leave behind, at every level, with pictures inside."""
    for name in LITTER:
        (data / name).mkdir(parents=True)
        shutil.copy(data / "5" / "0.png", data / name / "thumb.png")
    for name in ("Thumbs.db", ".DS_Store", "5/._0.png", "50_1/desktop.ini"):
        (data / name).write_bytes(b"not for you")


def test_what_computers_leave_is_passed_over_at_every_level_and_counted(photos: Path) -> None:
    before = dataset.scan(photos)
    litter(photos)
    assert dataset.scan(photos) == before
    found = [path.relative_to(photos).as_posix() for path in folders.passed_over(photos)]
    assert sorted(found) == sorted(
        [".stfolder", "__MACOSX", "$RECYCLE.BIN", "lost+found", "Thumbs.db", ".DS_Store", "5/.thumbnails", "5/@eaDir"]
        + ["5/._0.png", "50_1/desktop.ini", "background/#recycle"]
    )


def test_it_is_passed_over_in_backgrounds_and_among_strangers_too(photos: Path) -> None:
    litter(photos)
    assert len(dataset.scan_background(photos / "background")) == 6
    assert len(dataset.survey_strangers([photos / "5", photos / "background"]).photos) == 12
    assert len(folders.passed_over(None, photos / "5", photos / "nowhere", photos / "background")) == 4


def test_a_folder_that_is_called_like_litter_may_be_named_itself(photos: Path) -> None:
    hidden = photos.rename(photos.parent / ".cache")
    assert len(dataset.scan(hidden)) == 24


def test_linked_folders_are_read_once_and_circles_end(photos: Path, tmp_path: Path) -> None:
    shutil.move(photos / "5", tmp_path / "elsewhere")
    (photos / "5").symlink_to(tmp_path / "elsewhere")
    (photos / "50_1" / "more").symlink_to(tmp_path / "elsewhere")
    (photos / "50_2" / "back").symlink_to(photos / "50_2")
    assert dataset.counts(dataset.scan(photos)) == {"5": 6, "50": 18, "background": 6}


def test_what_is_no_file_is_reported_one_by_one_and_never_waited_for(photos: Path) -> None:
    paths = not_files(photos / "5")
    found = dataset.survey(photos)
    assert {problem.path for problem in found.problems} == set(paths)
    assert [p.sentence for p in found.problems if p.path.name == "pipe.jpg"] == [
        f"{photos / '5' / 'pipe.jpg'} cannot be read: it is a device or a pipe, not a file"
    ]
    assert len(found.photos) == 24


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("IMG_1.HEIC", heic(), "is a HEIC photograph, which saynote does not read: save it as JPEG"),
        (
            "IMG_1.jpeg.tiff",
            b"II*\0",
            "is a TIFF or a camera's raw picture, which saynote does not read: save it as JPEG",
        ),
        ("readme.txt", b"ours", "is not a picture saynote reads (.jpg, .jpeg, .png, .webp)"),
        ("IMG_1.mov", b"\0\0\0\x14ftypqt  ", "is not a picture saynote reads (.jpg, .jpeg, .png, .webp)"),
    ],
)
def test_a_file_of_another_kind_is_named(photos: Path, name: str, content: bytes, said: str) -> None:
    (photos / "5" / name).write_bytes(content)
    with pytest.raises(TrainingError, match=re.escape(f"{name} {said}")):
        folders.pictures_in(photos / "5")
