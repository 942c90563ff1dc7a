"""Owns the way of a folder to one device and the running of its `install.sh` there; knows nothing of many devices.

rsync where both sides have it, since it sends only what differs, else tar. Nothing of a transfer is left behind.
"""

from __future__ import annotations

import contextlib
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from deploy import release
from deploy.reach import SSH_FAILED, Device, Say, follow, last_line, why

KEPT = ".cache/saynote/kept"  # what was sent last, there: rsync takes from it what is the same
DISCARD_S = 20.0
SILENCE_S = 1800.0  # of an installer: pip on the smallest board, ten times over
STALLED_S = 300  # of rsync, with nothing going through


class SendError(Exception):
    """The release did not get there or was not taken; `str()` says why and what to do."""


def transfer(folder: Path, device: Device, say: Say) -> None:
    """Bring `folder` into the device's inbox. SendError where there is none, or it does not take it all."""
    if not device.inbox:
        raise SendError(f"{device.host}: nothing can be sent there: {device.no_inbox}. Nothing was changed")
    if uses_rsync(device):
        user, _, name = device.host.rpartition("@")
        host = f"{user}{'@' if user else ''}{f'[{name}]' if ':' in name else name}"
        # Whole files: those that are the same are linked, not sent; a delta against them is not worth its failures.
        same = ["--whole-file", f"--link-dest=../{Path(KEPT).name}"]
        rsync = ["rsync", "--archive", f"--timeout={STALLED_S}", *same, "--rsh", shlex.join(device.ssh)]
        code, said = follow([*rsync, "--", f"{folder}/", f"{host}:{device.inbox}/"], say)
    else:
        # Not the times: a device whose clock is behind would complain of each file.
        unpack = f"tar -C {shlex.quote(device.inbox)} --touch --no-same-owner -xf -"
        code, said = follow(device.command(unpack), say, lambda pipe: _pack(folder, pipe))
    if code != 0:
        # rsync ends with a line about itself.
        ours = "\n".join(line for line in said.splitlines() if not line.startswith("rsync error:"))
        raise SendError(f"{device.host}: sending failed: {why(ours)}. Nothing was installed")


def _pack(folder: Path, pipe: IO[bytes]) -> None:
    with tarfile.open(fileobj=pipe, mode="w|") as archive:
        archive.add(folder, arcname=".")


def run_installer(device: Device, options: Sequence[str], say: Say) -> None:
    """Run install.sh over there; its last line says why it failed, and is ours then."""
    command, needs_terminal = device.as_root(["bash", f"{device.inbox}/install.sh", *options])
    if needs_terminal:
        code, said = subprocess.run(command, check=False).returncode, "its last line says why"
    else:
        code, said = follow(command, say, silence_s=SILENCE_S)
    if code == SSH_FAILED:
        raise SendError(
            f"the connection to {device.host} broke off ({last_line(said)}). What it has begun it brings to its end; "
            f"ask it later: make doctor PI={device.host}"
        )
    if code != 0:
        raise SendError(f"the installer on {device.host} failed: {last_line(said).removeprefix('install: ')}")


def discard(device: Device, action: str = "deploy") -> None:
    """Take away what was sent; what was deployed stays, once, for rsync to compare the next transfer with."""
    if not device.inbox:
        return
    inbox = shlex.quote(device.inbox)
    line = f"rm -rf {inbox}"
    if action == "deploy" and uses_rsync(device):
        line = f"test -e {inbox}/{release.SUMS} && rm -rf {KEPT} && mv -T {inbox} {KEPT}; {line}"
    if action == "undeploy":
        line += f" {KEPT}"
    line += f"; rmdir -p {KEPT} 2>/dev/null || rmdir {Path(KEPT).parent} 2>/dev/null"
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            device.command(line),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=DISCARD_S,
            check=False,
        )


def uses_rsync(device: Device) -> bool:
    """Whether both sides have it: it sends only what differs."""
    return device.has_rsync and shutil.which("rsync") is not None
