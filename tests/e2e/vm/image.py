"""Owns what a virtual device boots from: kernel, modules, first file system and disk; it runs none of them.

The kernel is Debian 12's own. gpio-sim, irq_sim and v4l2loopback are built beside it from Debian's sources, in a folder
of Debian that is unpacked and never installed. The disk holds an installed Debian 12 with saynote put there by its own
installer, as an image maker would; what is simulated is switched on by `guest/devices.sh`.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from deploy import release, wheel, wheels
from tests.e2e.pi.rootfs import CACHE, PROJECT, mirror
from tests.e2e.pi.step import StepError, run
from tests.e2e.vm.workshop import debian, kept, need, scratch

SUITE = "bookworm"
TOOLS = {
    **{"mmdebstrap": "mmdebstrap", "qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils"},
    **{
        "mke2fs": "e2fsprogs",
        "cpio": "cpio",
        "ssh": "openssh-client",
        "scp": "openssh-client",
        "unshare": "util-linux",
    },
}
GUEST = Path(__file__).parent / "guest"
BUILDER = (
    *(
        "dash",
        "bash",
        "coreutils",
        "sed",
        "mawk",
        "findutils",
        "grep",
        "tar",
        "bzip2",
        "xz-utils",
        "kmod",
        "busybox-static",
    ),
    *(
        "gcc",
        "make",
        "libc6-dev",
        "linux-image-amd64",
        "linux-headers-amd64",
        "linux-source-6.1",
        "v4l2loopback-source",
    ),
)
SYSTEM = (
    *(
        "systemd-sysv",
        "udev",
        "dbus",
        "kmod",
        "openssh-server",
        "rsync",
        "sudo",
        "procps",
        "iproute2",
        "ca-certificates",
    ),
    *("python3", "python3-venv", "espeak-ng", "libportaudio2", "alsa-utils"),
)
NEVER_BY_THEMSELVES = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
)
BOOT_MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")
CLEAN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
DISK = "6G"
STATE = "/var/lib/saynote"
BUILD_S, DISK_S = 900.0, 600.0
INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev /new
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for module in $($b cat /modules); do $b insmod /m/$module; done
n=0
while [ ! -b /dev/vda ] && [ $n -lt 300 ]; do $b sleep 0.1; n=$((n + 1)); done
$b mount -t ext4 -o rw,noatime /dev/vda /new
$b mount --move /dev /new/dev
$b mount --move /sys /new/sys
$b mount --move /proc /new/proc
exec $b switch_root /new /sbin/init
"""


@dataclass(frozen=True)
class Image:
    """Files to boot from; `disk` is never written to."""

    kernel: Path
    first: Path  # the initramfs
    disk: Path
    key: Path  # for ssh, as root


def image() -> Image:
    """From the cache where it was made before; the disk is made anew when saynote has changed."""
    need(TOOLS)
    builder = kept("builder", [SUITE, BUILDER, (GUEST / "modules.sh").read_text()], _builder)
    version = next((builder / "lib/modules").iterdir()).name
    first = kept("first.img", [builder.name, INIT, BOOT_MODULES], lambda path: _first(path, builder, version))
    key = kept("key", ["ed25519"], lambda path: _key(path))
    base = kept("base", [SUITE, SYSTEM, builder.name, key.name], lambda root: _base(root, builder, key))
    files = [path.read_text() for path in sorted(GUEST.glob("device*"))]
    disk = kept("disk.img", [base.name, _sources(), *files], lambda path: _disk(path, base))
    return Image(builder / f"boot/vmlinuz-{version}", first, disk, key)


def update(folder: Path, name: str) -> Path:
    """A release, laid out in `folder` with its wheels, that differs from the one on the disk by `name` alone."""
    return _release(folder, name)


def _builder(root: Path) -> None:
    debian(root, SUITE, "amd64", BUILDER, "--variant=extract", "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr")
    for name, program in (("sh", "dash"), ("awk", "mawk")):  # what would have been set up, had it been installed
        (root / "usr/bin" / name).unlink(missing_ok=True)
        (root / "usr/bin" / name).symlink_to(program)
    shutil.copy2(GUEST / "modules.sh", root)
    run(["chroot", root, "/usr/bin/dash", "/modules.sh"], BUILD_S, environment=CLEAN)
    version = next((root / "lib/modules").iterdir()).name
    extra = root / "lib/modules" / version / "extra"
    extra.mkdir()
    for module in (root / "out").glob("*.ko"):
        shutil.copy2(module, extra)
    run(["chroot", root, "/usr/sbin/depmod", version], BUILD_S, environment=CLEAN)


