"""Owns when `state` is said: on change, at most once a second, and with each health. It knows no broker and no disk.

Only the latest matters, so it goes past the outbox, as `availability` does: a disk that is full can still be told of,
and an amount costs the card one write, not two. What is not shared is no change either: nobody learns from the times at
which it is said. Not for several threads: telemetry's own.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from edge.core import wire
from edge.core.stands import Standable, Stands
from edge.core.wire import Moment, StatePayload

LEAST_S = 1.0  # between two


class Bulletin:
    """Notes what stands, and says it when it is due."""

    def __init__(self, source: wire.Source, say: Callable[[bytes], None]) -> None:
        self._source, self._say = source, say
        self._stands = Stands()
        self._said: StatePayload | None = None
        self._said_s = float("-inf")  # on the caller's clock of seconds
        self._due = True

    def note(self, event: Standable, moment: Moment) -> None:
        """Take what has happened."""
        self._stands.note(event, moment.t_s, moment.wall_s)
        self._due = self._due or self._said is None or _body(self._said) != _body(self._now(moment))

    def renew(self, source: wire.Source) -> None:
        """Who speaks has changed: it is said, too."""
        self._source, self._due = source, True

    def again(self) -> None:
        """Say it, changed or not: with each health."""
        self._due = True

    def wait_s(self, now_s: float) -> float | None:
        """Until it is to be said, 0 for now; None while it is not."""
        return max(0.0, self._said_s + LEAST_S - now_s) if self._due else None

    def turn(self, moment: Moment, now_s: float) -> None:
        """Say it if it is due."""
        if self.wait_s(now_s) == 0.0:
            self._due, self._said_s, self._said = False, now_s, self._now(moment)
            self._say(wire.encode(self._said))

    def _now(self, moment: Moment) -> StatePayload:
        return wire.state(self._stands, self._source, moment)


def _body(state: StatePayload) -> StatePayload:
    """What of it may have changed, whenever it is said."""
    return msgspec.structs.replace(state, t_s=0.0, wall_s=None, uptime_s=0.0, started_wall_s=None)
