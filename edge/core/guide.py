"""Owns the hints for the hand that shows a note: what would help, when somebody is trying and nothing is read.

It remembers recent observations and decisions and reads no clock. Somebody is trying when part of a note is in view
or something moves; a pocket (dark from the start), a table (nothing moves) and scenery without a note get no word.
An amount is never talked over: there is silence while the note that was read is in view, and for a while after.

The model's place of a note is approximate (measured with `python -m training guidance`): centre and edges are good to
about a tenth of the picture. So the edges of the place are used, smoothed over half a second, and a hint needs the same
finding for a while.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.core.bundle import BACKGROUND
from edge.core.messages import ROUNDING_S, Box, Decision, Guidance, Hint, Look, Observation, Verdict

SMOOTH_S = 0.6  # what is found stands on so long
PERSISTS_S = 0.5  # so long a finding stays the same before it is said: a note passing by is not worth a word
GAP_S = 0.25  # of another or no finding that does not count as a break
PLAIN_S = 1.0  # so long before the opposite of the last hint is said
KEPT_S = 1.2  # of observations
APART_S = 2.0  # between two hints, which last up to a second themselves
PAUSES_S = (2.5, 6.0, 15.0, 40.0)  # before the same hint comes a second, third, fourth ... time
FORGET_S = 6.0  # without any finding: the next hint counts as the first again
AFTER_AMOUNT_S, AFTER_DOUBT_S = 3.0, 1.8  # of silence after an amount (or its note) and after "not sure"
FEWEST = 3  # frames within SMOOTH_S; a slower camera is not guided

MOVING = 0.02  # relative change of brightness or detail within a second that only a hand or a wearer makes
MOVING_DARK = 0.05  # in the dark, where noise is larger beside the little light
TRYING_S = 3.0  # something moved so lately
LIT = 25.0  # brightness before a thumb came over the lens
GLOW = 60.0  # brightness up to which a picture without detail is a finger, not a wall
DARKENED_S = 1.0  # from lit to covered: a hand over the lens, not the evening

# From here on part of a note is in view: median over SMOOTH_S of the probability of anything but background, or of the
# visible share. Of scenery, 95 % lie below 0.03 and 0.02 (docs/decisions/0005-hints.md).
NOTE, VISIBLE = 0.05, 0.1
NOTE_FAR = 0.15  # the same where it would be a note far away: of what is taken for a part of one, scenery is small
EDGE = 0.12  # of the picture: a note whose place ends nearer to the rim may be cut by it
LOPSIDED = 0.16  # so much more room on one side than on the other before a direction is given
LARGE, SMALL = 0.86, 0.6  # of the picture: a place as wide and as high, or neither; small ones are taken for larger
FILLS = 0.45  # of the picture: a place at three rims that fills so much is of a note too near, not of one that is cut
WAVED_PER_S = 0.4  # pictures a second that the place's centre travels nearly all the time; of a still note at most 0.3
GLIMPSED = 0.3  # share of pictures in which a waved note is seen


class Mount(enum.Enum):
    """Where the camera is in relation to the person; docs/hardware.md says it in words."""

    CHEST = "chest"  # worn, looking forward: its right is the person's right
    FACING = "facing"  # on a stand, looking at the person: its right is the person's left
    DOWN = "down"  # on a stand, looking down at a table; up is away from the person


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of one observation."""

    t_s: float
    look: Look
    luma: float
    detail: float
    note: float | None  # evidence that part of a note is in view, on the scale of NOTE, where it was inferred
    box: Box | None


