from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.gestures import Gestures, Timings
from edge.core.messages import Edge, Gesture, Hold, Holding, Press

TIMINGS = Timings(debounce_s=0.03, double_within_s=0.35, long_after_s=0.8, very_long_after_s=4.0)


def read(*edges: tuple[float, bool], until_s: float = 100.0) -> list[Press]:
    """Gestures from raw edges (time, down), then silence; the machine is woken when it asks to be."""
    return [found.press for found in follow(*edges, until_s=until_s) if isinstance(found, Gesture)]


def follow(*edges: tuple[float, bool], until_s: float = 100.0) -> list[Gesture | Holding]:
    """All that is told of them, presses under way included."""
    machine = Gestures(TIMINGS)
    found: list[Gesture | Holding] = []
    for at_s, down in edges:
        while (due := machine.due_s()) is not None and due < at_s:
            found += machine.advance(due)
        found += machine.edge(Edge(down, at_s))
    while (due := machine.due_s()) is not None and due < until_s:
        found += machine.advance(due)
    return found


def press(at_s: float, for_s: float) -> list[tuple[float, bool]]:
    return [(at_s, True), (at_s + for_s, False)]


def bouncing(at_s: float, for_s: float) -> list[tuple[float, bool]]:
    """As metal does: six changes within 6 ms at each end."""

    def burst(start: float, end_down: bool) -> list[tuple[float, bool]]:
        return [(start + n * 0.001, end_down ^ bool(n % 2)) for n in range(7)]

    return [*burst(at_s, True), *burst(at_s + for_s, False)]


@pytest.mark.parametrize("how", [press, bouncing])
@pytest.mark.parametrize(
    ("for_s", "expected"), [(0.1, Press.SHORT), (0.7, Press.SHORT), (1.0, Press.LONG), (5.0, Press.VERY_LONG)]
)
def test_a_press_is_told_by_its_length_bouncing_or_not(how: object, for_s: float, expected: Press) -> None:
    assert read(*how(1.0, for_s)) == [expected]  # type: ignore[operator]


@pytest.mark.parametrize("how", [press, bouncing])
def test_two_quick_presses_are_one_double(how: object) -> None:
    assert read(*how(1.0, 0.1), *how(1.3, 0.1)) == [Press.DOUBLE]  # type: ignore[operator]


def test_two_presses_far_apart_are_two_shorts() -> None:
    assert read(*press(1.0, 0.1), *press(2.0, 0.1)) == [Press.SHORT, Press.SHORT]


def test_four_quick_presses_are_two_doubles() -> None:
    assert read(*press(1, 0.1), *press(1.3, 0.1), *press(1.6, 0.1), *press(1.9, 0.1)) == [Press.DOUBLE, Press.DOUBLE]


def test_a_spike_of_noise_is_no_press() -> None:
    assert read((1.0, True), (1.002, False), (5.0, True), (5.001, False)) == []


def test_a_stuck_button_says_nothing_until_it_is_let_go() -> None:
    assert read((1.0, True), until_s=1000) == []


def test_a_short_press_is_answered_within_the_time_for_a_second() -> None:
    machine = Gestures(TIMINGS)
    machine.edge(Edge(True, 1.0))
    machine.advance(1.04)
    machine.edge(Edge(False, 1.1))
    machine.advance(1.14)
    assert machine.due_s() == pytest.approx(1.1 + TIMINGS.double_within_s)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.floats(0.0005, 6), st.booleans()), max_size=40))
def test_any_train_of_edges_is_read_to_an_end(changes: list[tuple[float, bool]]) -> None:
    machine = Gestures(TIMINGS)
    now, found = 0.0, []
    for step, down in changes:
        now += step
        found += machine.edge(Edge(down, now))
    for _ in range(10):
        due = machine.due_s()
        if due is None:
            break
        found += machine.advance(max(due, now))
    assert machine.due_s() is None
    assert len([gesture for gesture in found if isinstance(gesture, Gesture)]) <= len(changes)


@pytest.mark.parametrize("how", [press, bouncing])
@pytest.mark.parametrize(
    ("for_s", "passed"),
    [(0.1, [Hold.DOWN]), (1.0, [Hold.DOWN, Hold.LONG]), (5.0, [Hold.DOWN, Hold.LONG, Hold.VERY_LONG])],
)
def test_the_hand_is_told_how_long_it_holds_while_it_holds(how: object, for_s: float, passed: list[Hold]) -> None:
    found = follow(*how(1.0, for_s))  # type: ignore[operator]
    assert [one.hold for one in found if isinstance(one, Holding)] == passed
    assert [isinstance(one, Gesture) for one in found] == [False] * len(passed) + [True]


def test_the_hand_is_told_when_it_happens() -> None:
    machine = Gestures(TIMINGS)
    machine.edge(Edge(True, 1.0))
    due = []
    while (at_s := machine.due_s()) is not None:
        due += [(round(at_s, 3), one.hold) for one in machine.advance(at_s) if isinstance(one, Holding)]
    assert due == [(1.03, Hold.DOWN), (1.8, Hold.LONG), (5.0, Hold.VERY_LONG)]


def test_a_press_that_is_let_go_just_before_a_mark_never_passes_it() -> None:
    found = follow((1.0, True), (1.79, False))
    assert [one.hold for one in found if isinstance(one, Holding)] == [Hold.DOWN]


def test_a_bounce_at_the_mark_hides_it_only_for_a_moment() -> None:
    found = follow((1.0, True), (1.795, False), (1.805, True), (3.0, False))
    assert [one.hold for one in found if isinstance(one, Holding)] == [Hold.DOWN, Hold.LONG]
