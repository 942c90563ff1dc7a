"""Owns the owner's secrets: the broker's password and the live view's token. It never shows one.

They come from the systemd credential or the environment, never from the settings file. One that cannot be used is none;
one that is hardly what was meant is used as it stands. Either is said, by its name.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from edge.core import intake

log = logging.getLogger(__name__)

PASSWORD, TOKEN = "mqtt-password", "web-token"  # as the unit names them, and as their files are called
VARIABLES = {PASSWORD: "SAYNOTE_MQTT_PASSWORD", TOKEN: "SAYNOTE_WEB_TOKEN"}
OWNERS = Path("/etc/saynote")  # where systemd takes them from; only root may read them there
MOST_BYTES = 4096


def secret(name: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """What the owner gave, None for nothing that can be used; what is odd about it goes to the log."""
    value, remarks = look_up(name, environment)
    for remark in remarks:
        log.warning("%s", remark)
    return value


def look_up(name: str, environment: Mapping[str, str] = os.environ) -> tuple[str | None, list[str]]:
    """The secret, and a sentence for each thing that is odd about it."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if folder and os.path.lexists(path := Path(folder) / name):
        try:
            return from_file(path)
        except OSError as error:
            return None, [f"the credential {name} is not used: {error.strerror}"]
    given = os.fsencode(environment.get(VARIABLES[name], ""))
    return _usable(f"the variable {VARIABLES[name]}", given)


def from_file(path: Path) -> tuple[str | None, list[str]]:
    """The secret in a file and what is odd about it. Raises PermissionError where only others may read it."""
    try:
        return _usable(f"the credential {path.name}", intake.read(path, MOST_BYTES))
    except (FileNotFoundError, PermissionError):
        raise
    except OSError as error:
        return None, [f"the credential {path.name} is not used: {error.strerror}"]


def remarks(environment: Mapping[str, str] = os.environ, owners: Path = OWNERS) -> list[str]:
    """What is odd about any of them, as far as whoever asks may read them."""
    found = []
    for name in VARIABLES:
        found += look_up(name, environment)[1]
        try:
            found += from_file(owners / name)[1]
        except OSError:  # there is none, or only root may know
            continue
    return list(dict.fromkeys(found))


def _usable(what: str, raw: bytes) -> tuple[str | None, list[str]]:
    try:
        # Without a file of the owner's the unit hands over an empty line.
        value = raw.decode("utf-8").strip("\r\n")
    except UnicodeDecodeError:
        return None, [f"{what} is not used: it is not UTF-8"]
    if len(raw) > MOST_BYTES:
        return None, [f"{what} is not used: it is longer than {MOST_BYTES} bytes"]
    oddities = {
        "begins with a byte-order mark, as some editors put it there": value.startswith("\ufeff"),
        "begins or ends with a space": value.strip().strip("\ufeff") != value.strip("\ufeff"),
        "is of several lines": len(value.splitlines()) > 1,
        "holds a zero byte": "\0" in value,
    }
    return value or None, [f"{what} {oddity}, which is taken for part of it" for oddity, odd in oddities.items() if odd]
