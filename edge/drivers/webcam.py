"""Owns a USB camera through OpenCV; knows nothing of what it sees.

OpenCV hands out frames from a queue: a reader thread empties it all the time and keeps the newest only.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.config import CameraConfig
from edge.core.errors import HardwareError, Reason
from edge.core.messages import Frame
from edge.drivers.clock import SystemClock
from edge.ports import Clock

log = logging.getLogger(__name__)

READ_TIMEOUT_MS = 1000.0  # bounds how long close() waits for the reader


class WebcamCamera:
    """Gives the newest frame; `capture` makes something like cv2.VideoCapture, by default the camera itself."""

    def __init__(
        self, config: CameraConfig, capture: Callable[[], Any] | None = None, clock: Clock | None = None
    ) -> None:
        self._clock = clock or SystemClock()
        self._capture = capture() if capture else _open(config)
        if not self._capture.isOpened():
            self._capture.release()
            raise _not_opened(config.index)
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


def _open(config: CameraConfig) -> Any:
    # A missing camera is our own error, in our own words; OpenCV's warnings about it would only clutter stderr.
    cv2.setLogLevel(0)
    capture = cv2.VideoCapture(config.index)
    if capture.isOpened():
        capture.set(cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_TIMEOUT_MS)
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, config.width_px)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, config.height_px)
        capture.set(cv2.CAP_PROP_FPS, config.frames_per_s)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


def _not_opened(index: int) -> HardwareError:
    device = Path(f"/dev/video{index}")
    if not device.exists():
        return HardwareError("camera", Reason.MISSING, f"there is no webcam {index}; is it plugged in?")
    try:
        with device.open("rb", buffering=0):
            pass
    except PermissionError:
        return HardwareError("camera", Reason.DENIED, f"{device} may not be read; add the user to the group video")
    except OSError as error:
        return HardwareError("camera", Reason.BUSY, f"{device} cannot be opened: {error.strerror}")
    return HardwareError("camera", Reason.BROKEN, f"{device} is there but gives no pictures; another index may")
