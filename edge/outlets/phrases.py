"""Owns the spoken phrases as sound in memory. Knows neither when nor why they are said.

prepared    the fixed phrases, kept for good and on disk by content
passing     totals, ages: the last few in memory, never on disk, which they would fill and tell of
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from edge.core.bundle import UNREADABLE_ARRAYS
from edge.core.messages import Pcm
from edge.ports import Synth

log = logging.getLogger(__name__)

PASSING = 8  # phrases that were not prepared; a total lasts 100 KB


class Phrases:
    """Text to sound, rendered at most once."""

    def __init__(self, synth: Synth, language: str, settings: str, folder: Path | None = None) -> None:
        """`settings` names rate, pitch and volume: sound made with others is not taken from `folder`."""
        self._synth = synth
        self._language = language
        self._folder = folder
        self._settings = f"{synth.version()}|{language}|{settings}"
        self._kept: dict[str, Pcm] = {}
        self._passing: OrderedDict[str, Pcm] = OrderedDict()
        self._lock = threading.Lock()

    def prepare(self, texts: Iterable[str]) -> int:
        """Have every text ready to be played; how many had to be rendered."""
        rendered = 0
        for text in texts:
            with self._lock:
                if text not in self._kept:
                    rendered += self._keep(text)
        return rendered

    def sound(self, text: str) -> Pcm:
        """The sound of `text`. Raises HardwareError("speech", ...) where it cannot be rendered."""
        with self._lock:
            found = self._kept.get(text) or self._passing.get(text) or self._synth.render(text, self._language)
            if text not in self._kept:
                self._passing[text] = found
                self._passing.move_to_end(text)
            if len(self._passing) > PASSING:
                self._passing.popitem(last=False)
            return found

    def _keep(self, text: str) -> int:
        path = self._path(text)
        if path is not None and (found := _load(path)) is not None:
            self._kept[text] = found
            return 0
        self._kept[text] = self._synth.render(text, self._language)
        if path is not None and not _store(path, self._kept[text]):
            self._folder = None  # said once; the next start tries again
        return 1

    def _path(self, text: str) -> Path | None:
        if self._folder is None:
            return None
        key = hashlib.sha256(f"{self._settings}|{text}".encode()).hexdigest()
        return self._folder / f"{key[:32]}.npz"


def _load(path: Path) -> Pcm | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = Pcm(arrays["samples"].astype(np.int16), int(arrays["rate_hz"]))
        if found.samples.ndim != 1 or found.rate_hz <= 0:
            raise ValueError("it holds no sound")
    except FileNotFoundError:
        return None
    except UNREADABLE_ARRAYS as error:
        log.warning("kept phrase %s is damaged and rendered anew: %s", path.name, error)
        return None
    return found


def _store(path: Path, pcm: Pcm) -> bool:
    scratch = path.with_suffix(".new.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Packed in memory first: an archive that a full disk cut off complains once more when it is forgotten.
        packed = io.BytesIO()
        np.savez(packed, samples=pcm.samples, rate_hz=pcm.rate_hz)
        scratch.write_bytes(packed.getvalue())
        scratch.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            scratch.unlink()
        log.warning("phrases are not kept on disk and rendered again next time: %s", error)
        return False
    return True
