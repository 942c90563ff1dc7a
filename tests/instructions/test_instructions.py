"""No stage that is ours takes a tenth more instructions than it did: counted by callgrind, so no clock is read.

A change that is worth more writes them anew and says so: `python -m tests.instructions.test_instructions`.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.instructions.callgrind import MACHINE, RECORDED, count

MOST = 1.10  # times the recorded count, with the recorded versions of what is counted along
MOST_ELSEWHERE = 1.5  # with others: another Python or OpenCV counts otherwise, and a stage that doubled still shows


def excess(recorded: dict[str, int], counted: dict[str, int], most: float) -> dict[str, float]:
    """By how many times the stages exceed what is recorded of them, of those that do by too much."""
    times = {name: counted[name] / before for name, before in recorded.items()}
    return {name: round(value, 3) for name, value in times.items() if value > most}


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="counts with valgrind: make setup GOAL=test")
def test_no_stage_takes_a_tenth_more_instructions_than_are_recorded(tmp_path: Path) -> None:
    recorded, counted = json.loads(RECORDED.read_text(encoding="utf-8")), count(tmp_path)
    assert recorded["counted"].keys() == counted.keys()
    most = MOST if recorded["machine"] == MACHINE else MOST_ELSEWHERE
    assert not excess(recorded["counted"], counted, most), counted


def test_a_stage_that_grew_by_a_tenth_is_named() -> None:
    before = {"scene": 1000, "hub": 100}
    assert excess(before, {"scene": 1099, "hub": 100}, MOST) == {}
    assert excess(before, {"scene": 1101, "hub": 20}, MOST) == {"scene": 1.101}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = {"machine": MACHINE, "counted": count(Path(folder))}
    RECORDED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
