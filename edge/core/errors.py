"""Owns the error tree of the daemon and the exit code of each branch; knows nothing of who raises them.

EdgeError
├── ConfigError       permanent  78  the configuration file cannot be used
├── BundleError       permanent  65  the model bundle is damaged, foreign or too new
├── PictureError      permanent  65  a picture's file cannot be read (says why)
├── HardwareError     retried    69  a device is missing, busy, silent or broken (says which, and why)
└── TransientError    retried    75  the other end did not answer; trying again may help
    ├── UnansweredError          it has the message and does not say that it took it
    └── RefusedError             it says that it does not take this one

`systemd/saynote.service` does not restart on the permanent ones, and does after `EXIT_AGAIN`, which is no failure: the
daemon ended to be started anew. Both are compared with the unit by a test. The numbers of failures are those of
`sysexits.h`.
"""

from __future__ import annotations

import enum
from pathlib import Path

EXIT_OK = 0
EXIT_USAGE = 64
EXIT_BUNDLE = 65
EXIT_HARDWARE = 69
EXIT_TRANSIENT = 75
EXIT_CONFIG = 78
EXIT_AGAIN = 80
PERMANENT_EXIT_CODES = (EXIT_USAGE, EXIT_BUNDLE, EXIT_CONFIG)


class EdgeError(Exception):
    """Any failure that saynote names; `str()` is one sentence for a person."""

    exit_code = 70


class ConfigError(EdgeError, ValueError):
    """The configuration cannot be used; `problems` holds one sentence for each mistake found."""

    exit_code = EXIT_CONFIG

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class BundleError(EdgeError, ValueError):
    """The model bundle must not be used; the sentence says why."""

    exit_code = EXIT_BUNDLE


class PictureError(EdgeError, ValueError):
    """A file cannot be read as a picture; `reason` is the sentence without the file's name.

    `other_format`: it is one, in a format that is not read.
    """

    exit_code = EXIT_BUNDLE

    def __init__(self, path: Path, reason: str, *, other_format: bool = False) -> None:
        super().__init__(f"{path} {reason}")
        self.reason = reason
        self.other_format = other_format


class Reason(enum.Enum):
    """Why a device failed, in the terms that decide what its owner can do about it."""

    MISSING = "missing"
    BUSY = "busy"
    DENIED = "denied"
    STOPPED = "stopped"
    NOT_INSTALLED = "not installed"
    BROKEN = "broken"
    FROZEN = "frozen"  # it answers, and always the same
    REFUSED = "refused"  # something else is used in its place
    HOT = "too hot"
    WEAK = "under-voltage"
    FULL = "full"
    UNSET = "not set"


class HardwareError(EdgeError, OSError):
    """A device failed; `device` is the port's name in lower case ("camera", "speaker", ...)."""

    exit_code = EXIT_HARDWARE

    def __init__(self, device: str, reason: Reason, detail: str) -> None:
        super().__init__(f"{device} {reason.value}: {detail}")
        self.device = device
        self.reason = reason
        self.detail = detail


class TransientError(EdgeError, ConnectionError):
    """The other end did not answer this time; retried with back-off."""

    exit_code = EXIT_TRANSIENT


class UnansweredError(TransientError):
    """It was sent, and the other end has not said that it took it: it may have arrived."""


class RefusedError(TransientError):
    """The other end answers, and does not take this one; the sentence says why."""