class Guide:
    """Turns observations and what was decided on them, in the order of time, into hints."""

    def __init__(
        self, labels: Sequence[str], mount: Mount = Mount.CHEST, rotation: int = 0, *, visible_known: bool = False
    ) -> None:
        """`visible_known`: the model was taught that nothing of a note is visible in a picture without one."""
        self._background, self._visible_known = tuple(labels).index(BACKGROUND), visible_known
        self._mount, self._rotation = mount, rotation
        self._recent: deque[_Seen] = deque()
        self._read: int | None = None  # presence whose amount was said and which has not ended
        self._silent_until_s = float("-inf")
        self._lit_s: float | None = None  # when the picture was bright last,
        self._dark_s: float | None = None  # and when it turned dark after that
        self._moved_s: float | None = None
        self._found: Hint | None = None  # what would help now
        self._found_since_s = self._found_last_s = 0.0
        self._said: Hint | None = None  # the last hint
        self._said_s = float("-inf")
        self._told: dict[Hint, tuple[int, float]] = {}  # how often of late, and when last
        self._covered_told = False  # of this covering

    def step(self, observation: Observation, decisions: Sequence[Decision] = ()) -> Guidance | None:
        """A hint that would help now; usually None."""
        now = observation.t_s
        if self._recent and not 0 <= now - self._recent[-1].t_s <= KEPT_S:
            self._begin_anew(now)
        self._remember(observation)
        for decision in decisions:
            self._heed(decision)
        finding = self._finding()
        self._follow(finding, now)
        if finding is None or not self._may_speak(finding, now):
            return None
        self._told[finding] = (self._told.get(finding, (0, now))[0] + 1, now)
        self._said, self._said_s = finding, now
        self._covered_told |= finding is Hint.COVERED
        return Guidance(finding, now)

    def _begin_anew(self, now: float) -> None:
        """The camera was lost, or a recording begins again: what was seen counts no more, what was said still does."""
        if now < self._recent[-1].t_s:
            self._said_s = self._silent_until_s = float("-inf")
            self._told.clear()
        self._recent.clear()
        self._found = self._lit_s = self._dark_s = self._moved_s = None

    # --- what was seen and decided

    def _remember(self, observation: Observation) -> None:
        now, scene = observation.t_s, observation.scene
        note = None if observation.scores is None else 1 - float(np.exp(observation.scores[self._background]))
        if note is not None and observation.box is not None and self._visible_known:
            note = max(note, observation.box.visible * NOTE / VISIBLE)
        self._recent.append(_Seen(now, scene.look, scene.luma, scene.detail, note, observation.box))
        while now - self._recent[0].t_s > KEPT_S:
            self._recent.popleft()
        if self._moves():
            self._moved_s = now
        if scene.look in (Look.CLEAR, Look.BLURRED) and scene.luma >= LIT:
            self._lit_s, self._dark_s = now, None
            self._covered_told = False
        elif self._dark_s is None and _covered(self._recent[-1]):
            self._dark_s = now

    def _heed(self, decision: Decision) -> None:
        if decision.verdict is Verdict.AMOUNT:
            self._read = decision.presence
            self._told.clear()  # the next note needs its own hints
            self._silence(decision.t_s + AFTER_AMOUNT_S)
        elif decision.verdict is Verdict.GONE:
            if decision.presence == self._read:
                self._silence(decision.t_s + AFTER_AMOUNT_S)
            self._read = None
        elif decision.verdict is not Verdict.SEEN:
            self._silence(decision.t_s + AFTER_DOUBT_S)

    def _silence(self, until_s: float) -> None:
        self._silent_until_s = max(self._silent_until_s, until_s)

    # --- when to say it

    def _follow(self, finding: Hint | None, now: float) -> None:
        if finding is self._found and finding is not None:
            self._found_last_s = now
        elif self._found is None or now - self._found_last_s > GAP_S:
            self._found, self._found_since_s = finding, now
            self._found_last_s = now if finding else self._found_last_s
        if finding is None and now - self._found_last_s > FORGET_S:
            self._said = None
            self._told.clear()

    def _may_speak(self, hint: Hint, now: float) -> bool:
        if self._read is not None or now < self._silent_until_s or now - self._said_s < APART_S:
            return False
        if hint is not self._found:
            return False
        back = self._said is not None and hint is _OPPOSITE.get(self._said)
        if now - self._found_since_s < (PLAIN_S if back else PERSISTS_S) - ROUNDING_S:
            return False
        if hint is Hint.COVERED and self._covered_told:
            return False
        times, last_s = self._told.get(hint, (0, now))
        return times == 0 or now - last_s >= PAUSES_S[min(times, len(PAUSES_S)) - 1]

    # --- what would help

    def _finding(self) -> Hint | None:
        now = self._recent[-1].t_s
        last = [seen for seen in self._recent if now - seen.t_s <= SMOOTH_S + ROUNDING_S]
        if len(last) < FEWEST or now - last[0].t_s < 0.6 * SMOOTH_S:
            return None
        if self._moved_s is None or now - self._moved_s > TRYING_S:
            return None
        return self._in_the_dark(last) or self._unsharp(last) or self._of_the_place(last)

    def _in_the_dark(self, last: list[_Seen]) -> Hint | None:
        if all(_covered(seen) for seen in last) and self._darkened_at_once():
            return Hint.COVERED
        return Hint.TOO_DARK if all(seen.look is Look.DARK for seen in last) and self._moves(MOVING_DARK) else None

    def _darkened_at_once(self) -> bool:
        return self._lit_s is not None and self._dark_s is not None and self._dark_s - self._lit_s <= DARKENED_S

    def _unsharp(self, last: list[_Seen]) -> Hint | None:
        return Hint.HOLD_STILL if all(seen.look is Look.BLURRED for seen in last) and self._moves() else None

    def _of_the_place(self, last: list[_Seen]) -> Hint | None:
        seen = [(s.t_s, s.note, s.box) for s in last if s.note is not None and s.box is not None]
        if len(seen) < FEWEST:
            return None
        notes = [note for _, note, _ in seen]
        places = [box for _, note, box in seen if note >= NOTE]
        # A note that is waved is smeared: some pictures show no note at all, but its place flies about in all of them.
        if len(places) / len(notes) >= GLIMPSED and _flies([(t_s, box) for t_s, _, box in seen]):
            return Hint.HOLD_STILL
        if len(places) < FEWEST or not (middle := _median(notes)) >= NOTE:
            return None
        sides = ("centre_x", "centre_y", "width", "height")
        hint = _where_to(*(_median([getattr(box, side) for box in places]) for side in sides))
        if hint is Hint.CLOSER and middle < NOTE_FAR:
            return None
        return turned(hint, self._mount, self._rotation) if hint else None

    def _moves(self, by: float = MOVING) -> bool:
        return any(
            max(values) - min(values) > by * max(1.0, *values)
            for values in ([s.luma for s in self._recent], [s.detail for s in self._recent])
        )


