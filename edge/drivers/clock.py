"""Owns the machine's own time, for the Clock port, and whether it was ever set; knows nothing of who asks.

A Pi starts with the time at which it was last shut down, so a date that looks right tells nothing. What counts is that
a time server has set the clock since the start, as the system itself says:

    systemd-timesyncd   leaves a file once it has set the clock
    chrony, ntpd        timedated asks the kernel for us, which the service's sandbox may not do itself
    no systemd          the kernel is asked: a clock that is kept right has a known greatest error

A clock with a battery does not count by itself: nobody can tell when it was last set, nor whether its battery is flat.
"""

from __future__ import annotations

import ctypes
import logging
import time
from collections.abc import Callable

from edge.drivers import systemd

log = logging.getLogger(__name__)

ASK_EVERY_S = 30.0
MAX_ERROR_US = 16_000_000  # what the kernel says of a clock that nobody keeps right; systemd's measure, too


class _Timex(ctypes.Structure):
    """The beginning of the kernel's struct timex; what follows is of no concern, and written by the kernel."""

    _fields_ = (
        ("modes", ctypes.c_uint),  # 0: change nothing
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),  # microseconds
        ("rest", ctypes.c_byte * 512),
    )


def was_set() -> bool | None:
    """Whether a time server has set the clock since the start; None where nobody can tell. May take seconds."""
    known = systemd.clock_synchronised()
    return _kernel_says() if known is None else known


def _kernel_says() -> bool | None:
    state = _Timex()
    try:
        if ctypes.CDLL(None).adjtimex(ctypes.byref(state)) < 0:
            return None
    except (OSError, AttributeError):  # not Linux
        return None
    return int(state.maxerror) < MAX_ERROR_US


class SystemClock:
    """The operating system's clocks; `ask` stands in for what the system says of them."""

    def __init__(self, ask: Callable[[], bool | None] = was_set) -> None:
        self._ask = ask
        self._ask_at_s = float("-inf")
        self._set = False

    def now_s(self) -> float:
        """Seconds, monotonic: the clock that libcamera stamps frames with as well."""
        return time.monotonic()

    def wall_s(self) -> float | None:
        """Seconds since 1970; None until `is_set` has found out that the clock was set."""
        return time.time() if self._set else None

    def is_set(self) -> bool:
        """Asks the system, now and then, until it says so: then it stays so, whatever the network does."""
        now_s = self.now_s()
        if not self._set and now_s >= self._ask_at_s:
            self._ask_at_s = now_s + ASK_EVERY_S
            self._set = self._ask() is True
            if self._set:
                log.info("the clock is set")
        return self._set

    def sleep(self, seconds: float) -> None:
        """Let that much time pass; nothing when it is over already."""
        if seconds > 0:
            time.sleep(seconds)
