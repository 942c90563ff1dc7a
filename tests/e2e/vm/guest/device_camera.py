"""In the virtual device: shows the newest picture of a folder, raw YUYV of 640 x 480, as a camera.

device_camera.py /dev/videoN FOLDER

Each picture has a name of its own, by which the last is known: what lies outside the device may change without its
kernel's knowing, but a name that it never saw it looks up.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import time
from pathlib import Path

WIDTH, HEIGHT = 640, 480
SIZE = WIDTH * HEIGHT * 2
SET_FORMAT = 0xC0D0_5605  # VIDIOC_S_FMT
OUTPUT, YUYV, NO_FIELD, SRGB = 2, 0x5659_5559, 1, 8
FRAME_S = 0.1
NOISE = 64  # bytes in the corner


def main(device: str, scenes: Path) -> None:
    """Until it is ended."""
    with open(device, "wb", buffering=0) as camera:  # noqa: PTH123 -- a device
        wanted = bytearray(208)
        struct.pack_into("I", wanted, 0, OUTPUT)
        struct.pack_into("7I", wanted, 8, WIDTH, HEIGHT, YUYV, NO_FIELD, WIDTH * 2, SIZE, SRGB)
        fcntl.ioctl(camera, SET_FORMAT, wanted)
        shown, picture = "", bytes([128]) * SIZE
        while True:
            newest = max(os.listdir(scenes), default="")  # noqa: PTH208 -- ten times a second
            if newest != shown:
                shown, picture = newest, (scenes / newest).read_bytes()
            # A sensor is never still: one that gives the same bytes again and again is taken for broken.
            camera.write(os.urandom(NOISE) + picture[NOISE:])
            time.sleep(FRAME_S)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
