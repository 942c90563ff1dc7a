from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.core import intake


def refusal(path: Path, most_bytes: int = 100, *, links: bool = True) -> str:
    try:
        intake.read(path, most_bytes, links=links)
    except OSError as error:
        return str(error.strerror)
    return "it was read"


@pytest.mark.parametrize("size", [0, 1, 99, 100])
def test_a_file_is_read_whole_up_to_what_it_may_hold(tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(bytes(range(size)))
    assert intake.read(tmp_path / "file", 100) == bytes(range(size))
    (tmp_path / "link").symlink_to("file")
    assert intake.read(tmp_path / "link", 100) == bytes(range(size))


def test_a_file_that_does_not_know_its_size_is_read_up_to_what_it_may_hold() -> None:
    assert b"Linux" in intake.read(Path("/proc/version"), 10_000)
    assert refusal(Path("/proc/version"), 5) == "it is larger than 0 KB"


def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for a writer for ever
    assert refusal(tmp_path / "pipe") == refusal(Path("/dev/zero")) == "it is a device or a pipe, not a file"
    assert refusal(tmp_path) == "it is a folder"
    (tmp_path / "endless").symlink_to("/dev/zero")
    assert refusal(tmp_path / "endless") == "it is a device or a pipe, not a file"


def test_too_much_is_refused_and_a_link_where_none_may_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(3 << 20))
    assert refusal(tmp_path / "file", 2 << 20) == "it is larger than 2 MB"
    (tmp_path / "link").symlink_to("file")
    assert refusal(tmp_path / "link", 4 << 20, links=False) == "it is a link"


def test_names_that_the_system_does_not_take_are_refused_in_words(tmp_path: Path) -> None:
    assert refusal(tmp_path / "a\0b") == "its name holds a zero byte"
    assert refusal(tmp_path / ("x" * 300)) == "File name too long"
    assert refusal(tmp_path / "nothing") == "No such file or directory"
    assert not any(map(intake.is_folder, (tmp_path / "a\0b", tmp_path / ("x" * 300), tmp_path / "nothing")))
    assert intake.is_folder(tmp_path)
