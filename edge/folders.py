"""Owns where the daemon, and whoever calls its commands, keeps what is kept: the state folder."""

from __future__ import annotations

import os
from pathlib import Path

SERVICE_STATE = Path("/var/lib/saynote")  # as StateDirectory in systemd/saynote.service makes it


def state_folder() -> Path:
    """Where the outbox and kept phrases live: systemd's, or the user's; the service's for a user without a home."""
    if named := os.environ.get("STATE_DIRECTORY", "").split(":")[0]:
        return Path(named)
    if base := os.environ.get("XDG_STATE_HOME"):
        return Path(base) / "saynote"
    try:
        return Path.home() / ".local" / "state" / "saynote"
    except RuntimeError:
        return SERVICE_STATE


def device_state() -> Path:
    """The service's state folder where this device has one, for whoever calls a command; else the caller's own."""
    if "STATE_DIRECTORY" not in os.environ and SERVICE_STATE.is_dir():
        return SERVICE_STATE
    return state_folder()
