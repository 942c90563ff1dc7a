from __future__ import annotations

import itertools

import pytest

from edge.core.care import AGAIN_AFTER_S, CLOCK_PATIENCE_S, DISK_LEAST_BYTES, Care, Vitals
from edge.core.messages import Fault, Recovered

WELL = {"hot": False, "weak": False, "disk_free_bytes": 1 << 30, "clock_set": True}


def told(care: Care, t_s: float, **changes: object) -> list[str]:
    events = care.step(Vitals(t_s=t_s, **(WELL | changes)))  # type: ignore[arg-type]
    return [f"{'' if isinstance(event, Fault) else 'no more: '}{event.device} {event.reason}" for event in events]


@pytest.mark.parametrize(
    ("trouble", "fault"),
    [
        ({"hot": True}, "board too hot"),
        ({"weak": True}, "board under-voltage"),
        ({"disk_free_bytes": DISK_LEAST_BYTES - 1}, "disk full"),
        ({"clock_set": False}, "clock not set"),
    ],
)
def test_a_trouble_is_told_once_when_it_begins_and_its_end_once(trouble: dict[str, object], fault: str) -> None:
    care = Care()
    assert told(care, 200) == []
    assert told(care, 210, **trouble) == [fault]
    assert told(care, 5000, **trouble) == [], "it lasts"
    assert told(care, 5010) == [f"no more: {fault}"]
    assert told(care, 5020) == []


def test_one_that_comes_and_goes_is_told_every_ten_minutes_at_most() -> None:
    care = Care()
    times = [t_s for t_s in range(0, 3600, 10) if "board too hot" in told(care, t_s, hot=t_s // 10 % 2 == 1)]
    assert times[0] == 10
    assert all(later - earlier >= AGAIN_AFTER_S for earlier, later in itertools.pairwise(times))
    assert len(times) >= 5


def test_heat_and_low_voltage_are_two_troubles_of_one_board() -> None:
    care = Care()
    assert told(care, 0, hot=True, weak=True) == ["board too hot", "board under-voltage"]
    assert told(care, 10, hot=True) == ["no more: board under-voltage"]
    assert told(care, 20) == ["no more: board too hot"]


def test_a_clock_gets_some_minutes_to_be_set() -> None:
    care = Care()
    assert told(care, CLOCK_PATIENCE_S - 1, clock_set=False) == []
    assert told(care, CLOCK_PATIENCE_S, clock_set=False) == ["clock not set"]


def test_what_is_not_known_is_no_trouble() -> None:
    assert Care().step(Vitals(1000.0)) == []


def test_the_end_is_an_event_of_its_own_kind() -> None:
    care = Care()
    care.step(Vitals(0.0, hot=True))
    assert care.step(Vitals(10.0, hot=False)) == [Recovered("board", "too hot")]
