from __future__ import annotations

from itertools import pairwise

import pytest

from edge.core.guide import APART_S, Guide
from edge.core.messages import Guidance, Hint, Look, Observation, Scene


def hints(looks: list[tuple[Look, float]], rate: float = 10.0) -> list[Guidance]:
    """All hints to frames given as (look, brightness)."""
    guide = Guide()
    said = [guide.step(Observation(n, n / rate, Scene(look, luma, 5, 5))) for n, (look, luma) in enumerate(looks)]
    return [hint for hint in said if hint is not None]


def moving(look: Look, frames: int, luma: float = 10) -> list[tuple[Look, float]]:
    return [(look, luma * (1 + 0.1 * (n % 3))) for n in range(frames)]


@pytest.mark.parametrize("rate", [5.0, 10.0, 30.0])
@pytest.mark.parametrize(("look", "hint"), [(Look.DARK, Hint.TOO_DARK), (Look.BLURRED, Hint.HOLD_STILL)])
def test_what_would_help_is_said_soon_at_any_frame_rate(look: Look, hint: Hint, rate: float) -> None:
    found = hints(moving(look, round(2 * rate)), rate)
    assert [guidance.hint for guidance in found] == [hint]
    assert found[0].t_s <= 1.5


def test_hints_keep_their_distance() -> None:
    found = hints(moving(Look.DARK, 200))
    times = [guidance.t_s for guidance in found]
    assert len(times) >= 3
    assert all(later - earlier > APART_S - 1e-6 for earlier, later in pairwise(times))


@pytest.mark.parametrize("look", [Look.COVERED, Look.EMPTY, Look.CLEAR])
def test_a_pocket_a_plain_wall_and_a_good_picture_need_no_hint(look: Look) -> None:
    assert hints(moving(look, 300)) == []


def test_a_dark_room_in_which_nothing_moves_is_left_in_peace() -> None:
    assert hints([(Look.DARK, 10.0)] * 300) == []


def test_a_blur_that_passes_is_not_worth_a_word() -> None:
    assert hints((moving(Look.BLURRED, 6) + moving(Look.CLEAR, 6)) * 20) == []
