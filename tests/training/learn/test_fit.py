from __future__ import annotations

import csv
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("keras")

import keras

from tests.training.sandbox import run_without_shared_memory
from training.errors import TrainingError
from training.learn import network
from training.learn.fit import _Course, fit, known_error, steps_of
from training.learn.network import build
from training.learn.prepare import labels_for, play_material
from training.learn.settings import FitSettings
from training.learn.supply import Batch
from training.synth.compose import Composer
from training.synth.recipe import GENTLE

pytestmark = pytest.mark.integration

SETTINGS = FitSettings(trunk="tiny", size=64, steps=40, head_steps=0, warmup_steps=5, batch=8, checkpoint_every=20)


class PowerError(Exception):
    """Stands for the power that fails."""


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(play_material((5, 50), 1, 0.15), labels_for(["5", "50"]), 64, 1, GENTLE)


def batches(composer: Composer) -> Callable[[int], Iterator[Batch]]:
    return lambda first: (composer.batch(step * 8, 8) for step in itertools.count(first))


def learnt(composer: Composer, folder: Path, *, fails_at: int = 0, resume: bool = False) -> str:
    """Train; the digest of the network's weights."""

    def tick(step: int, losses: dict[str, float]) -> None:
        if step == fails_at:
            raise PowerError

    model = fit(SETTINGS, 4, None, batches(composer), folder, resume=resume, tick=tick)
    return hashlib.sha256(b"".join(weights.tobytes() for weights in model.get_weights())).hexdigest()


def losses_of(folder: Path) -> list[float]:
    with (folder / "log.csv").open() as file:
        return [float(value) for _, key, value in csv.reader(file) if key == "loss"]


def test_same_seed_and_data_give_the_same_network(composer: Composer, tmp_path: Path) -> None:
    assert learnt(composer, tmp_path / "once") == learnt(composer, tmp_path / "again")


def test_an_interrupted_run_goes_on_from_its_checkpoint_to_the_same_end(composer: Composer, tmp_path: Path) -> None:
    """To the same losses; the last bit of a weight may differ, as a reloaded graph adds in another order."""
    learnt(composer, tmp_path / "once")
    with pytest.raises(PowerError):
        learnt(composer, tmp_path / "cut", fails_at=27)
    assert json.loads((tmp_path / "cut" / "state.json").read_text())["step"] == 20
    learnt(composer, tmp_path / "cut", resume=True)
    assert losses_of(tmp_path / "cut")[-1] == pytest.approx(losses_of(tmp_path / "once")[-1], abs=1e-3)


def test_the_loss_falls_and_is_logged(composer: Composer, tmp_path: Path) -> None:
    learnt(composer, tmp_path)
    assert losses_of(tmp_path)[-1] < losses_of(tmp_path)[0]


def test_a_finished_run_is_not_trained_again(composer: Composer, tmp_path: Path) -> None:
    done = learnt(composer, tmp_path)
    assert learnt(composer, tmp_path, fails_at=1, resume=True) == done
    assert losses_of(tmp_path)[-1] > 0
    assert not list(tmp_path.glob("checkpoint-*"))


def test_a_run_resumed_with_fewer_steps_ends_by_then(composer: Composer, tmp_path: Path) -> None:
    with pytest.raises(PowerError):
        learnt(composer, tmp_path, fails_at=21)
    steps: list[int] = []
    fit(
        replace(SETTINGS, steps=25),
        4,
        None,
        batches(composer),
        tmp_path,
        resume=True,
        tick=lambda step, losses: steps.append(step),
    )
    assert steps == [21, 22, 23, 24, 25]


def test_a_damaged_checkpoint_is_named(composer: Composer, tmp_path: Path) -> None:
    with pytest.raises(PowerError):
        learnt(composer, tmp_path, fails_at=21)
    next(tmp_path.glob("checkpoint-*.keras")).write_bytes(b"torn")
    with pytest.raises(TrainingError, match="cannot be resumed"):
        learnt(composer, tmp_path, resume=True)


def test_only_the_last_layers_learn_where_that_is_asked(composer: Composer, tmp_path: Path) -> None:
    def weights(last: int | None) -> list[list[np.ndarray]]:
        settings = replace(SETTINGS, steps=2, warmup_steps=1, last_layers=last)
        model = fit(settings, 4, None, batches(composer), tmp_path / str(last))
        return [layer.get_weights() for layer in model.get_layer("trunk").layers if layer.get_weights()]

    begun = [layer.get_weights() for layer in begin().layers if layer.get_weights()]
    for last, moved in ((None, len(begun)), (0, 0), (3, 2)):
        changed = [
            any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
            for before, after in zip(begun, weights(last), strict=True)
        ]
        assert changed == [False] * (len(begun) - moved) + [True] * moved


