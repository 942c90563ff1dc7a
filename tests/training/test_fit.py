from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("keras")

from training import quantize
from training.compose import GENTLE, Composer
from training.errors import TrainingError
from training.fit import FitSettings, fit
from training.model import build
from training.prepare import labels_for, play_material

pytestmark = pytest.mark.integration

SETTINGS = FitSettings(trunk="tiny", size=64, steps=40, head_steps=0, warmup_steps=5, batch=8, checkpoint_every=20)


class PowerError(Exception):
    """Stands for the power that fails."""


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(play_material((5, 50), 1, 0.15), labels_for(["5", "50"]), 64, 1, GENTLE)


def int8_digest(composer: Composer, folder: Path, *, fails_at: int = 0, resume: bool = False) -> str:
    def tick(step: int, losses: dict[str, float]) -> None:
        if step == fails_at:
            raise PowerError

    model = fit(SETTINGS, 4, None, lambda step: composer.batch(step * 8, 8), folder, resume=resume, tick=tick)
    return hashlib.sha256(quantize.to_int8(model, composer.batch(9999, 20)[0])).hexdigest()


def losses_of(folder: Path) -> list[float]:
    with (folder / "log.csv").open() as file:
        return [float(value) for _, key, value in csv.reader(file) if key == "loss"]


def test_same_seed_and_data_give_the_same_int8_model(composer: Composer, tmp_path: Path) -> None:
    assert int8_digest(composer, tmp_path / "once") == int8_digest(composer, tmp_path / "again")


def test_an_interrupted_run_goes_on_from_its_checkpoint_to_the_same_end(composer: Composer, tmp_path: Path) -> None:
    """To the same losses; the last bit of a weight may differ, as a reloaded graph adds in another order."""
    int8_digest(composer, tmp_path / "once")
    with pytest.raises(PowerError):
        int8_digest(composer, tmp_path / "cut", fails_at=27)
    assert json.loads((tmp_path / "cut" / "state.json").read_text())["step"] == 20
    int8_digest(composer, tmp_path / "cut", resume=True)
    assert losses_of(tmp_path / "cut")[-1] == pytest.approx(losses_of(tmp_path / "once")[-1], abs=1e-3)


def test_the_loss_falls_and_is_logged(composer: Composer, tmp_path: Path) -> None:
    int8_digest(composer, tmp_path)
    assert losses_of(tmp_path)[-1] < losses_of(tmp_path)[0]


def test_a_run_resumed_with_fewer_steps_ends_by_then(composer: Composer, tmp_path: Path) -> None:
    with pytest.raises(PowerError):
        int8_digest(composer, tmp_path, fails_at=21)
    steps: list[int] = []
    fit(
        replace(SETTINGS, steps=25),
        4,
        None,
        lambda step: composer.batch(step * 8, 8),
        tmp_path,
        resume=True,
        tick=lambda step, losses: steps.append(step),
    )
    assert steps == [21, 22, 23, 24, 25]


def test_a_damaged_checkpoint_is_named(composer: Composer, tmp_path: Path) -> None:
    with pytest.raises(PowerError):
        int8_digest(composer, tmp_path, fails_at=21)
    next(tmp_path.glob("checkpoint-*.keras")).write_bytes(b"torn")
    with pytest.raises(TrainingError, match="cannot be resumed"):
        int8_digest(composer, tmp_path, resume=True)


def test_an_int8_model_that_differs_too_much_is_refused() -> None:
    with pytest.raises(TrainingError, match="differs too much"):
        quantize.Parity(agreement=0.98, float_accuracy=0.99, int8_accuracy=0.99).gate()
    with pytest.raises(TrainingError, match="differs too much"):
        quantize.Parity(agreement=0.995, float_accuracy=0.99, int8_accuracy=0.98).gate()
    quantize.Parity(agreement=0.995, float_accuracy=0.99, int8_accuracy=0.989).gate()


def test_an_unknown_trunk_is_named() -> None:
    with pytest.raises(TrainingError, match="mobilenet_v2"):
        build("resnet", 1.0, 64, 4, None, 0.1)
