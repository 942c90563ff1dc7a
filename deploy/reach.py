"""Owns the way to one device over ssh: who it is, what it brings along, running commands there; knows no release.

What a person typed as a host is checked before ssh sees it, since ssh takes `-oProxyCommand=...` for an option.
"""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "StrictHostKeyChecking=accept-new")
# A link that is dead is noticed within a minute.
SSH_ALIVE = ("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4")
SSH_FAILED = 255
LOOK_S = 90.0  # for a few lines of shell, on a board that is busy
HOST = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.+-]*@)?[A-Za-z0-9_:][A-Za-z0-9_.:%-]*")
# A folder of its own for each transfer, in the home of the user we log in as. What an earlier one left goes: it is of
# another start of the device, or a day old by the time since the start, which no clock that is set can change.
LOOK = """
umask 077
base=.cache/saynote
mkdir -p $base/kept
rm -rf $base/incoming
boot=$(cut -c1-8 /proc/sys/kernel/random/boot_id)
up=$(cut -d. -f1 /proc/uptime)
for folder in $base/incoming.*; do
    [ -d "$folder" ] || continue
    from=${folder#$base/incoming.}
    began=${from#*.}
    began=${began%%.*}
    if [ "${from%%.*}" != "$boot" ] || [ $((up - began)) -gt 86400 ]; then rm -rf "$folder"; fi
done
echo "inbox=$(mktemp -d $base/incoming.$boot.$up.XXXXXX)"
echo "uid=$(id -u)"
command -v rsync >/dev/null && echo rsync=yes
command -v sudo >/dev/null && echo sudo=yes
sudo -n true 2>/dev/null && echo sudo_free=yes
echo "machine=$(uname -m)"
echo "libc=$(getconf GNU_LIBC_VERSION 2>/dev/null)"
grep -qs 'Raspberry Pi' /proc/device-tree/model && echo pi=yes
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

# What a device says of its card -> what it means.
CARD = (
    ("no space left", "its card is full"),
    ("disk quota exceeded", "its card is full"),
    ("read-only file system", "its card cannot be written: it is mounted read-only"),
    ("input/output error", "its card is damaged"),
)

Say = Callable[[str], None]
Feed = Callable[[IO[bytes]], None]


class ReachError(Exception):
    """A device cannot be reached or used; `str()` says why and what to do."""


@dataclass(frozen=True)
class Device:
    """What is at the other end."""

    host: str  # as ssh takes it, user@host
    ssh: tuple[str, ...]  # the command that reaches it, without the host
    inbox: str  # the folder that was made there for this transfer, relative to the home; empty where none could be
    is_root: bool
    has_rsync: bool
    has_sudo: bool
    sudo_asks: bool  # for a password
    python: str = ""  # its version, as "3.11"
    machine: str = ""  # the processor, as `uname -m` calls it
    libc: str = ""  # as "glibc 2.36"
    is_pi: bool = False
    no_inbox: str = ""  # why there is none

    def command(self, line: str) -> list[str]:
        """What runs the shell's `line` there."""
        return [*self.ssh, "--", self.host, line]

    def as_root(self, words: Sequence[str]) -> tuple[list[str], bool]:
        """What runs `words` there as root, and whether it needs our terminal for a password."""
        line = shlex.join(words)
        if self.is_root:
            return self.command(line), False
        terminal = ("-t",) if self.sudo_asks else ()
        return [*self.ssh, *terminal, "--", self.host, f"sudo {line}"], self.sudo_asks


def check_host(host: str) -> str:
    """`host` itself; ReachError where it is none."""
    if not HOST.fullmatch(host):
        raise ReachError(f"{host!r} is no host: it is written user@host, or as your ssh configuration calls it")
    return host


def ssh_command(config: Path | None = None) -> tuple[str, ...]:
    """The command that reaches a host, which is to follow; `config` instead of the person's own configuration."""
    return (*SSH, *SSH_ALIVE, *(("-F", str(config)) if config else ()))


