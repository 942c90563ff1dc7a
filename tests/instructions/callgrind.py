"""Owns the counting of instructions with valgrind's callgrind: one program, one count, whatever else runs.

Processors differ in the instructions that numpy, OpenCV and the C library choose, so the latest of them are taken away.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import cv2
import msgspec
import numpy as np

from tests.instructions.counted import TIMES

PROJECT = Path(__file__).parents[2]
RECORDED = Path(__file__).with_name("recorded.json")
MACHINE = (
    f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, OpenCV {cv2.__version__}, "
    f"msgspec {msgspec.__version__}"
)
PLAIN = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENCV_IPP": "disabled",
    "OPENCV_CPU_DISABLE": "SSE4_1,SSE4_2,AVX,FP16,AVX2,AVX512_SKX",
    "NPY_DISABLE_CPU_FEATURES": "SSE41 POPCNT SSE42 AVX F16C FMA3 AVX2",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX,-AVX2_Usable,-AVX_Usable,-ERMS,-FSRM,-Fast_Unaligned_Load",
}
TIMEOUT_S = 600.0  # on a machine with much else to do


def count(folder: Path) -> dict[str, int]:
    """Instructions of each stage, once; what callgrind writes lies in `folder` afterwards."""
    command = ["valgrind", "--tool=callgrind", "--dump-before=getppid", f"--callgrind-out-file={folder}/out"]
    command += [sys.executable, "-s", "-m", "tests.instructions.counted"]
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env={**os.environ, **PLAIN},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    names = json.loads(done.stdout.splitlines()[0])
    # The first part is the start, then one for each stage and one for what lies between it and the next.
    return {name: _total(folder / f"out.{2 * place + 2}") for place, name in enumerate(names)}


def _total(part: Path) -> int:
    found = re.search(r"^(?:totals|summary): (\d+)", part.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    assert found, part
    return int(found.group(1)) // TIMES
