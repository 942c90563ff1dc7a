"""The store of bundles: what may come in, what is used, and the way back."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge.core.errors import BundleError
from edge.core.ledger import MOST_STARTS, Tally
from edge.core.manifest import Manifest
from edge.core.seal import Claim
from edge.core.shelf import MOST_ENTRIES, RECORD, Shelf
from tests.sealed import CONFIGURED

XTS = CONFIGURED["XTS"]  # 0.1.0


def claim(version: str = "0.2.0", digest: str = "a1" * 32, currency: str = "XTS") -> Claim:
    return Claim("xts", version, currency, digest)


def put(shelf: Shelf, version: str = "0.2.0", digest: str = "a1" * 32) -> str:
    """A bundle that lies there: what is in it concerns nobody here."""
    shelf.folder.mkdir(parents=True, exist_ok=True)
    with shelf.staging() as folder:
        (folder / "labels.txt").write_text("5")
        return shelf.keep(folder, claim(version, digest))


def used(shelf: Shelf, version: str = "0.2.0") -> str:
    entry = put(shelf, version)
    shelf.promote("XTS", entry, XTS)
    return entry


def another(**changes: object) -> Manifest:
    return msgspec.structs.replace(XTS, **changes)


def test_what_came_in_is_the_candidate_and_is_not_used(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    entry = put(shelf)
    assert (shelf.line("XTS").candidate, shelf.chosen("XTS", XTS)) == (entry, "")


def test_what_was_promoted_is_used_until_it_is_rolled_back(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    first, second = used(shelf, "0.2.0"), used(shelf, "0.3.0")
    assert shelf.chosen("XTS", XTS) == second
    assert shelf.roll_back("XTS", "slow") == first
    assert shelf.roll_back("XTS", "slow too") == ""
    told = [(outcome.entry, outcome.what, outcome.why) for outcome in shelf.read().outcomes][-2:]
    assert told == [(second, "rolled back", "slow"), (first, "rolled back", "slow too")]


def test_on_trial_it_is_started_so_often_and_no_more(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    entry = used(shelf)
    assert [shelf.begin("XTS", XTS) for _ in range(MOST_STARTS + 1)] == [entry] * MOST_STARTS + [""]
    assert "never did well" in shelf.read().outcomes[-1].why


def test_what_does_well_is_started_for_ever(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    entry = used(shelf)
    shelf.settle("XTS", entry)
    assert {shelf.begin("XTS", XTS) for _ in range(10)} == {entry}


def test_a_start_that_cannot_be_counted_is_one_of_the_bundle_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    used(shelf)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edge.core.whole.write", full)
    assert shelf.begin("XTS", XTS) == ""


def test_another_configured_bundle_is_used_unless_the_installed_one_is_newer(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    entry = used(shelf, "0.2.0")
    assert shelf.chosen("XTS", another(digest="ff" * 32, version="0.1.9")) == entry
    assert shelf.chosen("XTS", another(digest="ff" * 32, version="0.2.0")) == ""
    assert shelf.chosen("XTS", another(digest="ff" * 32, version="mine")) == entry
    assert shelf.chosen("XTS", None) == entry, "a configured bundle that cannot be read displaces nothing"


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (claim(currency="INR"), "this device reads XTS"),
        (claim("0.1.0"), "only a newer one is taken"),
        (claim("0.0.9"), "only a newer one is taken"),
        (claim("0.3.0", "b2" * 32), "only a newer one is taken"),
        (claim("0.2.0"), "saynote bundle use XTS-0.2.0-a1a1a1a1"),
    ],
)
def test_another_currency_or_an_older_version_is_not_admitted(tmp_path: Path, wanted: Claim, why: str) -> None:
    shelf = Shelf(tmp_path)
    put(shelf, "0.2.0")
    put(shelf, "0.3.0")
    with pytest.raises(BundleError, match=why):
        shelf.admit(wanted, CONFIGURED)
    shelf.admit(claim("0.3.0"), CONFIGURED)  # the newest once more
    shelf.admit(claim("0.10.0"), CONFIGURED)


def test_an_older_one_is_not_admitted_even_after_the_newer_was_rolled_back_and_deleted(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    entry = used(shelf, "0.5.0")
    shelf.roll_back("XTS", "asked for")
    (shelf.path(entry) / "labels.txt").unlink()
    shelf.path(entry).rmdir()
    with pytest.raises(BundleError, match=r"0\.5\.0 was here already"):
        shelf.admit(claim("0.4.0"), CONFIGURED)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"lines": {"XTS": 5}}', b"\xff", b"[" * 100_000])
def test_a_record_that_is_damaged_leaves_what_the_settings_name(tmp_path: Path, content: bytes) -> None:
    shelf = Shelf(tmp_path)
    entry = used(shelf)
    (shelf.folder / RECORD).write_bytes(content)
    assert shelf.begin("XTS", XTS) == ""
    with pytest.raises(BundleError, match="only a newer"):
        shelf.admit(claim("0.1.5"), CONFIGURED)
    shelf.promote("XTS", entry, XTS)
    assert shelf.chosen("XTS", XTS) == entry


def test_two_installations_at_once_are_one(tmp_path: Path) -> None:
    with Shelf(tmp_path).installing(), pytest.raises(BundleError, match="another bundle is being installed"):  # noqa: SIM117
        with Shelf(tmp_path).installing():
            pass


def test_what_a_killed_installation_left_is_cleared_away(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    (shelf.folder / ".staging-left").mkdir(parents=True)
    assert shelf.entries() == []
    with shelf.installing():
        assert not (shelf.folder / ".staging-left").exists()


def test_old_ones_make_room_and_those_that_are_used_stay(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    first = used(shelf, "0.2.0")
    for minor in range(3, 12):
        put(shelf, f"0.{minor}.0")
    there = shelf.entries("XTS")
    assert there[:MOST_ENTRIES] == [f"XTS-0.{minor}.0-a1a1a1a1" for minor in (11, 10, 9, 8)]
    assert there[MOST_ENTRIES:] == [first]


def test_what_the_shadow_has_shown_is_kept_for_the_same_candidate_only(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    entry = put(shelf)
    shelf.count("XTS", entry, Tally(alike=3))
    shelf.count("XTS", "XTS-9.9.9-00000000", Tally(alike=9))
    assert shelf.line("XTS").tally.alike == 3
    put(shelf, "0.3.0")
    assert shelf.line("XTS").tally == Tally()


def test_a_person_may_name_an_entry_by_its_version(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    entry = put(shelf)
    assert shelf.find("0.2.0") == shelf.find(entry) == shelf.find("XTS") == entry
    for wrong in ("0.3.0", "../..", ""):
        put(shelf, "0.2.1")
        with pytest.raises(BundleError, match="bundle of"):
            shelf.find(wrong)