def look(host: str, ssh: tuple[str, ...], *, at_terminal: bool) -> Device:
    """What is at the other end; ReachError when it cannot be reached or used."""
    done = _ask(check_host(host), ssh)
    if done.returncode == SSH_FAILED:
        raise ReachError(explain(host, done.stderr))
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if found.get("seen") != "yes":
        said = last_line(done.stderr.strip() or done.stdout)
        raise ReachError(f"{host} let us in but did not answer as expected: {said}")
    if not found["python"]:
        raise ReachError(f"{host} has no python3. saynote runs on Raspberry Pi OS and on Debian 12 and 13")
    device = Device(
        host=host,
        ssh=ssh,
        inbox=found["inbox"],
        is_root=found["uid"] == "0",
        has_rsync="rsync" in found,
        has_sudo="sudo" in found,
        sudo_asks="sudo_free" not in found,
        python=found["python"],
        machine=found.get("machine", ""),
        libc=found.get("libc", ""),
        is_pi="pi" in found,
        no_inbox="" if found["inbox"] else why(done.stderr),
    )
    _check_root(device, at_terminal)
    return device


def _ask(host: str, ssh: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            [*ssh, "--", host, "sh -s"],
            input=LOOK,
            capture_output=True,
            text=True,
            errors="replace",  # what a device greets with is in any language
            timeout=LOOK_S,
            check=False,
        )
    except FileNotFoundError:
        raise ReachError("this computer has no ssh: sudo apt-get install -y openssh-client") from None
    except subprocess.TimeoutExpired:
        raise ReachError(
            f"{host}: it lets us in and then says nothing for {LOOK_S:.0f} s. Switch it off and on again"
        ) from None


def _check_root(device: Device, at_terminal: bool) -> None:
    if device.is_root:
        return
    if not device.has_sudo:
        raise ReachError(f"{device.host}: this user is not root and there is no sudo. Log in as root, or install sudo")
    if device.sudo_asks and not at_terminal:
        raise ReachError(
            f"{device.host}: sudo asks for a password there. Call this from a terminal for this device alone, so that "
            "you can type it"
        )


def explain(host: str, said: str) -> str:
    """What a failure of ssh means, in one sentence for a person, with ssh's own words."""
    for sign, meaning in SSH_ERRORS:
        if sign in said.lower():
            advice = meaning.format(host=host, name=host.rpartition("@")[2])
            return f"{host}: {advice}\n  (ssh: {last_line(said)})"
    return f"{host} cannot be reached: {said.strip()}"


def why(said: str) -> str:
    """Why writing failed there, of what was said of it: a cause that we know, or the last line."""
    return next((meaning for sign, meaning in CARD if sign in said.lower()), last_line(said))


def last_line(text: str) -> str:
    """The last line that says anything."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no reason was given")


def follow(
    command: Sequence[str], say: Say, feed: Feed | None = None, *, silence_s: float | None = None
) -> tuple[int, str]:
    """Run `command`, each of its lines to `say` as it comes; its exit code and all that it said.

    `feed` writes its standard input; a command that does not want to hear the rest of it says why itself. One that says
    nothing for `silence_s` is ended, as if the line had broken.
    """
    said: list[str] = []
    heard_s = time.monotonic()

    def relay(lines: IO[bytes]) -> None:
        nonlocal heard_s
        for raw in lines:
            said.append(raw.decode(errors="replace").rstrip())
            heard_s = time.monotonic()
            say(said[-1])

    stdin = subprocess.PIPE if feed else subprocess.DEVNULL
    with subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=relay, args=(process.stdout,), daemon=True)
        reader.start()
        try:
            if feed and process.stdin is not None:
                feed(process.stdin)
                process.stdin.close()
        except BrokenPipeError:
            pass
        finally:
            while reader.is_alive() and process.returncode is None:
                reader.join(1.0)
                if silence_s is not None and time.monotonic() - heard_s > silence_s:
                    said.append(f"nothing was heard for {silence_s / 60:.0f} minutes")
                    process.kill()
                    process.wait()
        code = process.wait()
        return SSH_FAILED if code == -signal.SIGKILL else code, "\n".join(said)
