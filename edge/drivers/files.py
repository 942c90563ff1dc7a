"""Owns recordings and photographs as a camera; knows nothing of what is in the pictures.

Three forms:

- a folder with `recording.toml` (`frames_per_s = 10.0`, optionally `announce = "demonstration, play money"`):
  its pictures in the order of their names are consecutive frames;
- a video file;
- a folder of photographs, or one photograph: each is a still, shown for one second and then taken away for one
  second (mid-grey), so that each is a presence of its own.

Times are computed from the frame's number, never measured: a recording replays exactly, and faster than life.
With `repeat` a recording that has ended begins anew; numbers and times go on.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from edge.core import intake, picture, tables
from edge.core.errors import HardwareError, PictureError, Reason
from edge.core.litter import is_litter
from edge.core.messages import Frame, Pixels
from edge.ports import Clock

log = logging.getLogger(__name__)

RECORDING = "recording.toml"
RECORDING_MOST_BYTES = 64 << 10
FASTEST_PER_S = 1000  # frames: more are no recording
GREY = 128  # what is seen between two stills
STILL_S = 1.0  # how long a photograph is shown, and how long it is away


class _Source(Protocol):
    """Frames by number."""

    def shot(self, index: int) -> tuple[Pixels, str] | None:
        """Pixels and file name of frame `index`, None where it cannot be read; EOFError past the end."""

    def last(self) -> int:
        """The number of the last frame."""

    def close(self) -> None:
        """Let files go."""


class FilesCamera:
    """Gives the frames of a recording; with `pace` in real time, dropping what came too late to be the newest."""

    announce: str  # what must be said before this recording is played, "" for nothing
    broken: dict[str, str]  # names of the files that could not be read so far, and why

    def __init__(
        self, path: Path, *, pace: bool, clock: Clock, frames_per_s: float = 10.0, repeat: bool = False
    ) -> None:
        self.announce = ""
        self.broken = {}
        self._path = path
        self._clock = clock
        self._pace = pace
        self._frames_per_s = frames_per_s
        self._repeat = repeat
        self._first = 0  # number of the first frame of this round
        self._given = False  # whether this round gave a frame
        self._next = 0
        self._start_s: float | None = None
        self._source: _Source | None = self._open(path)

    def read(self, timeout_s: float) -> Frame | None:
        """The newest frame not given before; None when the recording has ended."""
        while self._source is not None:
            if self._pace:
                self._wait(timeout_s)
            index = self._next
            try:
                shot = self._source.shot(index - self._first)
            except EOFError:
                if not (self._repeat and self._given):  # one without a picture would end again and again
                    return None
                self._begin_anew()
                continue
            self._next = index + 1
            if shot is not None:
                self._given = True
                return Frame(index, index / self._frames_per_s, shot[0], shot[1])
        raise HardwareError("camera", Reason.STOPPED, "it was closed")

    def close(self) -> None:
        """Let the files go."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def _begin_anew(self) -> None:
        self.close()
        self._source = self._open(self._path)
        self._first, self._given = self._next, False
        if self._start_s is not None:  # what a sleeping computer missed is not caught up
            self._start_s = max(self._start_s, self._clock.now_s() - self._next / self._frames_per_s)

    def _wait(self, timeout_s: float) -> None:
        assert self._source is not None
        last = self._first + self._source.last()
        now_s = self._clock.now_s()
        if self._start_s is None:
            self._start_s = now_s
        due = int((now_s - self._start_s) * self._frames_per_s + 1e-6)
        self._next = max(self._next, min(due, last))
        left_s = self._start_s + self._next / self._frames_per_s - now_s
        if self._next > last or left_s <= 0:
            return
        self._clock.sleep(min(left_s, timeout_s))
        if left_s > timeout_s:
            raise HardwareError("camera", Reason.STOPPED, f"the next frame is due in {left_s:.1f} s only")

    def _open(self, path: Path) -> _Source:
        if path.is_dir():
            return self._open_folder(path)
        if not path.exists():
            raise _missing(path)
        if _is_picture(path):
            return _Stills([path], self._frames_per_still(), self.broken)
        video = _Video(path)
        self._frames_per_s = video.frames_per_s or self._frames_per_s
        return video

    def _open_folder(self, path: Path) -> _Source:
        pictures = _some_of(path)
        if not (path / RECORDING).is_file():
            return _Stills(pictures, self._frames_per_still(), self.broken)
        self._frames_per_s, self.announce = _read_recording(path / RECORDING)
        return _Pictures(pictures, self.broken)

    def _frames_per_still(self) -> int:
        return max(1, round(STILL_S * self._frames_per_s))


def photographs(path: Path) -> list[Path] | None:
    """The files of a folder of photographs, or the one photograph; None for a recording or a film.

    Raises HardwareError for what is none of these.
    """
    if path.is_dir():
        found = _some_of(path)
        return None if (path / RECORDING).is_file() else found
    if not path.exists():
        raise _missing(path)
    return [path] if _is_picture(path) else None


