from __future__ import annotations

from pathlib import Path

import pytest

from edge.core import whole


def test_a_file_takes_the_place_of_the_one_before_and_its_folder_is_made(tmp_path: Path) -> None:
    for data in (b"before", b"after"):
        whole.write(tmp_path / "state" / "record.json", data)
    assert (tmp_path / "state" / "record.json").read_bytes() == b"after"
    assert len(list((tmp_path / "state").iterdir())) == 1


def test_what_cannot_be_put_in_place_leaves_what_was_there_and_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "record.json").mkdir()
    with pytest.raises(OSError, match=r"record\.json"):
        whole.write(tmp_path / "record.json", b"new")
    assert list(tmp_path.iterdir()) == [tmp_path / "record.json"]
