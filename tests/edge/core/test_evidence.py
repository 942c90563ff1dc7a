"""How much looks at one note say together: never more than as many independent ones, and doubt never helps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edge.core.evidence import Glimpse, gathered, glimpse, log_odds, worth

LABELS = 4
MOST = 6.9


def look(t_s: float, label: int, share: float, near: bool = False) -> Glimpse:
    rest = (1 - share) / (LABELS - 1)
    scores = np.log([share if index == label else rest for index in range(LABELS)]).astype(np.float32)
    return glimpse(t_s, scores, 1.0, near)


looks = st.builds(look, st.floats(0, 0.6), st.integers(0, LABELS - 1), st.floats(0.26, 0.9999), st.booleans())
stories = st.lists(looks, min_size=1, max_size=40).map(lambda found: sorted(found, key=lambda glimpse: glimpse.t_s))


@given(stories, looks)
def test_a_look_that_says_something_else_never_adds_to_evidence(story: list[Glimpse], other: Glimpse) -> None:
    assume(int(other.scores.argmax()) != 0 and float(other.scores.max()) > np.log(0.5))
    before = gathered(story, 0, MOST)
    after = gathered(sorted([*story, other], key=lambda glimpse: glimpse.t_s), 0, MOST)
    assert after <= max(before, 0.0) + 1e-9


@given(stories)
def test_looks_are_worth_no_more_than_there_are_and_never_enough_of_them_for_certainty(story: list[Glimpse]) -> None:
    found = worth(story)
    assert found + 1e-9 >= 1.0
    assert found <= min(len(story), 1 / 0.3) + 1e-9
    assert gathered(story, 0, MOST) <= found * MOST + 1e-9


@given(stories, st.randoms(use_true_random=False))
def test_the_order_in_which_looks_are_counted_does_not_matter(story: list[Glimpse], random: object) -> None:
    shuffled = list(story)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert gathered(shuffled, 0, MOST) == pytest.approx(gathered(story, 0, MOST))


@given(st.floats(0.6, 0.9999), st.sampled_from([15, 30, 60, 120]))
def test_more_frames_in_the_same_time_are_hardly_more_evidence(share: float, rate: int) -> None:
    def over(frames_per_s: int) -> float:
        return gathered([look(n / frames_per_s, 0, share) for n in range(round(0.2 * frames_per_s) + 1)], 0, MOST)

    assert over(rate) <= 1.15 * over(15) + 1e-9


def test_a_near_look_beside_a_whole_one_says_more_than_a_second_whole_one_and_less_than_two() -> None:
    first = look(0.0, 0, 0.99)
    copy, near = look(0.033, 0, 0.99), look(0.033, 0, 0.99, near=True)
    assert 1 < worth([first, copy]) < worth([first, near]) < 2


def test_the_same_looks_further_apart_say_more() -> None:
    said = [gathered([look(n * apart_s, 0, 0.99) for n in range(3)], 0, MOST) for apart_s in (0.0, 0.03, 0.1, 0.3)]
    assert said == sorted(said)
    assert said[0] == pytest.approx(float(log_odds(np.log(np.array([0.99])))[0]), rel=1e-3), "copies are one look"


def test_no_look_says_more_than_it_may_however_sure_it_is() -> None:
    assert gathered([look(0.0, 0, 1 - 1e-9)], 0, MOST) == MOST
    certain = glimpse(0.0, np.array([0.0, -np.inf, -np.inf, -np.inf], np.float32), 1.0)
    assert gathered([certain], 0, MOST) == MOST
    assert -np.inf < gathered([certain], 1, MOST) < -50


def test_numbers_that_are_none_are_no_evidence() -> None:
    nothing = glimpse(0.1, np.full(LABELS, np.nan, np.float32), 1.0)
    assert np.isnan(gathered([look(0.0, 0, 0.99), nothing], 0, MOST))
