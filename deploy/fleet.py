"""Owns the work on many devices at once: each its own thread, one table, one sentence at the end.

What is done on a device is done by `install.sh` over there, and by `saynote doctor`; nothing of it is repeated here.
A release is built once, and wheels are fetched once for each kind of device.
"""

from __future__ import annotations

import functools
import json
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy import deliver, release, wheel, wheels
from deploy.deliver import SendError
from deploy.reach import SSH_FAILED, Device, ReachError, explain, last_line, look, ssh_command
from deploy.table import Table
from edge.core.errors import EdgeError

ACTIONS = ("deploy", "check", "rollback", "undeploy", "doctor")
FAILURES = (SendError, ReachError, EdgeError, release.ReleaseError, wheel.BuildError, wheels.WheelsError)
AT_ONCE = 16
DOCTOR = ("/opt/saynote/current/venv/bin/saynote", "doctor", "--quiet", "--json")
DOCTOR_S = 300.0
CACHE = wheel.PROJECT / "build" / "wheels"


@dataclass(frozen=True)
class Order:
    """What is asked for, the same for every device."""

    action: str = "deploy"
    install: tuple[str, ...] = ()  # further options of install.sh
    bundle: Path | None = None
    wheels: str | None = None  # "auto", or a folder
    target: str | None = None
    purge: bool = False
    ssh_config: Path | None = None

    @property
    def options(self) -> list[str]:
        """Those of install.sh."""
        action = [] if self.action == "deploy" else [f"--{self.action}"]
        target = ["--target", self.target] if self.target else []
        return [*action, *target, *(["--purge"] if self.purge else []), *self.install]


class Releases:
    """Lays a release out once for each kind of device that asks for one; several may ask at once."""

    def __init__(self, order: Order, scratch: Path) -> None:
        self._order, self._scratch = order, scratch
        self._lock = threading.Lock()
        self._laid_out: dict[str, Path] = {}

    def for_device(self, device: Device) -> Path:
        """The folder to send."""
        if self._order.action not in ("deploy", "check"):
            return self._once("script", lambda folder: release.lay_out_script(folder))
        if self._order.action == "deploy" and self._order.wheels == "auto":
            kind = wheels.kind_of(device)
            return self._once(kind.name, lambda folder: self._lay_out(folder, kind))
        return self._once("release", lambda folder: self._lay_out(folder, None))

    def _once(self, name: str, fill: Callable[[Path], object]) -> Path:
        with self._lock:
            if name not in self._laid_out:
                folder = self._scratch / name
                folder.mkdir()
                fill(folder)
                self._laid_out[name] = folder
            return self._laid_out[name]

    @functools.cached_property
    def _wheel(self) -> Path:
        return wheel.build(self._scratch / "dist")

    def _lay_out(self, folder: Path, kind: wheels.Kind | None) -> None:
        given = Path(self._order.wheels) if self._order.wheels and self._order.action == "deploy" else None
        found = wheels.fetch(kind, self._wheel, CACHE) if kind else given
        release.lay_out(folder, self._wheel, bundle=self._order.bundle, wheels=found)


def run(hosts: Sequence[str], order: Order) -> int:
    """Do it on every device; 0 where all went well."""
    table = Table(hosts, sys.stdout)
    with tempfile.TemporaryDirectory(prefix="saynote-release-") as scratch:
        releases = Releases(order, Path(scratch))

        def work(host: str) -> bool:
            try:
                one(host, order, releases, table, alone=len(hosts) == 1)
            except (*FAILURES, OSError) as error:
                table.failed(host, str(error))
                return False
            return True

        with ThreadPoolExecutor(min(AT_ONCE, len(hosts))) as pool:
            done = list(pool.map(work, hosts))
    table.close(order.action)
    return 0 if all(done) else 1


def one(host: str, order: Order, releases: Releases, table: Table, *, alone: bool) -> None:
    """The whole of it for one device."""
    table.step(host, "looking")
    device = look(host, ssh_command(order.ssh_config), at_terminal=alone and sys.stdin.isatty())
    say = functools.partial(table.line, host)
    try:
        if order.action == "doctor":
            table.step(host, "doctor")
            table.done(host, examine(device))
            return
        table.step(host, "preparing")
        folder = releases.for_device(device)
        table.step(host, "sending")
        deliver.transfer(folder, device, say)
        table.step(host, "installing" if order.action == "deploy" else order.action)
        deliver.run_installer(device, order.options, say)
        table.done(host)
    finally:
        deliver.discard(device, order.action)


def examine(device: Device) -> str:
    """What the doctor says of a device, in one line. SendError where it finds a fault or cannot be asked."""
    command, needs_terminal = device.as_root(DOCTOR)
    if needs_terminal:
        raise SendError(f"{device.host}: sudo asks for a password there. Ask it itself: sudo {shlex.join(DOCTOR[:2])}")
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DOCTOR_S,
            check=False,
        )
        if done.returncode == SSH_FAILED:
            raise ReachError(explain(device.host, done.stderr))
        found = json.loads(done.stdout)
        problems = [
            f"{each['part']} {each['state']}: {each['found']}"
            for each in found["findings"]
            if each["state"] in ("fault", "warning")
        ]
        line = "; ".join([f"saynote {found['saynote']}", *(problems or ["all is well"])])
        is_well = found["exit_code"] == 0
    except subprocess.TimeoutExpired:
        raise SendError(f"{device.host}: the doctor does not come to an end") from None
    except (ValueError, KeyError, TypeError):
        said = last_line(done.stderr)
        raise SendError(f"{device.host}: saynote cannot be asked there. Is it installed? ({said})") from None
    if not is_well:
        raise SendError(line)
    return line