class _Pictures:
    """Each file is one frame."""

    def __init__(self, files: list[Path], broken: dict[str, str]) -> None:
        self._files = files
        self._broken = broken

    def shot(self, index: int) -> tuple[Pixels, str] | None:
        if index >= len(self._files):
            raise EOFError
        pixels = _decode(self._files[index], self._broken)
        return None if pixels is None else (pixels, self._files[index].name)

    def last(self) -> int:
        return len(self._files) - 1

    def close(self) -> None:
        pass


class _Stills:
    """Each file is a second of itself and a second of grey; a broken file takes no time at all."""

    def __init__(self, files: list[Path], frames_per_still: int, broken: dict[str, str]) -> None:
        self._files = files
        self._per = frames_per_still
        self._broken = broken
        self._shown: tuple[Path, Pixels] | None = None

    def shot(self, index: int) -> tuple[Pixels, str] | None:
        number, phase = divmod(index, 2 * self._per)
        while number < len(self._files):
            file = self._files[number]
            pixels = self._pixels(file)
            if pixels is None:
                del self._files[number]
            elif phase < self._per:
                return pixels, file.name
            else:
                return np.full_like(pixels, GREY), ""
        raise EOFError

    def last(self) -> int:
        return 2 * self._per * len(self._files) - 1

    def close(self) -> None:
        self._shown = None

    def _pixels(self, file: Path) -> Pixels | None:
        if self._shown is None or self._shown[0] != file:
            pixels = _decode(file, self._broken)
            if pixels is None:
                return None
            self._shown = file, pixels
        return self._shown[1]


class _Video:
    """A file that OpenCV can play."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise HardwareError("camera", Reason.MISSING, f"{path} is neither a folder, a picture nor a video")
        size = [int(self._capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
        if size[0] * size[1] > picture.MOST_PIXELS:
            self._capture.release()
            raise HardwareError("camera", Reason.BROKEN, f"{path} is too large: {size[0]} x {size[1]} pixels")
        self.frames_per_s = float(self._capture.get(cv2.CAP_PROP_FPS))
        self._count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._position = 0

    def shot(self, index: int) -> tuple[Pixels, str] | None:
        while self._position < index:
            if not self._capture.grab():
                raise EOFError
            self._position += 1
        good, shown = self._capture.read()
        if not good:
            raise EOFError
        self._position += 1
        return cv2.cvtColor(shown, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False), self._name

    def last(self) -> int:
        # Containers without an index do not know: then nothing is dropped past the end either.
        return self._count - 1 if self._count > 0 else 1 << 40

    def close(self) -> None:
        self._capture.release()


def _missing(path: Path) -> HardwareError:
    return HardwareError("camera", Reason.MISSING, f"{path} does not exist")


def _some_of(folder: Path) -> list[Path]:
    pictures = _pictures_of(folder)
    if not pictures:
        raise HardwareError("camera", Reason.MISSING, f"{folder} holds no pictures (jpg, png, webp)")
    return pictures


def _pictures_of(folder: Path) -> list[Path]:
    """What is named like a picture and was put there by a person, in the order of the names."""
    try:
        files = [file for file in folder.iterdir() if file.suffix.lower() in picture.SUFFIXES]
        return sorted(file for file in files if not is_litter(file.name) and not file.is_dir())
    except OSError as error:
        raise HardwareError("camera", Reason.DENIED, f"{folder} cannot be read: {error.strerror}") from error


def _is_picture(path: Path) -> bool:
    """Whether this file is to be read as a picture; what is none may be a film. HardwareError for what is neither."""
    try:
        picture.look(path)
    except PictureError as error:
        if error.other_format or not path.is_file():
            raise HardwareError("camera", Reason.MISSING, str(error)) from error
        return path.suffix.lower() in picture.SUFFIXES
    return True


def _decode(file: Path, broken: dict[str, str]) -> Pixels | None:
    try:
        return picture.read(file).pixels
    except PictureError as error:
        if file.name not in broken:  # again and again, where the recording is repeated
            log.warning("picture skipped: it %s file=%s", error.reason, file)
            broken[file.name] = error.reason
        return None


def _read_recording(file: Path) -> tuple[float, str]:
    try:
        raw = tables.parse(intake.read(file, RECORDING_MOST_BYTES).decode("utf-8"))
        frames_per_s, announce = float(raw["frames_per_s"]), raw.get("announce", "")
        if not (0 < frames_per_s <= FASTEST_PER_S and isinstance(announce, str)):
            raise ValueError(f"frames_per_s must be above 0, up to {FASTEST_PER_S}, and announce a string")
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise HardwareError("camera", Reason.BROKEN, f"{file} cannot be used: {error}") from error
    return frames_per_s, announce
