"""Owns one virtual device: whether it is off, on, reachable or ready, and the way to each, with deadlines.

Its processor is emulated: a thousand million instructions are a second for it, whatever they take here, so that a
busy computer makes no deadline of the device late; nothing about time on it holds for a Pi. Power is cut by killing
qemu: what the guest had not yet brought to its disk is gone, what it had is there. A card that lies about that, or
tears a write, is not modelled. Its network leads to one port of this computer, where a broker may be, and nowhere else.
"""

from __future__ import annotations

import enum
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.pi.step import StepError, run
from tests.e2e.vm.image import Image

BOOT_S, READY_S, OFF_S, COMMAND_S = 900.0, 900.0, 300.0, 300.0
LOOK_S = 0.3
BROKER = ("10.0.2.100", 1883)  # as the device sees it


class Status(enum.IntEnum):
    """What the device is; each includes those before it."""

    OFF = 0
    ON = 1
    REACHABLE = 2
    READY = 3


class Machine:
    """One device in `folder`; `broker_port` is on this computer, 0 for none."""

    def __init__(self, image: Image, folder: Path, broker_port: int = 0) -> None:
        self._image, self._folder, self._broker_port = image, folder, broker_port
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self.disk = folder / "disk.qcow2"
        self.clock = "utc"  # or a moment, "2023-01-01T00:00:00", at which it is switched on
        self.console = folder / "console.log"
        base = ["-b", str(image.disk), "-F", "raw"]
        run(["qemu-img", "create", "-q", "-f", "qcow2", *base, self.disk], COMMAND_S)

    @property
    def status(self) -> Status:
        """As far as can be told now."""
        if self._process is None or self._process.poll() is not None:
            return Status.OFF
        if self._try("true") is None:
            return Status.ON
        ready = self._try("systemctl is-active saynote")
        return Status.READY if ready is not None else Status.REACHABLE

    def to(self, wanted: Status) -> None:
        """Bring it up to that, or off. StepError, with the end of its console, past a deadline."""
        if wanted is Status.OFF:
            self.shut_down()
            return
        if self._process is None or self._process.poll() is not None:
            self._switch_on()
        if wanted >= Status.REACHABLE:
            self.wait_for("reachable", BOOT_S, lambda: self._try("true") is not None)
        if wanted is Status.READY:
            self.wait_for("ready", READY_S, lambda: self._try("systemctl is-active saynote") is not None)

    def wait_for(self, what: str, patience_s: float, true: Callable[[], bool]) -> None:
        """Until `true`; StepError past the deadline, or once it has gone off by itself."""
        end_s = time.monotonic() + patience_s
        while not true():
            if self._process is None or self._process.poll() is not None:
                raise StepError(f"the device went off before it was {what}:\n{self._last_words()}")
            if time.monotonic() > end_s:
                raise StepError(f"the device was not {what} within {patience_s:.0f} s:\n{self._last_words()}")
            time.sleep(LOOK_S)

    def cut_power(self) -> None:
        """Now, whatever it is doing."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait(OFF_S)

    def shut_down(self) -> None:
        """As a person would; power is cut where it takes too long."""
        if self._process is not None and self._process.poll() is None:
            self._try("systemctl poweroff")
            try:
                self._process.wait(OFF_S)
            except subprocess.TimeoutExpired:
                self.cut_power()
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
        flags = [word if word != "-p" else "-P" for word in self._ssh()[1:-1]]
        run(["scp", "-r", *flags, file, f"root@127.0.0.1:{to}.new"], COMMAND_S)
        self.run(f"mv -T {to}.new {to}")

    def fetch(self, path: str) -> bytes:
        """What a file on it holds."""
        done = subprocess.run([*self._ssh(), f"cat {path}"], capture_output=True, timeout=COMMAND_S, check=True)
        return done.stdout

    def _switch_on(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        log = self.console.open("ab")
        self._process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()

    def _command(self) -> list[str]:
        kernel = "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off random.trust_cpu=on loglevel=4"
        network = f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{self._port}-:22"
        if self._broker_port:
            network += f",guestfwd=tcp:{BROKER[0]}:{BROKER[1]}-tcp:127.0.0.1:{self._broker_port}"
        return [
            *(
                "qemu-system-x86_64",
                "-machine",
                "q35",
                "-accel",
                "tcg,thread=single,tb-size=1024",
                "-cpu",
                "max,pmu=off",
            ),
            # Its time goes by with its instructions, one a nanosecond, however busy this computer is.
            *(
                "-icount",
                "shift=0,sleep=on",
                "-smp",
                "1",
                "-m",
                "1536",
                "-kernel",
                str(self._image.kernel),
                "-initrd",
                str(self._image.first),
            ),
            *("-append", kernel, "-drive", f"file={self.disk},format=qcow2,if=virtio,cache=unsafe"),
            *("-netdev", network, "-device", "virtio-net-pci,netdev=n0,romfile=", "-device", "virtio-rng-pci"),
            *("-rtc", f"base={self.clock}", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"),
        ]

    def _ssh(self) -> list[str]:
        quiet = [
            "BatchMode=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "ConnectTimeout=10",
            "LogLevel=ERROR",
        ]
        # One connection for all commands: an emulated processor takes seconds to agree on keys.
        quiet += ["ControlMaster=auto", f"ControlPath={self._folder}/ssh-{self._port}", "ControlPersist=600"]
        options = [word for option in quiet for word in ("-o", option)]
        return ["ssh", *options, "-i", str(self._image.key), "-p", str(self._port), "root@127.0.0.1"]

    def _try(self, command: str) -> str | None:
        try:
            return self.run(command, 60.0)
        except StepError:
            return None

    def _last_words(self) -> str:
        return self.console.read_bytes()[-3000:].decode(errors="replace")