def turned(hint: Hint, mount: Mount, rotation: int = 0) -> Hint:
    """A direction in the picture as the hand has to hear it; other hints stay as they are.

    `rotation`: degrees clockwise by which the picture would have to be turned to stand upright, a multiple of 90.
    """
    if hint not in _CLOCKWISE:
        return hint
    upright = _CLOCKWISE[(_CLOCKWISE.index(hint) + rotation // 90) % 4]
    return _OPPOSITE[upright] if mount is Mount.FACING and upright in (Hint.LEFT, Hint.RIGHT) else upright


_CLOCKWISE = (Hint.UP, Hint.RIGHT, Hint.DOWN, Hint.LEFT)
_OPPOSITE = {
    Hint.LEFT: Hint.RIGHT,
    Hint.RIGHT: Hint.LEFT,
    Hint.UP: Hint.DOWN,
    Hint.DOWN: Hint.UP,
    Hint.CLOSER: Hint.FURTHER,
    Hint.FURTHER: Hint.CLOSER,
}


def _covered(seen: _Seen) -> bool:
    """Whether a finger may be over the lens: dark, or a dull glow without any detail."""
    return seen.look in (Look.COVERED, Look.DARK) or (seen.look is Look.EMPTY and seen.luma < GLOW)


def _flies(places: list[tuple[float, Box]]) -> bool:
    """Whether these places, each with its time, travel all the time."""
    # From each place to the next but one: looks turned upside down in between find a slightly other place.
    speeds = [
        max(abs(after.centre_x - before.centre_x), abs(after.centre_y - before.centre_y)) / max(now - then, 1e-3)
        for (then, before), (now, after) in zip(places, places[2:], strict=False)
    ]
    return _quarter(speeds) > WAVED_PER_S


def _median(values: list[float]) -> float:
    """Of a dozen numbers; numpy takes ten times as long for them."""
    ordered, middle = sorted(values), len(values) // 2
    return ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _quarter(values: list[float]) -> float:
    """A quarter of `values` is less: on the line between its two neighbours, nan of none."""
    if not values:
        return math.nan
    ordered, (low, fourths) = sorted(values), divmod(len(values) - 1, 4)
    step = ordered[min(low + 1, len(values) - 1)] - ordered[low]
    return ordered[low] + step * fourths / 4


def _where_to(x: float, y: float, width: float, height: float) -> Hint | None:
    """The way in the picture that a note at this centre and of these sides has to go; None where it lies well."""
    rooms = {
        Hint.LEFT: 1 - (x + width / 2),
        Hint.RIGHT: x - width / 2,
        Hint.UP: 1 - (y + height / 2),
        Hint.DOWN: y - height / 2,
    }
    rims = sum(room < EDGE for room in rooms.values())
    if min(width, height) >= LARGE or (rims >= 3 and width * height >= FILLS):
        return Hint.FURTHER
    # A note cut by one rim often reaches near a second: the way that gains most is the right one.
    gains = {way: rooms[_OPPOSITE[way]] - room for way, room in rooms.items() if room < EDGE}
    hint = max(gains, key=lambda way: gains[way], default=None)
    if hint is not None and gains[hint] > LOPSIDED:
        return hint
    return Hint.CLOSER if max(width, height) < SMALL else None
