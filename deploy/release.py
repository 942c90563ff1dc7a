"""Owns what a release is made of: the folder that is sent to a device and that `install.sh` installs.

RELEASE              its name, VERSION-DIGEST: the same content has the same name
saynote-*.whl        the daemon
install.sh           installs it, there
edge.example.toml    the configuration of a device that has none
systemd/             the units
bundles/NAME-DIGEST/ model bundles, where one was given
wheels/              what the daemon depends on, where a folder of wheels was given: no network needed then
BUILT                when, in seconds since 1970: a device cannot be living before that
SHA256SUMS           of all these: what did not arrive whole is not installed

Only regular files travel: a link could lead anywhere on this computer.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import time
import zipfile
from pathlib import Path

from deploy.wheel import PROJECT
from edge.core import bundle as bundles

NAME = "RELEASE"
BUILT = "BUILT"
SUMS = "SHA256SUMS"
SHORT = 12  # digits of a digest: enough to tell releases apart, short enough to say on the telephone


class ReleaseError(Exception):
    """What was given cannot be sent; `str()` is one sentence."""


def lay_out(folder: Path, wheel: Path, *, bundle: Path | None = None, wheels: Path | None = None) -> str:
    """Fill the empty `folder` with a release and return its name.

    BundleError when the bundle must not be used, ReleaseError when a file cannot be sent.
    """
    if bundle is not None:
        add_bundle(folder / "bundles", bundle)
    if wheels is not None:
        add_wheels(folder / "wheels", wheels)
    shutil.copy2(wheel, folder)
    for name in ("install.sh", "edge.example.toml"):
        shutil.copy2(PROJECT / "deploy" / name, folder)
    (folder / "systemd").mkdir()
    for unit in sorted((PROJECT / "systemd").glob("*.service")):
        shutil.copy2(unit, folder / "systemd")
    version = wheel.name.split("-")[1]
    name = f"{version}-{_digest(folder, wheel)[:SHORT]}"
    (folder / NAME).write_text(name + "\n", encoding="utf-8")
    (folder / BUILT).write_text(f"{int(time.time())}\n", encoding="utf-8")
    seal(folder)
    return name


def lay_out_script(folder: Path) -> None:
    """Fill the empty `folder` with what is needed to go back, or to take saynote off a device."""
    shutil.copy2(PROJECT / "deploy" / "install.sh", folder)


def add_bundle(folder: Path, bundle: Path) -> None:
    """Write what travels of `bundle` into a folder below `folder` that is named after it."""
    scratch = folder / "incoming"
    scratch.mkdir(parents=True)
    for name, data in bundles.contents(bundle).items():
        (scratch / name).write_bytes(data)
    found = bundles.read(scratch).manifest
    scratch.rename(folder / f"{found.name}-{found.digest[:SHORT]}")


def add_wheels(folder: Path, wheels: Path) -> None:
    """Copy the wheels that lie in `wheels`."""
    found = sorted(wheels.glob("*.whl"))
    if not found:
        raise ReleaseError(f"there are no wheels in {wheels}")
    folder.mkdir()
    for path in found:
        _copy_regular(path, folder)


def _copy_regular(source: Path, folder: Path) -> None:
    try:
        kind = source.lstat().st_mode
        if not stat.S_ISREG(kind):
            raise ReleaseError(f"{source} is {'a link' if stat.S_ISLNK(kind) else 'no file'}, and only files are sent")
        shutil.copy2(source, folder, follow_symlinks=False)
    except OSError as error:
        raise ReleaseError(f"{source} cannot be read: {error.strerror}") from error


def seal(folder: Path) -> None:
    """Write down the sum of every file, in the form of sha256sum."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _digest(folder: Path, wheel: Path) -> str:
    """Over the content of the wheel, not its bytes, and over what installs and runs it; bundles have their own."""
    total = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            total.update(name.encode() + b"\0" + hashlib.sha256(archive.read(name)).digest())
    for path in [folder / "install.sh", folder / "edge.example.toml", *sorted((folder / "systemd").iterdir())]:
        total.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
