"""Owns the life of an outlet's thread, and what becomes of an exception that nobody foresaw; knows no outlet.

What is foreseen (a card that is gone, a full disk) is the outlet's own affair. Anything else costs the one item that
it came of: it is written down with its traceback and the thread goes on. A trouble that keeps coming is written down
more and more rarely, so that it fills no journal.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

from edge.core.errors import HardwareError, Reason
from edge.outlets.inbox import Inbox

log = logging.getLogger(__name__)

T = TypeVar("T")

REST_S = 0.5  # after a turn that failed: what is due may be what fails, and must not be tried without end


class Mishaps:
    """Keeps what nobody foresaw from ending a thread: `with mishaps:` swallows it, once written down."""

    def __init__(self, whose: str) -> None:
        self._whose = whose
        self._times: Counter[tuple[str, str, int]] = Counter()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.note(error)
        return True

    def note(self, error: Exception) -> None:
        """Write `error` down: with its traceback the first time, then in one line at every doubling."""
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = (type(error).__name__, "", 0)
        if place is not None:
            where = (type(error).__name__, place.tb_frame.f_code.co_filename, place.tb_lineno)
        self._times[where] += 1
        times = self._times[where]
        if times == 1:
            log.error("%s: something unforeseen, left out: %s", self._whose, error, exc_info=error)
        elif times & (times - 1) == 0:
            log.error("%s: the same again, %d times by now, left out: %s", self._whose, times, error)

    def as_hardware(self, device: str, error: Exception) -> HardwareError:
        """What a driver raised, as its port promises it; what it does not promise is written down."""
        if isinstance(error, HardwareError):
            return error
        self.note(error)
        return HardwareError(device, Reason.BROKEN, f"{type(error).__name__}: {error}")


class Worker(threading.Thread, Generic[T]):
    """The thread of an outlet that does nothing but serve its inbox."""

    def __init__(
        self,
        name: str,
        inbox: Inbox[T],
        turn: Callable[[T | None], object],
        patience_s: Callable[[], float | None] = lambda: None,
        *,
        mishaps: Mishaps | None = None,
    ) -> None:
        """As `serve`; `mishaps`: the outlet's own, where it needs them elsewhere too."""
        super().__init__(name=name, daemon=True)
        self._inbox, self._turn, self._patience_s = inbox, turn, patience_s
        self._mishaps = mishaps or Mishaps(name)

    def run(self) -> None:
        """Until the inbox was closed and emptied."""
        serve(self._inbox, self._turn, self._patience_s, mishaps=self._mishaps)

    def finish(self, within_s: float) -> None:
        """Close the inbox, and wait no longer than `within_s` for what is in it; may be called twice."""
        self._inbox.close()
        if self.is_alive():
            self.join(within_s)


def serve(
    inbox: Inbox[T],
    turn: Callable[[T | None], object],
    patience_s: Callable[[], float | None] = lambda: None,
    *,
    mishaps: Mishaps,
) -> None:
    """Call `turn` with each item, or None when `patience_s` ran out first, until `inbox` was closed and emptied.

    The first turn comes at once.
    """
    patience: float | None = 0.0
    while not inbox.ended:
        wait_s, patience = patience, REST_S
        with mishaps:
            turn(inbox.take(wait_s))
            patience = patience_s()
