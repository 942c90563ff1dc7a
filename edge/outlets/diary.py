"""Owns what was counted on each day: kept in the outbox's file, told as `summary`. Knows no broker and reads no clock.

Counts are added up in memory and written each minute, with a `Stretch`: a plug that is pulled costs a minute of them.
What happens while nobody knows which day it is (the clock was not set yet) is on no day. What the owner does not share
is not kept. Not for several threads: telemetry's own.
"""

from __future__ import annotations

import datetime
import logging

import msgspec

from edge.core import days, wire
from edge.core.days import Counted, Day
from edge.core.errors import TransientError
from edge.core.messages import Fault, Recovered
from edge.core.stands import Faults
from edge.outlets.outbox import Outbox

log = logging.getLogger(__name__)

DAY = msgspec.json.Decoder(Day)


class Diary:
    """Counts, writes, and tells the last thirty days."""

    def __init__(self, outbox: Outbox, source: wire.Source) -> None:
        self._outbox, self._source = outbox, source
        self._fresh: dict[str, Day] = {}  # by day: not written yet
        self._lost = 0  # messages, when that was looked at last
        self._faults = Faults()

    def begin(self) -> None:
        """Forget what is not shared any more. Raises TransientError where the disk does not let us."""
        self._lost = self._outbox.lost()
        for day, data in self._outbox.days().items():
            cut = _decoded(data)
            cut.cut_to(self._source.share)
            if msgspec.json.encode(cut) != data:
                self._outbox.change_day(day, lambda _, cut=cut: msgspec.json.encode(cut))  # type: ignore[misc]

    def note(self, event: Counted | Recovered, wall_s: float | None) -> None:
        """Count what happened at `wall_s`: of faults, those that begin."""
        if isinstance(event, Recovered):
            self._faults.note(event)
            return
        if isinstance(event, Fault) and not self._faults.note(event):
            return
        if today := day_of(wall_s):
            self._fresh.setdefault(today, Day()).note(event, self._source.currency)

    def write(self, wall_s: float | None) -> None:
        """Write down what was counted; a disk that takes nothing gets it with the next minute's."""
        try:
            self._count_lost(wall_s)
            for day, fresh in list(self._fresh.items()):
                fresh.cut_to(self._source.share)
                if not fresh.empty:
                    self._outbox.change_day(day, lambda data, fresh=fresh: _grown(data, fresh))  # type: ignore[misc]
                del self._fresh[day]
        except TransientError as error:
            log.debug("the day is written down later: %s", error)

    def told(self, wall_s: float | None) -> dict[str, Day]:
        """The days that are told, the oldest first, with what was not written yet."""
        try:
            kept = {day: _decoded(data) for day, data in self._outbox.days().items()}
        except TransientError:
            kept = {}
        for day, fresh in self._fresh.items():
            kept.setdefault(day, Day()).merge(fresh)
        return {day: kept[day] for day in days.told(kept, day_of(wall_s) or None)}

    def _count_lost(self, wall_s: float | None) -> None:
        lost, today = self._outbox.lost(), day_of(wall_s)
        if today and lost > self._lost:
            self._fresh.setdefault(today, Day()).lost += lost - self._lost
        self._lost = lost


def _grown(data: bytes | None, fresh: Day) -> bytes:
    day = Day() if data is None else _decoded(data)
    day.merge(fresh)
    return msgspec.json.encode(day)


def day_of(wall_s: float | None) -> str:
    """The owner's day, by local time; "" where nobody knows, or a clock shows a year beyond all calendars."""
    if wall_s is None:
        return ""
    try:
        return datetime.datetime.fromtimestamp(wall_s).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return ""


def _decoded(data: bytes) -> Day:
    try:
        return DAY.decode(data)
    except msgspec.MsgspecError:  # of a release that counts otherwise
        return Day()
