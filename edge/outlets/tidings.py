"""Owns what becomes of the news that there is a newer bundle: read once it is verified, and told to all. Knows no key.

    broker's thread   heard(): only hands on
    own thread        has it verified, posts Newest

Nothing is fetched for it. News of another currency than its topic's, or that cannot be verified, is logged and changes
nothing; where the topic was emptied, nothing is said to be newest any more.

    inbox: 8 items, the oldest makes room: what came last is what holds
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from edge.core.errors import BundleError, EdgeError
from edge.core.news import MOST_BYTES, Newest, News
from edge.outlets.inbox import Inbox
from edge.outlets.worker import Worker

log = logging.getLogger(__name__)

CLOSE_S = 1.0


@dataclass(frozen=True, slots=True)
class _Heard:
    """What came on a currency's topic."""

    currency: str
    payload: bytes


class Tidings:
    """Takes news; `start` it once, let the broker call what `of` gives, `close` it."""

    def __init__(self, read: Callable[[bytes], News], *, post: Callable[[Newest], object]) -> None:
        """`read` verifies and reads; it raises EdgeError, one sentence."""
        self._read, self._post = read, post
        self._inbox: Inbox[_Heard] = Inbox(8, drop="oldest")
        self._thread = Worker("tidings", self._inbox, self.turn)

    def of(self, currency: str) -> Callable[[str, bytes, bool], None]:
        """What hears the topic of `currency`; retained or not, it is the same news."""
        return lambda _topic, payload, _retained: self._hear(currency, payload)

    def _hear(self, currency: str, payload: bytes) -> None:
        self._inbox.offer(_Heard(currency, payload[: MOST_BYTES + 1]))

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def offer(self, item: object) -> bool:
        """Nothing that is posted concerns it."""
        return True

    def close(self) -> None:
        """Take no more; may be called twice."""
        self._thread.finish(CLOSE_S)

    def turn(self, heard: _Heard | None) -> None:
        """One turn of the thread."""
        if heard is None:
            return
        if not heard.payload:
            self._post(Newest(heard.currency, None))
            return
        try:
            news = self._read(heard.payload)
            if news.claim.currency != heard.currency:
                raise BundleError(f"it is news of {news.claim.currency}")
        except EdgeError as error:
            log.warning("what came as news of %s is not believed: %s", heard.currency, error)
            return
        log.info("the newest bundle of %s is %s, says its owner", heard.currency, news.claim.version)
        self._post(Newest(heard.currency, news))
