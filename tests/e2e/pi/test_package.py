"""The .deb in a box: by hand, and from an apt repository with updates that come by themselves."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.pi.checkout import Checkout
from tests.e2e.pi.conftest import another
from tests.e2e.pi.device import QUIET, Device
from tests.e2e.pi.machine import Machine, machines
from tests.e2e.pi.rootfs import NUMBER, PROJECT, SUITE
from tests.e2e.pi.step import run

APT = PROJECT / "deploy" / "apt"
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends"
STATE = "dpkg-query -W -f '${db:Status-Abbrev} ${Version}' saynote"
ONLY_OURS = "rm -rf /etc/apt/sources.list /etc/apt/sources.list.d; mkdir -p /etc/apt/sources.list.d"


def build(checkout: Checkout, out: Path, *words: str) -> Path:
    out.mkdir()
    command = [sys.executable, "-m", "deploy.deb", "--out", str(out), *words]
    said = run(command, 300, cwd=checkout.folder).stdout
    (package,) = out.glob("*.deb")
    assert str(package) in said
    return package


def send(machine: Machine, *paths: Path) -> None:
    rsh = f"ssh -F {machine.folder / 'ssh_config'}"
    run(["rsync", "--archive", "--rsh", rsh, *map(str, paths), f"{machine.name}:"], 300)


@pytest.fixture
def fresh(clean: Path, box: Path, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A device that saynote was never on."""
    with machines(box / request.node.name[:60], clean, ["pi-new"]) as (machine,):
        yield machine


def test_lintian_finds_no_error(checkout: Callable[[], Checkout], tmp_path: Path) -> None:
    lintian = shutil.which("lintian")
    assert lintian is not None, "lintian is not installed"
    package = build(checkout(), tmp_path / "debs")
    done = run([lintian, "--fail-on", "error", "--allow-root", str(package)], 300, check=False)
    assert done.returncode == 0, done.stdout


def test_the_package_installs_by_itself_is_removed_and_purged(
    fresh: Machine, first_time: tuple[Path, Path, str, float], checkout: Callable[[], Checkout], tmp_path: Path
) -> None:
    device, made = Device(fresh, first_time[1]), checkout()
    (made.folder / "build").symlink_to(first_time[1].parents[1])  # where the wheels that were fetched lie
    package = build(made, tmp_path / "debs", "--for", f"{SUITE}-amd64")
    send(fresh, package)
    device.settle(QUIET)
    fresh.sh(f"{INSTALL} /home/pi/{package.name}", deadline_s=400)
    device.wait_until_ready()
    fresh.until(lambda: device.says("ready"), 60, "it says ready")
    assert fresh.says(STATE) == f"ii  0.1.0-1+deb{NUMBER}"
    fresh.sh("apt-get remove -y saynote")
    assert fresh.says("ls /opt; ls /etc/saynote; ls -d /var/lib/saynote") == "edge.toml\n/var/lib/saynote"
    fresh.sh("apt-get purge -y saynote")
    traces = "find / -xdev -iname '*saynote*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/var/log/*' "
    traces += "-not -path '/home/pi/*' -not -path '*/systemd-private-*'; getent passwd saynote; true"
    assert fresh.says(traces) == ""


def test_updates_come_by_themselves_and_one_that_is_broken_blocks_nothing(
    fresh: Machine, first_time: tuple[Path, Path, str, float], checkout: Callable[[], Checkout], tmp_path: Path
) -> None:
    device = Device(fresh, first_time[1])
    broken = checkout().change("edge/app.py", "from edge.hub import Hub\n", "from edge.no_such_room import Hub\n")
    packages = [
        build(made, tmp_path / f"debs-{revision}", "--revision", revision)
        for revision, made in (("1", checkout()), ("2", another(checkout())), ("3", broken))
    ]
    send(fresh, APT, *packages, first_time[1])
    device.settle(QUIET)
    fresh.sh(f"{INSTALL} reprepro gnupg unattended-upgrades python3-venv espeak-ng libportaudio2", deadline_s=400)
    fresh.sh(f"printf '[global]\\nno-index = true\\nfind-links = /home/pi/{first_time[1].name}\\n' >/etc/pip.conf")
    fresh.sh(
        f"{ONLY_OURS}\nmkdir -p /srv/apt /etc/apt/keyrings && cp -r /home/pi/apt/conf /srv/apt/\n"
        "gpg --batch --quiet --passphrase '' --quick-gen-key saynote\n"
        "gpg --export saynote >/etc/apt/keyrings/saynote.gpg\n"
        "sed 's|https://.*|file:///srv/apt|' /home/pi/apt/saynote.sources >/etc/apt/sources.list.d/saynote.sources\n"
        "cp /home/pi/apt/52saynote /etc/apt/apt.conf.d/"
    )

    def publish(package: Path) -> None:
        fresh.sh(f"reprepro -b /srv/apt includedeb {SUITE} /home/pi/{package.name} && apt-get update")

    publish(packages[0])
    fresh.sh(f"{INSTALL} saynote", deadline_s=400)
    device.wait_until_ready()
    first = fresh.release
    publish(packages[1])
    said = fresh.sh("unattended-upgrade --verbose", deadline_s=400).stdout
    assert "saynote" in said
    assert fresh.says(STATE) == "ii  0.1.0-2", said
    second = fresh.release
    assert second != first
    device.wait_until_ready()
    publish(packages[2])
    said = fresh.sh("unattended-upgrade --verbose", deadline_s=400).stdout
    assert fresh.says(STATE) == "ii  0.1.0-3", said
    assert fresh.release == second
    device.wait_until_ready()
    assert "was not taken; the release before runs" in fresh.says("cat /var/log/unattended-upgrades/*-dpkg.log")
    assert fresh.says("dpkg --audit") == ""
