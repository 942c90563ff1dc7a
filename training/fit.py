"""Owns the training loop: head first, then everything, with checkpoints from which it resumes to the same end.

Only Keras 3 calls, so TensorFlow, JAX and PyTorch all serve as backend. It knows samples as arrays and nothing
of where they come from.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training import model as networks
from training.errors import TrainingError

Batch = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class FitSettings:
    """How long and how hard to train."""

    trunk: str = "mobilenet_v2"
    width: float = 1.0
    size: int = 192
    steps: int = 4000  # of all layers
    head_steps: int = 150  # of the heads alone, first: their random start must not shake the trunk
    last_layers: int | None = None  # of the trunk that learn after that; None: all
    batch: int = 32
    learning_rate: float = 8e-4
    weight_decay: float = 1e-4
    warmup_steps: int = 200
    label_smoothing: float = 0.05
    box_weight: float = 2.0
    dropout: float = 0.2
    norm_momentum: float = 0.98  # Keras' 0.999 would keep ImageNet's statistics for too long
    ema: float = 0.998  # of the weights: steadier than the last step
    seed: int = 1
    checkpoint_every: int = 250


def fit(
    settings: FitSettings,
    labels: int,
    weights: Path | str | None,
    make_batch: Callable[[int], Batch],
    folder: Path,
    *,
    start: Callable[[keras.Model], None] | None = None,
    resume: bool = False,
    tick: Callable[[int, dict[str, float]], None] = lambda step, losses: None,
    validate: Callable[[keras.Model], dict[str, float]] | None = None,
    validate_every: int = 1000,
) -> keras.Model:
    """Train and return the model with averaged weights; `folder` gets checkpoints, `log.csv` and TensorBoard files.

    `start` may set other weights than `weights` before the first step.
    `make_batch(step)` gives pictures uint8 (n, size, size, 3), targets (n, labels), boxes and what of them is known,
    0 or 1, (n, 5) each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _make_repeatable(settings.seed)
    total = settings.head_steps + settings.steps
    if resume and (folder / "state.json").is_file():
        model, first = _restore(folder, settings)
        if first == total:
            return model
    else:
        model, first = _begin(settings, labels, weights, start), 0
    with _Log(folder, append=first > 0) as log:
        for step, batch in _prefetch(make_batch, first, total):
            if step == settings.head_steps:
                _thaw(model, settings)
            # Keras does not save the state of dropout's randomness: it follows from the step instead.
            model.get_layer("dropout").seed_generator.state.assign([settings.seed, step])
            losses = _train(model, batch)
            tick(step + 1, losses)
            if (step + 1) % 20 == 0:
                log.write(step + 1, losses)
            if (step + 1) % settings.checkpoint_every == 0 and step + 1 < total:
                _save(model, folder, step + 1, settings)
            if validate and (step + 1) % validate_every == 0 and step + 1 < total:
                log.write(step + 1, {f"val_{k}": v for k, v in _averaged(model, validate).items()})
    model.optimizer.finalize_variable_values(model.trainable_variables)
    _save(model, folder, total, settings, "model.keras")
    return model


