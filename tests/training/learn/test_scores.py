from __future__ import annotations

import numpy as np
import pytest

from training.learn.scores import score

LABELS = ("5", "50", "background", "several")


def test_figures_of_one_look() -> None:
    probs = np.array(
        [
            [0.97, 0.01, 0.01, 0.01],  # right, spoken
            [0.70, 0.28, 0.01, 0.01],  # right, not sure
            [0.95, 0.03, 0.01, 0.01],  # a 50 said as 5
            [0.10, 0.10, 0.70, 0.10],  # a 50 not seen
            [0.92, 0.04, 0.02, 0.02],  # background said as 5
            [0.01, 0.01, 0.97, 0.01],
        ]
    )
    figures = score(np.log(probs).astype(np.float32), np.array([0, 0, 1, 1, 2, 2]), LABELS)
    assert figures == pytest.approx(
        {"accuracy": 0.5, "coverage": 0.5, "wrong": 0.5, "false": 0.5, "coverage_in_budget": 0.25}
    )


def test_without_pictures_of_other_things_nothing_is_said_of_them() -> None:
    logits = np.array([[5.0, 0, 0, 0], [0, 5.0, 0, 0]], np.float32)
    figures = score(logits, np.array([0, 1]), LABELS)
    assert "false" not in figures
    assert figures["coverage_in_budget"] == 1.0
