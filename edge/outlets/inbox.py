"""Owns the bounded inbox in front of every outlet; knows nothing of what lies in it.

Overflow policy, chosen by the outlet at construction and nowhere else:

    drop="oldest"   the newest matters (announcer): the item that waited longest makes room
    drop="newest"   what came first is kept (telemetry): the new item is turned away, `offer` says so

Either way the loss is counted in `dropped`. Offering never waits for the taker.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, Literal, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """A queue between the thread that offers and the one that takes; None is no item."""

    def __init__(self, size: int, *, drop: Literal["oldest", "newest"]) -> None:
        if size < 1:
            raise ValueError(f"an inbox needs room for at least one item, not {size}")
        self._size = size
        self._drop = drop
        self._items: deque[T] = deque()
        self._dropped = 0
        self._closed = False
        # The condition's lock is re-entrant: a signal handler may offer while its own thread is offering.
        self._changed = threading.Condition()

    def offer(self, item: T) -> bool:
        """False when something was lost by it: `item` itself, because of the policy or the end, or what made room."""
        with self._changed:
            full = len(self._items) >= self._size
            if full or self._closed:
                self._dropped += 1
            if self._closed or (full and self._drop == "newest"):
                return False
            if full:
                self._items.popleft()
            self._items.append(item)
            self._changed.notify()
            return not full

    def take(self, timeout_s: float | None = None) -> T | None:
        """The item that waited longest, waiting up to `timeout_s` (None: for ever) for one.

        None when the time ran out, or when the inbox is closed and empty (`ended` tells which). What was
        offered before `close` can still be taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout_s)
            return self._items.popleft() if self._items else None

    def close(self) -> None:
        """Take nothing more in and wake whoever waits; may be called twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        """Closed, and everything in it was taken."""
        with self._changed:
            return self._closed and not self._items

    @property
    def dropped(self) -> int:
        """Items lost since construction."""
        with self._changed:
            return self._dropped

    def __len__(self) -> int:
        with self._changed:
            return len(self._items)
