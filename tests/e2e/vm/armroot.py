"""Owns a 64-bit Arm Debian in a folder whose programs run here through qemu-user; knows nothing of saynote.

It is unpacked, not installed: nothing of it has to run for that. Programs that others start (Python, espeak-ng) are
found through a launcher in their place, since the kernel is not told of foreign programs. Each call has mounts and
processes of its own, which end with it.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.pi.step import run
from tests.e2e.vm.workshop import LackingError, debian, kept, need

TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "qemu-aarch64": "qemu-user",
    "gcc": "gcc",
    "/usr/include/stdio.h": "libc6-dev",
    "unshare": "util-linux",
    "ldd": "libc-bin",
}
# As deploy/install.sh has them on a device, but for python3-venv's own start of pip: it comes with python3-pip.
PACKAGES = ("python3", "python3-venv", "python3-pip", "espeak-ng", "libportaudio2", "ca-certificates")
# What the package base-files, or its set-up, would have made.
MERGED = 'for name in bin sbin lib; do mkdir -p "$1/usr/$name"; ln -s "usr/$name" "$1/$name"; done'
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"  # the same here and in there
GUEST = Path(__file__).parent / "guest"
QEMU = Path("/usr/bin/qemu-aarch64")
COMPILE = ("gcc", "-O2", "-Wall", "-Wextra", "-Werror")
VERSION = 3  # of what is done to it here
INSIDE = """
set -eu
mount -t proc proc "$1/proc"
mount -t tmpfs tmp "$1/tmp"
mount --rbind "$2" "$1/mnt"
shift 2
exec chroot "$@"
"""


@dataclass(frozen=True)
class ArmRoot:
    """One such file system; `python` is its version of Python ("3.11")."""

    folder: Path
    python: str

    def run(
        self, command: list[str], deadline_s: float, *, shares: Path, environment: Mapping[str, str] | None = None
    ) -> str:
        """What a command in it says; it sees the folder `shares` as /mnt. StepError where it fails."""
        apart = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--ipc", "--net"]
        inside = ["sh", "-c", INSIDE, "sh", self.folder, shares, self.folder, *command]
        known = {"PATH": PATH, "HOME": "/root", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}
        return run([*apart, *inside], deadline_s, environment={**known, **(environment or {})}).stdout

    def counted(self, command: list[str], deadline_s: float, *, shares: Path) -> tuple[int, str]:
        """How many instructions a command executes, of all its threads, not of programs it starts; and what it says."""
        out = shares / "instructions"
        plugin = {"QEMU_PLUGIN": "/arm64/count.so,out=/mnt/instructions"}
        said = self.run(command, deadline_s, shares=shares, environment=plugin)
        count = int(out.read_text())
        out.unlink()
        return count, said


def arm_root(suite: str) -> ArmRoot:
    """A root of that Debian, from the cache where it was made before. LackingError where this machine cannot."""
    need(TOOLS)
    ours = [path.read_text() for path in (GUEST / "launch.c", GUEST / "count.c")]
    made = kept(f"arm64-{suite}", [VERSION, PACKAGES, *ours], lambda folder: _make(folder, suite))
    return ArmRoot(made, next((made / "usr/lib").glob("python3.*")).name.removeprefix("python"))


def _make(folder: Path, suite: str) -> None:
    debian(folder, suite, "arm64", PACKAGES, "--variant=extract", f"--setup-hook={MERGED}")
    for name in ("proc", "tmp", "mnt", "root", "arm64/usr/bin"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    # As its package's set-up would have made it: Debian 13's pip does not begin without.
    certificates = sorted((folder / "usr/share/ca-certificates").rglob("*.crt"))
    (folder / "etc/ssl/certs/ca-certificates.crt").write_text("".join(file.read_text() for file in certificates))
    libraries = re.findall(r"(/\S+) \(0x", run(["ldd", QEMU], 60, check=False).stdout)
    if not libraries:
        raise LackingError(
            f"{QEMU} takes no plugins, so that instructions cannot be counted: it wants Debian 12's qemu-user"
        )
    for name in (*libraries, QEMU):
        copy = folder / str(name).lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(name, copy)
    run([*COMPILE, "-shared", "-fPIC", "-o", folder / "arm64/count.so", GUEST / "count.c"], 60)
    for program in [*(folder / "usr/bin").glob("python3.*[0-9]"), folder / "usr/bin/espeak-ng"]:
        program.rename(folder / "arm64/usr/bin" / program.name)
        run([*COMPILE, "-static", "-o", program, GUEST / "launch.c"], 60)
