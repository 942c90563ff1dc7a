"""Owns what is felt when: one pin, one thread. What it feels like is `edge.core.pulsecode`'s.

Half a code is another code: what has begun is felt to its end, and only the hand itself cuts it off, by pressing.
An answer goes before a new amount, an amount before news; of two amounts that wait only the newer one is felt (the
total holds both). Doubts and hints are felt only while nothing else is, and never when they are out of date.

    inbox: 32 items, the oldest makes room; the main loop and the announcer offer and never wait
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from edge.core.messages import Decision, Fault, Guidance, Hold, Holding, Notice, Recovered, Verdict
from edge.core.pulsecode import HOLDS, READY, Player, PulseCode, Rhythm
from edge.core.session import Answer
from edge.outlets.inbox import Inbox
from edge.outlets.switch import Switch
from edge.outlets.worker import Mishaps, serve
from edge.ports import Clock, Pulser

INBOX_SIZE = 32
STALE_S = 1.0  # a doubt, a hint or a tick that waited longer speaks of what is gone
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
        self._code, self._clock, self._rhythm = code, clock, rhythm
        self._mishaps = Mishaps("pulses")
        self._switch = Switch("pulses", open_pulser, clock, post, self._mishaps)
        self._player = Player(rhythm)
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
        self._switch.close()

    def _run(self) -> None:
        serve(self._inbox, self.turn, self._patience_s, mishaps=self._mishaps)
        with self._mishaps:
            self._finish()

    def _finish(self) -> None:
        until_s = self._clock.now_s() + CLOSE_S
        while (due_s := self._player.due_s()) is not None and due_s <= until_s:
            self._clock.sleep(max(0.0, due_s - self._clock.now_s()))
            self.turn(None)
        self._switch.set(on=False)

    def _patience_s(self) -> float | None:
        now = self._clock.now_s()
        dues = [self._player.due_s(), self._switch.due_s()]
        if now < self._held_until_s:
            dues.append(self._held_until_s)
        waits = [max(0.0, due_s - now) for due_s in dues if due_s is not None]
        return min(waits) if waits else None

    def turn(self, taken: tuple[Item, float] | None) -> None:
        """One turn of the thread: take `taken` (an item and when it was offered), and do what has become due."""
        try:
            self._step(taken, self._clock.now_s())
        except Exception:
            self._player = Player(self._rhythm)  # a motor must not run on
            self._switch.set(on=False)
            raise

    def _step(self, taken: tuple[Item, float] | None, now: float) -> None:
        if taken is not None:
            self._take(taken[0], now - taken[1], now)
        # Also while nothing is to be felt: a pin that cannot be opened is told now, not at the first note.
        if self._switch.open() and READY not in self._news:
            self._news.appendleft(READY)
        self._player.advance(now)
        if not self._player.playing:
            self._begin_next(now)
        self._switch.set(on=self._player.on)

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
