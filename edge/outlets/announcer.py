"""Owns what is said when: one voice, one thread. What was counted and asked lives in `edge.core.session`.

A new amount, or the answer to a press, cuts off whatever sounds. Faults and notices wait their turn, and are said
again when they were cut off or there was no sound card. "Not sure" and hints are said only into silence. Earcons
too, and any word cuts them off. Nothing is said that is out of date. It knows neither camera nor model.

It posts what was said and how long an amount waited for it, each answer (so that two outlets never answer a press
differently), what the total has become, each of its turns, and that it cannot be heard, once, until it has been heard
again.

    inbox: 64 items, the oldest makes room; the main loop offers and never waits
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import TypeAlias

from edge.core import earcons
from edge.core.earcons import Earcon
from edge.core.errors import HardwareError
from edge.core.gestures import Gestures, Timings
from edge.core.messages import (
    Decision,
    Edge,
    Fault,
    Gesture,
    Guidance,
    Hold,
    Holding,
    Notice,
    Pcm,
    Rank,
    Reaction,
    Recovered,
    Turn,
    Utterance,
    Verdict,
)
from edge.core.orders import SPOKEN, Command, Done
from edge.core.session import Answer, Repeat, Session, Standing, Total
from edge.core.speech import Speech
from edge.outlets.inbox import Inbox
from edge.outlets.phrases import Phrases, joined
from edge.outlets.worker import Mishaps, serve
from edge.ports import Clock, Speaker

log = logging.getLogger(__name__)

INBOX_SIZE = 64
STALE_AMOUNT_S = 3.0  # an amount that waited longer (a card that opens slowly) is counted and not said
STALE_HINT_S = 1.0  # a hint that waited longer speaks of a picture that is gone
STALE_TONE_S = 0.3
TONE_HZ = 22_050
STALE_ORDER_S = 12.0  # what was asked for from afar and could not be heard by then is not said any more
ORDERS = 4  # that wait
PAUSE_S = 0.12  # within one utterance of several phrases
REOPEN_AFTER_S = 5.0  # between two tries to open a sound card
CLOSE_S = 5.0  # to finish what sounds and waits at the end; systemd waits ten
IDLE_TURN_S = 0.5  # a turn at least so often, so that the watchdog sees it alive


TOUCHES = {Hold.DOWN: Earcon.ACCEPTED, Hold.LONG: Earcon.LONG, Hold.VERY_LONG: Earcon.VERY_LONG}


Item: TypeAlias = Decision | Guidance | Fault | Recovered | Notice | Edge | Command
Posted: TypeAlias = Utterance | Answer | Standing | Reaction | Holding | Turn | Fault | Recovered | Done


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
        post: Callable[[Posted], object] = lambda message: None,
        tones: float | None = None,
    ) -> None:
        """`tones`: the volume of earcons, 1 is the normal one; None for no earcons."""
        self._speech, self._phrases, self._clock = speech, phrases, clock
        self._open_speaker = open_speaker
        self._speaker: Speaker | None = None
        self._lost = False  # the sound card failed and has not been opened since
        self._unheard = False  # the sound card failed and has played nothing since: posted so
        self._unrendered = False  # the voice failed and has rendered nothing since: posted so
        self._retry_at_s = float("-inf")
        self._post = post
        self._tones = {} if tones is None else {tone: earcons.sound(tone, TONE_HZ, tones) for tone in Earcon}
        self._here = earcons.sound(Earcon.HERE, TONE_HZ, 1.0 if tones is None else max(tones, 0.5))
        self._orders: deque[tuple[str, str, float]] = deque()  # from afar: id, text or none for a tone, and when
        self._tone = False  # what sounds, if anything does, is an earcon
        self._gestures = Gestures(timings)
        self._session = Session()
        self._told = Standing(Total(Decimal(0), 0))  # what the others know of it
        self._inbox: Inbox[tuple[Item, float]] = Inbox(INBOX_SIZE, drop="oldest")
        self._waiting: deque[str] = deque(maxlen=8)
        self._news: str | None = None  # fault or notice that sounds, None for anything else
        self._mishaps = Mishaps("announcer")
        self._thread = threading.Thread(target=self._run, name="announcer", daemon=True)

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
        serve(self._inbox, self.turn, self._patience_s, mishaps=self._mishaps)
        with self._mishaps:
            self._finish()

    def _finish(self) -> None:
        until_s = self._clock.now_s() + CLOSE_S
        while self._speaker is not None and self._speaker.wait(max(0.0, until_s - self._clock.now_s())):
            if not self._waiting:
                return
            self._sound(self._waiting.popleft(), Rank.NEWS)

    def _patience_s(self) -> float:
        due_s = self._gestures.due_s()
        if self._orders or (self._waiting and not self._lost):
            return 0.05
        return IDLE_TURN_S if due_s is None else min(IDLE_TURN_S, max(0.0, due_s - self._clock.now_s()))

    def turn(self, taken: tuple[Item, float] | None) -> None:
        """One turn of the thread: handle `taken` (an item and when it was offered), and what has become due.

        One that raises is not posted: turns that all fail are as good as none, and the watchdog restarts us.
        """
        now = self._clock.now_s()
        self._look_after_card(now)
        if taken is not None:
            self._handle(taken[0], now - taken[1])
        # While edges wait in the inbox it is too early to say what the button did by now.
        self._felt(self._gestures.advance(now) if len(self._inbox) == 0 else [])
        if kept := self._session.advance(now):
            self._post(kept)
            self._say(self._speech.phrase(kept.value), Rank.NEWS)
        self._tell_of_the_voice()
        if self._lost and now >= self._retry_at_s:
            self._open(now)
        if self._waiting and self._idle():
            self._sound(self._waiting.popleft(), Rank.NEWS)
        self._do_orders(now)
        self._post(Turn("announcer"))

    def _look_after_card(self, now: float) -> None:
        """Notice a card that has gone before somebody needs it, and what it cut off."""
        if self._speaker is None:
            return
        with self._losing_card(now):
            idle = self._speaker.wait(0)
            self._speaker.check()
            if idle:
                self._news = None  # heard to its end

    @contextlib.contextmanager
    def _losing_card(self, now: float) -> Iterator[None]:
        """Whatever the card's driver raises within means that the card is lost."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 -- written down where it is no HardwareError
            self._lose_speaker(self._mishaps.as_hardware("speaker", error), now)

    def _handle(self, item: Item, age_s: float) -> None:
        if isinstance(item, Edge):
            self._felt(self._gestures.edge(item))
        elif isinstance(item, Decision):
            self._decide(item, age_s)
        elif isinstance(item, Guidance):
            if age_s <= STALE_HINT_S:
                self._say(self._speech.guidance(item), Rank.HINT)
        elif isinstance(item, Command):
            if item.verb in SPOKEN:
                self._asked(item)
        elif isinstance(item, Notice):
            self._say(self._speech.phrase(item.phrase), Rank.NEWS)
        elif isinstance(item, Fault):
            self._say(self._speech.fault(item), Rank.NEWS)
        elif text := self._speech.recovered(item):
            self._say(text, Rank.NEWS)

    def _decide(self, decision: Decision, age_s: float) -> None:
        now_s = self._clock.now_s()
        if decision.verdict is Verdict.SEEN:
            self._sound_tone(Earcon.SEEN, age_s)
            return
        text = self._speech.decision(decision)
        if text is None:
            return
        if decision.verdict is not Verdict.AMOUNT:
            if age_s <= STALE_HINT_S:
                self._say(text, Rank.DOUBT, Earcon.UNSURE)
            return
        if age_s <= STALE_AMOUNT_S and self._sound(text, Rank.AMOUNT):
            self._post(Reaction(1e3 * (age_s + self._clock.now_s() - now_s)))
        self._session.count(decision.label, self._clock.now_s(), decision.currency)
        self._prepare_total()

    def _felt(self, found: Sequence[Gesture | Holding]) -> None:
        for one in found:
            if isinstance(one, Gesture):
                self._answer(self._session.press(one.press, self._clock.now_s()))
            elif (age_s := self._clock.now_s() - one.t_s) <= STALE_TONE_S:
                self._post(one)
                self._sound_tone(TOUCHES[one.hold], age_s)

    def _answer(self, answer: Answer) -> None:
        self._post(answer)
        if isinstance(answer, Repeat):
            text = self._speech.amount(answer.label, currency=answer.currency)
            age = self._speech.age(answer.age_s)
            pieces = (text, age) if age else (text,)
            self._sound(self._speech.repeated(text, answer.age_s), Rank.AMOUNT, pieces=pieces)
        elif isinstance(answer, Total):
            self._say(self._speech.totals(answer), Rank.AMOUNT)
        else:
            self._say(self._speech.phrase(answer.value), Rank.AMOUNT)
        self._prepare_total()

    def _prepare_total(self) -> None:
        """Have the total rendered when it changes, not when it is asked for; and tell of it."""
        total = self._session.total
        if total != self._told.total:
            self._told = Standing(total)
            self._post(self._told)
        self._phrases.ahead(self._speech.totals(total))

    def _say(self, text: str, rank: Rank, tone: Earcon | None = None) -> None:
        if rank is Rank.AMOUNT or (self._idle() and not self._waiting):
            self._sound(text, rank, tone)
        elif rank is Rank.NEWS:
            self._waiting.append(text)

    def _idle(self) -> bool:
        """Whether no word sounds: an earcon holds up nobody."""
        return not self._lost and (self._speaker is None or self._tone or self._speaker.wait(0))

    def _sound_tone(self, tone: Earcon, age_s: float) -> None:
        silent = self._speaker is not None and not self._waiting and self._speaker.wait(0)
        if tone not in self._tones or age_s > STALE_TONE_S or not silent:
            return
        self._tone = True
        self._news = None
        self._give(self._tones[tone])

    def _sound(self, text: str, rank: Rank, tone: Earcon | None = None, *, pieces: tuple[str, ...] = ()) -> bool:
        """Say `text` now, True if it sounds; `pieces`: the phrases it is put together from, where it is none itself."""
        if self._news is not None and not self._idle():
            self._waiting.appendleft(self._news)
        self._news = None
        self._tone = False
        sounded = self._play(pieces or (text,), self._tones.get(tone) if tone else None)
        if rank is Rank.NEWS and sounded:
            self._news = text
        elif rank is Rank.NEWS and self._lost:
            self._waiting.appendleft(text)
        self._post(Utterance(text, rank, self._clock.now_s(), sounded))
        return sounded

    def _play(self, pieces: Sequence[str], tone: Pcm | None) -> bool:
        try:
            sounds = [self._phrases.sound(piece) for piece in pieces]
        except HardwareError as error:
            log.error("not rendered, so not said: %s", error)
            return False
        if tone is not None and tone.rate_hz == sounds[0].rate_hz:
            sounds.insert(0, tone)
        return self._give(joined(sounds, PAUSE_S) if len(sounds) > 1 else sounds[0])

    def _give(self, pcm: Pcm) -> bool:
        now = self._clock.now_s()
        for _ in range(2):  # a card that has gone and come back is opened anew, for this very sound
            if self._speaker is None and now >= self._retry_at_s:
                self._open(now)
            if self._speaker is None:
                return False
            with self._losing_card(now):
                self._speaker.play(pcm)
                self._tell_of_the_card()
                return True
        return False

    def _tell_of_the_card(self) -> None:
        if self._unheard:
            self._unheard = False
            log.info("the sound card works again")
            self._post(Recovered("speaker"))

    def _asked(self, command: Command) -> None:
        """Put what was asked for from afar behind all else: it never cuts off, and waits for silence."""
        now = self._clock.now_s()
        text = ""
        if command.verb == "say":
            text = self._speech.message(command.text)
        elif command.verb == "repeat":
            last = self._session.repeat(now)
            text = self._speech.phrase("nothing yet")
            if isinstance(last, Repeat):
                amount = self._speech.amount(last.label, currency=last.currency)
                text = self._speech.once_more(amount, last.age_s)
        if len(self._orders) >= ORDERS:
            self._post(Done(command.id, "others wait to be heard"))
            return
        if text:
            self._phrases.ahead(text)
        self._orders.append((command.id, text, now))

    def _do_orders(self, now: float) -> None:
        if not self._orders or self._waiting:
            return
        id_, text, asked_s = self._orders[0]
        if now - asked_s > STALE_ORDER_S:
            self._orders.popleft()
            self._post(Done(id_, "nothing can be heard" if self._lost else "there was no silence to be heard in"))
        elif self._idle() and (not text or self._phrases.has(text)):
            self._orders.popleft()
            # No news: what was cut off, or not heard, must not come after an amount that it does not belong to.
            heard = self._sound(text, Rank.DOUBT) if text else self._call()
            self._post(Done(id_, "" if heard else "nothing can be heard"))

    def _call(self) -> bool:
        self._tone, self._news = True, None
        return self._give(self._here)

    def _tell_of_the_voice(self) -> None:
        failure = self._phrases.failure
        if self._unrendered is (failure is not None):
            return
        self._unrendered = failure is not None
        self._post(Recovered("speech") if failure is None else Fault.of(failure))

    def _open(self, now: float) -> None:
        self._retry_at_s = now + REOPEN_AFTER_S
        with self._losing_card(now):
            self._speaker = self._open_speaker()
        if self._speaker is None:
            return
        again = self._speech.recovered(Recovered("speaker"))
        if self._lost and again and again not in self._waiting:
            self._waiting.appendleft(again)
        self._lost = False

    def _lose_speaker(self, error: HardwareError, now: float) -> None:
        log.log(logging.DEBUG if self._unheard else logging.ERROR, "nothing can be heard, trying again: %s", error)
        speaker, self._speaker = self._speaker, None
        if speaker is not None:
            with self._mishaps:
                speaker.close()
        self._lost = True
        if self._news is not None:
            self._waiting.appendleft(self._news)
            self._news = None
        if not self._unheard:
            self._unheard = True
            self._post(Fault.of(error))
