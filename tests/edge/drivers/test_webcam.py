from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from edge.config import CameraConfig
from edge.core.errors import HardwareError, Reason
from edge.drivers.fake import FakeClock
from edge.drivers.webcam import WebcamCamera
from tests.ports.standins import FakeCapture, write_video


def opened(capture: FakeCapture) -> WebcamCamera:
    return WebcamCamera(CameraConfig(), capture=lambda: capture, clock=FakeClock(7.0))


def wait_until_read(capture: FakeCapture, frames: int) -> None:
    """The reader comes back for one more than it has stored."""
    for _ in range(frames + 1):
        assert capture.taken.acquire(timeout=5.0)


def test_frames_that_nobody_took_are_dropped_but_counted() -> None:
    capture = FakeCapture()
    camera = opened(capture)
    capture.feed(5)
    wait_until_read(capture, 5)
    frame = camera.read(1.0)
    assert frame is not None
    assert (frame.seq, frame.t_s) == (4, 7.0)
    capture.end()
    camera.close()


def test_a_frame_is_given_once() -> None:
    capture = FakeCapture()
    camera = opened(capture)
    capture.feed()
    assert camera.read(5.0) is not None
    with pytest.raises(HardwareError, match="no frame for") as caught:
        camera.read(0.01)
    assert caught.value.reason is Reason.STOPPED
    capture.feed()
    assert camera.read(5.0) is not None
    capture.end()
    camera.close()


def test_a_webcam_that_was_pulled_out_is_noticed_at_once() -> None:
    capture = FakeCapture()
    camera = opened(capture)
    capture.end()
    with pytest.raises(HardwareError, match="gives no more frames"):
        camera.read(60.0)
    camera.close()


def test_closing_ends_the_reader_and_lets_the_camera_go() -> None:
    capture = FakeCapture()
    camera = opened(capture)
    capture.feed()
    capture.end()
    camera.close()
    assert capture.released
    assert not camera._thread.is_alive()


def test_a_webcam_that_does_not_open_is_let_go() -> None:
    capture = FakeCapture(opened=False)
    with pytest.raises(HardwareError):
        opened(capture)
    assert capture.released


def test_opencvs_own_capture_serves(tmp_path: Path) -> None:
    file = write_video(tmp_path / "v.avi", 3)
    camera = WebcamCamera(CameraConfig(), capture=lambda: cv2.VideoCapture(str(file)))
    frame = camera.read(5.0)
    assert frame is not None
    assert frame.pixels.shape == (48, 64, 3)
    camera.close()
