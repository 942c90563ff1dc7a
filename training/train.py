"""Owns the whole path prepare > fit > quantize > calibrate > evaluate > export, each step a folder of files."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import keras
import numpy as np
from numpy.typing import NDArray

from edge.core import bundle as bundles
from edge.core.bundle import DecisionSpec, InputSpec, Manifest
from edge.core.preprocess import to_tensor
from training import calibrate, card, quantize
from training.compose import Composer, Recipe
from training.fit import FitSettings, fit
from training.playmoney import notes, scenes
from training.prepare import Prepared, describe

REPRESENTATIVE = 300  # pictures that set the int8 ranges
PARITY_SAMPLES = 400
SELFTEST_PICTURES = 6
# One step of an int8 logit and a half: two runtimes may round differently in every layer.
SELFTEST_STEPS = 6.0


@dataclass(frozen=True)
class Identity:
    """What the bundle is called."""

    name: str
    version: str
    currency: str


def train(
    prepared: Prepared,
    settings: FitSettings,
    identity: Identity,
    weights: Path | str | None,
    run: Path,
    out: Path,
    *,
    resume: bool = False,
    recipe: Recipe | None = None,
    tick: Callable[[int, dict[str, float]], None] = lambda step, losses: None,
    say: Callable[[str], None] = lambda line: None,
) -> Manifest:
    """Train on `prepared`, leave the steps' files in `run` and the bundle in `out`.

    Raises TrainingError when the int8 model differs too much from the float one.
    """
    cv2.setNumThreads(1)  # samples are composed on threads of our own
    describe(prepared, run)
    composer = Composer(prepared.material, prepared.labels, settings.size, settings.seed, recipe or Recipe())
    model = fit(
        settings,
        len(prepared.labels),
        weights,
        lambda step: composer.batch(step * settings.batch, settings.batch),
        run / "fit",
        resume=resume,
        tick=tick,
        validate=lambda m: _validate(m, prepared),
    )
    return export(model, prepared, composer, settings, identity, run, out, say)


def export(
    model: keras.Model,
    prepared: Prepared,
    composer: Composer,
    settings: FitSettings,
    identity: Identity,
    run: Path,
    out: Path,
    say: Callable[[str], None],
) -> Manifest:
    """Quantise, pass the gate, calibrate on the held-out pictures and write the bundle."""
    say("quantising to int8")
    ahead = 10_000_000  # sample numbers that training never reaches
    pictures = np.stack([composer.sample(ahead + i).pixels for i in range(REPRESENTATIVE // 2)])
    pictures = np.concatenate(
        [pictures, prepared.held_pictures[:: max(1, len(prepared.held_pictures) * 2 // REPRESENTATIVE)]]
    )
    int8 = quantize.to_int8(model, pictures)
    (run / "quantized").mkdir(parents=True, exist_ok=True)
    (run / "quantized" / bundles.MODEL).write_bytes(int8)
    held, truth = prepared.held_pictures, prepared.held_truth
    logits = quantize.int8_logits(int8, held)
    parity = quantize.parity(quantize.float_logits(model, held), logits, truth)
    say(f"int8 against float, held out: agreement {parity.agreement:.4f}, accuracy {parity.int8_accuracy:.4f}")
    parity.gate()
    temperature = calibrate.temperature(logits, truth)
    probs = calibrate.probabilities(logits, temperature)
    decision = decision_spec(temperature, calibrate.thresholds(probs, truth, prepared.labels))
    figures = {
        "held_out_pictures": float(len(truth)),
        "held_out_accuracy": round(parity.int8_accuracy, 4),
        "int8_float_agreement": round(parity.agreement, 4),
        "held_out_calibration_error": round(calibrate.calibration_error(probs, truth), 4),
    }
    return _write(int8, prepared, settings, identity, decision, figures, out)


def decision_spec(temperature: float, thresholds: dict[str, float]) -> DecisionSpec:
    """The decision numbers of a bundle; the times are those of a hand that shows a note."""
    return DecisionSpec(
        temperature=round(temperature, 4),
        thresholds=thresholds,
        window_s=0.6,
        min_frames=3,
        agree=0.6,
        unsure_after_s=1.5,
        rearm_s=0.7,
    )


def _write(
    int8: bytes,
    prepared: Prepared,
    settings: FitSettings,
    identity: Identity,
    decision: DecisionSpec,
    figures: dict[str, float],
    out: Path,
) -> Manifest:
    input_ = InputSpec(settings.size, settings.size, "squash")
    pictures = selftest_pictures(input_)
    logits = quantize.int8_logits(int8, pictures)
    levels = np.unique(logits)
    step = float(np.diff(levels).min()) if len(levels) > 1 else 0.1
    return bundles.write(
        out,
        name=identity.name,
        version=identity.version,
        currency=identity.currency,
        model=int8,
        labels=prepared.labels,
        input_=input_,
        decision=decision,
        selftest_pictures=pictures,
        selftest_logits=logits,
        selftest_tolerance=round(step * SELFTEST_STEPS, 4),
        has_box=True,
        card=card.write(identity.name, identity.version, identity.currency, prepared, settings, decision, figures),
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
        figures=figures,
    )


def selftest_pictures(input_: InputSpec) -> NDArray[np.uint8]:
    """Drawn pictures (n, height, width, 3): play notes on scenes, never a photograph of anyone's money."""
    pictures = []
    for number in range(SELFTEST_PICTURES):
        scene = scenes.draw_scene(9000 + number, (240, 320))
        note = notes.draw(notes.DENOMINATIONS[number % 6], notes.FACES[number % 2], 9000 + number, 260)
        scene[60 : 60 + note.shape[0], 30 : 30 + note.shape[1]] = note
        pictures.append(to_tensor(scene, input_)[0])
    return np.stack(pictures)


def _validate(model: keras.Model, prepared: Prepared) -> dict[str, float]:
    probs = calibrate.probabilities(quantize.float_logits(model, prepared.held_pictures), 1.0)
    best = probs.argmax(axis=1)
    amount = prepared.held_truth < len(prepared.labels) - 2
    spoken = (probs.max(axis=1) > calibrate.FLOOR) & (best < len(prepared.labels) - 2)
    wrong = spoken & (best != prepared.held_truth)
    return {
        "accuracy": float((best == prepared.held_truth)[amount].mean()),
        "coverage": float(spoken[amount].mean()),
        "wrong": float(wrong[amount].sum() / max(1, spoken[amount].sum())),
        "false": float(spoken[~amount].mean()) if (~amount).any() else 0.0,
    }
