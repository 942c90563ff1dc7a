from __future__ import annotations

import pytest

from training.measure.rates import pace, rate


def test_nothing_found_among_n_is_told_with_the_rule_of_three() -> None:
    nothing = rate(0, 300)
    assert nothing.bound == pytest.approx(0.01)
    assert nothing.high == pytest.approx(1 - 0.025 ** (1 / 300))
    assert "0 of 300; 3/n = 0.0100" in str(nothing)


def test_something_found_has_its_interval_and_no_bound() -> None:
    some = rate(3, 776)
    assert some.bound is None
    assert (some.low, some.high) == (pytest.approx(0.0008, abs=5e-5), pytest.approx(0.0113, abs=5e-5))
    assert str(some).endswith("3 of 776")


def test_a_share_of_nothing_is_not_a_number() -> None:
    assert str(rate(0, 0)) == "none shown"
    assert (rate(0, 0).low, rate(0, 0).high) == (0, 1)


def test_a_quiet_hour_is_bounded_by_three_an_hour() -> None:
    quiet = pace(0, 1.0)
    assert quiet.bound == 3
    assert quiet.high == pytest.approx(3.689, abs=1e-3)
    assert pace(0, 10.0).high == pytest.approx(quiet.high / 10)


def test_events_in_some_hours_become_a_rate_an_hour() -> None:
    some = pace(4, 2.0)
    assert some.per_hour == 2
    assert some.low < 2 < some.high
    assert some.bound is None
