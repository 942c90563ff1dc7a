"""Owns the whole path from what was prepared to a bundle: compose, fit, decide, and the writing at its end."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from edge.core import bundle as bundles
from edge.core.bundle import RESERVED, InputSpec, Manifest
from training.errors import TrainingError
from training.learn import export, files, lower, network, quantize, warmstart
from training.learn.export import Decided
from training.learn.fit import fit, steps_of
from training.learn.kept import Kept
from training.learn.lower import Lower
from training.learn.prepare import Prepared, describe, require_same_labels
from training.learn.scores import score
from training.learn.settings import FitSettings, Identity
from training.learn.supply import Batch, Supply
from training.playmoney import notes, scenes
from training.show import card
from training.synth.compose import Composer
from training.synth.recipe import Recipe

SETTLING = 256  # pictures on which a network from a bundle finds its normalisations
SELFTEST_PICTURES = 6
# One step of an int8 logit and a half: two runtimes may round differently in every layer.
SELFTEST_STEPS = 6.0
RUN_BYTES = 200_000_000  # two checkpoints of the largest network with all that its optimizer remembers, and logs
BUNDLE_BYTES = 20_000_000
KEPT, KEPT_BYTES = "kept", 16_000  # a sample, before the last 38 layers of MobileNetV2 at 192 pixels


def train(
    prepared: Prepared,
    settings: FitSettings,
    identity: Identity,
    weights: Path | str | None,
    run: Path,
    out: Path,
    *,
    start: Path | None = None,
    resume: bool = False,
    recipe: Recipe | None = None,
    workers: int | None = None,
    minutes: float | None = None,
    tick: Callable[[int, dict[str, float]], None] = lambda step, losses: None,
    say: Callable[[str], None] = lambda line: None,
) -> Manifest:
    """Train on `prepared`, leave checkpoints and logs in `run` and the bundle in `out`.

    `start` is a bundle whose network is trained on further, instead of one from `weights`.
    Raises TrainingError, before the first step, for all that would end it later and can be known, and after the last
    one when the int8 model differs too much from the float one.
    """
    _require_end(prepared, settings, identity, start, run, out, resume=resume)
    describe(prepared, run)
    composer = Composer(prepared.material, prepared.labels, settings.size, settings.seed, recipe or Recipe())
    with Supply(composer, settings.batch, workers=workers) as supply:
        below = _below(start, settings, len(prepared.labels)) if settings.kept else None
        model = fit(
            settings,
            len(prepared.labels),
            weights,
            _keeping(below, supply, settings, run, say) if below else supply.batches,
            run / "fit",
            start=_going_on(start, identity, prepared, composer) if start else None,
            resume=resume,
            minutes=minutes,
            tick=tick,
            validate=lambda m: score(network.logits(m, prepared.held_pictures), prepared.held_truth, prepared.labels),
            below=below.real if below else None,
        )
    made = replace(settings, steps=steps_of(run / "fit") - settings.head_steps)
    decided = export.decide(model, prepared, composer, run, say)
    pictures = selftest_pictures(decided.input)
    logits, _ = quantize.int8_outputs(decided.model, pictures)
    manifest = _write(decided, (pictures, logits), prepared, made, identity, out)
    shutil.rmtree(run / KEPT, ignore_errors=True)
    return manifest


def _below(start: Path | None, settings: FitSettings, labels: int) -> Lower:
    """What comes before the last layers, which is that of the bundle `start`."""
    assert start is not None  # both by `_require_end`
    assert settings.last_layers is not None
    shape = network.build(settings.trunk, settings.width, settings.size, labels, None, settings.dropout)
    return lower.below(bundles.read(start).model, network.parts(shape, settings.last_layers).weighted_below)


def _keeping(
    below: Lower, supply: Supply, settings: FitSettings, run: Path, say: Callable[[str], None]
) -> Callable[[int], Iterator[Batch]]:
    """Batches of samples that are composed and looked at by `below` once; they lie in `run`/kept until it has ended."""
    kept = Kept(run / KEPT, settings.kept, settings.batch, settings.seed)

    def tick(done: int, of: int) -> None:
        if done * 10 // of > (done - settings.batch) * 10 // of:
            say(f"{done} of {of} samples are composed")

    def looked(first: int) -> Iterator[Batch]:
        for pictures, targets, boxes, known in supply.batches(first):
            yield below(pictures), targets, boxes, known

    def batches(first: int) -> Iterator[Batch]:
        kept.fill(looked, tick)
        return kept.batches(first)

    return batches


def _going_on(start: Path, identity: Identity, prepared: Prepared, composer: Composer) -> Callable[[keras.Model], None]:
    return lambda model: warmstart.begin(model, start, identity.currency, prepared.labels, composer.unseen(SETTLING))


def _require_end(
    prepared: Prepared,
    settings: FitSettings,
    identity: Identity,
    start: Path | None,
    run: Path,
    out: Path,
    *,
    resume: bool,
) -> None:
    """Raises TrainingError or BundleError, before the first step, for what would end a training after its last one."""
    quantize.require_backend()
    if settings.kept and (settings.last_layers is None or start is None or start.suffix == ".keras"):
        raise TrainingError(
            "samples are kept only where the last layers alone learn (--last-layers) and a bundle is gone on from"
        )
    if resume:
        require_same_labels(prepared, run)
    with files.room(out, BUNDLE_BYTES) as beside:
        _rehearse(prepared, settings, identity, beside)
    with files.room(run, RUN_BYTES + settings.kept * KEPT_BYTES):
        pass


def _rehearse(prepared: Prepared, settings: FitSettings, identity: Identity, folder: Path) -> None:
    """Write a bundle without a network, and read it: what cannot be written or would be refused is named now."""
    amounts = [label for label in prepared.labels if label not in RESERVED]
    looks = InputSpec(settings.size, settings.size, "squash", export.TURNS, export.NEAR)
    nothing = Decided(b"", looks, export.decision_spec(1.0, dict.fromkeys(amounts, 1.0)), {})
    answers = np.zeros((SELFTEST_PICTURES, len(prepared.labels)), np.float32)
    _write(nothing, (selftest_pictures(looks), answers), prepared, settings, identity, folder)
    bundles.read(folder)


def _write(
    decided: Decided,
    selftest: tuple[NDArray[np.uint8], NDArray[np.float32]],
    prepared: Prepared,
    settings: FitSettings,
    identity: Identity,
    out: Path,
) -> Manifest:
    """`selftest`: pictures, and the logits that the model answers them with."""
    pictures, logits = selftest
    levels = np.unique(logits)
    step = float(np.diff(levels).min()) if len(levels) > 1 else 0.1
    return bundles.write(
        out,
        name=identity.name,
        version=identity.version,
        currency=identity.currency,
        model=decided.model,
        labels=prepared.labels,
        input_=decided.input,
        decision=decided.decision,
        selftest_pictures=pictures,
        selftest_logits=logits,
        selftest_tolerance=round(step * SELFTEST_STEPS, 4),
        has_box=True,
        card=card.write(identity, prepared, settings, decided.decision, decided.figures),
        training={
            "seed": settings.seed,
            "data_digest": prepared.digest,
            "trunk": settings.trunk,
            "width": settings.width,
            "steps": settings.steps,
            "batch": settings.batch,
            "keras": keras.version(),
            "python": platform.python_version(),
        },
        figures=decided.figures,
    )


def selftest_pictures(input_: InputSpec) -> NDArray[np.uint8]:
    """Drawn pictures (n, height, width, 3): play notes on scenes, never a photograph of anyone's money.

    Their shrinking is not the device's, which may be bettered: they stay those of bundles that are long shipped.
    """
    pictures = []
    for number in range(SELFTEST_PICTURES):
        scene = scenes.draw_scene(9000 + number, (240, 320))
        note = notes.draw(notes.DENOMINATIONS[number % 6], notes.FACES[number % 2], 9000 + number, 260)
        scene[60 : 60 + note.shape[0], 30 : 30 + note.shape[1]] = note
        shrunk = cv2.resize(scene, (input_.width, input_.height), interpolation=cv2.INTER_AREA)
        pictures.append(np.asarray(shrunk, np.uint8))
    return np.stack(pictures)