def begin() -> keras.Model:
    keras.utils.set_random_seed(SETTINGS.seed)
    return build("tiny", 1.0, 64, 4, None, 0.2).get_layer("trunk")


def rates_of(folder: Path) -> list[float]:
    with (folder / "log.csv").open() as file:
        return [float(value) for _, key, value in csv.reader(file) if key == "learning_rate"]


@pytest.fixture
def a_second_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.learn.fit.time", SimpleNamespace(monotonic=itertools.count().__next__))


LONG = replace(SETTINGS, steps=100_000)


@pytest.mark.usefixtures("a_second_a_step")
def test_a_run_whose_time_is_up_ends_cooled_down_and_is_finished(composer: Composer, tmp_path: Path) -> None:
    fit(LONG, 4, None, batches(composer), tmp_path, minutes=1)
    assert steps_of(tmp_path) == 59
    assert rates_of(tmp_path)[-1] < 0.5 * LONG.learning_rate  # of step 40, the last that is logged
    fit(LONG, 4, None, batches(composer), tmp_path, resume=True, tick=lambda step, losses: pytest.fail("went on"))


@pytest.mark.usefixtures("a_second_a_step")
def test_a_timed_run_that_was_cut_goes_on_where_its_rate_was(composer: Composer, tmp_path: Path) -> None:
    def tick(step: int, losses: dict[str, float]) -> None:
        if step == 45:
            raise PowerError

    with pytest.raises(PowerError):
        fit(LONG, 4, None, batches(composer), tmp_path, minutes=1, tick=tick)
    fit(LONG, 4, None, batches(composer), tmp_path, resume=True, minutes=1)
    assert steps_of(tmp_path) == 40 + 59
    rates = rates_of(tmp_path)  # of steps 20, 40, 60, 80
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.15 * LONG.learning_rate


def test_too_little_time_is_said_and_leaves_no_finished_run(composer: Composer, tmp_path: Path) -> None:
    settings = replace(SETTINGS, head_steps=1000)
    with pytest.raises(TrainingError, match="too few"):
        fit(settings, 4, None, batches(composer), tmp_path, minutes=0.01)
    assert not (tmp_path / "model.keras").exists()


def test_a_run_is_resumed_with_the_options_it_was_begun_with(composer: Composer, tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=2, warmup_steps=1)
    fit(settings, 4, None, batches(composer), tmp_path)
    with pytest.raises(TrainingError, match="another size, seed"):
        fit(replace(settings, size=32, seed=9), 4, None, batches(composer), tmp_path, resume=True)


def test_a_finished_run_of_which_some_layers_were_frozen_is_read_as_it_was(composer: Composer, tmp_path: Path) -> None:
    settings = replace(SETTINGS, head_steps=2, steps=2, warmup_steps=1, last_layers=3)
    model = fit(settings, 4, None, batches(composer), tmp_path)
    again = fit(settings, 4, None, batches(composer), tmp_path, resume=True)
    for before, after in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    pictures = composer.batch(0, 8)[0]
    np.testing.assert_array_equal(network.logits(model, pictures), network.logits(again, pictures))


def test_the_rate_warms_up_then_falls_by_steps_or_by_time_whichever_is_further() -> None:
    course = _Course(100, 200, 1.0, warmup=10)
    assert course.rate_at(100, 0.0) == pytest.approx(1 / 11)
    assert course.rate_at(150, 0.0) == pytest.approx(0.505)
    assert course.rate_at(150, 0.9) < 0.05
    assert course.rate_at(199, 0.0) == pytest.approx(0.01, abs=0.001)


def test_what_older_checkpoints_call_their_loss_and_settings_is_still_called_so() -> None:
    assert keras.saving.get_registered_name(known_error) == "saynote>known_error"
    assert {field.name for field in fields(FitSettings)} >= {
        "trunk", "width", "size", "steps", "head_steps", "last_layers", "batch", "learning_rate", "weight_decay",
        "warmup_steps", "label_smoothing", "box_weight", "dropout", "norm_momentum", "ema", "seed", "checkpoint_every",
    }  # fmt: skip


def test_an_unknown_trunk_is_named() -> None:
    with pytest.raises(TrainingError, match="mobilenet_v2"):
        build("resnet", 1.0, 64, 4, None, 0.1)


