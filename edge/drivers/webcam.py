"""Owns a USB camera through OpenCV; knows nothing of what it sees.

OpenCV hands out frames from a queue: a reader thread empties it all the time and keeps the newest only.
Which camera it is is found out at every opening: one that was plugged in again has another number.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.core.errors import HardwareError, Reason
from edge.core.messages import Frame
from edge.drivers import v4l
from edge.drivers.choice import Candidate, choose
from edge.drivers.clock import SystemClock
from edge.ports import Clock
from edge.settings import CameraConfig

log = logging.getLogger(__name__)

READ_TIMEOUT_MS = 1000.0  # bounds how long close() waits for the reader


class WebcamCamera:
    """Gives the newest frame; `capture` makes a cv2.VideoCapture of a path, `nodes` tells what is there."""

    def __init__(
        self,
        config: CameraConfig,
        capture: Callable[[Path], Any] | None = None,
        clock: Clock | None = None,
        nodes: Callable[[], list[v4l.Node]] = v4l.nodes,
    ) -> None:
        self._clock = clock or SystemClock()
        path = find(config, nodes())
        self._capture = capture(path) if capture else _open(path, config)
        if not self._capture.isOpened():
            self._capture.release()
            raise _not_opened(path)
        self._news = threading.Condition()
        self._newest: tuple[int, float, Any] | None = None  # number, time, BGR picture
        self._given = -1
        self._running = True
        self._thread = threading.Thread(target=self._run, name="webcam", daemon=True)
        self._thread.start()

    def read(self, timeout_s: float) -> Frame | None:
        """The newest frame not given before."""
        with self._news:
            self._news.wait_for(lambda: self._fresh() or not self._running, timeout_s)
            if not self._fresh() or self._newest is None:
                why = f"no frame for {timeout_s:.1f} s" if self._running else "it gives no more frames"
                raise HardwareError("camera", Reason.STOPPED, why)
            seq, t_s, picture = self._newest
            self._given = seq
        return Frame(seq, t_s, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False))

    def close(self) -> None:
        """Stop the reader and let the camera go."""
        with self._news:
            self._running = False
            self._newest = None
        self._thread.join()

    def _fresh(self) -> bool:
        return self._newest is not None and self._newest[0] > self._given

    def _run(self) -> None:
        seq = 0
        try:
            while self._running:
                good, picture = self._capture.read()
                if not good:
                    break
                with self._news:
                    if self._running:
                        self._newest = seq, self._clock.now_s(), picture
                    self._news.notify_all()
                seq += 1
        except cv2.error as error:
            log.warning("webcam gone error=%s", error)
        finally:
            self._end()

    def _end(self) -> None:
        with self._news:
            self._running = False
            self._news.notify_all()
        self._capture.release()


def find(config: CameraConfig, nodes: list[v4l.Node]) -> Path:
    """The node of the camera that `config` means. Raises HardwareError(MISSING), which names what there is."""
    cameras = [node for node in nodes if node.pictures]
    if nodes and not cameras:
        known = ", ".join(map(str, nodes))
        raise HardwareError("camera", Reason.MISSING, f"there is no webcam: none of {known} gives pictures")
    if not nodes and sys.platform.startswith("linux"):
        raise HardwareError("camera", Reason.MISSING, "there is no webcam; is it plugged in?")
    if not nodes:  # elsewhere OpenCV alone knows the cameras, and by their number
        return Path(str(config.index))
    # A link such as /dev/v4l/by-id/... stays the same wherever the camera is plugged in.
    wanted = os.path.realpath(config.device) if config.device.startswith("/") else config.device
    found = [Candidate(node.name, str(node.path)) for node in cameras]
    return cameras[choose("webcam", found, wanted, config.index)].path


def _open(path: Path, config: CameraConfig) -> Any:
    # A missing camera is our own error, in our own words; OpenCV's warnings about it would only clutter stderr.
    cv2.setLogLevel(0)
    number = path.name if not path.is_absolute() else ""
    capture = cv2.VideoCapture(int(number)) if number else cv2.VideoCapture(str(path), cv2.CAP_V4L2)
    if capture.isOpened():
        capture.set(cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS)
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, config.width_px)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, config.height_px)
        capture.set(cv2.CAP_PROP_FPS, config.frames_per_s)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


def _not_opened(path: Path) -> HardwareError:
    try:
        with path.open("rb", buffering=0):
            pass
    except FileNotFoundError:
        return HardwareError("camera", Reason.MISSING, f"there is no webcam {path}; is it plugged in?")
    except PermissionError:
        return HardwareError("camera", Reason.DENIED, f"{path} may not be read; add the user to the group video")
    except OSError as error:
        return HardwareError("camera", Reason.BUSY, f"{path} cannot be opened: {error.strerror}")
    hint = "another program may use it, or choose another camera with camera.device or camera.index"
    return HardwareError("camera", Reason.BROKEN, f"{path} is there but gives no pictures; {hint}")
