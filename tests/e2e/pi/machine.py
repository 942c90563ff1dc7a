"""Owns one device in a box: systemd-nspawn boots it, a cable of its own leads to it, and it is reached over real ssh.

The box has the kernel of this computer and cgroup v2 without controllers, so MemoryMax, CPUWeight and IPAddressDeny are
not enforced in it (the sandbox of namespaces and seccomp is). It has no camera, no sound card, no clock of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.pi import rootfs
from tests.e2e.pi.step import StepError, run

NAME = "saynote-e2e"
# How much longer than on a quiet computer anything may take: others use this one, and a deadline ends what hangs.
PATIENCE = 4.0
BOOT_S = 90.0
COMMAND_S = 120.0


@dataclass
class Machine:
    """A device; `name` is what ssh calls it."""

    name: str
    folder: Path  # where it lies, with key and ssh configuration
    number: int  # makes its network one of its own
    began_s: float = 0.0  # CLOCK_MONOTONIC when it was switched on, the same clock inside
    _box: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> Path:
        """Its file system, as long as it has been switched off."""
        return self.folder / self.name

    @property
    def network(self) -> str:
        """The network namespace it lives in; its name says who made it."""
        return f"{NAME}-{os.getpid()}-{self.number}"

    @property
    def address(self) -> str:
        """Its own."""
        return f"10.{64 + os.getpid() % 64}.{self.number}.2"

    @property
    def ours(self) -> str:
        """This computer's, at the other end of its cable."""
        return f"{self.address[:-1]}1"

    def plug_in(self) -> None:
        """Lay the cable."""
        cable = f"sn{os.getpid() % 100000}v{self.number}"
        run(["ip", "netns", "add", self.network], 30)
        run(["ip", "link", "add", cable, "type", "veth", "peer", "name", "host0", "netns", self.network], 30)
        run(["ip", "address", "add", f"{self.ours}/30", "dev", cable], 30)
        run(["ip", "link", "set", cable, "up"], 30)
        inside = ["ip", "-netns", self.network]
        run([*inside, "address", "add", f"{self.address}/30", "dev", "host0"], 30)
        run([*inside, "link", "set", "host0", "up"], 30)
        run([*inside, "link", "set", "lo", "up"], 30)

    def boot(self, *options: str) -> None:
        """Switch it on and wait until it lets us in."""
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--console=pipe", "--boot"]
        command += [f"--network-namespace-path=/run/netns/{self.network}", f"--machine={self.name}", *options]
        self.began_s = time.monotonic()
        with (self.folder / f"{self.name}.console").open("ab") as console:
            self._box = subprocess.Popen(
                [*command, f"--directory={self.root}"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )
        self.until(lambda: self.sh("true", check=False, deadline_s=20).returncode == 0, BOOT_S, "it lets us in")

    def switch_off(self) -> None:
        """Cut the power: everything in it is gone at once."""
        end_s = time.monotonic() + 120
        while pids := living_in(self.network):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > end_s:
                raise StepError(f"{self.name} does not go off")
            time.sleep(0.05)
        if self._box is not None:
            self._box.wait(120)

    def unplug(self) -> None:
        """Take cable and network away."""
        run(["ip", "netns", "delete", self.network], 30, check=False)

    def sh(self, script: str, *, check: bool = True, deadline_s: float = COMMAND_S) -> subprocess.CompletedProcess[str]:
        """Run a shell script there as root, with patience; what it said stands in `stdout`."""
        ssh = ["ssh", "-F", str(self.folder / "ssh_config"), "-o", "LogLevel=ERROR", self.name, "sudo bash -s"]
        return run(ssh, deadline_s * PATIENCE, check=check, stdin=script)

    def says(self, script: str) -> str:
        """What a script prints."""
        return self.sh(script).stdout.strip()

    def until(self, true: Callable[[], bool], deadline_s: float, what: str) -> float:
        """Wait for it, with patience; the seconds that it took."""
        deadline_s *= PATIENCE
        began_s = time.monotonic()
        while not true():
            if time.monotonic() - began_s > deadline_s:
                raise StepError(f"{self.name}: not within {deadline_s:.0f} s: {what}\n{self.story()}")
            time.sleep(0.2)
        return time.monotonic() - began_s

    def asked(self, *names: str) -> dict[str, str]:
        """What systemd says of the service."""
        line = " ".join(f"--property={name}" for name in names)
        shown = self.says(f"systemctl show {line} saynote.service").splitlines()
        return dict(each.partition("=")[::2] for each in shown)

    def story(self) -> str:
        """The end of its journal, for whoever reads why a test failed."""
        with contextlib.suppress(StepError):
            return self.sh("journalctl -b --no-pager --lines 60", check=False, deadline_s=30).stdout
        return (self.folder / f"{self.name}.console").read_text(errors="replace")[-2000:]

    @property
    def release(self) -> str:
        """The name of the release in use."""
        return Path(self.says("readlink -f /opt/saynote/current")).name


@contextlib.contextmanager
def machines(folder: Path, base: Path, names: list[str]) -> Iterator[list[Machine]]:
    """Devices that were just unpacked and switched on; afterwards nothing of them is left."""
    sweep()
    folder.mkdir(parents=True)
    made = [Machine(name, folder, number) for number, name in enumerate(names, start=1)]
    try:
        key = folder / "key"
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], 30)
        (folder / "ssh_config").write_text("".join(_reach(each) for each in made), encoding="utf-8")
        for each in made:
            rootfs.lay_over(base, each.root)
            _let_in(each, key.with_suffix(".pub"))
            each.plug_in()
            each.boot()
        yield made
    finally:
        for each in made:
            each.switch_off()
            each.unplug()
            rootfs.take_away(each.root)
        run(["rm", "-rf", str(folder)], 300)


def _reach(machine: Machine) -> str:
    return (
        f"Host {machine.name}\n  HostName {machine.address}\n  User pi\n  IdentityFile {machine.folder}/key\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {machine.folder}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
        "  StrictHostKeyChecking no\n  BatchMode yes\n  ConnectTimeout 60\n"
    )


def _let_in(machine: Machine, public: Path) -> None:
    home = machine.root / "home" / "pi"
    owner = home.stat()
    (home / ".ssh").mkdir(mode=0o700, exist_ok=True)
    file = home / ".ssh" / "authorized_keys"
    shutil.copy(public, file)
    for path in (home / ".ssh", file):
        os.chown(path, owner.st_uid, owner.st_gid)
    (machine.root / "etc" / "hostname").write_text(f"{machine.name}\n")
    (machine.root / "etc" / "hosts").write_text(f"127.0.0.1 localhost {machine.name}\n")
    (machine.root / "etc" / "machine-id").write_text("")


def living_in(network: str) -> list[int]:
    """The processes in a network namespace; none where there is no such."""
    done = run(["ip", "netns", "pids", network], 30, check=False)
    return [int(pid) for pid in done.stdout.split()] if done.returncode == 0 else []


def sweep() -> None:
    """Take away what a run that was killed has left."""
    for line in run(["ip", "netns", "list"], 30).stdout.splitlines():
        name = line.split()[0]
        parts = name.removeprefix(f"{NAME}-").split("-")
        if not name.startswith(f"{NAME}-") or not parts[0].isdigit() or Path("/proc", parts[0]).exists():
            continue
        for pid in living_in(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        run(["ip", "netns", "delete", name], 30, check=False)
    for folder in rootfs.CACHE.glob("boxes-*"):
        if not Path("/proc", folder.name.partition("-")[2]).exists():
            for root in folder.glob("*/*"):
                rootfs.take_away(root)
            run(["rm", "-rf", str(folder)], 300)
