from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge import startup
from edge.core.errors import HardwareError
from edge.startup import Startup

ROOT = Path(__file__).parents[2]


def test_the_stages_add_up_to_the_whole() -> None:
    start = Startup()
    start.lap("bundle")
    start.lap("voice")
    whole, *parts = map(int, re.findall(r"\d+", str(start)))
    assert list(start.ms) == ["imports", "bundle", "voice"]
    assert abs(whole - sum(parts)) <= len(parts)


def test_a_process_knows_its_age() -> None:
    assert 0.0 < startup._process_age_s() < 7200.0
    assert startup._process_age_s(Path("/nowhere")) == 0.0


def test_without_telemetry_and_view_neither_is_imported() -> None:
    words = "import sys, edge.app; print([m for m in ('sqlite3', 'edge.outlets.view', 'paho') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.integration
def test_whole_starts_are_measured_and_their_stages_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    first, then = startup.measure([])
    for line in (first, then):
        assert re.search(r"\d+\.\d\d s to the first word", line)
        assert all(f"{stage}=" in line for stage in ("imports", "bundle", "voice", "phrases", "outlets"))


@pytest.mark.integration
def test_a_start_that_comes_to_no_word_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with pytest.raises(HardwareError, match="there is no bundle 'gold'"):
        list(startup.measure(["--bundle", "gold"]))
