"""Owns how much several looks at a note say together for one amount: the sum of a sequential test, tempered.

Wald's test adds up what independent looks say. Looks of one hand are nearly copies, so their sum is cut down to what as
many independent looks would say as they are worth. How alike two looks err fades with the time between them, is half
where one of them is near and the other whole, and never ends: it is the same note (docs/decisions/0019). And a look
says no more than `SoonSpec.most`, however sure the model is (Huber's robust test clips the same way). It counts for one
amount against everything else together: another amount, several, background. It remembers nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.core.messages import Scores

# Measured on films with the rupee bundle.
STAYS = 0.3  # of two looks' likeness, however far apart
FADES_S = 0.1  # in which the rest falls to 1/e
OTHER = 0.5  # of the rest, where one look is near and the other whole
SUREST = -1e-9  # the odds of a log-probability of 0 are infinite
LEAST = -100.0  # as little as one look may say: infinite doubt could not be averaged


class Glimpse(NamedTuple):
    """What is remembered of one look."""

    t_s: float
    scores: Scores  # (labels,) log-probabilities
    visible: float  # share of a note that the model says it sees
    near: bool  # it saw the note's place alone
    best: int  # number of the label that it alone would say


def glimpse(t_s: float, scores: Scores, visible: float, near: bool = False) -> Glimpse:
    """What is to be remembered of one look."""
    return Glimpse(t_s, scores, visible, near, int(scores.argmax()))


def gathered(glimpses: Sequence[Glimpse], label: int, most: float) -> float:
    """Nats for label number `label` against all else, of which one look gives `most` at most; NaN if any is.

    Only looks that say the label make looks worth more, all of them make the mean: so where the evidence is for the
    label, a look that says something else never adds to it.
    """
    scores = np.array([one.scores[label] for one in glimpses], np.float64)
    told = np.minimum(np.maximum(log_odds(scores), LEAST), most)
    return worth([one for one in glimpses if one.best == label]) * float(told.mean())


def worth(glimpses: Sequence[Glimpse]) -> float:
    """How many independent looks these are worth, 1 at least; less than there are, whatever the frame rate."""
    if not glimpses:
        return 1.0
    times_s = np.array([one.t_s for one in glimpses])
    near = np.array([one.near for one in glimpses])
    fading = np.exp(-np.abs(times_s[:, None] - times_s) / FADES_S) * np.where(near[:, None] == near, 1.0, OTHER)
    alike = STAYS + (1 - STAYS) * fading
    return float(len(glimpses) ** 2 / alike.sum())


def log_odds(log_probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) of (n,), in nats."""
    bounded = np.minimum(log_probabilities, SUREST)
    return np.asarray(bounded - np.log(-np.expm1(bounded)))
