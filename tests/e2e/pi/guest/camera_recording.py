"""Keeps what the camera's driver reads, one picture for each that the virtual camera shows, as a recording to replay.

`python camera_recording.py FOLDER COUNT`. So a computer of any speed sees the same pictures: no decision waits for it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import virtual_camera

SHOWN_FRAMES = 4  # how long libcamera's virtual camera shows each
FRAME_S = 0.15  # slow enough that some frame of each is read
MOST_FRAMES = 5_000

virtual_camera.FRAME_S = FRAME_S
virtual_camera.stand_in()

from edge.drivers.picamera import PicameraCamera  # noqa: E402 -- what it imports is stood in for
from edge.settings import CameraConfig  # noqa: E402


def record(folder: Path, count: int) -> int:
    """Write `count` pictures or fewer; how many different ones were read."""
    camera, seen = PicameraCamera(CameraConfig()), set[int]()
    for _ in range(MOST_FRAMES):
        frame = camera.read(60.0)
        number = frame.seq // SHOWN_FRAMES if frame is not None else -1
        if number >= count:
            break
        if frame is not None and number not in seen:
            cv2.imwrite(str(folder / f"{number:04d}.png"), cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2BGR))
            seen.add(number)
    camera.close()
    return len(seen)


if __name__ == "__main__":
    where, most = Path(sys.argv[1]), int(sys.argv[2])
    where.mkdir()
    (where / "recording.toml").write_text("frames_per_s = 5.0\n")
    print(record(where, most))  # noqa: T201
