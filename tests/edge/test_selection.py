"""Which bundle is used now: the daemon's start and whoever only looks find the same one, and only the daemon writes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge import selection
from edge.commands.shell import as_owner_of
from edge.core import bundle as bundles
from edge.core.bundle import LABELS
from edge.core.errors import BundleError
from edge.core.ledger import MOST_STARTS
from edge.core.seal import Claim
from edge.core.shelf import RECORD, Shelf
from edge.settings import Config, ModelConfig
from tests import sealed
from tests.devices import fake_engine

XTS = sealed.CONFIGURED["XTS"]
CONFIG = Config(model=ModelConfig(bundle="xts"))


def put(state: Path, version: str = "0.2.0") -> str:
    shelf = Shelf(state)
    with shelf.installing(), shelf.staging() as folder:
        made = sealed.bundle(folder / "b", version)
        return shelf.keep(made, Claim.of(bundles.about(made)))


def used(state: Path, version: str = "0.2.0") -> str:
    entry = put(state, version)
    Shelf(state).promote("XTS", entry, XTS)
    return entry


def damaged(state: Path) -> None:
    (Shelf(state).path(used(state)) / LABELS).write_text("5\n")


def started_too_often(state: Path) -> None:
    used(state)
    for _ in range(MOST_STARTS):
        Shelf(state).begin("XTS", XTS)


def second_is_damaged(state: Path) -> None:
    used(state, "0.2.0")
    (Shelf(state).path(used(state, "0.3.0")) / LABELS).write_text("5\n")


def spoilt_record(state: Path) -> None:
    used(state)
    (state / "bundles" / RECORD).write_text("{")


STORES: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing is installed": (lambda state: None, "0.1.0"),
    "one waits in the shadow": (put, "0.1.0"),
    "one is on trial": (used, "0.2.0"),
    "one was started too often": (started_too_often, "0.1.0"),
    "one is damaged": (damaged, "0.1.0"),
    "the one before it is well": (second_is_damaged, "0.2.0"),
    "the record is spoilt": (spoilt_record, "0.1.0"),
}


def store(state: Path) -> dict[str, bytes]:
    files = [path for path in (state / "bundles").rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in files}


@pytest.mark.parametrize(("make", "version"), STORES.values(), ids=STORES)
def test_who_looks_finds_what_the_daemon_would_use_and_writes_nothing(
    tmp_path: Path, make: Callable[[Path], object], version: str
) -> None:
    make(tmp_path)
    before = store(tmp_path)
    found = selection.in_use(CONFIG, fake_engine, tmp_path)
    assert store(tmp_path) == before
    told = selection.chosen(CONFIG, tmp_path)
    assert store(tmp_path) == before
    loaded, faults = selection.load_or_stand_in(CONFIG, fake_engine, tmp_path)
    assert faults == []
    assert [bundle.manifest.version for bundle, _ in found.loaded] == [version]
    assert [bundle.manifest.digest for bundle, _ in loaded] == [bundle.manifest.digest for bundle, _ in found.loaded]
    assert [bundle.path for bundle, _ in loaded] == [bundle.path for bundle, _ in found.loaded]
    assert (found.notes != []) is (version != "0.1.0")
    assert len(told) == 1
    if "damaged" not in make.__name__:
        assert (told == found.notes) is (version != "0.1.0")


def test_one_that_would_be_left_is_named_with_why(tmp_path: Path) -> None:
    damaged(tmp_path)
    (left,) = selection.in_use(CONFIG, fake_engine, tmp_path).refused
    assert left.entry.startswith("XTS-0.2.0-")
    assert "labels.txt is damaged" in left.why
    assert Shelf(tmp_path).line("XTS").active == left.entry, "the daemon has not started yet"


def test_a_store_that_may_not_be_seen_is_said_in_one_sentence_and_the_configured_one_is_taken(tmp_path: Path) -> None:
    (tmp_path / "bundles").write_text("no folder")
    found = selection.in_use(CONFIG, fake_engine, tmp_path)
    (note,) = found.notes
    assert "may not be seen by you" in note
    assert "\n" not in note
    assert [bundle.manifest.version for bundle, _ in found.loaded] == ["0.1.0"]
    assert selection.chosen(CONFIG, tmp_path) == [note]


def test_what_lies_in_the_store_is_read_with_the_rights_that_are_asked_for(tmp_path: Path) -> None:
    entry, within = used(tmp_path), [False]

    @contextlib.contextmanager
    def reading() -> Iterator[None]:
        within[0] = True
        yield
        within[0] = False

    def engine(bundle: bundles.Bundle) -> object:
        assert within[0] is (bundle.path.name == entry)
        return fake_engine(bundle)

    assert selection.in_use(CONFIG, engine, tmp_path, reading).notes != []  # type: ignore[arg-type]
    with as_owner_of(tmp_path / "nothing"), as_owner_of(tmp_path):
        assert list(tmp_path.iterdir())


def test_a_configured_bundle_that_is_refused_has_no_stand_in_for_who_looks(tmp_path: Path) -> None:
    mine = sealed.bundle(tmp_path / "mine", "0.5.0")
    (mine / LABELS).write_text("5\n")
    config = Config(model=ModelConfig(bundle=str(mine)))
    with pytest.raises(BundleError, match="is damaged"):
        selection.in_use(config, fake_engine, tmp_path)
