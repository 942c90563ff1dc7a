"""Owns the training loop: head first, then everything, with checkpoints from which it resumes to the same end.

Only Keras 3 calls, so TensorFlow, JAX and PyTorch all serve as backend. It knows samples as arrays and nothing
of where they come from.
"""

from __future__ import annotations

import csv
import itertools
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError
from training.learn import network
from training.learn.settings import FitSettings
from training.learn.supply import Batch

log = logging.getLogger(__name__)

STATE = "state.json"
HEAD_RATE = 2e-3  # the heads' peak while they train alone


def fit(
    settings: FitSettings,
    labels: int,
    weights: Path | str | None,
    batches: Callable[[int], Iterator[Batch]],
    folder: Path,
    *,
    start: Callable[[keras.Model], None] | None = None,
    resume: bool = False,
    minutes: float | None = None,
    tick: Callable[[int, dict[str, float]], None] = lambda step, losses: None,
    validate: Callable[[keras.Model], dict[str, float]] | None = None,
    validate_every: int = 1000,
    below: Callable[[NDArray[Any]], Any] | None = None,
) -> keras.Model:
    """Train and return the model with averaged weights; `folder` gets checkpoints, `log.csv` and TensorBoard files.

    `start` may set other weights than `weights` before the first step. `batches(step)` gives the batches from that step
    on (see `Supply.batches`). `minutes`, from now, after which it ends, cooled down, though fewer steps have been made.
    `below`: the batches hold what the layers before the last ones make of pictures, which this turns into numbers
    (n, height, width, channels); only the last layers are run, then.
    Raises TrainingError where `folder` cannot be resumed and where the time is too short.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _make_repeatable(settings.seed)
    total = settings.head_steps + settings.steps
    first, course, before, kept = 0, _Course.of(settings, 0), 0.0, None
    if resume and (folder / STATE).is_file():
        kept, first, found, before = _restore(folder, settings)
        if found is None:
            return kept
        course = found
    whole, model = _begin(settings, labels, weights, start, kept, parted=below is not None)
    begun, step = time.monotonic(), first
    with _Log(folder, append=first > 0) as log:
        for batch in itertools.islice(batches(first), total - first):
            passed = 0.0 if minutes is None else (time.monotonic() - begun) / (60 * minutes)
            spent = before + (1 - before) * passed
            if passed >= 1:
                break
            if step == settings.head_steps and step > 0:
                _thaw(model, settings)
                course = _Course.of(settings, step)
            rate = course.rate_at(step, spent)
            model.optimizer.learning_rate = rate
            # Keras does not save the state of dropout's randomness: it follows from the step instead.
            model.get_layer("dropout").seed_generator.state.assign([settings.seed, step])
            losses = _train(model, batch, below or network.inputs)
            step += 1
            tick(step, losses)
            if step % 20 == 0:
                log.write(step, {**losses, "learning_rate": rate})
            if step % settings.checkpoint_every == 0 and step < total:
                _save(model, folder, step, settings, course, spent)
            if validate and step % validate_every == 0 and step < total:
                log.write(step, {f"val_{k}": v for k, v in _averaged(whole, model, validate).items()})
    if step <= settings.head_steps and settings.steps:
        raise TrainingError(f"{minutes:g} minutes are too few: they were over before all layers had begun to learn")
    model.optimizer.finalize_variable_values(model.trainable_variables)
    _rejoin(whole, model)
    whole = _bare(whole)
    _save(whole, folder, step, settings, course, 1.0, finished=True)
    return whole


def steps_of(folder: Path) -> int:
    """How many steps the run in `folder` has made, those of the heads included."""
    return int(json.loads((folder / STATE).read_text())["step"])


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
    kept: keras.Model | None,
    *,
    parted: bool,
) -> tuple[keras.Model, keras.Model]:
    """The network, and what of it learns: all of it or its upper part, as it was `kept` or as it begins."""
    if parted and settings.last_layers is None:
        raise TrainingError("what lies below is kept only where the last layers alone learn")
    whole = kept if kept is not None and _is_whole(kept) else _new(settings, labels, weights, start)
    if not parted:
        model = whole
    elif kept is not None and kept is not whole:
        model = kept
    else:
        assert settings.last_layers is not None
        model = network.parts(whole, settings.last_layers).upper
    if kept is None and settings.head_steps > 0:
        _freeze(model)
        _compile(model, settings)
    elif model is not kept:  # else it has its optimizer with it
        _thaw(model, settings)
    return whole, model


def _new(
    settings: FitSettings, labels: int, weights: Path | str | None, start: Callable[[keras.Model], None] | None
) -> keras.Model:
    model = network.build(settings.trunk, settings.width, settings.size, labels, weights, settings.dropout)
    if start is not None:
        start(model)
    for layer in network.normalisations(model):
        layer.momentum = settings.norm_momentum
    return model


def _is_whole(model: keras.Model) -> bool:
    """Whether it is a whole network, in which the trunk is one layer, and not the upper part of one."""
    return "trunk" in {layer.name for layer in model.layers}


def _freeze(model: keras.Model) -> None:
    for layer in _trunk_of(model):
        layer.trainable = False


def _thaw(model: keras.Model, settings: FitSettings) -> None:
    for layer in _trunk_of(model):
        layer.trainable = True
    if settings.last_layers is not None and _is_whole(model):
        for layer in model.get_layer("trunk").layers[: -settings.last_layers or None]:
            layer.trainable = False
    _compile(model, settings)


def _trunk_of(model: keras.Model) -> list[keras.layers.Layer]:
    """The trunk, or those of its layers that lie in an upper part."""
    if _is_whole(model):
        return [model.get_layer("trunk")]
    return [layer for layer in model.layers if layer.name not in network.HEADS]


@dataclass(frozen=True)
class _Course:
    """The learning rate from step to step: a linear warm-up, then half a cosine down."""

    first: int
    last: int
    peak: float
    warmup: int = 0
    lowest: float = 0.01  # of the peak, at the end

    @classmethod
    def of(cls, settings: FitSettings, step: int) -> _Course:
        """That of the phase of training which begins at `step`."""
        if step < settings.head_steps:
            return cls(0, settings.head_steps, HEAD_RATE, lowest=0.3)
        return cls(step, settings.head_steps + settings.steps, settings.learning_rate, settings.warming)

    def rate_at(self, step: int, spent: float) -> float:
        """`spent`: share of the time that may be used, which counts where it is more than that of the steps."""
        done = max((step - self.first) / (self.last - self.first), spent)
        cooled = self.lowest + (1 - self.lowest) * (1 + math.cos(math.pi * done)) / 2
        return self.peak * cooled * min(1.0, (step - self.first + 1) / (self.warmup + 1))


def _compile(model: keras.Model, settings: FitSettings) -> None:
    optimizer = keras.optimizers.AdamW(
        settings.learning_rate,
        weight_decay=settings.weight_decay,
        use_ema=True,
        ema_momentum=settings.averaging,
        clipnorm=5.0,
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


@keras.saving.register_keras_serializable("saynote")  # type: ignore[untyped-decorator]  # Keras has no types
def known_error(truth: Any, predicted: Any) -> Any:
    """Mean absolute error (n,) of the place (n, 5); `truth` (n, 10) holds it and what of it is known, 0 or 1."""
    return keras.ops.mean(keras.ops.abs(truth[:, :5] - predicted) * truth[:, 5:], axis=-1)


def _train(model: keras.Model, batch: Batch, enter: Callable[[NDArray[Any]], Any]) -> dict[str, float]:
    pictures, targets, boxes, known = batch
    result = model.train_on_batch(
        enter(pictures),
        {"logits": targets, "box": np.concatenate([boxes, known], axis=1)},
        return_dict=True,
    )
    model.reset_metrics()
    return {key: float(value) for key, value in result.items()}


def _averaged(
    whole: keras.Model, model: keras.Model, validate: Callable[[keras.Model], dict[str, float]]
) -> dict[str, float]:
    """Validate with averaged weights, then put the live ones back."""
    live = model.get_weights()
    model.optimizer.finalize_variable_values(model.trainable_variables)
    _rejoin(whole, model)
    figures = validate(whole)
    model.set_weights(live)
    return figures


def _rejoin(whole: keras.Model, model: keras.Model) -> None:
    if model is not whole:
        network.rejoin(whole, model)


def _bare(model: keras.Model) -> keras.Model:
    """The network without its optimizer, whose state is three times as large."""
    bare = keras.Model.from_config(model.get_config())
    bare.set_weights(model.get_weights())
    return bare


def _save(
    model: keras.Model,
    folder: Path,
    step: int,
    settings: FitSettings,
    course: _Course,
    spent: float,
    *,
    finished: bool = False,
) -> None:
    """Checkpoint and step become one by the renaming of the state, written last."""
    name = "model.keras" if finished else f"checkpoint-{step}.keras"
    model.save(folder / name)
    state = folder / f"{STATE}.new"
    facts = {"step": step, "spent": spent, "finished": finished, "checkpoint": name}
    state.write_text(json.dumps({**facts, "settings": asdict(settings), "course": asdict(course)}))
    state.replace(folder / STATE)
    for old in folder.glob("checkpoint-*.keras"):
        if old.name != name:
            old.unlink()


def _restore(folder: Path, settings: FitSettings) -> tuple[keras.Model, int, _Course | None, float]:
    """The last checkpoint, its step, how to go on and the share of the time that was spent.

    There is no course where the run has come to its end.

    Another number of steps than it was begun with ends it by then, cooling down from here.
    """
    try:
        state = json.loads((folder / STATE).read_text())
        step, finished, course = int(state["step"]), bool(state["finished"]), _Course(**state["course"])
        begun, spent = state["settings"], float(state["spent"])
        model = keras.models.load_model(folder / state["checkpoint"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{folder} cannot be resumed: {network.first_line(error)}") from error
    usual = asdict(FitSettings())  # of what a run that was begun by an older version says nothing
    differing = [
        key for key, value in asdict(settings).items() if key != "steps" and begun.get(key, usual[key]) != value
    ]
    if differing:
        raise TrainingError(f"{folder} was begun with another {', '.join(differing)}: resume with the same options")
    if settings.steps == begun["steps"]:
        return model, step, None if finished else course, spent
    last = settings.head_steps + settings.steps
    if last <= step:
        raise TrainingError(f"{folder} is at step {step} already: --steps must be more")
    if step > settings.head_steps:
        _compile(model, settings)
        course, spent = _Course(step, last, course.rate_at(step, spent)), 0.0
    return model, step, course, spent


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


def _board(folder: Path) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    try:
        return SummaryWriter(str(folder))
    except OSError as error:  # its queue takes a semaphore, and those live in /dev/shm
        log.warning("nothing is written for TensorBoard: %s; log.csv holds all of it", error)
        return None
