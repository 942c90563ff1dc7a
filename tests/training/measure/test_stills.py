from __future__ import annotations

from pathlib import Path

import pytest

from training.measure.rates import interval
from training.measure.stills import Outcome, report

LABELS = ("10", "100", "background", "several")


def outcome(truth: str, best: str, said: str) -> Outcome:
    return Outcome(Path("x.jpg"), truth, best, said)


def test_the_rates_are_shares_of_what_their_names_say() -> None:
    outcomes = [
        outcome("10", "10", "10"),
        outcome("10", "10", ""),
        outcome("10", "100", "100"),
        outcome("100", "100", "100"),
        outcome("background", "10", "10"),
        outcome("background", "10", ""),
    ]
    found = report(outcomes, LABELS, 1.0, [])
    assert (found.n, found.n_background) == (4, 2)
    assert found.accuracy == pytest.approx(3 / 4)
    assert found.coverage == pytest.approx(3 / 4)
    assert found.wrong_announcement_rate == pytest.approx(1 / 3)
    assert found.false_announcement_rate == pytest.approx(1 / 2)


def test_nothing_wrong_of_840_is_bounded_by_about_three_in_840() -> None:
    low, high = interval(0, 840)
    assert low == 0
    assert high == pytest.approx(3.69 / 840, rel=0.05)  # two-sided 95 %: ln(0.025) instead of ln(0.05)


def test_no_pictures_of_a_kind_give_no_rate_and_the_widest_interval() -> None:
    found = report([outcome("10", "10", "10")], LABELS, 1.0, [])
    assert found.false_announcement_rate == 0
    assert found.intervals["false_announcement_rate"] == (0, 1)