def _first(path: Path, builder: Path, version: str) -> None:
    """The smallest that finds the disk: Debian's own has 30 MB, which take an emulated processor long."""
    with tempfile.TemporaryDirectory(prefix="saynote-first-") as name:
        root = Path(name)
        for part in ("bin", "m"):
            (root / part).mkdir()
        shutil.copy2(builder / "usr/bin/busybox", root / "bin")
        ask = [
            "chroot",
            builder,
            "/usr/sbin/modprobe",
            "--set-version",
            version,
            "--show-depends",
            "--all",
            *BOOT_MODULES,
        ]
        said = run(ask, 60, environment=CLEAN).stdout
        files = dict.fromkeys(line.split()[1] for line in said.splitlines() if line.startswith("insmod "))
        for file in files:
            shutil.copy2(builder / file.lstrip("/"), root / "m")
        (root / "modules").write_text("\n".join(Path(file).name for file in files))
        (root / "init").write_text(INIT)
        (root / "init").chmod(0o755)
        packed = root / "packed"
        run(["sh", "-c", f"cd {root} && find bin m modules init | cpio --quiet -o -H newc > {packed}"], 60)
        path.write_bytes(gzip.compress(packed.read_bytes(), 6))


def _key(path: Path) -> None:
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "saynote-e2e", "-f", path], 60)
    path.with_name(path.name + ".pub").unlink()


def _base(root: Path, builder: Path, key: Path) -> None:
    debian(root, SUITE, "amd64", SYSTEM, "--variant=minbase")
    modules = next((builder / "lib/modules").iterdir())
    shutil.copytree(modules, root / "usr/lib/modules" / modules.name, symlinks=True)
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    (root / "root/.ssh/authorized_keys").write_text(run(["ssh-keygen", "-y", "-f", key], 60).stdout)
    (root / "etc/hostname").write_text("saynote\n")
    (root / "etc/fstab").write_text("/dev/vda / ext4 rw,noatime 0 1\n")
    (root / "etc/systemd/network/wire.network").write_text("[Match]\nName=e*\n[Network]\nAddress=10.0.2.15/24\n")
    (root / "var/log/journal").mkdir(exist_ok=True)
    for words in (["mask", *NEVER_BY_THEMSELVES], ["enable", "systemd-networkd"]):
        run(["chroot", root, "systemctl", *words], 60, environment=CLEAN)


def _disk(path: Path, base: Path) -> None:
    with scratch(CACHE / "disk-scratch") as folder_of_root:
        root = folder_of_root / "root"
        run(["cp", "--archive", base, root], DISK_S)
        _add_devices(root)
        folder = root / "root/release"
        folder.mkdir()
        _release(folder, "")
        inside = 'mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" && exec chroot "$@"'
        install = ["bash", "/root/release/install.sh", "--target", "debian", "--no-apt", "--no-systemd"]
        apart = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--net"]
        run([*apart, "sh", "-c", inside, "sh", root, *install], BUILD_S, environment=CLEAN)
        # As apt brings them on a Pi, for every release; on another Debian saynote's installer leaves pins out.
        python = "/opt/saynote/current/venv/bin/python"
        pins = [python, "-m", "pip", "install", "--quiet", "--no-index", "gpiozero", "lgpio"]
        pins += ["--find-links", "/root/release/wheels", "--target", "/usr/lib/python3/dist-packages"]
        run(["chroot", root, *pins], 300, environment=CLEAN)
        # Its words are rendered here: an emulated processor takes minutes for them.
        own = ["install", "-d", "-o", "saynote", "-g", "saynote", "-m", "750", STATE]
        run(["chroot", root, *own], 60, environment=CLEAN)
        once = [*apart, "sh", "-c", inside, "sh", root, "timeout", "60", "runuser", "-u", "saynote", "--", "env"]
        daemon = f"cd /tmp && exec {python} -m edge run --config /etc/saynote/edge.toml"
        said = run([*once, f"STATE_DIRECTORY={STATE}", "sh", "-c", daemon], 120, check=False, environment=CLEAN)
        state = root / STATE.lstrip("/")
        if not any(state.glob("phrases/*.npz")):
            raise StepError(f"saynote rendered nothing where its image is made:\n{said.stdout}")
        for left in state.glob("outbox*"):
            left.unlink()
        run(["chroot", root, "systemctl", "enable", "saynote", "devices"], 60, environment=CLEAN)
        shutil.rmtree(folder)
        run(["mke2fs", "-q", "-t", "ext4", "-d", root, path, DISK], DISK_S)


def _add_devices(root: Path) -> None:
    """What stands in for hardware, and the settings of a device that has such hardware."""
    for file in (*GUEST.glob("device_*"), GUEST / "devices.sh"):
        shutil.copy2(file, root / "usr/local/bin")
    shutil.copy2(GUEST / "devices.service", root / "etc/systemd/system")
    dropins = root / "etc/systemd/system/saynote.service.d"
    dropins.mkdir()
    shutil.copy2(GUEST / "device.conf", dropins / "virtual.conf")
    # As on Raspberry Pi OS.
    run(["chroot", root, "groupadd", "--system", "gpio"], 60, environment=CLEAN)
    shutil.copy2(GUEST / "device.rules", root / "etc/udev/rules.d/60-gpio.rules")
    (root / "etc/saynote").mkdir()
    shutil.copy2(GUEST / "device.toml", root / "etc/saynote/edge.toml")


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
