"""Owns what this device has said: the last utterances of the run and, for good, that it has told what it does not tell.

That a device says once, at its first start, and again at the next one where nobody could hear it. The mark is a file in
the state folder; a disk that hangs must not hold up whoever speaks, so it is made on a thread of this outlet's.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from pathlib import Path

from edge.core.messages import Utterance

log = logging.getLogger(__name__)

REMEMBERED = 1000  # utterances: a device runs for years
TOLD = "told-not-genuine"  # in the state folder, once this device has said what it does not tell
CLOSE_S = 1.0


class Said:
    """Remembers; `utterances` holds the newest last."""

    def __init__(self, warning: str, state: Path) -> None:
        """`warning`: the text that is said once in a device's life."""
        self.utterances: deque[Utterance] = deque(maxlen=REMEMBERED)
        self._warning, self._state = warning, state
        self._marking: threading.Thread | None = None

    def start(self) -> None:
        """Nothing has to be begun."""

    def offer(self, utterance: Utterance) -> bool:
        """Remember it; returns at once. Always True."""
        self.utterances.append(utterance)
        if utterance.sounded and utterance.text == self._warning and self._marking is None:
            self._marking = threading.Thread(target=self._mark, name="said", daemon=True)
            self._marking.start()
        return True

    def close(self) -> None:
        """Wait until the mark is made."""
        if self._marking is not None:
            self._marking.join(CLOSE_S)

    def _mark(self) -> None:
        try:
            self._state.mkdir(parents=True, exist_ok=True)
            (self._state / TOLD).touch()
        except OSError as error:
            log.warning("not remembered, and said again at the next start: %s", error)


def told(state: Path) -> bool:
    """Whether this device has said what it does not tell, where somebody could hear it."""
    try:
        return (state / TOLD).exists()
    except OSError:  # a folder that may not be looked into
        return False
