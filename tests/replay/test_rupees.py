"""The shipped rupee bundle on photographs by a stranger, where they are at hand (never in the repository)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from edge import app
from edge.commands.replay import transcribe
from edge.devices import open_engine
from edge.settings import Config, ModelConfig

pytest.importorskip("scipy", reason="evaluation comes with the training extra")

from training.measure import stills

PHOTOGRAPHS = Path(__file__).parents[3] / "shared" / "data" / "inr"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason=f"no photographs of rupees in {PHOTOGRAPHS}"),
]


def test_a_strangers_photographs_are_read_right_or_not_at_all() -> None:
    report, _ = stills.evaluate(app.find_bundle("inr"), PHOTOGRAPHS / "test")
    assert report.shares.accuracy.of == 840
    assert report.shares.accuracy.share >= 0.99
    assert report.shares.coverage.share >= 0.95
    assert report.shares.wrong.share <= 0.003
    assert report.calibration_error <= 0.02


def test_several_different_notes_are_never_an_amount(tmp_path: Path) -> None:
    (tmp_path / "background").symlink_to(PHOTOGRAPHS / "several_notes")
    (tmp_path / "10").symlink_to(PHOTOGRAPHS / "test" / "10")
    report, _ = stills.evaluate(app.find_bundle("inr"), tmp_path)
    assert (report.shares.false.of, report.shares.false.count) == (20, 0)


@pytest.mark.parametrize("amount", ["10", "20", "50", "100", "200"])
def test_a_replay_of_a_folder_says_its_rupees(amount: str) -> None:
    config = Config(model=ModelConfig(bundle="inr"))
    folder = PHOTOGRAPHS / "test" / amount
    said = Counter(
        line.split(": ")[1] for line in transcribe(config, folder, lambda bundle: open_engine(config, bundle))
    )
    assert said[f"{amount} rupees"] > 100
    wrong = {text: count for text, count in said.items() if text.endswith("rupees") and text != f"{amount} rupees"}
    assert sum(wrong.values()) <= 1, wrong
