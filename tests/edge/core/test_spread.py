from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.spread import FIRST, LAST, Spread

MS = st.floats(0.02, 5e5)


def spread(values: list[float]) -> Spread:
    found = Spread()
    for value in values:
        found.add(value)
    return found


@given(st.lists(MS, min_size=1, max_size=300))
def test_percentiles_are_true_to_the_width_of_a_step(values: list[float]) -> None:
    found = spread(values).percentiles()
    assert found is not None
    for share, told in ((0.5, found.p50), (0.95, found.p95)):
        true = float(np.quantile(values, share, method="inverted_cdf"))
        assert told == pytest.approx(true, rel=0.026)


@given(st.lists(MS, max_size=50), st.lists(MS, max_size=50))
def test_two_spreads_add_up_to_the_spread_of_both(one: list[float], other: list[float]) -> None:
    merged = spread(one)
    merged.merge(spread(other))
    assert merged.counts == spread(one + other).counts


def test_nothing_counted_has_no_percentiles() -> None:
    assert Spread().percentiles() is None


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=1000))
def test_whatever_is_counted_takes_a_bounded_room(values: list[float]) -> None:
    found = spread(values)
    assert all(FIRST <= step <= LAST for step in found.counts)
    assert sum(found.counts.values()) == sum(not math.isnan(value) for value in values)


def test_counts_that_no_spread_can_have_are_left_out() -> None:
    assert Spread({0: 3, 1_000_000: 5, -5000: 1, 4: -1}).counts == {0: 3}
