from __future__ import annotations

from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.backoff import delays


def test_waits_double_until_the_cap() -> None:
    found = list(islice(delays(1.0, 10.0, random=lambda: 1.0), 6))
    assert found == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


def test_jitter_takes_at_most_half_of_a_wait() -> None:
    assert list(islice(delays(1.0, 4.0, random=lambda: 0.0), 4)) == [0.5, 1.0, 2.0, 2.0]


def test_two_devices_that_lost_the_broker_together_do_not_return_together() -> None:
    first = delays(random=iter([0.1] * 5).__next__)
    second = delays(random=iter([0.7] * 5).__next__)
    assert all(a != b for a, b in zip(islice(first, 5), islice(second, 5), strict=True))


@given(st.floats(0.01, 10), st.floats(10, 1000), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_nothing_and_never_above_the_cap(first_s: float, cap_s: float, chance: float) -> None:
    found = list(islice(delays(first_s, cap_s, random=lambda: chance), 40))
    assert all(first_s / 2 <= wait_s <= cap_s for wait_s in found)
    assert all(later_s >= earlier_s for earlier_s, later_s in pairwise(found))


def test_it_goes_on_for_ever() -> None:
    waits = delays(1.0, 60.0, random=lambda: 0.5)
    assert next(islice(waits, 100_000, None)) == 45.0


@pytest.mark.parametrize(("first_s", "cap_s", "factor"), [(0.0, 1.0, 2.0), (2.0, 1.0, 2.0), (1.0, 2.0, 0.5)])
def test_a_back_off_that_would_be_a_hot_loop_is_refused(first_s: float, cap_s: float, factor: float) -> None:
    with pytest.raises(ValueError, match="back-off needs"):
        next(delays(first_s, cap_s, factor=factor, random=lambda: 0.5))
