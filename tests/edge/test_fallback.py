"""Which bundle stands in for a refused one: never one of another currency."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge import app, fallback
from edge.core import bundle as bundles
from edge.core.errors import BundleError
from edge.devices import open_engine
from edge.settings import Config, ModelConfig
from tests.bundles import HARMS


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


def started(config: Config, state: Path) -> tuple[Path, str]:
    """Which bundle a device runs with its real engine, and what it tells of the one it was to run."""
    ((bundle, engine),), faults = app.load_or_stand_in(config, lambda loaded: open_engine(config, loaded), state)
    engine.close()
    return bundle.path, "".join(fault.detail for fault in faults)


@pytest.mark.parametrize("harm", sorted(HARMS))
def test_whatever_is_wrong_with_a_bundle_its_stand_in_takes_its_place(tmp_path: Path, harm: str) -> None:
    mine, state = copy(tmp_path / "mine"), tmp_path / "state"
    config = Config(model=ModelConfig(bundle=str(mine)))
    assert started(config, state) == (mine, "")
    HARMS[harm](mine)
    used, told = started(config, state)
    assert used == app.BUNDLES / "xts"
    assert told.endswith(f"using {used}")


@pytest.mark.parametrize("name", ["gold", "no/such/folder", "a\0b", "x" * 10_000, "/dev/zero", "/" + "y/" * 3000])
def test_a_bundle_that_is_nowhere_is_replaced_by_the_one_that_passed_under_its_name(tmp_path: Path, name: str) -> None:
    fallback.remember(tmp_path, name, bundles.read(app.BUNDLES / "xts"))
    config = Config(model=ModelConfig(bundle=name))
    assert started(config, tmp_path)[0] == app.BUNDLES / "xts"
    with pytest.raises(BundleError):
        app.load(config, lambda loaded: open_engine(config, loaded))


def test_a_mistake_of_ours_over_one_bundle_does_not_cost_its_stand_in(tmp_path: Path) -> None:
    mine = copy(tmp_path / "mine")

    def engine(loaded: bundles.Bundle) -> object:
        if loaded.path == mine:
            raise ZeroDivisionError("nobody has thought of this")
        return open_engine(Config(), loaded)

    ((bundle, _),), faults = app.load_or_stand_in(Config(model=ModelConfig(bundle=str(mine))), engine, tmp_path)  # type: ignore[arg-type]
    assert bundle.path == app.BUNDLES / "xts"
    assert ["nobody has thought of this" in fault.detail for fault in faults] == [True]


@pytest.mark.parametrize("content", [b'{"wanted": ' + b"[" * 100_000, b" " * (1 << 20)])
def test_a_record_that_is_nested_or_huge_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / fallback.RECORD).write_bytes(content)
    assert fallback.recall(tmp_path) is None


MEASURE = """
import re, sys
from pathlib import Path
from edge import app
from edge.settings import Config, ModelConfig
from edge.devices import open_engine
config = Config(model=ModelConfig(bundle=sys.argv[1]))
((bundle, engine),), _ = app.load_or_stand_in(config, lambda loaded: open_engine(config, loaded), Path(sys.argv[2]))
# Not getrusage: that counts what the parent held when it started us.
peak = re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())
print(bundle.path, int(peak[1]) * 1024)
"""
ALLOWED_BYTES = 40 << 20  # above a start without any fault: a model is read whole before it is refused


@pytest.fixture(scope="module")
def usual_bytes(tmp_path_factory: pytest.TempPathFactory) -> int:
    folder = tmp_path_factory.mktemp("usual")
    return peak(copy(folder / "mine"), folder / "state")[1]


def peak(mine: Path, state: Path) -> tuple[str, int]:
    """Which bundle a process of its own came to run, and the most memory that it took."""
    command = [sys.executable, "-c", MEASURE, str(mine), str(state)]
    done = subprocess.run(command, cwd=app.BUNDLES.parents[1], capture_output=True, text=True, timeout=120, check=True)
    used, size = done.stdout.split()
    return used, int(size)


COSTLY = {name: HARMS[name] for name in HARMS if re.search(r"\d|terabyte|gigabyte|never|many|way|nested", name)}


@pytest.mark.integration
@pytest.mark.parametrize("harm", sorted(COSTLY))
def test_to_refuse_a_bundle_takes_no_more_memory_than_to_read_one(tmp_path: Path, usual_bytes: int, harm: str) -> None:
    mine = copy(tmp_path / "mine")
    fallback.remember(tmp_path / "state", str(mine), bundles.read(mine))
    COSTLY[harm](mine)
    used, size = peak(mine, tmp_path / "state")
    assert used == str(app.BUNDLES / "xts")
    assert size < usual_bytes + ALLOWED_BYTES


@pytest.mark.integration
def test_the_largest_model_that_is_read_takes_its_size_once(tmp_path: Path, usual_bytes: int) -> None:
    mine = copy(tmp_path / "mine")
    (mine / bundles.MODEL).write_bytes(bytes(bundles.MOST_BYTES[bundles.MODEL]))
    assert peak(mine, tmp_path / "state")[1] < usual_bytes + ALLOWED_BYTES
