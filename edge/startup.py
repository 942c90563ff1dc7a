"""Owns how long the start takes, stage by stage: noted by every run in one log line, and measured over whole starts.

It must not know what the stages do.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from edge.core.errors import HardwareError, Reason

STARTS = 3  # with everything kept on disk; one before them has to render the phrases
PATIENCE_S = 60.0
READY = re.compile(r"ready after \d+ ms: (.*)")


class Startup:
    """Notes the stages of one start, beginning with what the process did before."""

    def __init__(self) -> None:
        self.ms = {"imports": _process_age_s() * 1e3}
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


def _process_age_s(stat: Path = Path("/proc/self/stat")) -> float:
    """Seconds since this process began, to the hundredth; 0 where the system does not tell."""
    try:
        began = int(stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - began / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return 0.0


def measure(arguments: list[str]) -> Iterator[str]:
    """Start the demonstration again and again; lines with seconds to the first word and milliseconds by stage.

    Raises HardwareError where it does not come to speak.
    """
    with tempfile.TemporaryDirectory(prefix="saynote-start-") as scratch:
        first_s, stages = _start(Path(scratch), arguments)
        yield f"{'first start':12} {first_s:8.2f} s to the first word, phrases rendered  ({stages})"
        found = [_start(Path(scratch), arguments) for _ in range(STARTS)]
        median_s, stages = sorted(found)[len(found) // 2]
        yield f"{'next starts':12} {median_s:8.2f} s to the first word, median of {STARTS}  ({stages})"


def _start(scratch: Path, arguments: list[str]) -> tuple[float, str]:
    """Seconds from the process's start to its first word, and its own account of the stages, in milliseconds."""
    command = [sys.executable, "-m", "edge", "run", "--camera", "replay", "--view", "--wav", str(scratch / "said.wav")]
    environment = {**os.environ, "XDG_STATE_HOME": str(scratch), "STATE_DIRECTORY": "", "PYTHONUNBUFFERED": "1"}
    with (scratch / "log").open("w+", encoding="utf-8") as log:
        began_s = time.perf_counter()
        process = subprocess.Popen(
            [*command, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            spoke = any(line.startswith("spoken") for line in process.stdout)
            took_s = time.perf_counter() - began_s
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE_S)
        log.seek(0)
        written = log.read()
    if not spoke:
        last = (written.strip().splitlines() or ["it said nothing"])[-1]
        raise HardwareError("speech", Reason.STOPPED, f"the start did not come to the first word: {last}")
    stages = READY.search(written)
    return took_s, f"{stages.group(1)} ms" if stages else ""
