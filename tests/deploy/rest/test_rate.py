from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deploy.rest import rate
from deploy.rest.rate import Rate


def test_a_client_may_send_a_burst_and_then_so_many_a_second() -> None:
    one = Rate(2.0, 3)
    assert [one.take("a", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert one.take("a", 0.4) > 0
    assert one.take("a", 0.6) == 0.0
    assert one.take("b", 0.6, 3) == 0.0, "another's is another's"


def test_what_is_refused_costs_nothing_and_what_is_larger_than_a_burst_waits_for_a_full_one() -> None:
    one = Rate(1.0, 2)
    assert one.take("a", 0.0, 10) == 0.0
    assert one.take("a", 0.0, 10) == one.take("a", 0.0, 2) == 2.0


def test_no_limit_is_none() -> None:
    assert not any(Rate(0.0, 1).take("a", 0.0, 100) for _ in range(1000))


def test_however_many_clients_there_are_it_remembers_so_many() -> None:
    one = Rate(1.0, 1)
    for number in range(rate.CLIENTS_MAX + 50):
        one.take(str(number), 0.0)
    assert len(one._buckets) == rate.CLIENTS_MAX


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(1, 5)), max_size=50))
def test_nobody_ever_gets_more_than_a_burst_and_the_rate(asked: list[tuple[float, int]]) -> None:
    one, now_s, taken = Rate(2.0, 4), 0.0, 0
    for wait_s, count in asked:
        now_s += wait_s
        taken += 0 if one.take("a", now_s, count) else min(count, 4)
        assert taken <= 4 + 2 * now_s + 1e-6
