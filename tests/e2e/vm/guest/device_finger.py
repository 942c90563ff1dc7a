"""In the virtual device: a finger on the motor. Writes down each change of a pin: uptime in seconds, and its level.

device_finger.py VALUE FILE
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

LOOK_S = 0.02


def main(value: Path, felt: Path) -> None:
    """Until it is ended."""
    before = ""
    with felt.open("a", buffering=1) as file, value.open() as level:
        while True:
            now = level.read().strip()
            level.seek(0)
            if now != before:
                file.write(f"{time.monotonic():.3f} {now}\n")
                before = now
            time.sleep(LOOK_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
