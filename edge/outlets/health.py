"""Owns how the daemon does: counts the main loop's turns and frames, reports each interval, lets the watchdog live.

    main loop   offer(): counting under a lock, never waiting
    own thread  each interval a messages.Health, each minute a messages.Stretch, and more often a look at heat, power,
                disk and clock, since the board's files may be slow, and the line that `systemctl status` shows

The line begins with the pictures a second: by it the installer knows whether a new release sees (`deploy/install.sh`).
The watchdog is fed by the main loop itself, with its own turns, at most once a second, and only while the announcer
turns too: a loop stuck in a driver or a stale announcer is restarted. It must not know where reports go.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from edge.core.care import Care, Vitals
from edge.core.messages import (
    Decision,
    Fault,
    Health,
    Observation,
    Reaction,
    Recovered,
    Stretch,
    Turn,
    Verdict,
)
from edge.core.observe import STAGES
from edge.core.span import Span
from edge.core.stands import Faults
from edge.outlets.worker import Mishaps
from edge.ports import Board, Clock, Supervisor

log = logging.getLogger(__name__)

FEED_EVERY_S = 1.0
STALE_AFTER_S = 10.0  # the announcer turns at least twice a second, and while it speaks
LOOK_EVERY_S = 10.0  # at the board
STRETCH_S = 60.0  # a plug that is pulled costs the counts of so long at most
CLOSE_S = 0.4
STATUS_MOST = 500  # characters

Item: TypeAlias = Turn | Observation | Decision | Reaction | Fault | Recovered


class HealthMonitor:
    """Counts, reports and feeds; counters begin at construction."""

    def __init__(
        self,
        clock: Clock,
        board: Board,
        supervisor: Supervisor,
        post: Callable[[Health | Stretch | Fault | Recovered], object],
        *,
        interval_s: float,
        stale_after_s: float = STALE_AFTER_S,
        disk: Path | None = None,
        full_is_told: bool = False,
        needs_clock: bool = False,
        dropped: Callable[[], int] = lambda: 0,
    ) -> None:
        """`post` hears of the computer's troubles too, from this outlet's thread; `disk`: what needs room.

        `full_is_told`: somebody else says when the disk is full. `needs_clock`: somebody wants the time of day, so
        whether the clock was set is found out here. `dropped`: how many things outlets had no room for.
        """
        self._clock, self._board, self._supervisor = clock, board, supervisor
        self._post = post
        self._announcer_turned_s = clock.now_s()
        self._interval_s = interval_s
        self._stale_after_s = stale_after_s
        self._disk, self._full_is_told, self._needs_clock = disk, full_is_told, needs_clock
        self._dropped = dropped
        self._care = Care()
        self._began_s = clock.now_s()
        self._fed_s = float("-inf")
        self._stale = False
        self._lock = threading.Lock()
        self._frames = self._inferences = self._announced = 0
        self._seen, self._seen_s = 0, clock.now_s()  # frames, and when, at the status before
        self._faults = Faults()  # those that stand now
        self._since_report, self._since_stretch = Span(self._began_s), Span(self._began_s)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    def start(self) -> None:
        """Report at once and then each interval."""
        self._thread.start()

    def offer(self, item: Item) -> bool:
        """Count it, or feed the watchdog; the main loop's items come from its own thread. Always True."""
        if isinstance(item, Turn):
            self._turned(item.thread)
        elif isinstance(item, Observation):
            self._count(item)
        elif isinstance(item, Fault | Recovered):
            self._note(item)
        elif isinstance(item, Reaction):
            with self._lock:
                self._since_stretch.speech.add(item.ms)
        elif item.verdict is Verdict.AMOUNT:
            with self._lock:
                self._announced += 1
        return True

    def _note(self, event: Fault | Recovered) -> None:
        with self._lock:
            self._faults.note(event)

    def _turned(self, thread: str) -> None:
        now_s = self._clock.now_s()
        if thread == "announcer":
            self._announcer_turned_s = now_s
        else:
            self._feed(now_s)

    def _feed(self, now_s: float) -> None:
        if now_s - self._fed_s < FEED_EVERY_S:
            return
        silent_s = now_s - self._announcer_turned_s
        stale = silent_s > self._stale_after_s
        if stale and not self._stale:
            log.error("the announcer has not turned for %.1f s: the watchdog is fed no more", silent_s)
        self._stale = stale
        if not stale:
            self._fed_s = now_s
            self._supervisor.alive()

    def _count(self, observation: Observation) -> None:
        with self._lock:
            self._frames += 1
            self._inferences += STAGES[-1] in observation.ms  # scores may be those of an earlier look
            self._since_stretch.count(observation.ms)

    def measure(self) -> Health:
        """How it does now; means and percentiles begin anew."""
        self.stretch()  # so that all is in the report, and nothing in two stretches
        now_s, since = self._clock.now_s(), self._since_report
        self._since_report = Span(now_s)
        span_s = now_s - since.began_s
        with self._lock:
            frames, inferences, announced = self._frames, self._inferences, self._announced
        return Health(
            uptime_s=now_s - self._began_s,
            frames=frames,
            inferences=inferences,
            announced=announced,
            ms=since.means(),
            temperature_c=self._board.temperature_c(),
            throttled=self._board.throttled(),
            memory_bytes=self._board.memory_bytes(),
            disk_free_bytes=None if self._disk is None else self._board.free_bytes(self._disk),
            frames_per_s=since.frames / span_s if span_s > 0 else 0.0,
            stages={stage: told for stage, spread in since.stages.items() if (told := spread.percentiles())},
            speech_ms=since.speech.percentiles(),
            dropped=self._dropped(),
        )

    def stretch(self) -> None:
        """Post what the time since the last one has brought."""
        now_s = self._clock.now_s()
        with self._lock:
            since, self._since_stretch = self._since_stretch, Span(now_s)
        self._since_report.merge(since)
        self._post(
            Stretch(now_s - since.began_s, since.frames, since.stages, since.speech, self._board.temperature_c())
        )

    def look(self) -> None:
        """Post what has begun or ended on the computer itself."""
        for event in self._care.step(self._vitals()):
            if isinstance(event, Fault):
                log.warning("%s %s: %s", event.device, event.reason, event.detail)
            self._note(event)
            self._post(event)

    def tell(self) -> None:
        """Tell the supervisor in one line how many pictures a second came since the last time, and what is wrong."""
        now_s = self._clock.now_s()
        with self._lock:
            frames, faults = self._frames, [stood.fault for stood in self._faults.standing]
        wrong = [f"{fault.device}: {fault.detail or fault.reason}" for fault in faults]
        if now_s > self._seen_s:
            rate = (frames - self._seen) / (now_s - self._seen_s)
            self._supervisor.status("; ".join([f"{rate:.1f} pictures/s", *wrong])[:STATUS_MOST])
        self._seen, self._seen_s = frames, now_s

    def _vitals(self) -> Vitals:
        return Vitals(
            t_s=self._clock.now_s() - self._began_s,
            hot=self._board.hot(),
            weak=self._board.weak(),
            disk_free_bytes=None if self._disk is None or self._full_is_told else self._board.free_bytes(self._disk),
            clock_set=self._clock.is_set() if self._needs_clock else None,
        )

    def close(self) -> None:
        """End the reports; may be called twice."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
            self.stretch()

    def _run(self) -> None:
        pause_s = min(self._interval_s, LOOK_EVERY_S)
        left_s, unwritten_s = 0.0, 0.0  # until the next report; since the last stretch
        mishaps = Mishaps("health")
        while not self._stopping.is_set():
            with mishaps:
                self.look()
            with mishaps:  # apart: a look that fails costs no report
                if left_s <= 0:
                    left_s = self._interval_s
                    unwritten_s = 0.0
                    self._post(self.measure())
                elif unwritten_s >= STRETCH_S:
                    unwritten_s = 0.0
                    self.stretch()
            self._stopping.wait(pause_s)
            left_s -= pause_s
            unwritten_s += pause_s
            with mishaps:
                self.tell()
