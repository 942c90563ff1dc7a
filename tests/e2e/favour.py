"""On a machine that others use, a shadow that runs only where nothing else does might never see enough of a note."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def favour_shadow_of(daemon: int) -> None:
    """Let the shadow of the daemon with this process id have as much of the processor as the daemon, for root."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            pid, parent = int(status.parent.name), int(status.read_bytes().rpartition(b")")[2].split()[1])
            if parent == daemon and b"companion.serve" in (status.parent / "cmdline").read_bytes():
                os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
                os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, daemon))
