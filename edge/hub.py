"""Owns the one way of a message inside the process: from whoever has it to every outlet that takes its kind.

    post(message, sender)   offered to each outlet that joined for its type, but for the one that sends it

So a fault that an outlet finds in itself reaches all others by the way of everything else. Nobody waits here: an outlet
puts what it is offered into its inbox, or counts. Safe from several threads. It must not know which outlets there are,
nor what a message means.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeAlias

from edge.core.messages import (
    Compared,
    Edge,
    Event,
    Holding,
    InUse,
    Observation,
    Reaction,
    Sight,
    Stretch,
    Turn,
    Utterance,
)
from edge.core.news import Newest, Taking
from edge.core.orders import Answered, Command, Done, Response
from edge.core.session import Answer, Standing

log = logging.getLogger(__name__)

Order: TypeAlias = Command | Done | Response | Answered
Message: TypeAlias = (
    Turn
    | Observation
    | Sight
    | Event
    | Edge
    | Holding
    | Answer
    | Standing
    | Utterance
    | Reaction
    | Stretch
    | InUse
    | Compared
    | Newest
    | Taking
    | Order
)
Post: TypeAlias = Callable[[Message], None]


class Outlet(Protocol):
    """What acts on messages."""

    def start(self) -> None:
        """Begin, once; HardwareError where that cannot be. What was offered before is taken now."""

    def offer(self, message: Any, /) -> bool:
        """Take a message of a kind that it joined for; returns at once, from any thread.

        False when it is lost, or another that waited for it.
        """

    def close(self) -> None:
        """Do what was offered, then end; may be called twice, and without a start."""


class Hub:
    """Hands on; outlets `join` before anything is posted and may `leave` at any time."""

    def __init__(self) -> None:
        self._takers: dict[type, tuple[tuple[str, Outlet], ...]] = {}  # never changed, only replaced
        self._changing = threading.RLock()  # a signal's handler may post while its own thread does
        self._dropped = 0
        self._failing: set[str] = set()  # outlets that broke on an offer, each said once in the log

    def join(self, name: str, outlet: Outlet, kinds: Iterable[type]) -> None:
        """`outlet` takes all messages of these kinds from now on, after those that joined before it."""
        with self._changing:
            self._takers = self._takers | {kind: (*self._takers.get(kind, ()), (name, outlet)) for kind in kinds}

    def leave(self, name: str) -> None:
        """The outlet of that name is offered nothing any more."""
        with self._changing:
            self._takers = {
                kind: tuple(taker for taker in takers if taker[0] != name) for kind, takers in self._takers.items()
            }

    @property
    def dropped(self) -> int:
        """Messages that an outlet had no room for."""
        return self._dropped

    def taken(self, kind: type) -> bool:
        """Whether any outlet takes messages of that kind."""
        return bool(self._takers.get(kind))

    def post(self, message: Message, sender: str = "") -> None:
        """Offer `message` to whom it concerns; returns at once. `sender`: the name of the outlet that posts it."""
        for name, outlet in self._takers.get(type(message), ()):
            if name == sender:
                continue
            try:
                if not outlet.offer(message):
                    with self._changing:
                        self._dropped += 1
            except Exception:  # one outlet that breaks must stop neither the others nor the main loop
                known = name in self._failing
                self._failing.add(name)
                log.log(logging.DEBUG if known else logging.ERROR, "%s broke", name, exc_info=True)

    def way_of(self, name: str) -> Post:
        """How the outlet of that name posts."""
        return functools.partial(self.post, sender=name)
