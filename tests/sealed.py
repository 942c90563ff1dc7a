"""Sealed bundles for tests: keys made for them, the play money's bundle in any version, archives that are wrong."""

from __future__ import annotations

import functools
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import minisign

from deploy.sign import sealed
from edge import app
from edge.core import bundle as bundles
from edge.core import seal
from edge.core.bundle import LABELS, MANIFEST
from edge.core.manifest import Manifest
from tests.bundles import edit, replace

CONFIGURED = {"XTS": bundles.about(app.BUNDLES / "xts")}
Archive = Callable[[tarfile.TarFile], object]


@functools.cache
def _pair(_which: str) -> minisign.KeyPair:
    return minisign.KeyPair.generate()


def pair(which: str = "owner") -> minisign.KeyPair:
    """The same one for each name."""
    return _pair(which)


def trusting(folder: Path, which: str = "owner") -> Path:
    """A folder of keys that holds this one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{which}.pub").write_bytes(bytes(pair(which).public_key))
    return folder


def bundle(folder: Path, version: str, change: Callable[[dict[str, Any]], object] = lambda _manifest: None) -> Path:
    """The play money's bundle in another version."""
    shutil.copytree(app.BUNDLES / "xts", folder)

    def another(manifest: dict[str, Any]) -> None:
        manifest["version"] = version
        change(manifest)

    edit(folder, another)
    return folder


def contrary(folder: Path, version: str) -> Path:
    """One whose labels are in another order: it says another amount to every note, as surely; its self-test passes."""
    bundle(folder, version)
    labels = (folder / LABELS).read_text().split()
    turned = [*labels[1:6], labels[0], *labels[6:]]
    replace(folder, LABELS, "\n".join([*turned, ""]).encode())
    return folder


def seal_of(folder: Path, out: Path, which: str = "owner") -> Path:
    """The sealed file of a bundle."""
    data, claim = sealed(folder, pair(which).secret_key)
    path = out / f"{claim.entry}-{which}.saynote"
    path.write_bytes(data)
    return path


def make(out: Path, version: str = "0.2.0", which: str = "owner") -> Path:
    """A sealed bundle of the play money."""
    return seal_of(bundle(out / f"made-{version}-{which}", version), out, which)


def signed(out: Path, archive: bytes, comment: str, which: str = "owner") -> Path:
    """Any bytes, signed as they are."""
    signature = bytes(pair(which).secret_key.sign(archive, trusted_comment=comment)).rstrip(b"\n") + b"\n"
    out.write_bytes(signature + archive)
    return out


def claim_of(version: str = "0.2.0") -> str:
    manifest = CONFIGURED["XTS"]
    return seal.comment(seal.Claim(manifest.name, version, manifest.currency, manifest.digest))


def archive(fill: Archive) -> bytes:
    """A tar that `fill` has filled."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as opened:
        fill(opened)
    return packed.getvalue()


def member(name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE, **more: Any) -> Archive:
    """One member of an archive."""

    def add(opened: tarfile.TarFile) -> None:
        found = tarfile.TarInfo(name)
        found.type, found.size = kind, len(data)
        for key, value in more.items():
            setattr(found, key, value)
        opened.addfile(found, io.BytesIO(data))

    return add


def promising(size: int) -> bytes:
    """An archive whose model says that it is as large, and is not there."""
    found = tarfile.TarInfo("model.tflite")
    found.size = size
    return found.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


def both(*fills: Archive) -> Archive:
    return lambda opened: [fill(opened) for fill in fills] and None


def manifest_of(folder: Path) -> Manifest:
    return bundles.about(folder)


def raw_manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    return found
