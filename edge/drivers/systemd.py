"""Owns the talk with systemd, without a dependency: the notification socket (sd_notify), and what it knows of us.

Does nothing, or knows nothing, where there is no systemd.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from edge.core.line import one_line

log = logging.getLogger(__name__)

UNIT = "saynote.service"
ASK_S = 5.0  # for an answer of systemctl or timedatectl
SYNCHRONISED = Path("run/systemd/timesync/synchronized")


class SystemdSupervisor:
    """Tells systemd how we do; `environment` stands in for the process's own."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        path = environment.get("NOTIFY_SOCKET", "")
        # "@" is how an abstract socket is written; its real name begins with a zero byte.
        self._address = "\0" + path[1:] if path.startswith("@") else path

    def ready(self) -> None:
        """Start-up is over."""
        self._send("READY=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send("STATUS=" + one_line(text))

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.setblocking(False)
                channel.sendto(message.encode(), self._address)
        except OSError as error:
            # Not fatal: if systemd hears nothing, its watchdog restarts us.
            log.warning("systemd does not listen message=%s error=%s", message, error)


def watchdog_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """Within how many seconds systemd wants `alive`, None if it does not."""
    for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    try:
        limit_s = int(environment.get("WATCHDOG_USEC", "0")) / 1e6
    except ValueError:
        return None
    return limit_s if for_us and limit_s > 0 else None


def service_runs() -> bool:
    """Whether the service is up: then it holds camera and button."""
    return _ask(["systemctl", "is-active", UNIT]) == "active"


def clock_synchronised(root: Path = Path("/")) -> bool | None:
    """Whether a time server has set the clock since the start; None where nobody can tell."""
    if (root / SYNCHRONISED).exists():
        return True
    return {"yes": True, "no": False}.get(_ask(["timedatectl", "show", "--property=NTPSynchronized", "--value"]))


def _ask(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ASK_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.debug("%s is not to be asked: %s", command[0], error)
        return ""
    return done.stdout.strip()
