"""Owns the end of a run that is asked for from afar, so that the next one begins with the settings as they stand then.

    own thread   judges them, answers, and ends the run once the broker has the answer and nobody holds a note

Settings with a mistake are refused here, one that would only take an extra away too, and this run keeps its own. For
five minutes a new release is on trial (`deploy/install.sh`), and a service that is started again meanwhile is sent
back: so a run that is younger than `LEAST_S` does not end. It must not know who starts it again, nor where settings
are read.

    inbox: 8 items, a new one is turned away when it is full; then the command is answered as not done in time
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias

from edge.core.messages import Decision, Verdict
from edge.core.orders import RELOAD, Answered, Command, Done
from edge.outlets.inbox import Inbox
from edge.outlets.worker import Worker
from edge.ports import Clock

log = logging.getLogger(__name__)

INBOX_SIZE = 8
LEAST_S = 360.0  # of a run's age
ANSWER_S = 10.0  # for the answer to be acknowledged; it goes with the next run otherwise
HELD_S = 30.0  # longest wait for a note to leave
JUDGED_S = 10.0  # whoever asked is told by then that it was not done in time, or soon after
LOOK_S = 0.1
CLOSE_S = 1.0

Item: TypeAlias = Command | Answered | Decision


class Reload:
    """Ends the run when asked; `start` it once, `offer` it commands, answers and decisions, `close` it."""

    def __init__(
        self,
        mistakes: Callable[[], Sequence[str]],
        end: Callable[[], None],
        clock: Clock,
        *,
        post: Callable[[Done], object],
    ) -> None:
        """`mistakes`: in the settings as the next run would read them, a sentence each; `end`: ends this run."""
        self._mistakes, self._end, self._clock, self._post = mistakes, end, clock, post
        self._began_s = clock.now_s()
        self._agreed: tuple[str, float] | None = None  # the command that is done, and when it was
        self._answered = self._ended = False
        self._held = False  # a note is in view
        self._inbox: Inbox[Command | Answered] = Inbox(INBOX_SIZE, drop="newest")
        self._thread = Worker("reload", self._inbox, self.turn, self._patience_s)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def offer(self, item: Item) -> bool:
        """Take an item for later; returns at once."""
        if isinstance(item, Decision):
            self._held = item.verdict is not Verdict.GONE
            return True
        if isinstance(item, Command) and item.verb != RELOAD:
            return True
        return self._inbox.offer(item)

    def close(self) -> None:
        """Do nothing more; may be called twice."""
        self._thread.finish(CLOSE_S)

    def _patience_s(self) -> float | None:
        return None if self._agreed is None or self._ended else LOOK_S

    def turn(self, item: Command | Answered | None) -> None:
        """One turn of the thread: handle `item`, and end the run when the time has come."""
        if isinstance(item, Command):
            self._asked(item.id)
        elif item is not None and self._agreed is not None and item.id == self._agreed[0]:
            self._answered = True
        if self._agreed is not None and not self._ended and self._is_time(self._clock.now_s() - self._agreed[1]):
            self._ended = True
            log.info("ending, to begin anew with other settings")
            self._end()

    def _is_time(self, waited_s: float) -> bool:
        told = self._answered or waited_s >= ANSWER_S
        return told and (not self._held or waited_s >= HELD_S)

    def _asked(self, id_: str) -> None:
        why = self._refusal()
        if not why:
            self._agreed = id_, self._clock.now_s()
        self._post(Done(id_, why))

    def _refusal(self) -> str:
        """One sentence, or "" where nothing is against it."""
        if self._agreed is not None:
            return "it is about to begin anew already"
        now_s = self._clock.now_s()
        age_s = now_s - self._began_s
        if age_s < LEAST_S:
            return (
                f"it began {age_s:.0f} s ago, and a new start is on trial for {LEAST_S:.0f} s: "
                f"ask again in {LEAST_S - age_s:.0f} s"
            )
        try:
            mistakes = self._mistakes()
        except Exception as error:  # whatever it is: this run goes on
            log.exception("the settings could not be looked at")
            return f"the settings cannot be looked at: {type(error).__name__}: {error}"
        if self._clock.now_s() - now_s > JUDGED_S:
            return "the disk is too slow: the settings could not be looked at in time"
        more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
        return f"{mistakes[0]}{more}" if mistakes else ""
