"""Owns what is felt when: one pin, one thread. What it feels like is `edge.core.pulsecode`'s.

Half a code is another code: what has begun is felt to its end, and only the hand itself cuts it off, by pressing.
An answer goes before a new amount, an amount before news; of two amounts that wait only the newer one is felt (the
total holds both). Doubts and hints are felt only while nothing else is, and never when they are out of date.

    inbox: 32 items, the oldest makes room; the main loop and the announcer offer and never wait
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from edge.core.errors import HardwareError
from edge.core.messages import Decision, Fault, Guidance, Hold, Holding, Notice, Recovered, Verdict
from edge.core.pulsecode import HOLDS, READY, Player, PulseCode, Rhythm
from edge.core.session import Answer
from edge.outlets.inbox import Inbox
from edge.ports import Clock, Pulser

log = logging.getLogger(__name__)

INBOX_SIZE = 32
STALE_S = 1.0  # a doubt, a hint or a tick that waited longer speaks of what is gone
REOPEN_AFTER_S = 5.0  # between two tries to open a pin that failed
HELD_S = 6.0  # for so long after a press has come a step further nothing else begins: its answer is on its way
CLOSE_S = 4.0  # to finish at the end

Item: TypeAlias = Decision | Guidance | Fault | Recovered | Notice | Answer | Holding


class Pulses:
    """Feels like what the announcer sounds like; `start` it once, `offer` it events and answers, `close` it.

    It posts that its pin fails, once, and that it works again, once it has pulsed again.
    """

    def __init__(
        self,
        code: PulseCode,
        rhythm: Rhythm,
        open_pulser: Callable[[], Pulser],
        clock: Clock,
        *,
        post: Callable[[Fault | Recovered], object] = lambda event: None,
    ) -> None:
        self._code, self._clock, self._post = code, clock, post
        self._open_pulser = open_pulser
        self._pulser: Pulser | None = None
        self._told = False  # that the pin does not work; it has pulsed nothing since
        self._retry_at_s = float("-inf")
        self._player = Player(rhythm)
        self._on = False  # as last set
        self._answer = ""
        self._amount = ""
        self._held_until_s = float("-inf")
        self._news: deque[str] = deque(maxlen=4)
        self._playing_news = ""
        self._inbox: Inbox[tuple[Item, float]] = Inbox(INBOX_SIZE, drop="oldest")
        self._thread = threading.Thread(target=self._run, name="pulses", daemon=True)

    def start(self) -> None:
        """Begin to pulse."""
        self._thread.start()

    def offer(self, item: Item) -> bool:
        """Take an item for later; returns at once."""
        return self._inbox.offer((item, self._clock.now_s()))

    def close(self) -> None:
        """Finish what is being felt and waits, then let the pin go, switched off."""
        self._inbox.close()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S + 1)
        if self._pulser is not None:
            self._pulser.close()

    def _run(self) -> None:
        try:
            self.turn(None)  # a pin that cannot be opened is told now, not at the first note
            while not self._inbox.ended:
                self.turn(self._inbox.take(self._patience_s()))
            self._finish()
        except Exception:
            # The outermost frame of this thread. A motor must not run on.
            log.exception("pulses stopped")
            self._set(on=False)

    def _finish(self) -> None:
        until_s = self._clock.now_s() + CLOSE_S
        while (due_s := self._player.due_s()) is not None and due_s <= until_s:
            self._clock.sleep(max(0.0, due_s - self._clock.now_s()))
            self.turn(None)
        self._set(on=False)

    def _patience_s(self) -> float | None:
        now = self._clock.now_s()
        dues = [self._player.due_s(), self._retry_at_s if self._pulser is None else None]
        if now < self._held_until_s:
            dues.append(self._held_until_s)
        waits = [max(0.0, due_s - now) for due_s in dues if due_s is not None]
        return min(waits) if waits else None

    def turn(self, taken: tuple[Item, float] | None) -> None:
        """One turn of the thread: take `taken` (an item and when it was offered), and do what has become due."""
        now = self._clock.now_s()
        if taken is not None:
            self._take(taken[0], now - taken[1], now)
        self._open(now)
        self._player.advance(now)
        if not self._player.playing:
            self._begin_next(now)
        self._set(on=self._player.on)

    def _take(self, item: Item, age_s: float, now: float) -> None:
        if isinstance(item, Holding):
            self._feel(item, age_s, now)
        elif isinstance(item, Decision) and item.verdict is Verdict.AMOUNT:
            self._amount = self._code.event(item)
        elif isinstance(item, Decision | Guidance):
            signs = self._code.event(item)
            if signs and age_s <= STALE_S and not self._busy:
                self._player.begin(signs, now)
        elif isinstance(item, Fault | Recovered | Notice):
            if signs := self._code.event(item):
                self._news.append(signs)
        else:
            self._answer = self._code.answer(item)
            self._held_until_s = float("-inf")

    def _feel(self, holding: Holding, age_s: float, now: float) -> None:
        self._held_until_s = now - age_s + HELD_S
        if holding.hold is Hold.DOWN:
            if self._playing_news:
                self._news.appendleft(self._playing_news)
                self._playing_news = ""
            self._player.cut(now)
        elif age_s <= STALE_S:
            self._player.begin(HOLDS[holding.hold], now)

    @property
    def _busy(self) -> bool:
        return bool(self._player.playing or self._answer or self._amount or self._news)

    def _begin_next(self, now: float) -> None:
        self._playing_news = ""
        if self._answer:
            signs, self._answer = self._answer, ""
        elif now < self._held_until_s:
            return
        elif self._amount:
            signs, self._amount = self._amount, ""
        elif self._news:
            signs = self._playing_news = self._news.popleft()
        else:
            return
        self._player.begin(signs, now)

    def _open(self, now: float) -> None:
        if self._pulser is not None or now < self._retry_at_s:
            return
        try:
            self._pulser = self._open_pulser()
        except HardwareError as error:
            self._lose(error, now)
            return
        self._on = False
        if self._told and READY not in self._news:
            self._news.appendleft(READY)

    def _set(self, *, on: bool) -> None:
        if self._pulser is None or on == self._on:
            return
        try:
            self._pulser.set(on)
        except HardwareError as error:
            self._lose(error, self._clock.now_s())
            return
        self._on = on
        if on and self._told:
            self._told = False
            self._post(Recovered("pulses"))

    def _lose(self, error: HardwareError, now: float) -> None:
        log.log(logging.DEBUG if self._told else logging.ERROR, "nothing can be felt, trying again: %s", error)
        if self._pulser is not None:
            self._pulser.close()
        self._pulser = None
        self._retry_at_s = now + REOPEN_AFTER_S
        if not self._told:
            self._told = True
            self._post(Fault.of(error))
