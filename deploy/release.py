"""Owns what a release is made of: the folder that is sent to a device and that `install.sh` installs.

RELEASE              its name, VERSION-DIGEST: the same content has the same name
saynote-*.whl        the daemon
install.sh           installs it, there
edge.example.toml    the configuration of a device that has none
systemd/             the units
bundles/NAME-DIGEST/ model bundles, where one was given
wheels/              what the daemon depends on, where a folder of wheels was given: no network needed then
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from pathlib import Path

from deploy.wheel import PROJECT
from edge.core import bundle as bundles

NAME = "RELEASE"
SHORT = 12  # digits of a digest: enough to tell releases apart, short enough to say on the telephone


def lay_out(folder: Path, wheel: Path, *, bundle: Path | None = None, wheels: Path | None = None) -> str:
    """Fill the empty `folder` with a release and return its name. BundleError when the bundle must not be used."""
    if bundle is not None:
        found = bundles.read(bundle).manifest
        shutil.copytree(bundle, folder / "bundles" / f"{found.name}-{found.digest[:SHORT]}")
    if wheels is not None:
        shutil.copytree(wheels, folder / "wheels", ignore=lambda _, names: [n for n in names if not n.endswith(".whl")])
    shutil.copy2(wheel, folder)
    for name in ("install.sh", "edge.example.toml"):
        shutil.copy2(PROJECT / "deploy" / name, folder)
    (folder / "systemd").mkdir()
    for unit in sorted((PROJECT / "systemd").glob("*.service")):
        shutil.copy2(unit, folder / "systemd")
    version = wheel.name.split("-")[1]
    name = f"{version}-{_digest(folder, wheel)[:SHORT]}"
    (folder / NAME).write_text(name + "\n", encoding="utf-8")
    return name


def _digest(folder: Path, wheel: Path) -> str:
    """Over the content of the wheel, not its bytes, and over what installs and runs it; bundles have their own."""
    total = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            total.update(name.encode() + b"\0" + hashlib.sha256(archive.read(name)).digest())
    for path in [folder / "install.sh", folder / "edge.example.toml", *sorted((folder / "systemd").iterdir())]:
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
