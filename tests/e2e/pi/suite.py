"""Owns the call of these tests (`make e2e`): is this a computer that can boot a device, and if so, how did it go?

`python -m tests.e2e.pi.suite [--suite trixie] [--kills N] [FILE...] [-- OPTION OF pytest...]`. Exit code 0 and one
loud sentence where the computer itself cannot; a package or a mirror that is missing is a failure like any other.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.deb import SUITES
from tests.e2e.pi import ability, rootfs
from tests.e2e.pi.step import StepError

HERE = Path(__file__).parent
NOT_TRIED = "\n*** make e2e: NOTHING WAS TRIED: this computer cannot boot a device in a box, it lacks {lacks}. ***\n\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="e2e", description="Boot devices in boxes, deploy to them and break them.")
    parser.add_argument("--kills", type=int, default=10, help="how often the installer is killed [10]")
    parser.add_argument("--suite", choices=tuple(SUITES), default=rootfs.SUITE, help="the devices' Debian [bookworm]")
    parser.add_argument("words", nargs="*", help="files with tests, and after -- options of pytest")
    given = parser.parse_args(arguments)
    if given.suite != rootfs.SUITE:  # what is imported has decided already
        again = [sys.executable, "-m", "tests.e2e.pi.suite", *(sys.argv[1:] if arguments is None else arguments)]
        return subprocess.run(again, check=False, env={**os.environ, rootfs.ASKED: given.suite}).returncode
    if not ability.is_root():
        sys.stderr.write(NOT_TRIED.format(lacks="the rights of root (sudo make e2e)"))
        return 0
    if missing := ability.packages_missing():
        sys.stderr.write(f"make e2e: please install: sudo apt-get install -y {' '.join(missing)}\n")
        return 1
    if lacks := ability.lacks():
        sys.stderr.write(NOT_TRIED.format(lacks=lacks))
        return 0
    try:
        root = rootfs.prepared()
    except StepError as error:
        sys.stderr.write(f"make e2e: no Debian could be made: {error}\n")
        return 1
    if why := ability.refuses(root):
        sys.stderr.write(NOT_TRIED.format(lacks=f"what systemd-nspawn needs ({why})"))
        return 0
    where = [] if any(Path(word.partition("::")[0]).exists() for word in given.words) else [str(HERE)]
    command = [sys.executable, "-m", "pytest", "-m", "machine", "--durations=8", *given.words, *where]
    # What boots a machine meets what a machine meets: a second failure is no chance. pytest says what was tried again.
    command += ["--kills", str(given.kills), "--reruns", "1"]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
