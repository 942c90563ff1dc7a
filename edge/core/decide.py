"""Owns the decision over several frames: the only stage with a memory, and that of recent observations alone.

Scores are fused as the mean of log-probabilities over a short window (the geometric mean of what the frames
say): frames of one hand are nearly copies of each other, so adding them up would pretend to a certainty that
is not there. An amount needs enough frames that say it over a long enough time (what is taken for a note is so for a
moment only), enough agreement among them and a fused probability above the bundle's threshold for it; and, where the
model says how much of a note it sees, enough of it: what is taken for a note at a glance is rarely seen as a whole one.
Everything else is silence, "not sure" or "one note at a time". A frame without scores adds nothing, so nothing is said
to it. A blurred frame neither begins nor ends a presence: a shaken note is one note. It reads no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from edge.core.bundle import BACKGROUND, RESERVED, SEVERAL, DecisionSpec
from edge.core.evidence import Glimpse, gathered, glimpse
from edge.core.messages import NOTE_LIKE, ROUNDING_S, Decision, Look, Observation, Scores, Verdict

SEVERAL_AT = 0.6  # fused probability from which two notes are taken for two
CHANGE_FACTOR = 2  # another amount within one presence needs so many times the frames,
CHANGE_SPAN = 0.6  # or, from a slow camera, such a share of the window in which every frame says it
FORGET_AFTER_S = 2.0  # no frame at all for so long (a lost camera): what was seen before counts no more
SEEN_AFTER = 2  # frames in a row that look like a note, before something counts as seen
FORGET_BLUR_AFTER_S = 10.0  # nobody shakes a note for so long: whatever was in view before counts no more
SEEN_SHARE = 0.7  # of the recent frames must have looked like a note before "not sure" is said


class Decider:
    """Turns observations, one by one in the order of time, into decisions."""

    def __init__(self, labels: Sequence[str], spec: DecisionSpec) -> None:
        self._labels = tuple(labels)
        self._spec = spec
        self._background = self._labels.index(BACKGROUND)
        self._recent: deque[Glimpse] = deque()
        self._seen: deque[tuple[float, bool]] = deque()
        self._presence = 0
        self._since_s: float | None = None  # start of the presence, None while nothing is in view
        self._now_s = 0.0  # of the last observation
        self._away_s = 0.0  # so long no note was in view, the time of blurred frames left out
        self._blurred_s = 0.0  # so long there has been nothing but blur
        self._in_a_row = 0  # frames that looked like a note, blurred ones left out
        self._said: str | None = None  # the amount of this presence,
        self._sure_of: str | None = None  # and the one it was sure of last, contested or not: a change needs more
        self._told: set[Verdict] = set()  # what else was said in it

    @property
    def since_s(self) -> float | None:
        """When what is in view came into view; None while nothing is."""
        return self._since_s

    @property
    def said(self) -> str | None:
        """The amount of what is in view, once it was said."""
        return None if self._since_s is None else self._said

    def take_over(self, other: Decider) -> None:
        """Go on where `other`, of the same labels, stands: the note in view and what was said of it, and no looks."""
        self._presence, self._since_s, self._now_s = other._presence, other._since_s, other._now_s
        self._away_s, self._blurred_s, self._in_a_row = other._away_s, other._blurred_s, other._in_a_row
        self._said, self._sure_of, self._told = other._said, other._sure_of, set(other._told)
        self._seen = deque(other._seen)

    def step(self, observation: Observation, *, contested: bool = False) -> list[Decision]:
        """What `observation` changes; usually nothing. `contested`: somebody else may know better, so no amount."""
        now = observation.t_s
        passed_s, self._now_s = now - self._now_s, now
        broken = self._since_s is not None and not 0 <= passed_s <= FORGET_AFTER_S
        return ([self._end(observation)] if broken else []) + self._look(observation, max(0.0, passed_s), contested)

    def _look(self, observation: Observation, passed_s: float, contested: bool) -> list[Decision]:
        note = self._looks_like_note(observation)
        if note and self._since_s is None:
            self._begin(observation.t_s)
        if self._since_s is None:
            return []
        self._remember(observation, note)
        if self._has_gone(observation, note, passed_s):
            return [self._end(observation)]
        seen = self._see(observation)
        decision = None if observation.scores is None else self._judge(observation, contested)
        return [found for found in (seen, decision) if found]

    def _has_gone(self, observation: Observation, note: bool, passed_s: float) -> bool:
        if observation.scene.look is Look.BLURRED:
            self._blurred_s += passed_s
            return self._blurred_s >= FORGET_BLUR_AFTER_S
        self._blurred_s = 0.0
        self._in_a_row = self._in_a_row + 1 if note else 0
        self._away_s = 0.0 if note else self._away_s + passed_s
        return self._away_s >= self._spec.rearm_s

    def _see(self, observation: Observation) -> Decision | None:
        """Once a presence, and only before anything else was said of it."""
        if self._in_a_row < SEEN_AFTER or self._told or self._said is not None:
            return None
        return self._once(Verdict.SEEN, observation, 0.0, self._in_a_row)

    def _looks_like_note(self, observation: Observation) -> bool:
        return observation.scores is not None and bool(observation.scores[self._background] < NOTE_LIKE)

    def _begin(self, now: float) -> None:
        self._presence += 1
        self._since_s = now
        self._said = self._sure_of = None
        self._away_s = self._blurred_s = 0.0
        self._in_a_row = 0
        self._told.clear()
        self._recent.clear()
        self._seen.clear()

    def _end(self, observation: Observation) -> Decision:
        decision = Decision(Verdict.GONE, observation.seq, observation.t_s, self._presence, self._said or "")
        self._since_s = None
        return decision

    def _remember(self, observation: Observation, note: bool) -> None:
        now = observation.t_s
        # A blurred frame says nothing for or against; every other frame without scores says "no note".
        if observation.scores is not None:
            visible = 1.0 if observation.box is None else observation.box.visible
            self._recent.append(glimpse(now, observation.scores, visible, observation.near))
        if observation.scene.look is not Look.BLURRED:
            self._seen.append((now, note))
        while self._recent and now - self._recent[0].t_s > self._spec.window_s:
            self._recent.popleft()
        while self._seen and now - self._seen[0][0] > self._spec.unsure_after_s:
            self._seen.popleft()

    def _judge(self, observation: Observation, contested: bool) -> Decision | None:
        if self._changes_nothing(observation.t_s):
            return None
        rows = np.array([one.scores for one in self._recent])
        fused = fuse(rows)
        best = int(fused.argmax())
        label, confidence = self._labels[best], float(fused[best])
        saying = [one.best == best for one in self._recent]
        coming = label not in RESERVED and self._enough(label, confidence, saying)
        if coming and self._lasts(label, best, saying):
            self._sure_of, coming = label, False
            if not contested:
                return self._amount(observation, label, confidence, len(rows))
        if label == SEVERAL and confidence >= SEVERAL_AT and len(rows) >= self._spec.min_frames:
            return self._once(Verdict.SEVERAL, observation, confidence, len(rows))
        # "Not sure" and then at once an amount would help nobody.
        if self._said is None and self._hesitates(observation.t_s - (self._spec.span_s if coming else 0.0)):
            return self._once(Verdict.UNSURE, observation, confidence, len(rows))
        return None

    def _changes_nothing(self, now: float) -> bool:
        """Whether these looks need not be fused: too few to say anything, or all of them say what was said already."""
        if len(self._recent) < self._spec.min_frames:
            return self._said is not None or not self._hesitates(now)
        best = self._recent[-1].best
        # What each look puts first, their mean puts first: it is neither another amount nor several.
        said = self._said == self._sure_of == self._labels[best]
        return said and all(one.best == best for one in self._recent)

    def _enough(self, label: str, confidence: float, saying: list[bool]) -> bool:
        """Whether nothing but time is missing; `saying`, frame by frame: whether the label is a frame's own best."""
        agree = sum(saying) / len(saying)
        # In this form a NaN is never enough.
        enough = confidence >= self._spec.thresholds[label] and agree >= self._spec.agree
        whole = sum(one.visible for one in self._recent) / len(saying) >= self._spec.least_visible
        return enough and whole and len(saying) >= self._spec.min_frames

    def _lasts(self, label: str, best: int, saying: list[bool]) -> bool:
        times_s = [one.t_s for one, says in zip(self._recent, saying, strict=True) if says]
        span_s = times_s[-1] - times_s[0] + ROUNDING_S if times_s else float("-inf")
        lasts = span_s >= self._spec.span_s
        if self._sure_of in (None, label):
            return lasts or self._soon(best)
        if len(saying) >= CHANGE_FACTOR * self._spec.min_frames:
            return lasts
        return lasts and all(saying) and span_s >= CHANGE_SPAN * self._spec.window_s

    def _soon(self, best: int) -> bool:
        """Whether there is evidence enough for label `best` before it has lasted."""
        soon = self._spec.soon
        return soon is not None and gathered(self._recent, best, soon.most) >= soon.evidence

    def _amount(self, observation: Observation, label: str, confidence: float, frames: int) -> Decision | None:
        if self._said == label:
            return None
        if self._said is not None:
            # Another note slipped in before the first had left the picture.
            self._presence += 1
            self._told.clear()
        self._said = label
        return self._decision(Verdict.AMOUNT, observation, label, confidence, frames)

    def _hesitates(self, now: float) -> bool:
        assert self._since_s is not None
        if now - self._since_s < self._spec.unsure_after_s or Verdict.SEVERAL in self._told:
            return False
        notes = sum(note for _, note in self._seen)
        return notes > 0 and notes >= SEEN_SHARE * len(self._seen)

    def _once(self, verdict: Verdict, observation: Observation, confidence: float, frames: int) -> Decision | None:
        if verdict in self._told:
            return None
        self._told.add(verdict)
        return self._decision(verdict, observation, "", confidence, frames)

    def _decision(
        self, verdict: Verdict, observation: Observation, label: str, confidence: float, frames: int
    ) -> Decision:
        return Decision(
            verdict, observation.seq, observation.t_s, self._presence, label, confidence, frames, observation.ms
        )


def fuse(rows: Scores) -> Scores:
    """(labels,) probabilities: the normalised geometric mean of (frames, labels) log-probabilities."""
    # As mean, max and sum do it, without their way through Python: of so few numbers that is most of the time.
    mean = np.add.reduce(rows, axis=0) / np.float32(len(rows))
    powers = np.exp(mean - np.maximum.reduce(mean))
    fused: Scores = powers / np.add.reduce(powers)
    return fused
