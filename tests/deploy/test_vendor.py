"""What the dashboard brings along from npm is what its lock names, with every licence."""

import json
import re
import shutil
from pathlib import Path

import pytest

from deploy import vendor

RECORD = json.loads((vendor.PROJECT / vendor.RECORD).read_text())
TESTS = vendor.PROJECT / "tests"
FOLDERS = [vendor.PAGE / "vendor", TESTS / "e2e" / "vendor", TESTS / "contracts" / "vendor"]


@pytest.mark.parametrize("entry", RECORD, ids=lambda entry: entry["from"])
def test_a_committed_file_is_the_one_that_was_brought_from_the_package_in_the_lock(entry: dict[str, str]) -> None:
    assert vendor.sha256((vendor.PROJECT / entry["file"]).read_bytes()) == entry["sha256"]
    package = vendor.package_of(entry["from"])
    assert {name: entry[name] for name in ("version", "integrity")} == vendor.origin(package, vendor.locked())


def test_the_lock_is_that_of_the_package_file() -> None:
    wanted = json.loads((vendor.PAGE / "package.json").read_text())
    root = json.loads(vendor.LOCK.read_text())["packages"][""]
    assert (root["dependencies"], root["devDependencies"]) == (wanted["dependencies"], wanted["devDependencies"])
    exact = {**wanted["dependencies"], **wanted["devDependencies"]}
    assert {name: vendor.locked()[name]["version"] for name in exact} == exact


def test_nothing_lies_there_that_was_not_brought() -> None:
    known = {vendor.PROJECT / entry["file"] for entry in RECORD} | {
        vendor.PROJECT / vendor.RECORD,
        vendor.PROJECT / vendor.LICENCES,
    }
    assert {file for folder in FOLDERS for file in folder.iterdir()} == known
    assert [entry["file"] for entry in RECORD] == list(vendor.FILES.values())


def test_the_lock_names_no_registry() -> None:
    assert re.findall(r'"resolved"|registry', vendor.LOCK.read_text()) == []


def test_every_package_that_is_served_has_its_licence() -> None:
    text = (vendor.PROJECT / vendor.LICENCES).read_text()
    assert "MQTT.js contributors" in text
    for name, told in vendor.locked().items():
        if not told.get("dev") and not name.startswith("@types/"):
            assert f"{name} {told['version']} (" in text


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed; only who renews the files needs it")
def test_npm_brings_the_very_same_files(tmp_path: Path) -> None:
    assert vendor.main(tmp_path) == 0
    for entry in RECORD:
        assert vendor.sha256((tmp_path / entry["file"]).read_bytes()) == entry["sha256"]
