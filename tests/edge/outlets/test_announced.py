from __future__ import annotations

from pathlib import Path

import pytest

from edge.outlets.announced import FILE, MOST, announce


def kept(said: dict[str, bytes], folder: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    announce(said, folder, found.__setitem__)
    return found


def test_what_is_announced_is_kept(tmp_path: Path) -> None:
    assert kept({"a": b"1", "b": b"2"}, tmp_path) == {"a": b"1", "b": b"2"}


def test_what_is_not_announced_any_more_is_emptied_at_every_start(tmp_path: Path) -> None:
    kept({"a": b"1", "b": b"2"}, tmp_path)
    assert kept({"b": b"2", "c": b"3"}, tmp_path) == {"a": b"", "b": b"2", "c": b"3"}
    for _ in range(2):
        assert kept({}, tmp_path) == {"a": b"", "b": b"", "c": b""}


def test_a_device_that_never_announced_itself_says_and_writes_nothing(tmp_path: Path) -> None:
    assert kept({}, tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"[", b'{"a": 1}', b"[1]", b"\xff", b"x" * (1 << 20)])
def test_a_memory_that_cannot_be_read_costs_what_was_to_be_taken_back(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert kept({"a": b"1"}, tmp_path) == {"a": b"1"}
    assert kept({}, tmp_path) == {"a": b""}


def test_a_full_disk_takes_nothing_away(tmp_path: Path) -> None:
    (tmp_path / f"{FILE}.new").mkdir()
    assert kept({"a": b"1"}, tmp_path) == {"a": b"1"}


def test_the_memory_is_bounded(tmp_path: Path) -> None:
    for name in range(60):
        kept({f"{name}/{number}": b"1" for number in range(25)}, tmp_path)
    assert len(kept({}, tmp_path)) == MOST
