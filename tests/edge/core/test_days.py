from __future__ import annotations

import msgspec
import pytest

from edge.core.days import MOST_AMOUNTS, MOST_STAGES, Day, told
from edge.core.messages import Decision, Fault, Guidance, Hint, Stretch, Verdict
from edge.core.spread import Spread


def decided(verdict: Verdict, label: str = "") -> Decision:
    return Decision(verdict, 1, 1.0, 1, label)


def stretch(seconds: float = 60.0, celsius: float | None = 50.0) -> Stretch:
    return Stretch(seconds, 900, {"classify": Spread({60: 900})}, Spread({117: 2}), celsius)


def full() -> Day:
    day = Day()
    for event in (decided(Verdict.AMOUNT, "500"), decided(Verdict.UNSURE), decided(Verdict.SEVERAL)):
        day.note(event, "INR")
    day.note(Guidance(Hint.CLOSER, 1.0), "INR")
    day.note(Fault("camera", "stopped"), "INR")
    day.note(stretch(), "INR")
    return day


def test_it_counts_by_kind_and_a_presences_beginning_and_end_are_none() -> None:
    day = full()
    for verdict in (Verdict.SEEN, Verdict.GONE):
        day.note(decided(verdict), "INR")
    assert (day.detections, day.unsure, day.several, day.hints, day.faults) == (1, 1, 1, 1, 1)
    assert (day.uptime_s, day.frames, day.amounts, day.temperature_max_c) == (60.0, 900, {"INR 500": 1}, 50.0)


def test_two_parts_of_a_day_add_up() -> None:
    day, other = full(), full()
    other.note(stretch(celsius=70.0), "INR")
    other.note(stretch(celsius=None), "INR")
    day.merge(other)
    assert (day.detections, day.uptime_s, day.frames, day.temperature_max_c) == (2, 240.0, 3600, 70.0)
    assert day.amounts == {"INR 500": 2}
    assert (day.stages, day.speech) == ({"classify": {60: 3600}}, {117: 8})


def test_what_is_kept_is_read_as_it_was_written() -> None:
    assert msgspec.json.decode(msgspec.json.encode(full()), type=Day) == full()


@pytest.mark.parametrize("share", ["health", "counts", "amounts"])
def test_what_is_not_shared_is_forgotten(share: str) -> None:
    day = full()
    day.cut_to(share)  # type: ignore[arg-type]
    assert bool(day.amounts) is (share == "amounts")
    assert bool(day.detections and day.unsure and day.several and day.hints and day.speech) is (share != "health")
    assert (day.frames, day.faults) == (900, 1)


def test_a_day_takes_a_bounded_room() -> None:
    day = Day()
    for number in range(1000):
        day.note(decided(Verdict.AMOUNT, str(number)), "INR")
        day.note(Stretch(1.0, 1, {f"stage {number}": Spread({1: 1})}, Spread()), "INR")
    assert (len(day.amounts), len(day.stages), day.detections) == (MOST_AMOUNTS, MOST_STAGES, 1000)


def test_thirty_days_up_to_today_are_told() -> None:
    days = [f"2026-{month:02}-{day:02}" for month in (9, 10, 11) for day in range(1, 31)] + ["2099-01-01"]
    found = told(days, "2026-11-15")
    assert (len(found), found[0], found[-1]) == (29, "2026-10-17", "2026-11-15"), "of October the 31st is missing"
    assert told(reversed(days), None)[-1] == "2099-01-01"
    assert len(told(days, None)) == 30
    assert told(["0001-01-01"], "0001-01-01") == ["0001-01-01"]
