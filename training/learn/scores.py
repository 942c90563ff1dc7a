"""Owns what a float network is worth in the middle of training: figures of one look, before any threshold is chosen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.core.bundle import RESERVED
from training.learn import calibrate


def score(logits: NDArray[np.float32], truth: NDArray[np.int64], labels: Sequence[str]) -> dict[str, float]:
    """Figures of logits (n, labels) against indices of the true labels (n,).

    `accuracy` of the notes, "no note" counted as an answer; `coverage` and `wrong` (of what is spoken) where amounts
    are spoken from probability `calibrate.FLOOR` on, `false` of pictures without a note; and `coverage_in_budget`: the
    most notes that can be spoken to by one threshold with no more than `calibrate.BUDGET` of them wrong.
    """
    probs = calibrate.probabilities(logits, 1.0)
    best, sureness = probs.argmax(axis=1), probs.max(axis=1)
    amount = np.isin(best, [i for i, label in enumerate(labels) if label not in RESERVED])
    note = np.isin(truth, [i for i, label in enumerate(labels) if label not in RESERVED])
    spoken, right = amount & (sureness >= calibrate.FLOOR), best == truth
    figures = {
        "accuracy": float(right[note].sum() / max(1, note.sum())),
        "coverage": float(spoken[note].sum() / max(1, note.sum())),
        "wrong": float((spoken & ~right)[note].sum() / max(1, spoken[note].sum())),
    }
    if not note.all():
        figures["false"] = float(spoken[~note].mean())
    surest = np.argsort(-sureness[note & amount], kind="stable")
    wrong = np.cumsum(~right[note & amount][surest])
    kept = np.flatnonzero(wrong <= calibrate.BUDGET * np.arange(1, len(wrong) + 1))
    figures["coverage_in_budget"] = float((kept[-1] + 1) / max(1, note.sum())) if len(kept) else 0.0
    return figures
