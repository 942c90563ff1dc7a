"""Owns what a virtual device is made of: its kernel, a program of this computer, and its disk; it runs neither.

The kernel is Debian 12's Linux, built as a program (user-mode Linux) with settings of our own, in a folder of Debian
that is unpacked and never installed. The disk holds the Debian 12 of `make e2e` with saynote put there by its own
installer, as an image maker would; what is simulated is switched on by `guest/devices.sh`.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy import release, wheel, wheels
from tests.e2e.pi.rootfs import CACHE, PROJECT, copy, mirror, prepared
from tests.e2e.pi.step import StepError, run
from tests.e2e.vm.workshop import debian, inside, kept, need, scratch

SUITE = "bookworm"
TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "ssh": "openssh-client",
    "scp": "openssh-client",
    "unshare": "util-linux",
    "ip": "iproute2",
    "pgrep": "procps",
}
GUEST = Path(__file__).parent / "guest"
BUILDER = (
    *("dash", "bash", "coreutils", "sed", "mawk", "findutils", "grep", "diffutils", "tar", "bzip2", "xz-utils", "bc"),
    *("perl-base", "gcc", "make", "flex", "bison", "libc6-dev", "kmod", "linux-source-6.1", "v4l2loopback-source"),
)
KERNEL = ("kernel.sh", "kernel.config")
# What install.sh would install, and what stands in for hardware.
MORE = ("python3-venv", "espeak-ng", "libportaudio2", "alsa-utils", "iproute2")
# Nobody sits before its console, and what a timer starts would be in the way.
NEVER = (
    *("dpkg-db-backup.timer", "e2scrub_reap.service", "getty.target", "systemd-logind.service"),
    *("systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount"),
)
DISK = "6G"
STATE = "/var/lib/saynote"
BUILD_S, DISK_S = 3600.0, 600.0


@dataclass(frozen=True)
class Image:
    """Files to boot from; `disk` is never written to."""

    kernel: Path  # a program
    disk: Path
    key: Path  # for ssh, as root


def image() -> Image:
    """From the cache where it was made before; the disk is made anew when saynote has changed."""
    need(TOOLS)
    kernel = kept("kernel", [SUITE, BUILDER, *((GUEST / name).read_text() for name in KERNEL)], _kernel)
    key = kept("key", ["ed25519"], _key)
    clean = prepared()
    base = kept("base", [clean.name, MORE, NEVER, key.name], lambda root: _base(root, clean, key))
    files = [path.read_text() for path in sorted(GUEST.glob("device*"))]
    disk = kept("disk.img", [base.name, kernel.name, _sources(), *files], lambda path: _disk(path, base, kernel))
    return Image(kernel / "linux", disk, key)


def update(folder: Path, name: str) -> Path:
    """A release, laid out in `folder` with its wheels, that differs from the one on the disk by `name` alone."""
    return _release(folder, name)


def _kernel(folder: Path) -> None:
    """The program, and beside it the module that is the camera."""
    with scratch(CACHE / "builder-scratch") as scratched:
        root = scratched / "root"
        debian(root, SUITE, "amd64", BUILDER, "--variant=extract", "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr")
        for name, program in (("sh", "dash"), ("awk", "mawk")):  # what would have been set up, had it been installed
            (root / "usr/bin" / name).unlink(missing_ok=True)
            (root / "usr/bin" / name).symlink_to(program)
        for name in KERNEL:
            shutil.copy2(GUEST / name, root)
        inside(root, "/usr/bin/dash", "/kernel.sh", deadline_s=BUILD_S)
        shutil.copytree(root / "out", folder)


def _key(path: Path) -> None:
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "saynote-e2e", "-f", path], 60)
    path.with_name(path.name + ".pub").unlink()


def _base(root: Path, clean: Path, key: Path) -> None:
    copy(clean, root)
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--no-install-recommends", *MORE]
    inside(root, *apt, deadline_s=BUILD_S, network=True)
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    (root / "root/.ssh/authorized_keys").write_text(run(["ssh-keygen", "-y", "-f", key], 60).stdout)
    (root / "etc/hostname").write_text("saynote\n")
    (root / "etc/fstab").write_text("/dev/ubda / ext4 rw,noatime 0 1\n")
    inside(root, "systemd-machine-id-setup")
    inside(root, "systemctl", "mask", *NEVER)


def _disk(path: Path, base: Path, kernel: Path) -> None:
    with scratch(CACHE / "disk-scratch") as scratched:
        root = scratched / "root"
        run(["cp", "--archive", base, root], DISK_S)
        _add_devices(root, kernel)
        _install(root)
        _render(root)
        inside(root, "systemctl", "enable", "saynote", "devices")
        run(["mke2fs", "-q", "-t", "ext4", "-d", root, path, DISK], DISK_S)


def _add_devices(root: Path, kernel: Path) -> None:
    """What stands in for hardware, and the settings of a device that has such hardware."""
    for file in (*GUEST.glob("device_*"), GUEST / "devices.sh"):
        shutil.copy2(file, root / "usr/local/bin")
    shutil.copy2(kernel / "v4l2loopback.ko", root / "usr/local/lib")
    shutil.copy2(GUEST / "devices.service", root / "etc/systemd/system")
    dropins = root / "etc/systemd/system/saynote.service.d"
    dropins.mkdir()
    shutil.copy2(GUEST / "device.conf", dropins / "virtual.conf")
    # As on Raspberry Pi OS.
    inside(root, "groupadd", "--system", "gpio")
    shutil.copy2(GUEST / "device.rules", root / "etc/udev/rules.d/60-gpio.rules")
    (root / "etc/saynote").mkdir()
    shutil.copy2(GUEST / "device.toml", root / "etc/saynote/edge.toml")


def _install(root: Path) -> None:
    folder = root / "root/release"
    folder.mkdir()
    _release(folder, "")
    install = ["bash", "/root/release/install.sh", "--target", "debian", "--no-apt", "--no-systemd"]
    inside(root, *install, deadline_s=BUILD_S)
    # As apt brings them on a Pi, for every release; on another Debian saynote's installer leaves pins out.
    python = "/opt/saynote/current/venv/bin/python"
    pins = [python, "-m", "pip", "install", "--quiet", "--no-index", "gpiozero", "lgpio"]
    pins += ["--find-links", "/root/release/wheels", "--target", "/usr/lib/python3/dist-packages"]
    inside(root, *pins, deadline_s=BUILD_S)
    shutil.rmtree(folder)


def _render(root: Path) -> None:
    """Its words, once: on the device each costs a start of espeak-ng, a slow thing there."""
    inside(root, "install", "-d", "-o", "saynote", "-g", "saynote", "-m", "750", STATE)
    saynote = "exec /opt/saynote/current/venv/bin/saynote"
    daemon = f"cd /tmp && STATE_DIRECTORY={STATE} {saynote} run --config /etc/saynote/edge.toml"
    said = inside(root, "timeout", "120", "runuser", "-u", "saynote", "--", "sh", "-c", daemon, check=False)
    state = root / STATE.lstrip("/")
    if not any(state.glob("phrases/*.npz")):
        raise StepError(f"saynote rendered nothing where its image is made:\n{said}")
    for left in state.glob("outbox*"):
        left.unlink()


def _release(folder: Path, name: str) -> Path:
    with tempfile.TemporaryDirectory(prefix="saynote-release-") as made:
        built = wheel.build(Path(made))
        kind = wheels.Kind("3.11", "x86_64", 36, is_pi=True)
        release.lay_out(folder, built, wheels=wheels.fetch(kind, built, CACHE / "wheels"))
    if name:
        with (folder / "edge.example.toml").open("a") as file:
            file.write(f"# {name}\n")
        (folder / release.NAME).write_text(f"0.0.0-{hashlib.sha256(name.encode()).hexdigest()[:12]}\n")
        release.seal(folder)
    return folder


def _sources() -> str:
    """Of everything that is installed."""
    total = hashlib.sha256(mirror().encode())
    tracked = run(["git", "-C", PROJECT, "ls-files", "edge", "deploy", "systemd", "pyproject.toml"], 60).stdout.split()
    for name in tracked:
        total.update((PROJECT / name).read_bytes() if (PROJECT / name).is_file() else b"")
    return total.hexdigest()
