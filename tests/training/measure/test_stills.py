from __future__ import annotations

from pathlib import Path

import pytest

from training.measure.rates import interval, rate
from training.measure.stills import Outcome, Shares, report

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
    assert found.shares == Shares(accuracy=rate(3, 4), coverage=rate(3, 4), wrong=rate(1, 3), false=rate(1, 2))


def test_nothing_wrong_of_840_is_bounded_by_about_three_in_840() -> None:
    low, high = interval(0, 840)
    assert low == 0
    assert high == pytest.approx(3.69 / 840, rel=0.05)  # two-sided 95 %: ln(0.025) instead of ln(0.05)


def test_no_pictures_of_a_kind_give_no_rate_and_the_widest_interval() -> None:
    found = report([outcome("10", "10", "10")], LABELS, 1.0, [])
    assert (found.shares.false.share, found.shares.false.low, found.shares.false.high) == (0, 0, 1)
