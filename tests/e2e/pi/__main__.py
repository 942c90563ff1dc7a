"""Owns the call of these tests (`make e2e`): is this a computer that can boot a device, and if so, how did it go?

`python -m tests.e2e.pi [--kills N] [options of pytest]`. Exit code 0 and one loud sentence where the computer itself
cannot; a package or a mirror that is missing is a failure like any other.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.e2e.pi import ability, rootfs
from tests.e2e.pi.step import StepError

HERE = Path(__file__).parent
NOT_TRIED = "\n*** make e2e: NOTHING WAS TRIED: this computer cannot boot a device in a box, it lacks {lacks}. ***\n\n"


def main(arguments: list[str]) -> int:
    """The exit code."""
    if lacks := ability.lacks():
        sys.stderr.write(NOT_TRIED.format(lacks=lacks))
        return 0
    if missing := ability.packages_missing():
        sys.stderr.write(f"make e2e: please install: sudo apt-get install -y {' '.join(missing)}\n")
        return 1
    try:
        root = rootfs.prepared()
    except StepError as error:
        sys.stderr.write(f"make e2e: no Debian could be made: {error}\n")
        return 1
    if why := ability.refuses(root):
        sys.stderr.write(NOT_TRIED.format(lacks=f"what systemd-nspawn needs ({why})"))
        return 0
    where = [] if any(Path(word.partition("::")[0]).exists() for word in arguments) else [str(HERE)]
    command = [sys.executable, "-m", "pytest", "-m", "machine", "--durations=8", *arguments, *where]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
