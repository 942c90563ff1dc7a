from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e import week
from tests.e2e.endurance import run
from tests.e2e.holding import MORE_BYTES, MORE_MB, Holding, growth

FIRST = Holding(1.0, 100.0, 5, 9, 1000)


@pytest.mark.parametrize(
    ("last", "what"),
    [
        (replace(FIRST, memory_mb=100.1 + MORE_MB), "memory"),
        (replace(FIRST, threads=6), "threads"),
        (replace(FIRST, files=10), "files"),
        (replace(FIRST, disk_bytes=1001 + MORE_BYTES), "disk"),
    ],
)
def test_what_grows_is_named(last: Holding, what: str) -> None:
    assert [text.split(" ")[0].split("_")[0] for text in growth([FIRST, last])] == [what]


def test_what_stays_or_shrinks_is_no_growth() -> None:
    assert growth([FIRST, replace(FIRST, hours=2.0, memory_mb=99.0, threads=4)]) == []


@pytest.mark.integration
def test_ten_minutes_of_the_device_leave_nothing_behind(tmp_path: Path) -> None:
    held = run(1 / 6, 150.0, tmp_path)
    assert len(held) == 4
    assert growth(held) == []
    assert held[-1].sounds > 100  # amounts and answers: it was at work


@pytest.mark.integration
def test_two_short_days_of_button_and_telemetry_leave_nothing_behind_and_lose_nothing(tmp_path: Path) -> None:
    first, last = week.run(2, tmp_path, day=48)
    assert growth([first, last]) == []
    assert last.messages > first.messages + 48  # a report each minute, and amounts
