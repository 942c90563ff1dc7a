"""Owns one virtual device: whether it is off, on, reachable or ready, and the way to each, with deadlines.

It is Linux as a program: its processes are traced ones of this computer, so they compute as fast as it does, while what
they ask of a kernel costs many times more; nothing about time on it holds for a Pi. All of it lives in a process
namespace of its own, with whose first process everything ends at once: a traced process that outlived the kernel it
knows would ask this computer's. That is how power is cut: what the device had not yet brought to its disk is gone, what
it had is there. A card that lies about that, or reorders what it was given, is not modelled.
"""

from __future__ import annotations

import enum
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.pi.step import APART, MORTAL, StepError, run
from tests.e2e.vm.cable import DEVICE, Cable
from tests.e2e.vm.image import Image

BOOT_S, READY_S, OFF_S, COMMAND_S = 900.0, 1800.0, 300.0, 300.0
LOOK_S = 0.5
MEMORY = "640M"
READY = "ready"  # is there while the service is up


class Status(enum.IntEnum):
    """What the device is; each includes those before it."""

    OFF = 0
    ON = 1
    REACHABLE = 2
    READY = 3


class Machine:
    """One device; its disk and console lie in `folder`, and it sees what lies in `outside` below /run/outside."""

    def __init__(self, image: Image, folder: Path, outside: Path, cable: Cable) -> None:
        self._image, self._folder, self._cable = image, folder, cable
        self._process: subprocess.Popen[bytes] | None = None
        self.outside = outside
        self._line: subprocess.Popen[bytes] | None = None  # one connection for all commands
        self.moment = ""  # or "2023-01-01T00:00:00", what its clock says when it is switched on
        self.console = folder / "console.log"

    @property
    def is_on(self) -> bool:
        """Whether it has power, and has not gone off by itself."""
        return self._process is not None and self._process.poll() is None

    def to(self, wanted: Status) -> None:
        """Bring it up to that, or off. StepError, with the end of its console, past a deadline."""
        if wanted is Status.OFF:
            self.shut_down()
            return
        if not self.is_on:
            (self.outside / READY).unlink(missing_ok=True)
            self._switch_on()
        if wanted is Status.READY:
            self.wait_for("ready", READY_S, self.is_ready)
        if wanted >= Status.REACHABLE:
            self.wait_for("reachable", BOOT_S, self._is_reachable)

    def is_ready(self) -> bool:
        """Whether the daemon has said so to systemd, and is up."""
        return (self.outside / READY).exists()

    def wait_for(self, what: str, patience_s: float, true: Callable[[], bool]) -> None:
        """Until `true`; StepError past the deadline, or once it has gone off by itself."""
        end_s = time.monotonic() + patience_s
        while not true():
            if not self.is_on:
                raise StepError(f"the device went off before it was {what}:\n{self._last_words()}")
            if time.monotonic() > end_s:
                raise StepError(f"the device was not {what} within {patience_s:.0f} s:\n{self._last_words()}")
            time.sleep(LOOK_S)

    def cut_power(self) -> None:
        """Now, whatever it is doing."""
        self._hang_up()
        process, self._process = self._process, None
        if process is None:
            return
        first = run(["pgrep", "--parent", str(process.pid)], 30, check=False).stdout.split()
        for pid in first:
            os.kill(int(pid), signal.SIGKILL)
        process.wait(OFF_S)  # it waits for its first process, which goes after all others

    def shut_down(self) -> None:
        """As a person would; power is cut where it takes too long."""
        if self.is_on:
            self._try("systemctl poweroff")
            try:
                assert self._process is not None
                self._process.wait(OFF_S)
            except subprocess.TimeoutExpired:
                self.cut_power()
        self._hang_up()
        self._process = None

    def run(self, command: str, deadline_s: float = COMMAND_S, *, check: bool = True, stdin: str = "") -> str:
        """What root's shell on it says."""
        return run([*self._ssh(), command], deadline_s, check=check, stdin=stdin).stdout

    def begin(self, command: str) -> subprocess.Popen[bytes]:
        """A command that goes on by itself; it ends with the device's power at the latest."""
        nowhere = subprocess.DEVNULL
        return subprocess.Popen([*self._ssh(), command], stdin=nowhere, stdout=nowhere, stderr=nowhere)

    def send(self, file: Path, to: str) -> None:
        """A file or folder, which appears there whole or not at all."""
        run(["scp", "-q", "-r", *self._options(), file, f"root@{DEVICE}:{to}.new"], COMMAND_S)
        self.run(f"mv -T {to}.new {to}")

    def fetch(self, path: str, to: Path) -> None:
        """A file of it."""
        run(["scp", "-q", *self._options(), f"root@{DEVICE}:{path}", to], COMMAND_S)

    def _switch_on(self) -> None:
        with self.console.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self._cable.handle],
                env={"PATH": os.environ["PATH"], "HOME": str(self._folder)},
            )

    def _command(self) -> list[str]:
        apart = [
            *APART,
            "sh",
            "-c",
            '"$@"; exit',
            "sh",
        ]  # the kernel is not the first process: that one gets no signals
        disk = f"ubd0={self._folder / 'disk.cow'},{self._image.disk}"
        wire = f"vec0:transport=fd,fd={self._cable.handle},vec=0"
        moment = [f"moment={self.moment}"] if self.moment else []
        return [
            *(*apart, str(self._image.kernel), f"mem={MEMORY}", disk, "root=/dev/ubda", "rw", wire),
            *("con=null", "con0=null,fd:1", f"hostfs={self.outside}", "init=/usr/local/bin/device_first.sh"),
            *("loglevel=4", "systemd.show_status=error", *moment),
        ]

    def _options(self) -> list[str]:
        quiet = [
            *("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"),
            *("ConnectTimeout=120", "LogLevel=ERROR", f"IdentityFile={self._image.key}"),
            f"ControlPath={self._folder}/ssh",
        ]
        return [word for option in quiet for word in ("-o", option)]

    def _ssh(self) -> list[str]:
        return ["ssh", *self._options(), f"root@{DEVICE}"]

    def _is_reachable(self) -> bool:
        if self._try("true") is None:
            return False
        if self._line is None:
            # To agree on keys takes longer than most commands.
            command = [*MORTAL, *self._ssh()[:-1], "-M", "-N", self._ssh()[-1]]
            nowhere = subprocess.DEVNULL
            self._line = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere)
        return True

    def _hang_up(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.kill()
            line.wait()
            (self._folder / "ssh").unlink(missing_ok=True)

    def _try(self, command: str) -> str | None:
        try:
            return self.run(command, 150.0)  # sshd refuses everybody while too many wait for it
        except StepError:
            return None

    def _last_words(self) -> str:
        return self.console.read_bytes()[-3000:].decode(errors="replace")
