"""Owns the Pi's camera through picamera2; knows nothing of what it sees.

The image processor scales, not Python: the one stream we ask for has the small size already. picamera2 names its
formats after the order in a little-endian word, so "BGR888" is the one whose bytes in memory are red, green, blue.
A camera at USB has no such processor, and libcamera lists it all the same: what it gives instead is turned here.

libcamera has no control that limits the exposure and leaves the rest of it automatic: `ExposureTime` fixes it, and
`FrameDurationLimits` would limit it by taking more frames than anyone looks at. The limit stands in the sensor's
tuning, whose exposure modes say how far time may grow before gain does; so it is read, cut, and handed over.
"""

from __future__ import annotations

import importlib
import logging
from concurrent.futures import CancelledError
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.core.errors import HardwareError, Reason
from edge.core.messages import Frame
from edge.drivers.choice import Candidate, choose
from edge.settings import CameraConfig

log = logging.getLogger(__name__)

FORMAT = "BGR888"  # red, green, blue in memory
# What cameras at USB give whatever they are asked for, and OpenCV's way from there; picamera2 unpacks JPEG itself.
TURNS = {"NV12": cv2.COLOR_YUV2RGB_NV12, "YUYV": cv2.COLOR_YUV2RGB_YUYV}
AS_IT_IS = (FORMAT, "MJPEG")
BUFFERS = 4  # fewer and the camera drops frames while one is read
# libcamera's numbers for these controls; its own enumerations live in a second package.
FOCUS = {
    "near": {"AfMode": 2, "AfRange": 1, "AfSpeed": 1},  # continuous, macro, fast; on Module 3 from 33 cm to 7 cm
    "auto": {"AfMode": 2, "AfRange": 2, "AfSpeed": 1},  # continuous, full, fast
    "fixed": {"AfMode": 0},  # manual, with LensPosition
}
EXPOSURE = {"AeExposureMode": 1}  # short: gain before time, because hands move


