"""What holds for every camera. Each gives three red frames or more."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.core.errors import HardwareError, Reason
from edge.drivers.fake import FakeCamera, FakeClock
from edge.drivers.files import FilesCamera
from edge.drivers.picamera import PicameraCamera
from edge.drivers.webcam import WebcamCamera
from edge.ports import Camera
from edge.settings import CameraConfig
from tests.ports.standins import RED, FakeCapture, one_webcam, red_frames, write_picture, write_recording, write_video

SMALL = CameraConfig(width_px=160, height_px=120)


def from_recording(tmp_path: Path) -> Camera:
    return FilesCamera(write_recording(tmp_path / "recording", 3), pace=False, clock=FakeClock())


def from_recording_in_real_time(tmp_path: Path) -> Camera:
    return FilesCamera(write_recording(tmp_path / "recording", 3), pace=True, clock=FakeClock())


def from_video(tmp_path: Path) -> Camera:
    return FilesCamera(write_video(tmp_path / "video.avi", 3), pace=False, clock=FakeClock())


def from_photographs(tmp_path: Path) -> Camera:
    write_picture(tmp_path / "note.jpg")
    return FilesCamera(tmp_path, pace=False, clock=FakeClock())


def from_webcam(tmp_path: Path) -> Camera:
    return WebcamCamera(SMALL, capture=lambda path: EagerCapture(), nodes=one_webcam)


def from_script(tmp_path: Path) -> Camera:
    return FakeCamera(red_frames(3))


class EagerCapture(FakeCapture):
    """A webcam that always has a next frame, but not before the last one was looked at."""

    def read(self) -> tuple[bool, Any]:
        self.feed()
        return super().read()


SOFTWARE = [from_script, from_recording, from_recording_in_real_time, from_video, from_photographs, from_webcam]
ENDING = [from_script, from_recording, from_recording_in_real_time, from_video, from_photographs]
REAL = [("picamera", PicameraCamera), ("webcam", WebcamCamera)]


@pytest.fixture(params=[*SOFTWARE, "picamera"], ids=lambda make: getattr(make, "__name__", make))
def camera(request: pytest.FixtureRequest, tmp_path: Path, picamera2: Any) -> Iterator[Camera]:
    make: Callable[[Path], Camera] | str = request.param
    camera = PicameraCamera(SMALL, backend=picamera2) if isinstance(make, str) else make(tmp_path)
    yield camera
    camera.close()


def test_pixels_are_rgb_rows_by_columns(camera: Camera) -> None:
    frame = camera.read(5.0)
    assert frame is not None
    assert frame.pixels.dtype == np.uint8
    assert frame.pixels.ndim == 3
    assert np.abs(frame.pixels.mean(axis=(0, 1)) - RED).max() < 6  # JPEG and video are not exact


def test_numbers_and_times_rise(camera: Camera) -> None:
    frames = [camera.read(5.0) for _ in range(3)]
    assert all(frame is not None for frame in frames)
    for before, after in itertools.pairwise(frames):
        assert before is not None
        assert after is not None
        assert after.seq > before.seq
        assert after.t_s > before.t_s


def test_it_may_be_closed_twice_and_gives_nothing_after(camera: Camera) -> None:
    camera.close()
    camera.close()
    with pytest.raises(HardwareError) as caught:
        camera.read(0.1)
    assert (caught.value.device, caught.value.reason) == ("camera", Reason.STOPPED)


@pytest.mark.parametrize("make", ENDING)
def test_a_recording_ends_with_none_for_ever(make: Callable[[Path], Camera], tmp_path: Path) -> None:
    camera = make(tmp_path)
    for _ in range(100):
        if camera.read(5.0) is None:
            break
    assert camera.read(5.0) is None
    camera.close()


def test_the_fake_raises_what_its_script_says() -> None:
    frame = red_frames(1)[0]
    camera = FakeCamera([HardwareError("camera", Reason.STOPPED, "cable"), frame])
    with pytest.raises(HardwareError, match="cable"):
        camera.read(1.0)
    assert camera.read(1.0) is frame
    assert camera.given == [frame]


@pytest.mark.parametrize(("name", "driver"), REAL)
def test_a_missing_camera_is_named(name: str, driver: Any) -> None:
    if any(Path("/dev").glob("video*")):
        pytest.skip("there is a camera: run this where there is none")
    with pytest.raises(HardwareError) as caught:
        driver(CameraConfig(driver=name, index=9))
    assert caught.value.device == "camera"
    assert caught.value.reason in {Reason.MISSING, Reason.NOT_INSTALLED}


def test_a_missing_webcam_leaves_stderr_clean(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HardwareError):
        WebcamCamera(CameraConfig(driver="webcam", index=9))
    assert capfd.readouterr().err == ""


@pytest.mark.hardware
@pytest.mark.parametrize(("name", "driver"), REAL)
def test_a_real_camera_gives_pictures_of_the_size_asked_for(name: str, driver: Any) -> None:
    try:
        camera = driver(CameraConfig(driver=name))
    except HardwareError as error:
        pytest.skip(f"connect the camera and try again: {error}")
    frames = [camera.read(5.0) for _ in range(30)]
    camera.close()
    assert {frame.pixels.shape for frame in frames} == {(480, 640, 3)}
    assert cv2.cvtColor(frames[-1].pixels, cv2.COLOR_RGB2GRAY).std() > 0
