"""Owns which of several bundles looks at a frame, and whether what one of them decides may be said.

One frame costs one inference, however many bundles there are: they take turns. Each has a decider of its own that knows
its own looks alone, and what is said is what one of them decides by its bundle's own rules. Each currency's notes are
strangers to the others: as long as any other has not looked, or takes what is in view for its own, no amount is said.
So several bundles may say less than each would alone, never more.

A bundle whose note the others have refused keeps the turn while that is fresh, or while it sees what it has said.
With one bundle nobody takes turns and nobody refuses. It reads no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from edge.core.bundle import BACKGROUND, RESERVED, Bundle
from edge.core.decide import Decider, fuse
from edge.core.messages import Decision, Frame, Observation, Scores, Verdict
from edge.core.observe import Invoke, Observer, Shown

FRESH_S = 1.5  # so long a look speaks of what is in view now
FEWEST = 2  # looks of another, one in each turn, that make a refusal
CLAIMED = 0.5  # of being anything but background, from which a note may be another's: docs/decisions/0014


class Pocket:
    """Looks at frames with all the bundles of one device, in turn, and decides."""

    def __init__(self, readers: Sequence[tuple[Bundle, Invoke]], timer_s: Callable[[], float]) -> None:
        """Each with what runs its model; `timer_s` measures the stages."""
        self._timer_s = timer_s
        self._readers = [_Reader(bundle, invoke, timer_s) for bundle, invoke in readers]
        self.labels = labels_of([bundle for bundle, _ in readers])
        self._columns = [[self.labels.index(name) for name in _named(bundle, len(readers))] for bundle, _ in readers]
        self._turn = 0
        self._presence = 0
        self._open = False  # something is in view
        self._said: tuple[int, str] | None = None  # in this presence: by whom, and which amount
        self._told: set[Verdict] = set()  # what else was said in it

    @property
    def turn(self) -> int:
        """Who looks next."""
        return self._turn

    def swap(self, number: int, bundle: Bundle, invoke: Invoke) -> None:
        """From the next frame on let `bundle`, of the same labels, look in the place of reader `number`.

        A note in view stays the same note; what was seen of it by the other bundle counts no more.
        """
        after = _Reader(bundle, invoke, self._timer_s)
        after.decider.take_over(self._readers[number].decider)
        self._readers[number] = after

    def observe(self, frame: Frame, shown: Shown | None = None) -> Observation:
        """What `frame` says to the one whose turn it is; scores are by `labels`. `shown` as in `Observer.observe`."""
        seen = self._readers[self._turn].observer.observe(frame, shown)
        if seen.scores is None or len(self._readers) == 1:
            return seen
        scores: Scores = np.full(len(self.labels), -np.inf, np.float32)
        scores[self._columns[self._turn]] = seen.scores
        return replace(seen, scores=scores, reader=self._turn)

    def step(self, observation: Observation) -> list[Decision]:
        """What `observation` changes; usually nothing."""
        if len(self._readers) == 1:  # nobody to take turns with, nobody who refuses
            found = [(0, one) for one in self._readers[0].decider.step(observation)]
        elif observation.scores is None:  # dark, covered, empty, blurred: that is the same for all
            found = [(number, one) for number, reader in enumerate(self._readers) for one in reader.step(observation)]
        else:
            number, now = observation.reader, observation.t_s
            own = replace(observation, scores=observation.scores[self._columns[number]])
            found = [(number, one) for one in self._readers[number].step(own, self._contested(number, now))]
            self._turn = number if self._keeps_turn(number, now) else (number + 1) % len(self._readers)
        heard = [one for number, decision in found if (one := self._hear(number, decision)) is not None]
        if not self._open and any(reader.present for reader in self._readers):
            self._begin()
        return heard

    def _contested(self, number: int, now: float) -> bool:
        """Whether what reader `number` sees may be a note of another's, as far as that one has looked."""
        since_s = self._readers[number].decider.since_s
        if since_s is None:
            return True
        window_s = self._readers[number].window_s
        return not all(other.refuses(since_s, now, window_s) for other in self._but(number))

    def _keeps_turn(self, number: int, now: float) -> bool:
        reader = self._readers[number]
        return reader.present and (reader.sees_what_it_said or not self._contested(number, now))

    def _but(self, number: int) -> list[_Reader]:
        return self._readers[:number] + self._readers[number + 1 :]

    # --- one story of several

    def _hear(self, number: int, decision: Decision) -> Decision | None:
        """The decision as that of the whole device; None for what was told already or another still holds open."""
        if not self._open:
            self._begin()
        if decision.verdict is Verdict.GONE:
            return self._end(number, decision)
        if decision.verdict is Verdict.AMOUNT:
            if self._said is not None:
                self._begin()  # another note slipped in before the first had left the picture
            self._said = number, decision.label
            return self._signed(decision, number)
        others = self._said is not None and self._said[0] != number
        if others or decision.verdict in self._told:
            return None
        self._told.add(decision.verdict)
        return self._signed(decision, number)

    def _begin(self) -> None:
        self._open, self._said = True, None
        self._presence += 1
        self._told.clear()

    def _end(self, number: int, decision: Decision) -> Decision | None:
        if any(other.present for other in self._but(number)):
            return None
        by, label = self._said or (number, "")
        self._open = False
        return self._signed(replace(decision, label=label), by)

    def _signed(self, decision: Decision, number: int) -> Decision:
        currency = self._readers[number].currency if decision.label else ""
        return replace(decision, presence=self._presence, currency=currency)


