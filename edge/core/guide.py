"""Owns the hints for the hand that shows a note: what would help, when somebody is trying and nothing is read.

Only what the scene gate can tell is said: too dark, and moving too fast. It remembers the last moments and reads no
clock; like `decide` it is silent in a pocket (dark without any structure) and on a table (nothing changes).
"""

from __future__ import annotations

from collections import deque

from edge.core.messages import Guidance, Hint, Look, Observation

PERSISTS_S = 1.2  # so long without a break before a hint: a note passing by is not worth a word
APART_S = 4.0  # between two hints
MOVING = 0.05  # relative change of brightness within that time: a hand, not a dark room


class Guide:
    """Turns observations, in the order of time, into hints."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, Look, float]] = deque()
        self._silent_until_s = float("-inf")

    def step(self, observation: Observation) -> Guidance | None:
        """A hint that would help now; usually None."""
        now, scene = observation.t_s, observation.scene
        if self._recent and (scene.look is not self._recent[-1][1] or now < self._recent[-1][0]):
            self._recent.clear()
        self._recent.append((now, scene.look, scene.luma))
        while now - self._recent[0][0] > PERSISTS_S:
            self._recent.popleft()
        hint = self._hint()
        if hint is None or now < self._silent_until_s or len(self._recent) < 4:
            return None
        # The oldest kept is just inside the time asked for: a frame's length short of it is long enough.
        if now - self._recent[0][0] < 0.75 * PERSISTS_S:
            return None
        self._silent_until_s = now + APART_S
        self._recent.clear()
        return Guidance(hint, now)

    def _hint(self) -> Hint | None:
        look = self._recent[-1][1]
        if look is Look.BLURRED and self._moves():
            return Hint.HOLD_STILL
        if look is Look.DARK and self._moves():
            return Hint.TOO_DARK
        return None

    def _moves(self) -> bool:
        lumas = [luma for _, _, luma in self._recent]
        return max(lumas) - min(lumas) > MOVING * max(1.0, max(lumas))
