"""Owns the spoken phrases as sound in memory, kept on disk by content. Knows neither when nor why they are said."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from edge.core.messages import Pcm
from edge.ports import Synth

log = logging.getLogger(__name__)


class Phrases:
    """Text to sound, rendered at most once."""

    def __init__(self, synth: Synth, language: str, settings: str, folder: Path | None = None) -> None:
        """`settings` names rate, pitch and volume: sound made with others is not taken from `folder`."""
        self._synth = synth
        self._language = language
        self._folder = folder
        self._settings = f"{synth.version()}|{language}|{settings}"
        self._kept: dict[str, Pcm] = {}
        self._lock = threading.Lock()

    def prepare(self, texts: Iterable[str]) -> int:
        """Have every text ready to be played; how many had to be rendered."""
        rendered = 0
        for text in texts:
            with self._lock:
                if text not in self._kept:
                    rendered += self._fill(text)
        return rendered

    def sound(self, text: str) -> Pcm:
        """The sound of `text`. Raises HardwareError("speech", ...) where it cannot be rendered."""
        with self._lock:
            if text not in self._kept:
                self._fill(text)
            return self._kept[text]

    def _fill(self, text: str) -> int:
        path = self._path(text)
        if path is not None and (found := _load(path)) is not None:
            self._kept[text] = found
            return 0
        self._kept[text] = self._synth.render(text, self._language)
        if path is not None:
            _store(path, self._kept[text])
        return 1

    def _path(self, text: str) -> Path | None:
        if self._folder is None:
            return None
        key = hashlib.sha256(f"{self._settings}|{text}".encode()).hexdigest()
        return self._folder / f"{key[:32]}.npz"


def _load(path: Path) -> Pcm | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Pcm(arrays["samples"].astype(np.int16), int(arrays["rate_hz"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError) as error:
        log.warning("kept phrase %s is damaged and rendered anew: %s", path.name, error)
        return None


def _store(path: Path, pcm: Pcm) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".new.npz")
        np.savez(scratch, samples=pcm.samples, rate_hz=pcm.rate_hz)
        scratch.replace(path)
    except OSError as error:
        log.warning("phrase not kept on disk, it is rendered again next time: %s", error)