def test_the_log_is_written_where_tensorboard_cannot_be(tmp_path: Path) -> None:
    told = run_without_shared_memory("ro", LOGS, str(tmp_path))
    assert told.strip() == "1,loss,0.50000"


LOGS = """
import sys
from pathlib import Path
from training.learn.fit import _Log
folder = Path(sys.argv[1])
with _Log(folder, append=False) as log:
    log.write(1, {"loss": 0.5})
print((folder / "log.csv").read_text())
"""


UPPER = replace(SETTINGS, head_steps=10, steps=30, last_layers=3)


def what_lies_below(composer: Composer) -> tuple[Callable[[int], Iterator[Batch]], tuple[int, ...]]:
    """Batches of what the first layers of the network that a run begins with make of pictures."""
    keras.utils.set_random_seed(UPPER.seed)
    trunk = build("tiny", 1.0, 64, 4, None, 0.2).get_layer("trunk")
    below = keras.Model(trunk.input, trunk.layers[-4].output)

    def looked(first: int) -> Iterator[Batch]:
        for pictures, targets, boxes, known in batches(composer)(first):
            yield np.asarray(below(network.inputs(pictures), training=False)), targets, boxes, known

    return looked, below.output_shape


def upper_learnt(
    composer: Composer, folder: Path, *, fails_at: int = 0, resume: bool = False, steps: int = UPPER.steps
) -> keras.Model:
    def tick(step: int, losses: dict[str, float]) -> None:
        if step == fails_at:
            raise PowerError

    seen: list[int] = []
    model = fit(
        replace(UPPER, steps=steps),
        4,
        None,
        what_lies_below(composer)[0],
        folder,
        resume=resume,
        tick=tick,
        below=keras.ops.convert_to_tensor,
        validate=lambda whole: {"inputs": float(seen.append(whole.input_shape[1]) or whole.input_shape[1])},
        validate_every=30,
    )
    assert set(seen) <= {64}  # the whole network is what is measured
    return model


def test_from_what_lies_below_only_the_last_layers_learn_and_become_the_whole_network(
    composer: Composer, tmp_path: Path
) -> None:
    before = begin()
    after = upper_learnt(composer, tmp_path)
    assert losses_of(tmp_path)[-1] < losses_of(tmp_path)[0]
    trunk = after.get_layer("trunk")
    changed = [
        layer.name
        for layer, old in zip(trunk.layers, before.layers, strict=True)
        if any(not np.array_equal(a, b) for a, b in zip(layer.get_weights(), old.get_weights(), strict=True))
    ]
    assert changed == [layer.name for layer in trunk.layers[-3:] if layer.get_weights()]
    saved = keras.models.load_model(tmp_path / "model.keras", compile=False)
    pictures = composer.batch(0, 8)[0]
    np.testing.assert_array_equal(network.logits(saved, pictures), network.logits(after, pictures))


def test_a_run_of_the_last_layers_that_was_cut_goes_on_to_the_same_end(composer: Composer, tmp_path: Path) -> None:
    upper_learnt(composer, tmp_path / "once")
    with pytest.raises(PowerError):
        upper_learnt(composer, tmp_path / "cut", fails_at=27)
    upper_learnt(composer, tmp_path / "cut", resume=True)
    assert losses_of(tmp_path / "cut")[-1] == pytest.approx(losses_of(tmp_path / "once")[-1], abs=1e-3)


def test_a_finished_run_of_the_last_layers_goes_on_for_more_steps(composer: Composer, tmp_path: Path) -> None:
    once = upper_learnt(composer, tmp_path)
    more = upper_learnt(composer, tmp_path, resume=True, steps=UPPER.steps + 20)
    assert steps_of(tmp_path) == UPPER.head_steps + UPPER.steps + 20
    for before, after in zip(once.get_layer("trunk").layers, more.get_layer("trunk").layers, strict=True):
        same = all(np.array_equal(a, b) for a, b in zip(before.get_weights(), after.get_weights(), strict=True))
        assert same == (not after.get_weights() or after.name not in {one.name for one in last_three(more)})


def last_three(model: keras.Model) -> list[keras.layers.Layer]:
    return list(model.get_layer("trunk").layers[-3:])


def test_what_lies_below_is_not_kept_where_all_layers_learn(composer: Composer, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="only where the last layers alone learn"):
        fit(SETTINGS, 4, None, batches(composer), tmp_path, below=keras.ops.convert_to_tensor)
