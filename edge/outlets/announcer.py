"""Owns what is said when: one voice, one thread, the last utterance and the running total.

A new amount, or the answer to a press, cuts off whatever sounds. Faults and notices wait their turn, and are said
again when they were cut off or there was no sound card. "Not sure" and hints are said only into silence, and never
when they are out of date. It knows neither camera nor model.

    inbox: 64 items, the oldest makes room; the main loop offers and never waits
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum

from edge.core.errors import HardwareError
from edge.core.gestures import Gestures, Timings
from edge.core.messages import Decision, Edge, Fault, Gesture, Guidance, Notice, Press, Recovered, Verdict
from edge.core.speech import Speech
from edge.outlets.inbox import Inbox
from edge.outlets.phrases import Phrases
from edge.ports import Clock, Speaker

log = logging.getLogger(__name__)

INBOX_SIZE = 64
STALE_HINT_S = 1.0  # a hint that waited longer speaks of a picture that is gone
CONFIRM_WITHIN_S = 6.0  # after "clear the total?"
REOPEN_AFTER_S = 5.0  # between two tries to open a sound card that failed
CLOSE_S = 5.0  # to finish what sounds and waits at the end; systemd waits ten
IDLE_TURN_S = 0.5  # a turn at least so often, so that the watchdog sees it alive


class Rank(IntEnum):
    """What may cut off or push aside what."""

    HINT = 0
    DOUBT = 1
    NEWS = 2  # faults, repairs, notices
    AMOUNT = 3  # amounts and answers to a press


@dataclass(frozen=True, slots=True)
class Utterance:
    """One thing that was said."""

    text: str
    rank: Rank
    t_s: float  # on the process's clock, when its sound was handed to the speaker
    sounded: bool  # False: there is no working sound card just now


Item = Decision | Guidance | Fault | Recovered | Notice | Edge


class Announcer:
    """Says things; `start` it once, `offer` it events and raw button edges, `close` it."""

    def __init__(
        self,
        speech: Speech,
        phrases: Phrases,
        open_speaker: Callable[[], Speaker],
        clock: Clock,
        timings: Timings,
        *,
        heard: Callable[[Utterance], None] = lambda utterance: None,
    ) -> None:
        self._speech, self._phrases, self._clock = speech, phrases, clock
        self._open_speaker = open_speaker
        self._speaker: Speaker | None = None
        self._lost = False  # the sound card failed and has not been opened since
        self._retry_at_s = float("-inf")
        self._heard = heard
        self._gestures = Gestures(timings)
        self._inbox: Inbox[tuple[Item, float]] = Inbox(INBOX_SIZE, drop="oldest")
        self._waiting: deque[str] = deque(maxlen=8)
        self._news: str | None = None  # fault or notice that sounds, None for anything else
        self._last: tuple[str, float] | None = None  # last amount and when it was said
        self._notes: list[Decimal] = []
        self._confirm_until_s: float | None = None
        self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)
        self.last_turn_s = clock.now_s()

    def start(self) -> None:
        """Begin to listen and speak."""
        self._thread.start()

    def offer(self, item: Item) -> bool:
        """Take an item for later; returns at once."""
        return self._inbox.offer((item, self._clock.now_s()))

    def close(self, timeout_s: float = CLOSE_S + 1) -> None:
        """Finish what is being said and waiting to be said, then let the speaker go."""
        self._inbox.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        if self._speaker is not None:
            self._speaker.close()

    def _run(self) -> None:
        try:
            while not self._inbox.ended:
                taken = self._inbox.take(self._patience_s())
                self.turn(taken)
            self._finish()
        except Exception:
            # The outermost frame of this thread: `last_turn_s` stands still and the watchdog restarts us.
            log.exception("announcer stopped")

    def _finish(self) -> None:
        until_s = self._clock.now_s() + CLOSE_S
        while self._speaker is not None and self._speaker.wait(max(0.0, until_s - self._clock.now_s())):
            if not self._waiting:
                return
            self._sound(self._waiting.popleft(), Rank.NEWS)

    def _patience_s(self) -> float:
        due_s = self._gestures.due_s()
        if self._waiting and not self._lost:
            return 0.05
        return IDLE_TURN_S if due_s is None else min(IDLE_TURN_S, max(0.0, due_s - self._clock.now_s()))

    def turn(self, taken: tuple[Item, float] | None) -> None:
        """One turn of the thread: handle `taken` (an item and when it was offered), and what has become due."""
        now = self._clock.now_s()
        self.last_turn_s = now
        if taken is not None:
            self._handle(taken[0], now - taken[1])
        # While edges wait in the inbox it is too early to say what the button did by now.
        for gesture in self._gestures.advance(now) if len(self._inbox) == 0 else []:
            self._answer(gesture)
        if self._confirm_until_s is not None and now > self._confirm_until_s:
            self._confirm_until_s = None
            self._say(self._speech.phrase("kept"), Rank.NEWS)
        if self._lost and now >= self._retry_at_s:
            self._open(now)
        if self._waiting and self._idle():
            self._sound(self._waiting.popleft(), Rank.NEWS)

    def _handle(self, item: Item, age_s: float) -> None:
        if isinstance(item, Edge):
            for gesture in self._gestures.edge(item):
                self._answer(gesture)
        elif isinstance(item, Decision):
            self._decide(item, age_s)
        elif isinstance(item, Guidance):
            if age_s <= STALE_HINT_S:
                self._say(self._speech.guidance(item), Rank.HINT)
        elif isinstance(item, Notice):
            self._say(self._speech.phrase(item.phrase), Rank.NEWS)
        elif isinstance(item, Fault):
            self._say(self._speech.fault(item), Rank.NEWS)
        elif text := self._speech.recovered(item):
            self._say(text, Rank.NEWS)

    def _decide(self, decision: Decision, age_s: float) -> None:
        text = self._speech.decision(decision)
        if text is None:
            return
        if decision.verdict is not Verdict.AMOUNT:
            if age_s <= STALE_HINT_S:
                self._say(text, Rank.DOUBT)
            return
        self._confirm_until_s = None  # the next press asks about this note
        self._say(text, Rank.AMOUNT)
        self._last = (text, self._clock.now_s())
        self._notes.append(Decimal(decision.label))
        self._prepare_total()

    def _answer(self, gesture: Gesture) -> None:
        now = self._clock.now_s()
        if self._confirm_until_s is not None:
            clear = gesture.press is Press.SHORT and now <= self._confirm_until_s
            self._confirm_until_s = None
            if clear:
                self._notes.clear()
            self._say(self._speech.phrase("cleared" if clear else "kept"), Rank.AMOUNT)
        elif gesture.press is Press.SHORT:
            self._repeat(now)
        elif gesture.press is Press.LONG:
            self._say(self._speech.total(sum(self._notes, Decimal(0)), len(self._notes)), Rank.AMOUNT)
        elif gesture.press is Press.DOUBLE:
            undone = bool(self._notes)
            del self._notes[-1:]
            self._say(self._speech.phrase("undone" if undone else "nothing to undo"), Rank.AMOUNT)
        else:
            self._confirm_until_s = now + CONFIRM_WITHIN_S
            self._say(self._speech.phrase("confirm clear"), Rank.AMOUNT)
        self._prepare_total()

    def _repeat(self, now: float) -> None:
        if self._last is None:
            self._say(self._speech.phrase("nothing yet"), Rank.AMOUNT)
        else:
            text, said_s = self._last
            self._say(self._speech.repeated(text, now - said_s), Rank.AMOUNT)

    def _prepare_total(self) -> None:
        """Render the total when it changes, not when it is asked for; a voice that fails is told on speaking."""
        try:
            self._phrases.sound(self._speech.total(sum(self._notes, Decimal(0)), len(self._notes)))
        except HardwareError as error:
            log.warning("total not rendered ahead: %s", error)

    def _say(self, text: str, rank: Rank) -> None:
        if rank is Rank.AMOUNT or (self._idle() and not self._waiting):
            self._sound(text, rank)
        elif rank is Rank.NEWS:
            self._waiting.append(text)

    def _idle(self) -> bool:
        return not self._lost and (self._speaker is None or self._speaker.wait(0))

    def _sound(self, text: str, rank: Rank) -> None:
        if self._news is not None and not self._idle():
            self._waiting.appendleft(self._news)
        self._news = text if rank is Rank.NEWS else None
        sounded = self._play(text)
        self._heard(Utterance(text, rank, self._clock.now_s(), sounded))

    def _play(self, text: str) -> bool:
        try:
            pcm = self._phrases.sound(text)
        except HardwareError as error:
            log.error("not rendered, so not said: %s", error)
            return False
        now = self._clock.now_s()
        if self._speaker is None and now >= self._retry_at_s:
            self._open(now)
        if self._speaker is None:
            return False
        try:
            self._speaker.play(pcm)
        except HardwareError as error:
            self._lose_speaker(error, now)
            return False
        return True

    def _open(self, now: float) -> None:
        try:
            self._speaker = self._open_speaker()
        except HardwareError as error:
            self._lose_speaker(error, now)
            return
        if self._lost:
            log.info("the sound card works again")
            self._waiting.appendleft(self._speech.recovered(Recovered("speaker")) or "")
        self._lost = False

    def _lose_speaker(self, error: HardwareError, now: float) -> None:
        log.log(logging.DEBUG if self._lost else logging.ERROR, "nothing can be heard, trying again: %s", error)
        if self._speaker is not None:
            self._speaker.close()
        self._speaker = None
        self._lost = True
        self._retry_at_s = now + REOPEN_AFTER_S
        if self._news is not None:
            self._waiting.appendleft(self._news)
            self._news = None
