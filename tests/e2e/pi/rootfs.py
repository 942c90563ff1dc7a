"""Owns the file system of a device that has never seen saynote: Debian 12 or 13, an ssh server, a user with sudo.

Made once by mmdebstrap from the mirror that this computer's own apt uses, kept in `build/e2e`, made anew when the
recipe changes. A device has no network but the cable to us: what `install.sh` wants of apt is fetched now and lies in
its cache, not installed. The kernel is this computer's own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from deploy.deb import SUITES
from tests.e2e.pi.step import APART, StepError, run

PROJECT = Path(__file__).resolve().parents[3]
CACHE = PROJECT / "build" / "e2e"
# Which Debian the devices have; the call says so to the tests that it starts.
ASKED = "SAYNOTE_E2E_SUITE"
SUITE = os.environ.get(ASKED, next(iter(SUITES)))
NUMBER, PYTHON, _ = SUITES[SUITE]
INSTALLED = (
    *(
        "systemd-sysv",
        "dbus",
        "udev",
        "kmod",
        "openssh-server",
        "rsync",
        "sudo",
        "python3",
        "procps",
        "ca-certificates",
    ),
)
# What install.sh installs, and what an owner of an apt repository has on repository and devices.
FETCHED = ("python3-venv", "espeak-ng", "libportaudio2", "unattended-upgrades", "reprepro", "gnupg")
# What picamera2 imports of Debian's; libcamera has "virtual" cameras there since 13.
CAMERA = ("python3-libcamera", "python3-numpy", "python3-pil", "python3-piexif", "python3-prctl")
if SUITE == "trixie":
    FETCHED += CAMERA
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")
NEVER_BY_THEMSELVES = ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "fstrim.timer")
SETTLE = f"""
set -eu
chroot "$1" useradd --create-home --shell /bin/bash --groups video,audio pi
echo 'pi ALL=(ALL) NOPASSWD: ALL' >"$1/etc/sudoers.d/pi"
chroot "$1" systemctl --quiet mask {" ".join(NEVER_BY_THEMSELVES)}
mkdir -p "$1/var/log/journal"
chroot "$1" apt-get install --yes --download-only --no-install-recommends {" ".join(FETCHED)}
"""
BUILD_S = 3600.0
COPY_S = 1200.0


def mirror() -> str:
    """Where this computer's apt finds Debian itself."""
    lines = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"], 300).stdout
    found = [line.split() for line in lines.splitlines()]
    suites = (SUITE, *SUITES, "stable", "testing", "sid")  # one mirror has them all
    for suite in suites:
        for uri, release in found:
            if release == suite:
                return uri
    raise StepError(f"apt's sources name no Debian of {', '.join(suites)}")


def prepared() -> Path:
    """The folder with the file system, made if it is not there. StepError where that cannot be."""
    recipe = hashlib.sha256(repr((INSTALLED, FETCHED, LEFT_OUT, SETTLE, SUITE)).encode()).hexdigest()[:12]
    root = CACHE / f"root-{SUITE}-{recipe}"
    if root.is_dir():
        return root
    CACHE.mkdir(parents=True, exist_ok=True)
    for old in (*CACHE.glob(f"root-{SUITE}-*"), *CACHE.glob(f"unfinished-{SUITE}")):
        shutil.rmtree(old)
    unfinished = CACHE / f"unfinished-{SUITE}"
    hook = CACHE / f"settle-{SUITE}.sh"
    hook.write_text(SETTLE, encoding="utf-8")
    options = [f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT]
    command = ["mmdebstrap", "--mode=root", "--variant=minbase", "--skip=cleanup/apt", *options, *way_out()]
    command += [
        f"--include={','.join(INSTALLED)}",
        f'--customize-hook=sh {hook} "$1"',
        SUITE,
        str(unfinished),
        mirror(),
    ]
    run([*APART, *command], BUILD_S)
    return unfinished.rename(root)


def way_out() -> list[str]:
    """Options of mmdebstrap: how this computer's apt gets to its mirror, in a company behind a proxy say."""
    dumped = run(["apt-config", "dump", "--format", '%f "%v";%n', "Acquire::http", "Acquire::https"], 300).stdout
    return [f"--aptopt={line}" for line in dumped.splitlines() if "::" in line and not line.endswith('"";')]


def lay_over(root: Path, to: Path) -> None:
    """A file system of its own for one device: an overlay, or a copy where the kernel has none for this disk."""
    layers = {name: to.with_name(f"{to.name}.{name}") for name in ("upper", "work")}
    for folder in (to, *layers.values()):
        folder.mkdir()
    options = f"lowerdir={root},upperdir={layers['upper']},workdir={layers['work']}"
    if run(["mount", "-t", "overlay", "saynote-e2e", "-o", options, str(to)], 30, check=False).returncode != 0:
        to.rmdir()
        copy(root, to)


def copy(root: Path, to: Path) -> None:
    """All of it, once more."""
    run(["cp", "--archive", "--reflink=auto", str(root), str(to)], COPY_S)


def take_away(to: Path) -> None:
    """The overlay, if it is one."""
    if to.is_mount():
        run(["umount", str(to)], 60)
