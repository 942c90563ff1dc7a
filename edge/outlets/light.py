"""Owns the light: when it is on, and the thread that switches it. Knows no pin and no picture.

On when somebody tries and it is too dark (the guide's hint), as long as something is in view, and for a while after.
A lamp that goes off makes it dark again, so after each time in which it showed no note it rests, longer and longer:
lying on a table it does not blink.

    inbox: 16 items, the oldest makes room; the main loop offers and never waits
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from edge.core.messages import Decision, Fault, Guidance, Hint, Recovered, Verdict
from edge.outlets.inbox import Inbox
from edge.outlets.switch import Switch
from edge.outlets.worker import Mishaps, Worker
from edge.ports import Clock, Pulser

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
    """Switches the lamp; `start` it once, `offer` it events, `close` it.

    It posts that its pin fails, once, and that it works again, once it has been lit again.
    """

    def __init__(
        self,
        hold_s: float,
        open_switch: Callable[[], Pulser],
        clock: Clock,
        *,
        post: Callable[[Fault | Recovered], object] = lambda event: None,
    ) -> None:
        self._hold_s, self._lamp = hold_s, Lamp(hold_s)
        self._clock = clock
        self._mishaps = Mishaps("light")
        self._switch = Switch("light", open_switch, clock, post, self._mishaps)
        self._inbox: Inbox[Item] = Inbox(INBOX_SIZE, drop="oldest")
        self._thread = Worker("light", self._inbox, self.turn, self._patience_s, mishaps=self._mishaps)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def offer(self, item: Item) -> bool:
        """Take an item for later; returns at once."""
        return self._inbox.offer(item)

    def close(self) -> None:
        """Switch off and let the pin go."""
        self._thread.finish(1.0)
        self._switch.close()

    def _patience_s(self) -> float | None:
        dues = [due_s for due_s in (self._lamp.due_s(), self._switch.due_s()) if due_s is not None]
        return max(0.0, min(dues) - self._clock.now_s()) if dues else None

    def turn(self, item: Item | None) -> None:
        """One turn of the thread."""
        try:
            self._step(item, self._clock.now_s())
        except Exception:
            self._lamp = Lamp(self._hold_s)  # nobody would switch it off
            self._switch.set(on=False)
            raise

    def _step(self, item: Item | None, now: float) -> None:
        if item is not None:
            self._lamp.take(item, now)
        self._lamp.advance(now)
        self._switch.open()  # also while it is off: a pin that cannot be opened is told now
        self._switch.set(on=self._lamp.on)
