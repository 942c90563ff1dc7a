from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from training import pace
from training.__main__ import main
from training.learn.settings import TINY
from training.learn.supply import Batch
from training.pace import WARM_UP, Watch

NOTHING: Batch = (np.zeros((4, 8, 8, 3), np.uint8), *(np.zeros((4, 5), np.float32) for _ in range(3)))


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def run(clock: Clock, waits_s: float, takes_s: float) -> Watch:
    """A training whose samples are waited for so long, and whose steps take so long; its first steps are slow."""
    watch = Watch(clock)

    def batches(_first: int) -> Iterator[Batch]:
        while True:
            clock.now_s += waits_s
            yield NOTHING

    for number, _ in enumerate(itertools.islice(watch.over(batches)(0), WARM_UP + 11)):
        clock.now_s += takes_s + (100.0 if number < WARM_UP else 0.0)
    return watch


def test_a_step_that_waits_for_nothing_is_the_limit() -> None:
    clock = Clock()
    found = pace.pace_of(4, 2, 0.02, run(clock, 0.01, 0.4), run(clock, 0.0, 0.4))
    assert (found.step_ms, found.compose_cpu_ms, found.workers) == (pytest.approx(100.0), pytest.approx(5.0), 2)
    assert found.together_ms == pytest.approx(102.5)
    assert found.samples_per_s == pytest.approx(1 / 0.1025)
    assert (found.waited, found.limit) == (pytest.approx(0.01 / 0.41), "learning")


def test_a_step_that_waits_is_not() -> None:
    clock = Clock()
    assert pace.pace_of(4, 1, 0.4, run(clock, 0.2, 0.4), run(clock, 0.0, 0.4)).limit == "composing"


@pytest.mark.integration
def test_a_training_is_measured_alone_and_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--size", "32", "--trunk", TINY, "--steps", "5", "--workers", "1", "--json", str(tmp_path / "pace.json")]
    monkeypatch.setattr("sys.argv", ["training", "bench", *small])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    found = pace.Pace(**json.loads((tmp_path / "pace.json").read_text()))
    assert found.workers == 1
    assert min(found.compose_cpu_ms, found.step_cpu_ms, found.step_ms, found.together_ms) > 0
    assert 0 <= found.waited <= 1
    assert f"{found.limit} sets the pace" in capsys.readouterr().out
