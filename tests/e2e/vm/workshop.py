"""Owns what the virtual devices are made of: tools, Debian's packages, and a cache that follows its recipes.

What is made lies in `build/e2e`, which git ignores. A thing is made under another name and renamed once it is whole, so
a run that was cut off leaves nothing that a later one takes for good.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.e2e.pi.rootfs import CACHE, LEFT_OUT, mirror, way_out
from tests.e2e.pi.step import APART, StepError, run

UNPACK_S = 3600.0
CLEAN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
INSIDE = 'mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" && exec chroot "$@"'


class LackingError(Exception):
    """This machine cannot do it; `str()` is the one sentence that says why and what to do."""


def need(tools: dict[str, str]) -> None:
    """Raise LackingError unless we are root and all tools are there: name or file of each, and its package."""
    if os.geteuid() != 0:
        raise LackingError("virtual devices are made by root alone: run this as root")
    packages = sorted({package for tool, package in tools.items() if not (shutil.which(tool) or Path(tool).is_file())})
    if packages:
        raise LackingError(f"virtual devices need more programs: apt-get install --yes {' '.join(packages)}")


def kept(name: str, recipe: Iterable[object], make: Callable[[Path], None]) -> Path:
    """The file or folder `name` as `recipe` describes it: what lies in the cache, else what `make` writes to a path."""
    digest = hashlib.sha256(repr(list(recipe)).encode()).hexdigest()[:12]
    stem, dot, ending = name.partition(".")
    made = CACHE / f"{stem}-{digest}{dot}{ending}"
    if made.exists():
        return made
    CACHE.mkdir(parents=True, exist_ok=True)
    for old in CACHE.glob(f"{stem}-*"):
        remove(old)
    unfinished = CACHE / f"{stem}-unfinished{dot}{ending}"
    remove(unfinished)
    make(unfinished)
    return unfinished.rename(made)


@contextlib.contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """`folder`, new and empty, for as long as it is wanted; what a run that was killed left there goes first."""
    remove(folder)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        remove(folder)


def remove(path: Path) -> None:
    """Delete a file or a folder with all that is in it; what is not there is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def debian(root: Path, suite: str, architecture: str, packages: Iterable[str], *more: str) -> None:
    """Write the file system of a small Debian to the folder or tar file `root`; `more` goes to mmdebstrap as it is."""
    where = mirror()
    command = ["mmdebstrap", f"--architectures={architecture}", f"--include={','.join(packages)}"]
    command += ["--aptopt=APT::Install-Recommends false", *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT)]
    lines = [f"deb {where} {suite} main"]
    try:
        run([*APART, *command, *way_out(), *more, suite, root, *lines], UNPACK_S)
    except StepError as error:
        remove(root)
        raise StepError(f"{suite} for {architecture} cannot be made from {where}: {error}") from None


def inside(
    root: Path, *command: str | Path, deadline_s: float = 300.0, check: bool = True, network: bool = False
) -> str:
    """What a program says that runs in the file system `root`, as root, with mounts and processes of its own."""
    apart = APART if network else (*APART, "--net")
    return run([*apart, "sh", "-c", INSIDE, "sh", root, *command], deadline_s, check=check, environment=CLEAN).stdout
