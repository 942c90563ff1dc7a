"""Owns the numbers that turn logits into a decision: temperature and thresholds, from pictures not trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from edge.core.bundle import RESERVED
from edge.core.manifest import SoonSpec

# What the budget would allow below the floor is left to money that nobody has composed: docs/decisions/0020.
FLOOR, CEILING, STEP = 0.90, 0.995, 0.005
PRIOR = 1000  # announcements of all denominations that weigh in on each one's rate
BUDGET = 0.003  # wrong announcements allowed, weighted by cost, as a share of all announcements of a label

# What is said before it has lasted may add no more than a tenth of that; and one look errs once in a thousand times at
# least, however sure of itself: docs/decisions/0019. Wald's bound for an error rate is the logarithm of its odds.
SOON_BUDGET, LOOK_ERRS = BUDGET / 10, 0.001

# A note of which half is covered can still be read: what silences more than ghosts of notes is not asked for.
MOST_ASKED, MOST_SILENCED = 0.55, 0.005


def least_visible(
    visible: NDArray[np.float32],
    probs: NDArray[np.float32],
    truth: NDArray[np.int64],
    labels: Sequence[str],
    thresholds_: dict[str, float],
) -> float:
    """The share of a note that must be seen before its amount is said.

    `visible` (n,): what the model says of pictures with `probs` (n, labels) and `truth` (n,). It is at most
    `MOST_ASKED`, and no more than silences `MOST_SILENCED` of the amounts that are said rightly; 0 without any.
    """
    best = probs.argmax(axis=1)
    least = np.array([thresholds_.get(label, np.inf) for label in labels])
    right = (best == truth) & (probs.max(axis=1) >= least[best])
    if not right.any():
        return 0.0
    return round(min(MOST_ASKED, float(np.quantile(visible[right], MOST_SILENCED, method="lower"))), 2)


def temperature(
    logits: NDArray[np.float32], truth: NDArray[np.int64], weights: NDArray[np.float64] | None = None
) -> float:
    """The divisor of the logits that minimises negative log-likelihood (Guo et al. 2017).

    `weights` (n,): how much each picture counts, 1 where it is not given. Of pictures that are all right the least
    divisor is the best, and says nothing: some should be hard enough to be mistaken.
    """

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        losses = np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(truth)), truth]
        return float(np.average(losses, weights=weights))

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.2), np.log(5.0)), method="bounded").x))


def probabilities(logits: NDArray[np.float32], temperature_: float) -> NDArray[np.float32]:
    """(n, labels) softmax of logits over the temperature."""
    scaled = logits / temperature_
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def cost(said: str, truth: str) -> float:
    """What a wrong announcement costs, in units of the cheapest: a ratio of ten between amounts costs most."""
    if truth in RESERVED:
        return 1.0
    ratio = max(float(said), float(truth)) / min(float(said), float(truth))
    return 3.0 if ratio >= 10 else 2.0 if ratio >= 5 else 1.0


def thresholds(
    probs: NDArray[np.float32],
    truth: NDArray[np.int64],
    labels: Sequence[str],
    weights: NDArray[np.float64] | None = None,
) -> dict[str, float]:
    """For each denomination the least probability at which its weighted wrong announcements keep to the budget.

    `weights` (n,): how much each picture counts, 1 where it is not given. A denomination has few wrong announcements
    to count, so its rate is drawn towards that of all of them, as if `PRIOR` more announcements had gone wrong as
    often as all do.
    """
    best = probs.argmax(axis=1)
    amounts = [index for index, label in enumerate(labels) if label not in RESERVED]
    said = np.isin(best, amounts)
    sureness = probs.max(axis=1)[said]
    which = best[said]
    counts = np.ones(len(which)) if weights is None else weights[said]
    prices = np.array([0.0 if t == k else cost(labels[k], labels[t]) for k, t in zip(which, truth[said], strict=True)])
    return {labels[index]: _least(sureness, counts, counts * prices, which == index) for index in amounts}


def _least(
    sureness: NDArray[np.float32], counts: NDArray[np.float64], prices: NDArray[np.float64], own: NDArray[np.bool_]
) -> float:
    for threshold in np.arange(FLOOR, CEILING, STEP):
        spoken = sureness >= threshold
        overall = prices[spoken].sum() / max(1.0, counts[spoken].sum())
        mine = spoken & own
        if (prices[mine].sum() + PRIOR * overall) / (counts[mine].sum() + PRIOR) <= BUDGET:
            return round(float(threshold), 3)
    return CEILING


def soon() -> SoonSpec:
    """The evidence that lets an amount be said before it has lasted, by the same budget as the thresholds."""
    return SoonSpec(evidence=_log_odds(SOON_BUDGET), most=_log_odds(LOOK_ERRS))


def _log_odds(errs: float) -> float:
    return round(float(np.log((1 - errs) / errs)), 1)


def calibration_error(probs: NDArray[np.float32], truth: NDArray[np.int64], bins: int = 15) -> float:
    """Expected calibration error of the best label over equal-width bins (Naeini et al. 2015)."""
    found = reliability(probs.max(axis=1), probs.argmax(axis=1) == truth, bins)
    return sum(count * abs(right - sureness) for count, sureness, right in found) / max(1, len(truth))


def reliability(
    sureness: NDArray[np.float32], right: NDArray[np.bool_], bins: int = 15
) -> list[tuple[int, float, float]]:
    """For each of equal-width bins of `sureness` (n,): how many, their mean sureness and the share that was right."""
    which = np.minimum((sureness * bins).astype(int), bins - 1)
    found = []
    for index in range(bins):
        chosen = which == index
        claimed, true = (float(sureness[chosen].mean()), float(right[chosen].mean())) if chosen.any() else (0.0, 0.0)
        found.append((int(chosen.sum()), claimed, true))
    return found
