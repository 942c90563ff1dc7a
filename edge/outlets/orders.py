"""Owns what becomes of a command from afar: read once, done by whoever does such, answered once. Knows no driver.

    broker's thread   heard(): only hands on
    own thread        reads it, posts a Command for the outlets, waits for Done, posts a Response

A command that the broker delivers again is done and answered once: the last ids are remembered. That of one for the
newest bundle only until it was answered, since Home Assistant's button gives the same each time. A retained one is
ignored, or a device would say it again at each connection. What is not done in `PATIENCE_S` is answered so.

    inbox: 32 items, a new one is turned away when it is full: nobody needs so many, and amounts must not wait for them
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeAlias

from edge.core import orders
from edge.core.line import brief
from edge.core.orders import BUNDLE, Command, Done, OrderError, Response
from edge.core.topics import Topics
from edge.outlets.inbox import Inbox
from edge.outlets.worker import Worker

log = logging.getLogger(__name__)

INBOX_SIZE = 32
REMEMBERED = 256  # ids
PATIENCE_S = 20.0  # for whoever does it
PATIENCE_OF_S = {BUNDLE: 900.0}  # what is fetched and tried
CLOSE_S = 1.0


@dataclass(frozen=True, slots=True)
class _Heard:
    """What came for a verb."""

    verb: str
    payload: bytes


Item: TypeAlias = Done
Posted: TypeAlias = Command | Response


class Orders:
    """Takes commands; `start` it once, let the broker call `heard`, `offer` it what was done, `close` it."""

    def __init__(
        self,
        topics: Topics,
        post: Callable[[Posted], object],
        *,
        units: Collection[str] = (),
        barred: Callable[[str], str] = lambda verb: "",
    ) -> None:
        """`units`: names that money goes by, in no text to be said; `barred`: why a verb is not done here, or ""."""
        self._topics, self._post, self._units, self._barred = topics, post, tuple(units), barred
        self._open: dict[str, tuple[str, float]] = {}  # by id: verb, and until when it is waited for
        self._known: OrderedDict[str, None] = OrderedDict()  # ids that were read
        self._inbox: Inbox[_Heard | Done] = Inbox(INBOX_SIZE, drop="newest")
        self._thread = Worker("orders", self._inbox, self.turn, self._patience_s)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def heard(self, topic: str, payload: bytes, retained: bool) -> None:
        """A command has come; returns at once."""
        if retained:
            log.info("a retained command is ignored: %s", brief(topic))
        else:
            self._inbox.offer(_Heard(self._topics.verb_of(topic), payload))

    def offer(self, done: Item) -> bool:
        """What became of a command; returns at once."""
        return self._inbox.offer(done)

    def close(self) -> None:
        """Take no more; may be called twice."""
        self._thread.finish(CLOSE_S)

    def _patience_s(self) -> float | None:
        due_s = min((until_s for _, until_s in self._open.values()), default=None)
        return None if due_s is None else max(0.0, due_s - time.monotonic())

    def turn(self, item: _Heard | Done | None) -> None:
        """One turn of the thread: take `item`, and give up what has waited too long."""
        if isinstance(item, _Heard):
            self._read(item)
        elif item is not None:
            self._answer(item)
        now_s = time.monotonic()
        for id_ in [id_ for id_, (_, until_s) in self._open.items() if until_s <= now_s]:
            self._answer(Done(id_, "it was not done in time"))

    def _read(self, heard: _Heard) -> None:
        try:
            command = orders.read(heard.verb, heard.payload, self._units)
        except OrderError as error:
            if error.id not in self._known:
                self._remember(error.id)
                log.info("a command is refused: %s", error)
                self._post(Response(error.id, brief(heard.verb), ok=False, why=str(error)))
            return
        if command.id in self._known and (not command.currency or command.id in self._open):
            return
        self._remember(command.id)
        log.info("asked from afar: %s", command.verb)
        self._open[command.id] = (command.verb, time.monotonic() + PATIENCE_OF_S.get(command.verb, PATIENCE_S))
        if why := self._barred(command.verb):
            self._answer(Done(command.id, why))
        else:
            self._post(command)

    def _remember(self, id_: str) -> None:
        if not id_:
            return
        self._known[id_] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _answer(self, done: Done) -> None:
        verb, _ = self._open.pop(done.id, ("", 0.0))
        if verb:
            self._post(Response(done.id, verb, ok=not done.why, why=done.why, result=done.result))
