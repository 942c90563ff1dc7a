from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from training.errors import TrainingError
from training.measure import cost

XTS = Path(__file__).parents[3] / "edge" / "bundles" / "xts"
PICTURE = np.zeros((1, 32, 32, 3), np.uint8)


@pytest.mark.skipif(not XTS.is_dir(), reason="the play-money bundle is not there: make xts")
def test_the_multiply_adds_are_those_of_the_paper_at_its_size() -> None:
    # MobileNetV2 1.0 has 300 million at 224 pixels (Sandler et al. 2018), its 1280 x 1000 classifier included.
    without_classifier = 300e6 - 1280 * 1000
    assert cost.multiply_adds((XTS / "model.tflite").read_bytes()) == pytest.approx(
        without_classifier * (96 / 224) ** 2, rel=0.02
    )


@pytest.mark.parametrize("data", [b"", b"no model", b"\xff" * 200])
def test_what_is_no_model_is_said_in_one_sentence(data: bytes) -> None:
    with pytest.raises(TrainingError, match="no TensorFlow Lite model"):
        cost.multiply_adds(data)


class Machine:
    """A clock that models move forward, each by its own time, and that is twice as slow in every other round."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.calls = 0

    def model(self, ms: float) -> cost.Invoke:
        def invoke(tensor: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
            slow = 2 if self.calls // (2 * cost.RUNS_A_ROUND) % 2 else 1
            self.calls += 1
            self.now_s += slow * ms / 1e3
            return []

        return invoke


def test_models_take_turns_so_that_a_slow_machine_is_slow_for_all() -> None:
    machine = Machine()
    models = {"small": (machine.model(2.0), PICTURE), "big": (machine.model(6.0), PICTURE)}
    found = cost.side_by_side(models, lambda: machine.now_s, rounds=9)
    assert found["small"] == (pytest.approx(4.0), 1.0)
    assert found["big"][1] == pytest.approx(3.0)
