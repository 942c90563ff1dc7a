"""Owns what the kernel tells of a process: its age, its processor time, its memory; 0 where it does not tell.

It must not know what the processes are for.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

PROC = Path("/proc")
# Their places in /proc/PID/stat after the name, which may hold anything; proc(5) counts from 3 there.
USER, SYSTEM, BEGAN, PAGES = 11, 12, 19, 21


def age_s(pid: int | str = "self", proc: Path = PROC) -> float:
    """Seconds since it began, to the hundredth."""
    began_s = _stat(pid, proc, BEGAN) / os.sysconf("SC_CLK_TCK")
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began_s) if began_s else 0.0


def cpu_s(pid: int | str = "self", proc: Path = PROC) -> float:
    """Seconds of processor time, of all its threads."""
    return _stat(pid, proc, USER, SYSTEM) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int | str = "self", proc: Path = PROC) -> int:
    """All that it has in memory (RSS), what it shares with others included."""
    return _stat(pid, proc, PAGES) * os.sysconf("SC_PAGE_SIZE")


def own_bytes(pid: int | str = "self", proc: Path = PROC) -> int:
    """What of it is in no file either: the kernel cannot take it back as long as it runs."""
    try:
        told = (proc / str(pid) / "smaps_rollup").read_bytes()
    except OSError:
        return 0
    found = re.search(rb"(?m)^Anonymous:\s+(\d+) kB", told)
    return int(found.group(1)) << 10 if found else 0


def _stat(pid: int | str, proc: Path, *places: int) -> int:
    """The sum of these fields."""
    try:
        fields = (proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        return sum(int(fields[place]) for place in places)
    except (OSError, ValueError, IndexError):
        return 0
