"""Owns who may see the live view: its token, what a browser keeps instead, and what guessing costs. Knows no sockets.

    token    the owner's secret, in the first address or as a bearer; a program may bring it every time
    cookie   kept by a browser, which sends it along whatever page asks
    key      stands in the page itself, which no other page can read: proof that it is ours that asks

Every wrong token is told in the log, at most one line a minute; after a few of them whoever sits at that address waits,
longer and longer, before another is looked at. A cookie is not a guess: it opens all the while.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass

from edge.drivers.door import sender
from edge.ports import Clock

log = logging.getLogger(__name__)

FREE_GUESSES = 5  # of one address, before it waits
LONGEST_WAIT_S = 60.0
FORGIVEN_AFTER_S = 900.0
ADDRESSES_MAX = 1000  # remembered; the one that guessed longest ago goes
LOG_EVERY_S = 60.0


@dataclass(slots=True)
class _Guesser:
    wrong: int = 0
    last_s: float = 0.0
    until_s: float = float("-inf")


class Guesses:
    """Counts wrong tokens by address and says how long the next one has to wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._guessers: OrderedDict[str, _Guesser] = OrderedDict()
        self._untold = 0
        self._told_s = float("-inf")

    def wait_s(self, address: str) -> float:
        """Seconds until a token from `address` is looked at; 0 for now."""
        with self._lock:
            guesser = self._guessers.get(sender(address))
            return 0.0 if guesser is None else max(0.0, guesser.until_s - self._clock.now_s())

    def wrong(self, address: str) -> None:
        """A token from `address` was wrong."""
        with self._lock:
            now_s = self._clock.now_s()
            guesser = self._guessers.pop(sender(address), _Guesser())
            if now_s - guesser.last_s > FORGIVEN_AFTER_S:
                guesser.wrong = 0
            guesser.wrong, guesser.last_s = guesser.wrong + 1, now_s
            if guesser.wrong >= FREE_GUESSES:
                guesser.until_s = now_s + min(LONGEST_WAIT_S, 2.0 ** min(guesser.wrong - FREE_GUESSES, 10))
            self._guessers[sender(address)] = guesser
            if len(self._guessers) > ADDRESSES_MAX:
                self._guessers.popitem(last=False)
            self._tell(address, now_s)

    def right(self, address: str) -> None:
        """A token from `address` was right: whatever was wrong before was a slip."""
        with self._lock:
            self._guessers.pop(sender(address), None)

    def _tell(self, address: str, now_s: float) -> None:
        self._untold += 1
        if now_s - self._told_s >= LOG_EVERY_S:
            log.warning("live view: a wrong token from %s (%d since this was last said)", address, self._untold)
            self._told_s, self._untold = now_s, 0


class Admission:
    """Compares what a request brings with the token and with what is made of it."""

    def __init__(self, token: str, clock: Clock) -> None:
        self._token = token.encode()
        self.guesses = Guesses(clock)
        # Neither is the token itself: what lies in a browser must not open another one.
        self.cookie = self._derived(b"saynote live view")
        self.key = self._derived(b"saynote live view, the page")

    def is_token(self, given: str, address: str) -> bool:
        """Whether `given` is the token; a wrong one counts against `address`."""
        right = hmac.compare_digest(given.encode(errors="replace"), self._token)
        (self.guesses.right if right else self.guesses.wrong)(address)
        return right

    def is_cookie(self, given: str) -> bool:
        """Whether `given` is what `cookie` says."""
        return hmac.compare_digest(given.encode(errors="replace"), self.cookie.encode())

    def is_key(self, given: str) -> bool:
        """Whether `given` is what stands in our own page."""
        return hmac.compare_digest(given.encode(errors="replace"), self.key.encode())

    def _derived(self, purpose: bytes) -> str:
        return hmac.new(self._token, purpose, hashlib.sha256).hexdigest()
