"""A sealed bundle comes in whole and right, or nothing of it is left."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge import installer
from edge.core import bundle as bundles
from edge.core import seal
from edge.core.bundle import MODEL
from edge.core.errors import BundleError, EdgeError
from edge.core.shelf import Shelf
from edge.core.sums import hexadecimal
from tests import sealed
from tests.bundles import arrays, edit, inner_tensor_of, remodelled
from tests.sealed import CONFIGURED, archive, both, claim_of, contrary, make, member, seal_of, signed, trusting


def install(source: Path | str, tmp_path: Path) -> str:
    keys = trusting(tmp_path / "keys")
    return installer.install(str(source), Shelf(tmp_path / "state"), keys, CONFIGURED)


def left(tmp_path: Path) -> list[str]:
    """What lies in the store, but for its locks."""
    folder = tmp_path / "state" / "bundles"
    return sorted(path.name for path in folder.glob("*") if path.name not in (".installing", ".changing"))


def altered(source: Path, change: Callable[[bytes], bytes]) -> Path:
    path = source.with_name("altered.saynote")
    path.write_bytes(change(source.read_bytes()))
    return path


def swapped(tmp_path: Path) -> Path:
    """The signature of one bundle before the archive of another."""
    one, other = make(tmp_path, "0.2.0").read_bytes(), make(tmp_path, "0.3.0").read_bytes()
    lines = 4
    path = tmp_path / "swapped.saynote"
    path.write_bytes(b"\n".join(one.split(b"\n", lines)[:lines]) + b"\n" + other.split(b"\n", lines)[lines])
    return path


def of_another_currency(tmp_path: Path) -> Path:
    def inr(manifest: dict[str, object]) -> None:
        found = sealed.manifest_of(tmp_path / "inr")
        manifest["currency"] = "INR"
        labels = tuple((tmp_path / "inr" / "labels.txt").read_text().splitlines())
        manifest["digest"] = bundles.digest(
            hexadecimal((tmp_path / "inr" / MODEL).read_bytes()), labels, "INR", found.input, found.decision
        )

    edit(sealed.bundle(tmp_path / "inr", "0.2.0"), inr)
    return seal_of(tmp_path / "inr", tmp_path)


def one_within_another(tmp_path: Path) -> Path:
    """Signed as version 0.9.0, and 0.2.0 lies in it."""
    inside = seal.pack(bundles.contents(sealed.bundle(tmp_path / "b", "0.2.0")))
    return signed(tmp_path / "x.saynote", inside, claim_of("0.9.0"))


WRONG: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a key that is not trusted": (lambda t: make(t, which="stranger"), "is not trusted here"),
    "the same version as the configured one": (lambda t: make(t, "0.1.0"), "only a newer one is taken"),
    "an older version": (lambda t: make(t, "0.0.9"), "only a newer one is taken"),
    "another currency": (of_another_currency, "this device reads XTS"),
    "cut off": (lambda t: altered(make(t), lambda data: data[:-1000]), "changed or cut off"),
    "cut off within its signature": (lambda t: altered(make(t), lambda data: data[:100]), "no sealed bundle"),
    "a byte changed": (lambda t: altered(make(t), lambda d: d[:9000] + bytes([d[9000] ^ 1]) + d[9001:]), "changed"),
    "a byte more": (lambda t: altered(make(t), lambda data: data + b"\0"), "changed or cut off"),
    "another archive under the same signature": (swapped, "changed or cut off"),
    "another bundle than it is signed as": (one_within_another, "another bundle than its signature says"),
    "an empty file": (lambda t: altered(make(t), lambda _: b""), "no sealed bundle"),
    "a folder": (lambda t: t, "it is a folder"),
    "a device": (lambda _: Path("/dev/zero"), "it is a device"),
    "nothing": (lambda t: t / "nothing", "there is no file"),
    "signed, and of no bundle": (lambda t: signed(t / "x", b"data", "file:x"), "as something else than a bundle"),
    "signed, and no archive": (lambda t: signed(t / "x", bytes(2000), claim_of()), "its archive holds no model"),
    "signed, with a name that leads out": (
        lambda t: signed(t / "x", archive(member("../../out")), claim_of()), "no file of a bundle"),
    "signed, with a link": (
        lambda t: signed(t / "x", archive(member(MODEL, b"", b"2", linkname="/etc/shadow")), claim_of()),
        "something else than a file"),
    "signed, with a device": (
        lambda t: signed(t / "x", archive(member(MODEL, b"", b"3", devmajor=1)), claim_of()),
        "something else than a file"),
    "signed, with too large a file": (
        lambda t: signed(t / "x", archive(member("labels.txt", bytes(1 << 20))), claim_of()), "are allowed"),
    "signed, with a file missing": (
        lambda t: signed(t / "x", archive(both(member("labels.txt"), member("card.md"))), claim_of()),
        "its archive holds no model.tflite and no selftest.npz and no manifest.json"),
}  # fmt: skip


@pytest.mark.parametrize(("make_wrong", "why"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_refused_in_one_sentence_and_nothing_is_left(
    tmp_path: Path, make_wrong: Callable[[Path], Path], why: str
) -> None:
    with pytest.raises(EdgeError, match=why) as found:
        install(make_wrong(tmp_path), tmp_path)
    assert "\n" not in str(found.value)
    assert left(tmp_path) == []
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_larger_than_any_bundle_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", 1 << 40)
    with pytest.raises(BundleError, match="it is larger than"):
        install(tmp_path / "large", tmp_path)


def test_a_state_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    with pytest.raises(BundleError, match="the bundle cannot be kept"):
        install(make(tmp_path), tmp_path)


@pytest.mark.integration
def test_a_sealed_bundle_comes_in_and_waits_in_the_shadow(tmp_path: Path) -> None:
    entry, shelf = install(make(tmp_path), tmp_path), Shelf(tmp_path / "state")
    assert bundles.read(shelf.path(entry)).manifest.version == "0.2.0"
    assert shelf.line("XTS").candidate == entry
    assert install(tmp_path / f"{entry}-owner.saynote", tmp_path) == entry, "once more changes nothing"
    assert left(tmp_path) == [entry, "shelf.json"]


@pytest.mark.integration
def test_one_that_was_spoilt_on_the_disk_is_mended_by_installing_it_again(tmp_path: Path) -> None:
    source = make(tmp_path)
    entry, shelf = install(source, tmp_path), Shelf(tmp_path / "state")
    (shelf.path(entry) / MODEL).write_bytes(b"")
    assert install(source, tmp_path) == entry
    assert bundles.read(shelf.path(entry))


@pytest.mark.integration
@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (arrays(logits=np.zeros((6, 8), np.float32)), "self-test failed"),
        (remodelled(inner_tensor_of(30_000)), "holds a tensor of"),
    ],
    ids=["it computes something else", "it takes too much memory"],
)
def test_a_model_that_does_not_pass_here_is_refused_in_a_process_of_its_own(
    tmp_path: Path, harm: Callable[[Path], object], why: str
) -> None:
    folder = contrary(tmp_path / "b", "0.2.0")
    harm(folder)
    with pytest.raises(BundleError, match=why):
        install(seal_of(folder, tmp_path), tmp_path)
    assert left(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """As the state folder: a disk of 1 MB."""
    folder = tmp_path / "state"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk takes root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.integration
def test_a_full_disk_is_said_and_nothing_is_left_on_it(tmp_path: Path, small_disk: Path) -> None:
    with pytest.raises(BundleError, match=r"the disk of .* is full"):
        install(make(tmp_path), tmp_path)
    assert left(tmp_path) == []


@pytest.mark.integration
def test_a_disk_that_is_read_only_is_said(tmp_path: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(BundleError, match="mounted read-only"):
        install(make(tmp_path), tmp_path)