class PicameraCamera:
    """Gives the newest frame; `backend` stands in for the picamera2 module."""

    def __init__(self, config: CameraConfig, backend: Any = None) -> None:
        self._module = backend or _import_picamera2()
        self._camera: Any = self._open(config)
        self._seq = -1
        self._format = FORMAT
        try:
            self._start(config)
        except (RuntimeError, OSError, ValueError, LookupError) as error:
            self.close()
            raise HardwareError("camera", Reason.BROKEN, f"it cannot be started: {error}") from error

    def read(self, timeout_s: float) -> Frame | None:
        """The newest frame not given before.

        picamera2 holds one finished frame, exchanged for each newer one: it is at most one frame old, and waiting
        for one exposed after this call (its `flush`) would halve the rate.
        """
        if self._camera is None:
            raise HardwareError("camera", Reason.STOPPED, "it was closed")
        try:
            request = self._camera.capture_request(wait=max(timeout_s, 0.001))
        except (TimeoutError, CancelledError) as error:
            # The job that timed out would stay in the queue and be served first.
            self._camera.cancel_all_and_flush()
            raise HardwareError("camera", Reason.STOPPED, f"no frame for {timeout_s:.1f} s") from error
        except (RuntimeError, OSError) as error:
            raise HardwareError("camera", Reason.STOPPED, str(error)) from error
        try:
            return self._frame(request)
        except (RuntimeError, OSError, ValueError, cv2.error) as error:
            raise HardwareError("camera", Reason.STOPPED, f"a picture that cannot be read: {error}") from error
        finally:
            request.release()

    def close(self) -> None:
        """Stop the camera and let it go."""
        camera, self._camera = self._camera, None
        if camera is None:
            return
        camera.cancel_all_and_flush()
        try:
            camera.stop()
        finally:
            camera.close()

    def _frame(self, request: Any) -> Frame:
        pixels = self._as_rgb(request.make_array("main"))
        t_s = request.get_metadata()["SensorTimestamp"] / 1e9
        self._seq = max(self._seq + 1, int(getattr(request.request, "sequence", 0)))
        return Frame(self._seq, t_s, pixels)

    def _as_rgb(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        turn = TURNS.get(self._format)
        return np.ascontiguousarray(pixels if turn is None else cv2.cvtColor(pixels, turn), np.uint8)

    def _open(self, config: CameraConfig) -> Any:
        known = self._module.Picamera2.global_camera_info()
        if not known:
            raise HardwareError("camera", Reason.MISSING, "no camera is found; check the cable at both ends")
        found = [Candidate(str(one.get("Model", "")), str(one.get("Id", ""))) for one in known]
        index = choose("camera", found, config.device, config.index)
        tuning = self._tuning(found[index].name, config.max_exposure_ms)
        try:
            # Its place in the list, whose order is picamera2's; "Num", in there, is libcamera's number.
            return self._module.Picamera2(index, tuning=tuning)
        except (RuntimeError, OSError, LookupError) as error:
            raise HardwareError("camera", Reason.BUSY, f"is another program using it? ({error})") from error

    def _tuning(self, model: str, max_exposure_ms: float) -> Any:
        """The sensor's tuning with no exposure above the limit; None, which is its own, where it cannot be had."""
        try:
            tuning = self._module.Picamera2.load_tuning_file(f"{model}.json")
            _limit_exposure(self._module.Picamera2.find_tuning_algo(tuning, "rpi.agc"), max_exposure_ms)
        except (RuntimeError, OSError, ValueError, LookupError, TypeError, StopIteration) as error:
            # A picture that blurs more easily is better than none.
            log.warning("exposure not limited, no usable tuning for sensor %s: %s", model or "unknown", error)
            return None
        return tuning

    def _start(self, config: CameraConfig) -> None:
        camera = self._camera
        settings = camera.create_video_configuration(
            main={"format": FORMAT, "size": (config.width_px, config.height_px)},
            raw=None,
            sensor=_sensor_mode(camera.sensor_modes, config.frames_per_s),
            buffer_count=BUFFERS,
            controls=_controls(camera.camera_controls, config),
            display=None,
            encode=None,
        )
        camera.configure(settings)
        self._format = str(camera.camera_configuration()["main"]["format"])
        if self._format not in (*AS_IT_IS, *TURNS):
            raise ValueError(f'pictures as {self._format} cannot be read; try it with driver = "webcam"')
        camera.start()
        log.debug("camera up main=%s sensor=%s", settings["main"], settings["sensor"])


def _controls(known: Any, config: CameraConfig) -> dict[str, Any]:
    """Those of our wishes that this camera understands: one without a lens motor has no AfMode."""
    frame_us = round(1e6 / config.frames_per_s)
    wishes: dict[str, Any] = {**FOCUS[config.focus], **EXPOSURE, "FrameDurationLimits": (frame_us, frame_us)}
    if config.focus == "fixed" and "LensPosition" in known:
        nearest = float(known["LensPosition"][1])
        if config.lens_position_dioptres > nearest:
            log.warning("the lens reaches %.1f dioptres, not %.1f", nearest, config.lens_position_dioptres)
        wishes["LensPosition"] = min(config.lens_position_dioptres, nearest)
    return {name: value for name, value in wishes.items() if name in known}


def _limit_exposure(agc: dict[str, Any], max_exposure_ms: float) -> None:
    """Cut every exposure mode of a tuning's "rpi.agc", in place; sensors with HDR have a list of channels in it.

    All of them, not the short one alone: some versions of the stack keep the normal mode whatever is asked for.
    """
    for channel in agc.get("channels", [agc]):
        for mode in channel["exposure_modes"].values():
            mode["shutter"] = [min(int(us), round(1000 * max_exposure_ms)) for us in mode["shutter"]]


def _sensor_mode(modes: list[dict[str, Any]], frames_per_s: float) -> dict[str, Any] | None:
    """The smallest mode that is fast enough and sees the whole width; None for a camera with no modes to choose from.

    Left alone, picamera2 takes the mode nearest to the small stream, which on some sensors is a cut from the middle.
    """
    modes = [mode for mode in modes if "fps" in mode]  # of a camera at USB nothing but the format is known
    if not modes:
        return None
    fast = [mode for mode in modes if mode["fps"] >= frames_per_s] or modes
    widest = max(_area(mode["crop_limits"][2:]) for mode in fast)
    whole = [mode for mode in fast if _area(mode["crop_limits"][2:]) >= 0.9 * widest]
    best = min(whole, key=lambda mode: _area(mode["size"]))
    return {"output_size": tuple(best["size"]), "bit_depth": best["bit_depth"]}


def _area(size: Any) -> int:
    return int(size[0]) * int(size[1])


def _import_picamera2() -> Any:
    try:
        return importlib.import_module("picamera2")
    except ImportError as error:
        hint = (
            "install it with: sudo apt install python3-picamera2, and make the environment with --system-site-packages"
        )
        raise HardwareError("camera", Reason.NOT_INSTALLED, hint) from error
