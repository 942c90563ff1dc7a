"""Owns the button's language: raw contact changes in, bounces included, finished gestures out.

A pure state machine: it reads no clock, the caller says what time it is and asks for `due_s`.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.core.messages import Edge, Gesture, Press


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

    def edge(self, edge: Edge) -> list[Gesture]:
        """Take one raw change; the gestures that were finished by the time of it."""
        done = self.advance(edge.t_s)
        if edge.down != self._raw:
            self._raw, self._raw_since_s = edge.down, edge.t_s
        return done

    def due_s(self) -> float | None:
        """When `advance` should be called next, None when nothing is pending."""
        if self._raw != self._down:
            return self._raw_since_s + self._timings.debounce_s
        if not self._down and self._first_up_s is not None:
            return self._first_up_s + self._timings.double_within_s
        return None

    def advance(self, now_s: float) -> list[Gesture]:
        """The gestures finished by `now_s`."""
        done: list[Gesture] = []
        settled_s = self._raw_since_s + self._timings.debounce_s
        if self._raw != self._down and now_s >= settled_s:
            done += self._expire(self._raw_since_s)
            done += self._change(self._raw_since_s)
        return done + self._expire(now_s)

    def _expire(self, now_s: float) -> list[Gesture]:
        """A short press stays short once the time for a second has passed."""
        waited = self._first_up_s is not None and now_s >= self._first_up_s + self._timings.double_within_s
        if not waited or self._second or (self._raw and not self._down and now_s > self._raw_since_s):
            return []
        self._first_up_s = None
        return [Gesture(Press.SHORT, now_s)]

    def _change(self, at_s: float) -> list[Gesture]:
        self._down = self._raw
        if self._down:
            self._down_since_s = at_s
            self._second = self._first_up_s is not None
            return []
        return self._released(at_s)

    def _released(self, at_s: float) -> list[Gesture]:
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
