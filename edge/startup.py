"""Owns how long the start takes, stage by stage, noted by every run in one log line, and what stands at its end.

It knows no stage's doings.
"""

from __future__ import annotations

import ctypes
import gc
import time

from edge import process


class Startup:
    """Notes the stages of one start, beginning with what the process did before."""

    def __init__(self) -> None:
        self.ms = {"imports": process.age_s() * 1e3}
        self._last_s = time.perf_counter()

    def lap(self, stage: str) -> None:
        """`stage` has ended."""
        now_s = time.perf_counter()
        self.ms[stage] = self.ms.get(stage, 0.0) + (now_s - self._last_s) * 1e3
        self._last_s = now_s

    def __str__(self) -> str:
        """The whole, and the parts by name."""
        parts = " ".join(f"{stage}={ms:.0f}" for stage, ms in self.ms.items())
        return f"ready after {sum(self.ms.values()):.0f} ms: {parts}"


def settle() -> None:
    """Give back what only the start needed, and never again look through what stays: no frame waits for that."""
    gc.unfreeze()  # what a run before this one has left behind, in a process that began anew
    gc.collect()
    gc.freeze()
    # Where there is no such function (musl, macOS), freed memory stays with the process.
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
