"""Owns what becomes of the command to take in a sealed bundle: one at a time, answered once. Knows no network.

A command gives the bundle's address, or asks for the newest of a currency: then address and bundle are those that its
owner has announced last (`edge.outlets.tidings`), and everybody hears while that one comes in.

own thread   fetches, verifies, tries: minutes on a small board; nothing else waits for it

inbox: 1 item, a new one is turned away when it is full, and that is its answer
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeAlias

from edge.core.errors import BundleError, EdgeError
from edge.core.line import brief
from edge.core.news import Newest, News, Taking
from edge.core.orders import BUNDLE, Command, Done
from edge.core.seal import Claim
from edge.outlets.inbox import Inbox
from edge.outlets.worker import Worker

log = logging.getLogger(__name__)

CLOSE_S = 1.0
MOST = 200  # characters of an answer

Item: TypeAlias = Command | Newest
Install: TypeAlias = Callable[[str, Claim | None], str]


class Arrivals:
    """Takes in; `start` it once, `offer` it commands, `close` it."""

    def __init__(self, install: Install, *, post: Callable[[Done | Taking], object]) -> None:
        """`install` takes in what an address leads to, and gives its name; it raises EdgeError, one sentence.

        Its second argument is what bundle that must be, where it was announced.
        """
        self._install, self._post = install, post
        self._newest: dict[str, News] = {}  # by currency; replaced whole
        self._inbox: Inbox[Command] = Inbox(1, drop="newest")
        self._busy = threading.Lock()
        self._thread = Worker("arrivals", self._inbox, self.turn)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def offer(self, command: Item) -> bool:
        """Take a command, if it is one of ours, or what is newest; returns at once."""
        if isinstance(command, Newest):
            others = {currency: news for currency, news in self._newest.items() if currency != command.currency}
            self._newest = others if command.news is None else {**others, command.currency: command.news}
            return True
        if command.verb != BUNDLE:
            return True
        if self._busy.locked() or not self._inbox.offer(command):
            self._post(Done(command.id, "another bundle is being installed"))
        return True

    def close(self) -> None:
        """Take no more; may be called twice. What is under way is left: nothing half done is ever used."""
        self._thread.finish(CLOSE_S)

    def turn(self, command: Command | None) -> None:
        """One turn of the thread."""
        if command is None:
            return
        why, result = "a mistake in saynote itself: its log tells", ""
        with self._busy:
            if command.currency:
                self._post(Taking(command.currency, busy=True))
            try:
                result = self._taken_in(command)
                why = ""
            except EdgeError as error:
                why = brief(str(error), MOST)
                log.warning("the bundle asked for from afar is not taken: %s", error)
            finally:
                if command.currency:
                    self._post(Taking(command.currency, busy=False, why=why))
                self._post(Done(command.id, why, result))

    def _taken_in(self, command: Command) -> str:
        if not command.currency:
            return self._install(command.text, None)
        news = self._newest.get(command.currency)
        if news is None:
            raise BundleError(f"no newest bundle of {command.currency} is announced")
        return self._install(news.url, news.claim)
