from __future__ import annotations

import numpy as np
import pytest

from training.learn import calibrate

LABELS = ("10", "100", "background", "several")


def drawn(temperature: float, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose truth really is drawn from their softmax over `temperature`."""
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 3, (n, 4)).astype(np.float32)
    probs = calibrate.probabilities(logits, temperature)
    truth = np.array([rng.choice(4, p=row / row.sum()) for row in probs.astype(np.float64)])
    return logits, truth


def test_the_temperature_is_that_of_the_pictures_that_weigh() -> None:
    (sure, sure_truth), (doubtful, doubtful_truth) = drawn(0.5), drawn(2.5)
    both, truth = np.concatenate([sure, doubtful]), np.concatenate([sure_truth, doubtful_truth])
    weights = np.repeat([1.0, 1e-6], [len(sure), len(doubtful)])
    assert calibrate.temperature(both, truth, weights) == pytest.approx(0.5, rel=0.1)
    assert calibrate.temperature(both, truth, weights[::-1]) == pytest.approx(2.5, rel=0.1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_data_is_found(temperature: float) -> None:
    assert calibrate.temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.1)


def test_calibrated_probabilities_have_little_calibration_error() -> None:
    logits, truth = drawn(2.0)
    assert calibrate.calibration_error(calibrate.probabilities(logits, 2.0), truth) < 0.03
    assert calibrate.calibration_error(calibrate.probabilities(logits, 0.5), truth) > 0.1


def test_a_threshold_rises_over_the_wrong_announcements_it_has_seen() -> None:
    probs = np.full((100, 4), 0.001, np.float32)
    probs[:, 1] = 0.97
    probs[0, 1] = 0.93  # a ten taken for a hundred, 0.93 sure
    truth = np.ones(100, np.int64)
    truth[0] = 0
    found = calibrate.thresholds(probs, truth, LABELS)
    assert 0.93 < found["100"] <= 0.97


def test_a_denomination_with_little_to_count_goes_by_the_mistakes_of_all() -> None:
    probs = np.full((3100, 4), 0.001, np.float32)
    probs[:100, 1] = 0.97
    probs[0, 1] = 0.93  # a ten taken for a hundred
    truth = np.ones(3100, np.int64)
    truth[0] = 0
    truth[100:] = 0
    probs[100:, 0] = 0.9  # thousands of tens, all right
    assert calibrate.thresholds(probs, truth, LABELS)["10"] == calibrate.FLOOR
    assert calibrate.thresholds(probs[:100], truth[:100], LABELS)["10"] > 0.93


def test_a_label_that_is_always_wrong_is_hardly_ever_said() -> None:
    probs = np.zeros((10, 4), np.float32)
    probs[:, 0] = 1
    assert calibrate.thresholds(probs, np.full(10, 2), LABELS)["10"] == calibrate.CEILING


def test_confusing_ten_and_a_hundred_costs_most() -> None:
    assert calibrate.cost("100", "10") == calibrate.cost("10", "100") > calibrate.cost("50", "10")
    assert calibrate.cost("50", "10") > calibrate.cost("10", "20") >= calibrate.cost("10", "background")


@pytest.mark.parametrize(("shares", "least"), [((0.9, 0.95), 0.55), ((0.3, 0.4), 0.3)])
def test_what_must_be_seen_of_a_note_silences_hardly_any_that_is_read(
    shares: tuple[float, float], least: float
) -> None:
    labels = ("5", "50", "background", "several")
    probs = np.tile(np.array([0.97, 0.01, 0.01, 0.01], np.float32), (300, 1))
    visible = np.linspace(*shares, 300).astype(np.float32)
    visible[0] = 0.01  # one in three hundred may be lost
    visible[1:3], truth = 0.0, np.zeros(300, np.int64)
    truth[1:3] = 1  # said wrongly: they are not asked
    thresholds = {"5": 0.9, "50": 0.9}
    assert calibrate.least_visible(visible, probs, truth, labels, thresholds) == pytest.approx(least, abs=0.011)
    assert calibrate.least_visible(visible, 0.5 * probs, truth, labels, thresholds) == 0.0


def test_what_is_said_soon_takes_a_tenth_of_the_budget_by_more_than_one_look() -> None:
    soon = calibrate.soon()
    assert 1 / (1 + np.exp(soon.evidence)) == pytest.approx(calibrate.BUDGET / 10, rel=0.05)
    assert soon.most < soon.evidence
