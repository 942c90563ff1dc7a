"""Owns the button's language: raw contact changes in, bounces included, finished gestures out.

While a press lasts it also tells how far it has come, for the hand cannot see how long it holds. A pure state
machine: it reads no clock, the caller says what time it is and asks for `due_s`.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.core.messages import Edge, Gesture, Hold, Holding, Press


@dataclass(frozen=True, slots=True)
class Timings:
    """All in seconds."""

    debounce_s: float = 0.03  # a contact must rest so long before it counts
    double_within_s: float = 0.35  # a second press so soon after the first makes a double
    long_after_s: float = 0.8
    very_long_after_s: float = 4.0


class Gestures:
    """Reads one button."""

    def __init__(self, timings: Timings) -> None:
        self._timings = timings
        self._raw = False
        self._raw_since_s = 0.0
        self._down = False  # debounced
        self._down_since_s = 0.0
        self._first_up_s: float | None = None  # a short press that may become a double
        self._second = False  # the press under way is the second of a double
        self._marks: list[tuple[float, Hold]] = []  # of the press under way, still to be passed

    def edge(self, edge: Edge) -> list[Gesture | Holding]:
        """Take one raw change; what had happened by the time of it."""
        done = self.advance(edge.t_s)
        if edge.down != self._raw:
            self._raw, self._raw_since_s = edge.down, edge.t_s
        return done

    def due_s(self) -> float | None:
        """When `advance` should be called next, None when nothing is pending."""
        if self._raw != self._down:
            return self._raw_since_s + self._timings.debounce_s
        if self._down and self._marks:
            return self._down_since_s + self._marks[0][0]
        if not self._down and self._first_up_s is not None:
            return self._first_up_s + self._timings.double_within_s
        return None

    def advance(self, now_s: float) -> list[Gesture | Holding]:
        """What happened until `now_s`: gestures that are finished, and how far a press under way has come."""
        done: list[Gesture | Holding] = []
        settled_s = self._raw_since_s + self._timings.debounce_s
        if self._raw != self._down and now_s >= settled_s:
            done += self._expire(self._raw_since_s)
            done += self._pass_marks(self._raw_since_s)
            done += self._change(self._raw_since_s)
        # Until a release has settled, nobody knows whether the button is still held.
        done += self._pass_marks(now_s if self._raw == self._down else self._raw_since_s)
        return done + self._expire(now_s)

    def _pass_marks(self, now_s: float) -> list[Holding]:
        passed = []
        while self._down and self._marks and now_s >= self._down_since_s + self._marks[0][0]:
            after_s, hold = self._marks.pop(0)
            passed.append(Holding(hold, self._down_since_s + after_s))
        return passed

    def _expire(self, now_s: float) -> list[Gesture | Holding]:
        """A short press stays short once the time for a second has passed."""
        waited = self._first_up_s is not None and now_s >= self._first_up_s + self._timings.double_within_s
        if not waited or self._second or (self._raw and not self._down and now_s > self._raw_since_s):
            return []
        self._first_up_s = None
        return [Gesture(Press.SHORT, now_s)]

    def _change(self, at_s: float) -> list[Gesture | Holding]:
        self._down = self._raw
        if self._down:
            self._down_since_s = at_s
            self._second = self._first_up_s is not None
            self._marks = [
                (self._timings.long_after_s, Hold.LONG),
                (self._timings.very_long_after_s, Hold.VERY_LONG),
            ]
            return [Holding(Hold.DOWN, at_s)]
        return self._released(at_s)

    def _released(self, at_s: float) -> list[Gesture | Holding]:
        held_s = at_s - self._down_since_s
        second, self._second = self._second, False
        if second:
            self._first_up_s = None
        if held_s >= self._timings.very_long_after_s:
            return [Gesture(Press.VERY_LONG, at_s)]
        if held_s >= self._timings.long_after_s:
            return [Gesture(Press.LONG, at_s)]
        if second:
            return [Gesture(Press.DOUBLE, at_s)]
        self._first_up_s = at_s
        return []