def _make_repeatable(seed: int) -> None:
    """The same numbers in every run on this machine: seeds, layer names (they stand in the model file), operations."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # Sums over several threads would come out differently in the last bit.
        tf.config.experimental.enable_op_determinism()


def _begin(
    settings: FitSettings,
    labels: int,
    weights: Path | str | None,
    start: Callable[[keras.Model], None] | None,
) -> keras.Model:
    model = networks.build(settings.trunk, settings.width, settings.size, labels, weights, settings.dropout)
    if start is not None:
        start(model)
    for layer in networks.normalisations(model):
        layer.momentum = settings.norm_momentum
    model.get_layer("trunk").trainable = settings.head_steps == 0
    _compile(model, settings, keras.optimizers.schedules.CosineDecay(2e-3, max(1, settings.head_steps), alpha=0.3))
    if settings.head_steps == 0:
        _thaw(model, settings)
    return model


def _thaw(model: keras.Model, settings: FitSettings) -> None:
    trunk = model.get_layer("trunk")
    trunk.trainable = True
    if settings.last_layers is not None:
        for layer in trunk.layers[: -settings.last_layers or None]:
            layer.trainable = False
    decay = keras.optimizers.schedules.CosineDecay(
        0.0,
        settings.steps - settings.warmup_steps,
        alpha=0.01,
        warmup_target=settings.learning_rate,
        warmup_steps=settings.warmup_steps,
    )
    _compile(model, settings, decay)


def _compile(
    model: keras.Model, settings: FitSettings, schedule: keras.optimizers.schedules.LearningRateSchedule
) -> None:
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=settings.weight_decay, use_ema=True, ema_momentum=settings.ema, clipnorm=5.0
    )
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    model.compile(
        optimizer,
        loss={
            "logits": keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=settings.label_smoothing),
            "box": known_error,
        },
        loss_weights={"logits": 1.0, "box": settings.box_weight},
    )


@keras.saving.register_keras_serializable("saynote")
def known_error(truth: Any, predicted: Any) -> Any:
    """Mean absolute error (n,) of the place (n, 5); `truth` (n, 10) holds it and what of it is known, 0 or 1."""
    return keras.ops.mean(keras.ops.abs(truth[:, :5] - predicted) * truth[:, 5:], axis=-1)


def _train(model: keras.Model, batch: Batch) -> dict[str, float]:
    pictures, targets, boxes, known = batch
    result = model.train_on_batch(
        pictures.astype(np.float32) / 127.5 - 1,
        {"logits": targets, "box": np.concatenate([boxes, known], axis=1)},
        return_dict=True,
    )
    model.reset_metrics()
    return {key: float(value) for key, value in result.items()}


def _prefetch(make_batch: Callable[[int], Batch], start: int, total: int) -> Iterator[tuple[int, Batch]]:
    """Batches in order, made ahead on two threads; a batch depends on its number alone."""
    with ThreadPoolExecutor(2, thread_name_prefix="compose") as pool:
        waiting: list[Future[Batch]] = [pool.submit(make_batch, step) for step in range(start, min(total, start + 6))]
        for step in range(start, total):
            batch = waiting.pop(0).result()
            if step + 6 < total:
                waiting.append(pool.submit(make_batch, step + 6))
            yield step, batch


def _averaged(model: keras.Model, validate: Callable[[keras.Model], dict[str, float]]) -> dict[str, float]:
    """Validate with averaged weights, then put the live ones back."""
    live = model.get_weights()
    model.optimizer.finalize_variable_values(model.trainable_variables)
    figures = validate(model)
    model.set_weights(live)
    return figures


def _save(model: keras.Model, folder: Path, step: int, settings: FitSettings, name: str = "") -> None:
    """Checkpoint and step become one by the renaming of state.json, written last."""
    name = name or f"checkpoint-{step}.keras"
    model.save(folder / name)
    state = folder / "state.json.new"
    state.write_text(json.dumps({"step": step, "checkpoint": name, "settings": asdict(settings)}))
    state.replace(folder / "state.json")
    for old in folder.glob("checkpoint-*.keras"):
        if old.name != name:
            old.unlink()


def _restore(folder: Path, settings: FitSettings) -> tuple[keras.Model, int]:
    """The last checkpoint; another number of steps than it was begun with ends it by then, cooling down from here."""
    try:
        state = json.loads((folder / "state.json").read_text())
        model, step = keras.models.load_model(folder / state["checkpoint"]), int(state["step"])
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(f"{folder} cannot be resumed: {error}") from error
    left = settings.head_steps + settings.steps - step
    if state["settings"]["steps"] != settings.steps and step > settings.head_steps:
        if left <= 0:
            raise TrainingError(f"{folder} is at step {step} already: --steps must be more")
        rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
        _compile(model, settings, keras.optimizers.schedules.CosineDecay(rate, left, alpha=0.02))
    return model, step


class _Log:
    """log.csv for eyes and tools, TensorBoard files where tensorboard is installed."""

    def __init__(self, folder: Path, append: bool) -> None:
        self._file = (folder / "log.csv").open("a" if append else "w", newline="")
        self._csv = csv.writer(self._file)
        self._board = _board(folder / "tensorboard")

    def write(self, step: int, figures: dict[str, float]) -> None:
        self._csv.writerows([step, key, f"{value:.5f}"] for key, value in figures.items())
        self._file.flush()
        if self._board is not None:
            for key, value in figures.items():
                self._board.add_scalar(key, value, step)

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def _board(folder: Path):
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