class _Reader:
    """One bundle's looks and its decisions."""

    def __init__(self, bundle: Bundle, invoke: Invoke, timer_s: Callable[[], float]) -> None:
        self.observer = Observer(bundle, invoke, timer_s)
        self.decider = Decider(bundle.labels, bundle.manifest.decision)
        self.currency = bundle.manifest.currency
        self.window_s = bundle.manifest.decision.window_s
        self._labels = bundle.labels
        self._background = bundle.labels.index(BACKGROUND)
        self._looks: deque[tuple[float, Scores]] = deque()

    @property
    def present(self) -> bool:
        return self.decider.since_s is not None

    @property
    def sees_what_it_said(self) -> bool:
        """Whether its last look shows the note whose amount it has said."""
        return (
            bool(self._looks)
            and self.decider.said is not None
            and self._labels[int(self._looks[-1][1].argmax())] == self.decider.said
        )

    def step(self, observation: Observation, contested: bool = False) -> list[Decision]:
        if observation.scores is not None:
            self._looks.append((observation.t_s, observation.scores))
        while self._looks and not 0 <= observation.t_s - self._looks[0][0] <= FRESH_S:
            self._looks.popleft()
        return self.decider.step(observation, contested=contested)

    def refuses(self, since_s: float, now: float, window_s: float) -> bool:
        """Whether what came into view at `since_s` is nothing of its own, by looks of which one is of the window."""
        times_s = [t_s for t_s, _ in self._looks if since_s <= t_s <= now and now - t_s <= FRESH_S]
        if len(times_s) < FEWEST or now - times_s[-1] > window_s:
            return False
        fused = fuse(np.stack([scores for t_s, scores in self._looks if t_s in times_s]))
        return bool(1 - fused[self._background] < CLAIMED)  # in this form a NaN refuses nothing


def labels_of(bundles: Sequence[Bundle]) -> tuple[str, ...]:
    """What the bundles of one device can say, for those who show or keep scores: "INR 10" where there are several."""
    names = [name for bundle in bundles for name in _named(bundle, len(bundles))]
    amounts = [name for name in names if name not in RESERVED]
    return tuple(names) if len(bundles) == 1 else (*amounts, *(name for name in RESERVED if name in names))


def thresholds_of(bundles: Sequence[Bundle]) -> dict[str, float]:
    """From which probability on each amount is said, by its name in `labels_of`."""
    return {
        name: bundle.manifest.decision.thresholds[label]
        for bundle in bundles
        for name, label in zip(_named(bundle, len(bundles)), bundle.labels, strict=True)
        if label not in RESERVED
    }


def _named(bundle: Bundle, among: int) -> list[str]:
    """Its labels as `labels_of` calls them, in its own order."""
    if among == 1:
        return list(bundle.labels)
    return [label if label in RESERVED else f"{bundle.manifest.currency} {label}" for label in bundle.labels]
