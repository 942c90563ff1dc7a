"""Which bundle stands in for a refused one: never one of another currency."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edge import app, fallback
from edge.core import bundle as bundles


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    folder = tmp_path / "shipped"
    for name in ("xts", "inr"):
        shutil.copytree(app.BUNDLES / name, folder / name)
    return folder


def copy(folder: Path, currency: str = "") -> Path:
    """A bundle of one's own; with another `currency` in its manifest on demand, as if it were whole."""
    shutil.copytree(app.BUNDLES / "xts", folder)
    if currency:
        manifest = json.loads((folder / bundles.MANIFEST).read_text())
        (folder / bundles.MANIFEST).write_text(json.dumps(manifest | {"currency": currency}))
    return folder


def names(found: list[tuple[Path, str]]) -> list[str]:
    return [path.name for path, _ in found]


def test_the_last_that_passed_comes_first_and_then_what_ships_of_the_same_currency(
    tmp_path: Path, shipped: Path
) -> None:
    mine, new = copy(tmp_path / "mine"), copy(tmp_path / "new")
    fallback.remember(tmp_path / "state", "mine", bundles.read(mine))
    found = fallback.candidates(tmp_path / "state", "new", new, shipped)
    assert names(found) == ["mine", "xts"]
    assert found[0][1] == bundles.read(mine).manifest.digest


def test_a_bundle_of_another_currency_never_stands_in(tmp_path: Path, shipped: Path) -> None:
    fallback.remember(tmp_path / "state", "mine", bundles.read(copy(tmp_path / "mine")))
    new = copy(tmp_path / "new", currency="EUR")
    assert fallback.candidates(tmp_path / "state", "mine", new, shipped) == []


def test_where_the_manifest_is_lost_the_record_of_the_same_bundle_knows_the_currency(
    tmp_path: Path, shipped: Path
) -> None:
    mine = copy(tmp_path / "mine")
    fallback.remember(tmp_path / "state", str(mine), bundles.read(mine))
    (mine / bundles.MANIFEST).write_bytes(b"\x00" * 200)
    assert names(fallback.candidates(tmp_path / "state", str(mine), mine, shipped)) == ["mine", "xts"]
    assert fallback.candidates(tmp_path / "state", "another", mine, shipped) == []


def test_a_shipped_bundle_does_not_stand_in_for_itself(tmp_path: Path, shipped: Path) -> None:
    assert fallback.candidates(tmp_path / "state", "inr", shipped / "inr", shipped) == []


def test_a_link_that_was_moved_on_does_not_hide_the_bundle_before(tmp_path: Path, shipped: Path) -> None:
    old, new, link = copy(tmp_path / "xts-1"), copy(tmp_path / "xts-2"), tmp_path / "link"
    link.symlink_to(old.name)
    fallback.remember(tmp_path / "state", str(link), bundles.read(link))
    link.unlink()
    link.symlink_to(new.name)
    (new / bundles.LABELS).write_text("5\n")
    assert names(fallback.candidates(tmp_path / "state", str(link), link, shipped))[0] == "xts-1"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"wanted": 3}', b"\xff\xfe", None])
def test_a_record_that_cannot_be_read_is_none(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / fallback.RECORD).write_bytes(content)
    assert fallback.recall(tmp_path) is None


def test_a_disk_that_takes_no_record_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    fallback.remember(tmp_path / "file" / "state", "xts", bundles.read(app.BUNDLES / "xts"))
    assert "not remembered" in caplog.text
