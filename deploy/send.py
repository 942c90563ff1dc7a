"""Owns the way of a release to one device over ssh: look, send, install; `install.sh` does the rest over there.

`python -m deploy.send user@host [--bundle FOLDER] [--wheels FOLDER] [--ssh-config FILE] [-- OPTIONS OF install.sh]`
rsync where both sides have it, since it sends only what differs, else tar.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from deploy import release, wheel
from deploy.reach import Device, ReachError, Say, follow, last_line, look, ssh_command
from edge.core.errors import EdgeError

KEPT = ".cache/saynote/kept"  # what was sent last, there: rsync takes from it what is the same
DISCARD_S = 20.0


class SendError(Exception):
    """The release did not get there; `str()` says why and what to do."""


FAILURES = (SendError, ReachError, EdgeError, release.ReleaseError, wheel.BuildError)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; what follows "--" is `install`, the options of install.sh."""
    own, install = list(arguments), []
    if "--" in own:
        at = own.index("--")
        own, install = own[:at], own[at + 1 :]
    parser = argparse.ArgumentParser(
        prog="deploy",
        usage="%(prog)s [option]... user@host [-- OPTION OF install.sh...]",
        description="Install saynote on a device over ssh.",
    )
    parser.add_argument("host", help="user@host, as ssh takes it")
    parser.add_argument("--bundle", type=Path, help="model bundle to send along")
    parser.add_argument("--wheels", type=Path, help="folder of wheels for a device that has no network")
    parser.add_argument("--ssh-config", type=Path, help="configuration file for ssh, instead of your own")
    return parser.parse_args(own, argparse.Namespace(install=install))


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, send and install; the exit code."""
    given = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        send(given.host, given.install, bundle=given.bundle, wheels=given.wheels, ssh_config=given.ssh_config)
    except FAILURES as error:
        sys.stderr.write(f"deploy: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"deploy: on this computer: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("deploy: stopped here. What the device has begun it brings to its end\n")
        return 130
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
    device = look(host, ssh_command(ssh_config), at_terminal=sys.stdin.isatty())
    try:
        with tempfile.TemporaryDirectory(prefix="saynote-release-") as scratch:
            folder = Path(scratch, "release")
            folder.mkdir()
            _say("building the wheel")
            name = release.lay_out(folder, wheel.build(Path(scratch, "dist")), bundle=bundle, wheels=wheels)
            _say(f"sending {name} with {'rsync' if _uses_rsync(device) else 'tar'}")
            transfer(folder, device, _show)
        _say(f"installing on {host}")
        run_installer(device, install, _show)
    finally:
        discard(device)
    return name


def transfer(folder: Path, device: Device, say: Say) -> None:
    """Bring `folder` into the device's inbox."""
    if _uses_rsync(device):
        user, _, name = device.host.rpartition("@")
        host = f"{user}{'@' if user else ''}{f'[{name}]' if ':' in name else name}"
        # Whole files: those that are the same are linked, not sent; a delta against them is not worth its failures.
        same = ["--whole-file", f"--link-dest=../{Path(KEPT).name}"]
        rsync = ["rsync", "--archive", *same, "--rsh", shlex.join(device.ssh)]
        code, said = follow([*rsync, "--", f"{folder}/", f"{host}:{device.inbox}/"], say)
    else:
        # Not the times: a device whose clock is behind would complain of each file.
        unpack = f"tar -C {shlex.quote(device.inbox)} --touch --no-same-owner -xf -"
        code, said = follow(device.command(unpack), say, lambda pipe: _pack(folder, pipe))
    if code != 0:
        why = "its card is full" if "No space left" in said else last_line(said)
        raise SendError(f"{device.host}: sending failed: {why}. Nothing was installed")


def _pack(folder: Path, pipe: IO[bytes]) -> None:
    with tarfile.open(fileobj=pipe, mode="w|") as archive:
        archive.add(folder, arcname=".")


def run_installer(device: Device, options: Sequence[str], say: Say) -> None:
    """Run install.sh over there; its last line says why it failed, and is ours then."""
    command, needs_terminal = device.as_root(["bash", f"{device.inbox}/install.sh", *options])
    if needs_terminal:
        code, said = subprocess.run(command, check=False).returncode, "its last line says why"
    else:
        code, said = follow(command, say)
    if code != 0:
        raise SendError(f"the installer on {device.host} failed: {last_line(said).removeprefix('install: ')}")


def discard(device: Device) -> None:
    """Take away what was sent; with rsync it stays, once, for the next transfer to compare with."""
    inbox = shlex.quote(device.inbox)
    line = f"rm -rf {inbox}"
    if _uses_rsync(device):
        line = f"test -e {inbox}/{release.SUMS} && rm -rf {KEPT} && mv -T {inbox} {KEPT}; {line}"
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            device.command(line),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=DISCARD_S,
            check=False,
        )


def _uses_rsync(device: Device) -> bool:
    return device.has_rsync and shutil.which("rsync") is not None


def _say(text: str) -> None:
    _show(f"deploy: {text}")


def _show(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
