"""Owns the spoken phrases as sound in memory. Knows neither when nor why they are said.

prepared    the fixed phrases, kept for good and on disk by content
passing     totals: the last few in memory, never on disk, which they would fill and tell of

What will be asked for next (a total that has just changed) is rendered on a thread of this file's, so that neither
an amount nor an answer ever waits for a process that starts.

    inbox: 1 item, the oldest makes room: of two totals only the newer one can be asked for
"""

from __future__ import annotations

import contextlib
import io
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from edge.core import arrays, intake
from edge.core.errors import HardwareError
from edge.core.messages import Pcm
from edge.core.sums import hexadecimal
from edge.outlets.inbox import Inbox
from edge.outlets.worker import Mishaps, serve
from edge.ports import Synth

log = logging.getLogger(__name__)

PASSING = 8  # phrases that were not prepared; a total lasts 100 KB
QUIET = 40  # of 32768: what is less is silence
LEAD_S, TAIL_S = 0.002, 0.06  # of silence that a phrase keeps: espeak-ng puts up to 50 ms before it, 330 ms after it
CLOSE_S = 1.0
LOWEST_HZ, HIGHEST_HZ = 4_000, 192_000
KEPT_MOST_BYTES = 8 << 20  # of one kept phrase: a minute and more


class Phrases:
    """Text to sound, rendered at most once."""

    def __init__(self, synth: Synth, language: str, settings: str, folder: Path | None = None) -> None:
        """`settings` names rate, pitch and volume: sound made with others is not taken from `folder`."""
        self._synth = synth
        self._language = language
        self._folder = folder
        self._settings = f"{synth.version()}|{language}|{settings}|trimmed"
        self.failure: HardwareError | None = None  # of the last text rendered, if that was not to be
        self._kept: dict[str, Pcm] = {}
        self._passing: OrderedDict[str, Pcm] = OrderedDict()
        self._lock = threading.Lock()  # over the sounds; never held while a process runs
        self._rendering = threading.Lock()  # one process at a time
        self._inbox: Inbox[str] = Inbox(1, drop="oldest")
        self._later: Sequence[str] = ()
        self._thread = threading.Thread(target=self._run, name="phrases", daemon=True)

    def start(self, later: Sequence[str] = ()) -> None:
        """Begin to render ahead; before that, `ahead` renders in its caller's thread.

        `later`: fixed phrases in the order in which they may be asked for; the start need not wait for them.
        """
        self._later = later
        self._thread.start()

    def close(self) -> None:
        """Render ahead no more."""
        self._inbox.close()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)

    def prepare(self, texts: Iterable[str]) -> int:
        """Have every text ready to be played; how many had to be rendered."""
        rendered = 0
        for text in texts:
            with self._rendering:
                if text not in self._kept:
                    rendered += self._keep(text)
        return rendered

    def sound(self, text: str) -> Pcm:
        """The sound of `text`. Raises HardwareError("speech", ...) where it cannot be rendered."""
        found = self._known(text)
        if found is None:
            with self._rendering:  # by now it may be there: it was being rendered ahead
                found = self._known(text) or self._load(text) or self._render(text)
                with self._lock:
                    self._passing[text] = found
                    if len(self._passing) > PASSING:
                        self._passing.popitem(last=False)
        return found

    def has(self, text: str) -> bool:
        """Whether `sound` gives it at once."""
        return self._known(text) is not None

    def ahead(self, text: str) -> None:
        """Have `text` rendered before somebody asks for it; a voice that fails is told when it is asked for."""
        if self._thread.is_alive():
            self._inbox.offer(text)
        else:
            self._try(text)

    def _run(self) -> None:
        later = list(reversed(self._later))

        def turn(text: str | None) -> None:
            if text is not None:
                self._try(text)
            elif later:
                self._try(later.pop(), keep=True)

        serve(self._inbox, turn, lambda: 0.0 if later else None, mishaps=Mishaps("phrases"))

    def _try(self, text: str, *, keep: bool = False) -> None:
        try:
            self.prepare([text]) if keep else self.sound(text)
        except HardwareError as error:
            log.warning("not rendered ahead: %s", error)

    def _known(self, text: str) -> Pcm | None:
        with self._lock:
            if text in self._passing:
                self._passing.move_to_end(text)
            return self._kept.get(text) or self._passing.get(text)

    def _render(self, text: str) -> Pcm:
        try:
            found = trimmed(self._synth.render(text, self._language))
        except HardwareError as error:
            self.failure = error
            raise
        self.failure = None
        return found

    def _keep(self, text: str) -> int:
        path, loaded = self._path(text), self._load(text)
        found = loaded or self._render(text)
        with self._lock:
            self._kept[text] = found
        if loaded is None and path is not None and not _store(path, found):
            self._folder = None  # said once; the next start tries again
        return int(loaded is None)

    def _load(self, text: str) -> Pcm | None:
        """From the disk, where it is kept and was not taken into memory yet."""
        path = self._path(text)
        return None if path is None else _load(path)

    def _path(self, text: str) -> Path | None:
        if self._folder is None:
            return None
        key = hexadecimal(f"{self._settings}|{text}".encode())
        return self._folder / f"{key[:32]}.npz"


def trimmed(pcm: Pcm) -> Pcm:
    """`pcm` without the silence around it: at the start it would be waited for, at the end it holds others up."""
    loud = np.flatnonzero(np.abs(pcm.samples.astype(np.int32)) > QUIET)
    if len(loud) == 0:
        return pcm
    first = max(0, int(loud[0]) - round(LEAD_S * pcm.rate_hz))
    last = int(loud[-1]) + 1 + round(TAIL_S * pcm.rate_hz)
    return Pcm(pcm.samples[first:last].copy(), pcm.rate_hz)  # a view would hold the silence all the same


def joined(parts: Sequence[Pcm], pause_s: float) -> Pcm:
    """One sound of several of the same rate, with so much silence between them."""
    if len({pcm.rate_hz for pcm in parts}) != 1:
        raise ValueError("only sounds of one rate can be joined")
    pause = np.zeros(round(pause_s * parts[0].rate_hz), np.int16)
    pieces = [piece for pcm in parts for piece in (pause, pcm.samples)][1:]
    return Pcm(np.concatenate(pieces), parts[0].rate_hz)


def _load(path: Path) -> Pcm | None:
    try:
        kept = arrays.unpack(intake.read(path, KEPT_MOST_BYTES), ("samples", "rate_hz"), KEPT_MOST_BYTES)
        samples, rate_hz = kept["samples"], kept["rate_hz"]
        if samples.ndim != 1 or samples.dtype != np.int16 or rate_hz.shape != () or rate_hz.dtype.kind != "i":
            raise ValueError("it holds no sound")
        if not LOWEST_HZ <= int(rate_hz) <= HIGHEST_HZ:
            raise ValueError(f"nothing sounds at {int(rate_hz)} Hz")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("kept phrase %s is damaged and rendered anew: %s", path.name, error)
        return None
    return Pcm(samples, int(rate_hz))


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
