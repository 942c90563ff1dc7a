"""Owns a WAV file as a speaker: what would be heard, one phrase after the other; knows no clock and no card."""

from __future__ import annotations

import logging
import struct
import threading
from pathlib import Path
from typing import BinaryIO

import numpy as np

from edge.core.errors import HardwareError, Reason
from edge.core.messages import Pcm
from edge.drivers.resample import resample

log = logging.getLogger(__name__)

GAP_S = 0.3  # of silence between two phrases
HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
RATE_HZ = 22_050  # of a file in which nothing was said


class WavSpeaker:
    """Begins a new file and appends each phrase to it; the file is whole after every phrase, even after a kill."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._rate_hz = 0
        self._bytes = 0
        try:
            self._file: BinaryIO | None = path.open("wb")
        except OSError as error:
            reason = Reason.DENIED if isinstance(error, PermissionError) else Reason.MISSING
            raise HardwareError("speaker", reason, f"{path} cannot be written: {error.strerror}") from error
        self._append(np.zeros(0, np.int16))

    def play(self, pcm: Pcm) -> None:
        """Append `pcm`, after a short silence if something came before; the first phrase sets the file's rate."""
        with self._lock:
            first = self._rate_hz == 0
            self._rate_hz = self._rate_hz or pcm.rate_hz
            gap = np.zeros(0 if first else int(GAP_S * self._rate_hz), np.int16)
            self._append(np.concatenate([gap, resample(pcm, self._rate_hz)]))

    def stop(self) -> None:
        """Nothing: a file plays in no time, so all of it was heard already."""

    def wait(self, timeout_s: float) -> bool:
        """Always done."""
        return True

    def check(self) -> None:
        """A file that was closed is gone."""
        if self._file is None:
            raise HardwareError("speaker", Reason.STOPPED, "it was closed")

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _append(self, samples: np.ndarray[tuple[int, ...], np.dtype[np.int16]]) -> None:
        self.check()
        assert self._file is not None
        data = samples.astype("<i2").tobytes()
        try:
            self._file.seek(HEADER.size + self._bytes)
            self._file.write(data)
            self._file.flush()
            # The header last: until it stands, the file is a valid one without the new phrase.
            self._file.seek(0)
            self._file.write(_header(self._bytes + len(data), self._rate_hz or RATE_HZ))
            self._file.flush()
        except OSError as error:
            raise HardwareError("speaker", Reason.STOPPED, f"{self._path}: {error.strerror}") from error
        self._bytes += len(data)


def _header(size: int, rate_hz: int) -> bytes:
    """Of a mono, 16-bit file with `size` bytes of samples."""
    return HEADER.pack(b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16, b"data", size)
