"""Owns the machine's own time, for the Clock port; knows nothing of who asks."""

from __future__ import annotations

import time


class SystemClock:
    """The operating system's clocks."""

    def now_s(self) -> float:
        """Seconds, monotonic: the clock that libcamera stamps frames with as well."""
        return time.monotonic()

    def wall_s(self) -> float:
        """Seconds since 1970; wrong after a cold boot without a network."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Let that much time pass; nothing when it is over already."""
        if seconds > 0:
            time.sleep(seconds)
