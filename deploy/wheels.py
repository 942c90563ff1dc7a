"""Owns the wheels for a device of another kind than this computer: for its Python, its processor, its C library.

uv says what is needed there (pip would take the markers of the Python that it runs on), pip fetches it without
dependencies. What was fetched is kept beside, so that a second device of the same kind costs nothing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.reach import Device, last_line

UV = "uv>=0.5,<1"
# glibc's minor versions for which wheels are built, up to the device's own.
MANYLINUX = (17, 24, 26, 27, 28, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40)
MACHINES = ("aarch64", "x86_64")
PYTHONS = ("3.11", "3.12", "3.13")
REFUSED = re.compile(r"satisfies the requirement (\S+?)==(\S+)")
MOST_UNFIT = 20


class WheelsError(Exception):
    """The wheels cannot be had; `str()` says why."""


@dataclass(frozen=True)
class Kind:
    """What wheels are chosen by; devices of one kind take the same."""

    python: str  # "3.11"
    machine: str  # "aarch64"
    glibc: int  # the minor version: 36 is 2.36
    is_pi: bool

    @property
    def name(self) -> str:
        """A folder's name for it."""
        return f"{self.python}-{self.machine}-2.{self.glibc}{'-pi' if self.is_pi else ''}"

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platforms whose wheels run there, newest first, as pip calls them."""
        fit = [minor for minor in reversed(MANYLINUX) if minor <= self.glibc]
        old = ["manylinux2014"] if 17 in fit else []
        return tuple(f"{name}_{self.machine}" for name in [*(f"manylinux_2_{minor}" for minor in fit), *old, "linux"])


def kind_of(device: Device) -> Kind:
    """The kind of a device; WheelsError where there are no wheels for such."""
    if device.python not in PYTHONS:
        raise WheelsError(
            f"{device.host}: saynote needs Python {PYTHONS[0]} to {PYTHONS[-1]}, and there it is {device.python}"
        )
    glibc = re.fullmatch(r"glibc 2\.(\d+)", device.libc)
    if device.machine not in MACHINES or glibc is None or int(glibc[1]) < MANYLINUX[0]:
        raise WheelsError(
            f"{device.host}: there are no wheels for {device.machine} with {device.libc or 'its C library'}"
        )
    return Kind(device.python, device.machine, int(glibc[1]), device.is_pi)


def fetch(kind: Kind, wheel: Path, cache: Path) -> Path:
    """A folder below `cache` with all the wheels, and no others, that saynote's own `wheel` needs on such a device."""
    folder, fetched = cache / kind.name, cache / f"{kind.name}.new"
    shutil.rmtree(fetched, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="saynote-wheels-") as scratch:
        Path(scratch, "wanted").write_text(
            f"saynote{'[pi]' if kind.is_pi else ''} @ {wheel.resolve().as_uri()}\n", encoding="utf-8"
        )
        unfit: list[str] = []
        while refused := _try(kind, Path(scratch), unfit, folder, fetched):
            unfit.append(refused)
    shutil.rmtree(folder)
    return fetched.rename(folder)


def _try(kind: Kind, scratch: Path, unfit: Sequence[str], known: Path, out: Path) -> str:
    """Resolve and download; empty, or the constraint to try again with.

    uv does not mind that a version is for older Pythons alone; pip, which installs it over there, does.
    """
    (scratch / "unfit").write_text("".join(f"{each}\n" for each in unfit), encoding="utf-8")
    if failure := _run(_resolve(kind, scratch / "wanted", scratch / "unfit", scratch / "resolved")):
        raise WheelsError(f"what {kind.name} needs cannot be found out: {failure}")
    failure = _run(_download(kind, scratch / "resolved", known, out))
    if not failure:
        return ""
    refused = REFUSED.search(failure)
    if refused is None or len(unfit) == MOST_UNFIT:
        raise WheelsError(f"the wheels for {kind.name} cannot be fetched: {last_line(failure)}")
    return f"{refused[1]}!={refused[2]}"


def _resolve(kind: Kind, wanted: Path, unfit: Path, resolved: Path) -> list[str]:
    newest = next(minor for minor in reversed(MANYLINUX) if minor <= kind.glibc and (minor == 17 or minor >= 28))
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    target = ["--python-version", kind.python, "--python-platform", f"{kind.machine}-manylinux_2_{newest}"]
    # Saynote's own wheel is not to be had anywhere: it is sent as it is.
    ours = ["--no-emit-package", "saynote", "--only-binary", ":all:"]
    return [*command, *target, *ours, "--constraint", str(unfit), "--output-file", str(resolved), str(wanted)]


def _download(kind: Kind, resolved: Path, known: Path, out: Path) -> list[str]:
    major = kind.python.replace(".", "")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet"]
    target = ["--implementation", "cp", "--python-version", kind.python]
    target += [word for abi in (f"cp{major}", "abi3", "none") for word in ("--abi", abi)]
    target += [word for platform in (*kind.platforms, "any") for word in ("--platform", platform)]
    where = ["--find-links", str(known), "--dest", str(out)]
    return [*command, "--no-deps", "--only-binary", ":all:", *target, *where, "--requirement", str(resolved)]


def _run(command: Sequence[str]) -> str:
    """What went wrong, or nothing."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0 and "No module named uv" in done.stderr:
        raise WheelsError(f"WHEELS=auto needs uv: {sys.executable} -m pip install {UV!r}")
    return "" if done.returncode == 0 else done.stderr.strip() or done.stdout.strip() or "no reason was given"
