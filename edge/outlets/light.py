"""Owns the light: when it is on, and the thread that switches it. Knows no pin and no picture.

On when somebody tries and it is too dark (the guide's hint), as long as something is in view, and for a while after.
A lamp that goes off makes it dark again, so after each time in which it showed no note it rests, longer and longer:
lying on a table it does not blink.

    inbox: 16 items, the oldest makes room; the main loop offers and never waits
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeAlias

from edge.core.errors import HardwareError
from edge.core.messages import Decision, Fault, Guidance, Hint, Verdict
from edge.outlets.inbox import Inbox
from edge.ports import Clock, Pulser

log = logging.getLogger(__name__)

INBOX_SIZE = 16
FIRST_REST_S, LONGEST_REST_S = 3.0, 60.0
LONGEST_S = 120.0  # in one go: a note that seems to be in view for ever is none

Item: TypeAlias = Decision | Guidance


class Lamp:
    """Whether the light is on; reads no clock."""

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._in_view = False
        self._showed = False  # a note, since it went on
        self._since_s = 0.0
        self._until_s = 0.0
        self._rest_s = FIRST_REST_S
        self._rests_until_s = float("-inf")
        self.on = False

    def take(self, item: Item, now_s: float) -> None:
        """Something happened."""
        self.advance(now_s)
        if isinstance(item, Guidance):
            if item.hint is Hint.TOO_DARK and (self.on or now_s >= self._rests_until_s):
                self._light(now_s)
            return
        was, self._in_view = self._in_view, item.verdict is not Verdict.GONE
        if self._in_view and self.on:
            self._showed = True
        if was and not self._in_view:
            self._until_s = now_s + self._hold_s

    def advance(self, now_s: float) -> None:
        """Time has passed."""
        if self.on and now_s >= self._end_s():
            self.on = False
            self._rest_s = FIRST_REST_S if self._showed else min(LONGEST_REST_S, 2 * self._rest_s)
            self._rests_until_s = now_s + (0.0 if self._showed else self._rest_s)

    def due_s(self) -> float | None:
        """When `advance` should be called next."""
        return self._end_s() if self.on else None

    def _end_s(self) -> float:
        longest_s = self._since_s + LONGEST_S
        return longest_s if self._in_view else min(longest_s, self._until_s)

    def _light(self, now_s: float) -> None:
        if not self.on:
            self.on, self._since_s, self._showed = True, now_s, self._in_view
        self._until_s = now_s + self._hold_s


class Light:
    """Switches the lamp; `start` it once, `offer` it events, `close` it. It posts that its pin fails."""

    def __init__(
        self,
        hold_s: float,
        open_switch: Callable[[], Pulser],
        clock: Clock,
        *,
        post: Callable[[Fault], object] = lambda event: None,
    ) -> None:
        self._lamp = Lamp(hold_s)
        self._open_switch, self._clock, self._post = open_switch, clock, post
        self._switch: Pulser | None = None
        self._on = False
        self._broken = False
        self._inbox: Inbox[Item] = Inbox(INBOX_SIZE, drop="oldest")
        self._thread = threading.Thread(target=self._run, name="light", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def offer(self, item: Item) -> bool:
        """Take an item for later; returns at once."""
        return self._inbox.offer(item)

    def close(self) -> None:
        """Switch off and let the pin go."""
        self._inbox.close()
        if self._thread.is_alive():
            self._thread.join(1.0)
        if self._switch is not None:
            self._switch.close()

    def _run(self) -> None:
        try:
            self._open()
            while not self._inbox.ended and not self._broken:
                due_s = self._lamp.due_s()
                self.turn(self._inbox.take(None if due_s is None else max(0.0, due_s - self._clock.now_s())))
        except Exception:
            # The outermost frame of this thread; `close` switches off.
            log.exception("light stopped")

    def turn(self, item: Item | None) -> None:
        """One turn of the thread."""
        now = self._clock.now_s()
        if item is not None:
            self._lamp.take(item, now)
        self._lamp.advance(now)
        if self._switch is not None and self._lamp.on != self._on:
            self._set(self._switch, on=self._lamp.on)

    def _open(self) -> None:
        try:
            self._switch = self._open_switch()
        except HardwareError as error:
            self._fail(error)

    def _set(self, switch: Pulser, *, on: bool) -> None:
        try:
            switch.set(on)
            self._on = on
        except HardwareError as error:
            self._fail(error)

    def _fail(self, error: HardwareError) -> None:
        # Said once and given up: a room light does instead.
        log.error("%s", error)
        self._broken = True
        self._post(Fault.of(error))
