"""Owns the way of a release to one device over ssh: look, send, install; `install.sh` does the rest over there.

`python -m deploy.send user@host [--bundle FOLDER] [--wheels FOLDER] [--ssh-config FILE] [-- OPTIONS OF install.sh]`
rsync where both sides have it, since it sends only what differs, else tar.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy import release, wheel
from edge.core.errors import EdgeError

INBOX = ".cache/saynote/incoming"  # in the home of the user we log in as
SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "StrictHostKeyChecking=accept-new")
SSH_FAILED = 255
LOOK = f"""
mkdir -p {INBOX}
echo "uid=$(id -u)"
command -v rsync >/dev/null && echo rsync=yes
command -v sudo >/dev/null && echo sudo=yes
sudo -n true 2>/dev/null && echo sudo_free=yes
echo "python=$(python3 -c 'import sys; print(*sys.version_info[:2], sep=".")' 2>/dev/null)"
echo seen=yes
"""
# What ssh says -> what it means and what to do. {host} is as given, {name} without the user.
SSH_ERRORS = (
    ("could not resolve hostname", "there is no computer of that name. Try its address, or NAME.local"),
    ("connection refused", "it is there, but ssh is off. On the Pi: sudo raspi-config, Interface Options, SSH"),
    ("no route to host", "it does not answer. Is it switched on and in the same network?"),
    ("timed out", "it does not answer. Is it switched on and in the same network?"),
    ("host key verification failed", "another computer had this name before. If that is right: ssh-keygen -R {name}"),
    ("permission denied", "it does not let you in without a password. Give it your key, once: ssh-copy-id {host}"),
)


class SendError(Exception):
    """The release did not get there; `str()` says why and what to do."""


@dataclass(frozen=True)
class Device:
    """What is at the other end."""

    host: str  # as ssh takes it, user@host
    ssh: tuple[str, ...]  # the command that reaches it, without the host
    is_root: bool
    has_rsync: bool
    has_sudo: bool
    sudo_asks: bool  # for a password


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, send and install; the exit code."""
    parser = argparse.ArgumentParser(prog="deploy", description="Install saynote on a device over ssh.")
    parser.add_argument("host", help="user@host, as ssh takes it")
    parser.add_argument("--bundle", type=Path, help="model bundle to send along")
    parser.add_argument("--wheels", type=Path, help="folder of wheels for a device that has no network")
    parser.add_argument("--ssh-config", type=Path, help="configuration file for ssh, instead of your own")
    parser.add_argument("install", nargs="*", metavar="OPTION", help="after --: options of install.sh")
    given = parser.parse_args(arguments)
    try:
        send(given.host, given.install, bundle=given.bundle, wheels=given.wheels, ssh_config=given.ssh_config)
    except (SendError, EdgeError, wheel.BuildError) as error:
        sys.stderr.write(f"deploy: {error}\n")
        return 1
    return 0


def send(
    host: str,
    install: Sequence[str] = (),
    *,
    bundle: Path | None = None,
    wheels: Path | None = None,
    ssh_config: Path | None = None,
) -> str:
    """Install this checkout on `host`, with `install` as further options of install.sh; the release's name."""
    _say(f"looking at {host}")
    device = look(host, (*SSH, *(("-F", str(ssh_config)) if ssh_config else ())))
    with tempfile.TemporaryDirectory(prefix="saynote-release-") as scratch:
        folder = Path(scratch, "release")
        folder.mkdir()
        _say("building the wheel")
        name = release.lay_out(folder, wheel.build(Path(scratch, "dist")), bundle=bundle, wheels=wheels)
        _say(f"sending {name} with {'rsync' if _uses_rsync(device) else 'tar'}")
        transfer(folder, device)
    _say(f"installing on {host}")
    run_installer(device, install)
    return name


def look(host: str, ssh: tuple[str, ...]) -> Device:
    """What is at the other end; SendError when it cannot be reached or used."""
    try:
        done = subprocess.run([*ssh, host, "sh -s"], input=LOOK, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SendError("this computer has no ssh: sudo apt-get install -y openssh-client") from None
    if done.returncode == SSH_FAILED:
        raise SendError(explain(host, done.stderr))
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if found.get("seen") != "yes":
        raise SendError(
            f"{host} let us in but did not answer as expected: {done.stderr.strip() or done.stdout.strip()}"
        )
    if not found["python"]:
        raise SendError(f"{host} has no python3. saynote runs on Raspberry Pi OS and on Debian 12 and 13")
    device = Device(
        host=host,
        ssh=ssh,
        is_root=found["uid"] == "0",
        has_rsync="rsync" in found,
        has_sudo="sudo" in found,
        sudo_asks="sudo_free" not in found,
    )
    if not device.is_root and not device.has_sudo:
        raise SendError(f"{host}: this user is not root and there is no sudo. Log in as root, or install sudo")
    if not device.is_root and device.sudo_asks and not sys.stdin.isatty():
        raise SendError(f"{host}: sudo asks for a password there. Call this from a terminal, so that you can type it")
    return device


def explain(host: str, said: str) -> str:
    """What a failure of ssh means, in one sentence for a person, with ssh's own words."""
    for sign, meaning in SSH_ERRORS:
        if sign in said.lower():
            advice = meaning.format(host=host, name=host.rpartition("@")[2])
            return f"{host}: {advice}\n  (ssh: {said.strip().splitlines()[-1]})"
    return f"{host} cannot be reached: {said.strip()}"


def transfer(folder: Path, device: Device) -> None:
    """Make the inbox over there equal to `folder`."""
    if _uses_rsync(device):
        command = ["rsync", "--archive", "--delete", "--rsh", shlex.join(device.ssh)]
        done = subprocess.run([*command, f"{folder}/", f"{device.host}:{INBOX}/"], check=False)
        code = done.returncode
    else:
        unpack = f"rm -rf {INBOX} && mkdir -p {INBOX} && tar -C {INBOX} -xf -"
        with subprocess.Popen([*device.ssh, device.host, unpack], stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            try:
                with tarfile.open(fileobj=process.stdin, mode="w|") as archive:
                    archive.add(folder, arcname=".")
                process.stdin.close()
            except BrokenPipeError:
                pass  # the other end has said why on its standard error
            code = process.wait()
    if code != 0:
        raise SendError(f"{device.host}: sending broke off. Is its card full? Nothing was installed")


def run_installer(device: Device, options: Sequence[str]) -> None:
    """Run install.sh over there, its output going to our terminal."""
    command = shlex.join(["bash", f"{INBOX}/install.sh", *options])
    ssh = list(device.ssh)
    if not device.is_root:
        command = f"sudo {command}"
        if device.sudo_asks:
            ssh.append("-t")
    if subprocess.run([*ssh, device.host, command], check=False).returncode != 0:
        raise SendError(f"the installer on {device.host} failed; its last line says why")


def _uses_rsync(device: Device) -> bool:
    return device.has_rsync and shutil.which("rsync") is not None


def _say(text: str) -> None:
    sys.stdout.write(f"deploy: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
