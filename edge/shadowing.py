"""Owns what passes between the main loop and one bundle in the shadow: frames lent to it, and what its answers count.

    main loop   offer() and note(): a comparison and an append, and a frame is lent, never copied
    thread      turn(): hands the frame on, takes the answer, adds up; it waits for none longer than a moment

It must not know what becomes of the bundle then (`edge.succession`), nor where it looks (`edge.companion`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from edge.core.ledger import Tally
from edge.core.messages import Decision, Frame
from edge.core.rehearsal import Rehearsal
from edge.ports import Shadow

ANSWER_S = 0.5  # a turn waits so long for an answer
COUNT_EVERY_S = 60.0  # what it has shown is worth being written down so often, and with each note
IDLE_EVERY = 5  # without a note in view only every so many frames are shown to it
SOME = 50  # frames by which slowness is judged
SLOWER = 2.0  # than the one in use, and than the camera's pictures come: too slow
BACKLOG = 1024  # frames' outcomes that wait for the thread: over a minute
NOTHING = Tally()


class Shadowing:
    """One bundle in the shadow."""

    def __init__(
        self, currency: str, entry: str, shadow: Shadow, tally: Tally, usual_ms: Callable[[], Sequence[float]]
    ) -> None:
        """`usual_ms`: of the last pictures of the one in use; `tally`: what this one has shown on former days."""
        self.currency, self.entry, self.shadow = currency, entry, shadow
        self._usual_ms = usual_ms
        self._rehearsal = Rehearsal(currency, tally)
        self._offered: Frame | None = None
        self._lent = False  # that one is before the shadow
        self._forgotten = False  # and its answer does not count
        self._noted: deque[tuple[float, list[Decision], bool]] = deque(maxlen=BACKLOG)
        self._cpu_ms: deque[float] = deque(maxlen=200)
        self._in_view = False
        self._seen = 0
        self._counted, self._counted_s = tally, time.monotonic()

    @property
    def tally(self) -> Tally:
        """What it has shown."""
        return self._rehearsal.tally

    def offer(self, frame: Frame) -> None:
        """For the main loop: lend a frame, unless the last one is still looked at."""
        self._seen += 1
        if self._offered is None and (self._in_view or self._seen % IDLE_EVERY == 0):
            self._offered = frame

    @property
    def idle(self) -> bool:
        """Whether everything was taken."""
        return self._offered is None and not self._noted

    def note(self, t_s: float, decisions: list[Decision], note: bool) -> None:
        """For the main loop: what the bundle in use made of it; `note`: something like one is to be seen in it."""
        self._in_view = note
        self._noted.append((t_s, decisions, note))

    def turn(self) -> None:
        """Take what was noted, and show what was lent. Raises BundleError where the shadow breaks down."""
        frame = self._offered
        if len(self._noted) == BACKLOG:
            self._forget()
        # No further than the frame that is lent: its answer must be there before its note is judged.
        while self._noted and (frame is None or self._noted[0][0] <= frame.t_s):
            self._rehearsal.live(*self._noted.popleft())
        if frame is None:
            return
        if not self._lent:
            self.shadow.lend(frame)
            self._lent = True
        answer = self.shadow.answer(ANSWER_S)
        if answer is None:
            return
        if not self._forgotten:
            self._rehearsal.shadow(frame.t_s, answer.amounts)
        self._cpu_ms.append(answer.cpu_ms)
        self._lent = self._forgotten = False
        self._offered = None

    def _forget(self) -> None:
        """The shadow gets so little of the processor that it answers to what was a minute ago: nothing is compared."""
        self._rehearsal = Rehearsal(self.currency, self.tally)
        self._noted.clear()
        self._forgotten = self._offered is not None

    def slow_ms(self, interval_ms: float) -> float:
        """The processor time of a picture, where that is too much; else 0."""
        usual_ms = self._usual_ms()
        if len(self._cpu_ms) < SOME or len(usual_ms) < SOME:
            return 0.0
        median = float(np.median(self._cpu_ms))
        return median if median > max(SLOWER * float(np.median(usual_ms)), interval_ms) else 0.0

    def is_worth_counting(self) -> bool:
        """Whether what it has shown is to be written down: each note, and else each minute."""
        now_s, tally = time.monotonic(), self.tally
        notes = [(one.alike, one.otherwise, one.silent, one.alone) for one in (tally, self._counted)]
        if notes[0] == notes[1] and now_s - self._counted_s < COUNT_EVERY_S:
            return False
        self._counted, self._counted_s = tally, now_s
        return True


def with_numbers(why: str, tally: Tally) -> str:
    """The sentence for whoever stands at the device: with what the shadow has shown, if it has shown anything."""
    if tally == NOTHING:
        return why
    shown = (
        f"{tally.alike} notes alike, {tally.otherwise} otherwise, {tally.silent} silent, {tally.alone} alone, "
        f"in {tally.seconds:.0f} s of pictures"
    )
    return f"{why}: {shown}" if why else shown
