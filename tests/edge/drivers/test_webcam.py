from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from edge.core.errors import HardwareError, Reason
from edge.drivers.fake import FakeClock
from edge.drivers.v4l import Node
from edge.drivers.webcam import WebcamCamera, find
from edge.settings import CameraConfig
from tests.ports.standins import FakeCapture, one_webcam, write_video


def opened(capture: FakeCapture) -> WebcamCamera:
    return WebcamCamera(CameraConfig(), capture=lambda path: capture, clock=FakeClock(7.0), nodes=one_webcam)


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
    camera = WebcamCamera(CameraConfig(), capture=lambda path: cv2.VideoCapture(str(file)), nodes=one_webcam)
    frame = camera.read(5.0)
    assert frame is not None
    assert frame.pixels.shape == (48, 64, 3)
    camera.close()


# Which one


def node(number: int, name: str = "", pictures: bool = True) -> Node:
    return Node(Path(f"/dev/video{number}"), name, pictures)


C920 = [node(1, "HD Pro Webcam C920"), node(2, "HD Pro Webcam C920", pictures=False)]
BUILT_IN = [node(3, "Integrated Camera"), node(4, "Integrated Camera", pictures=False)]


@pytest.mark.parametrize(
    ("nodes", "index", "device", "number"),
    [
        (C920, 0, "", 1),
        (C920 + BUILT_IN, 1, "", 3),
        (C920 + BUILT_IN, 0, "integrated", 3),
        ([*C920, node(5, "HD Pro Webcam C920")], 1, "c920", 5),
        (C920 + BUILT_IN, 0, "/dev/video3", 3),
        ([node(10, "C920"), node(1, "C9")], 0, "/dev/video1", 1),
    ],
)
def test_a_webcam_is_counted_among_those_that_give_pictures_or_named(
    nodes: list[Node], index: int, device: str, number: int
) -> None:
    assert find(CameraConfig(index=index, device=device), nodes) == Path(f"/dev/video{number}")


def test_a_link_names_the_camera_that_it_leads_to(tmp_path: Path) -> None:
    camera = tmp_path / "video7"
    camera.touch()
    link = tmp_path / "usb-Maker_Webcam-video-index0"
    link.symlink_to(camera)
    nodes = [*C920, Node(camera, "another", pictures=True)]
    assert find(CameraConfig(device=str(link)), nodes) == camera


@pytest.mark.parametrize(
    ("nodes", "index", "device", "words"),
    [
        ([], 0, "", "there is no webcam; is it plugged in?"),
        (
            C920,
            1,
            "",
            "there is no webcam 1; those that are there, counted from 0: 0: HD Pro Webcam C920 (/dev/video1)",
        ),
        (
            C920 + BUILT_IN,
            0,
            "gold",
            "no webcam is called 'gold'; those that are there, counted from 0: "
            "0: HD Pro Webcam C920 (/dev/video1); 1: Integrated Camera (/dev/video3)",
        ),
        (
            C920,
            1,
            "c920",
            "there is no webcam 1 that is called 'c920'; those that are there, counted from 0: "
            "0: HD Pro Webcam C920 (/dev/video1)",
        ),
        (
            [node(1, pictures=False), node(2, "codec", pictures=False)],
            0,
            "",
            "there is no webcam: none of /dev/video1, /dev/video2 (codec) gives pictures",
        ),
    ],
)
def test_a_webcam_that_is_not_there_is_missing_and_those_that_are_there_are_named(
    nodes: list[Node], index: int, device: str, words: str
) -> None:
    with pytest.raises(HardwareError) as caught:
        find(CameraConfig(index=index, device=device), nodes)
    assert (caught.value.reason, caught.value.detail) == (Reason.MISSING, words)


@pytest.mark.parametrize("device", ["", "C920"])
def test_a_webcam_that_comes_back_under_another_number_is_opened_again(device: str) -> None:
    before, after = [node(0, "C920"), node(1, "C920", False)], [node(1, "C920", False), node(2, "C920")]
    paths: list[str] = []

    def capture(path: Path) -> FakeCapture:
        paths.append(str(path))
        return FakeCapture(ended=True)

    there = iter([before, after])
    for _ in range(2):
        WebcamCamera(CameraConfig(device=device), capture=capture, nodes=lambda: next(there)).close()
    assert paths == ["/dev/video0", "/dev/video2"]
