"""Owns the whole path prepare > fit > quantize > calibrate > evaluate > export, each step a folder of files."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from edge.core import bundle as bundles
from edge.core import preprocess
from edge.core.bundle import BACKGROUND, DecisionSpec, InputSpec, Manifest
from edge.core.preprocess import to_tensor
from training.learn import calibrate, network, quantize, warmstart
from training.learn.fit import fit, steps_of
from training.learn.prepare import Prepared, describe
from training.learn.scores import score
from training.learn.settings import FitSettings, Identity
from training.learn.supply import Supply
from training.playmoney import notes, scenes
from training.show import card
from training.synth.compose import Composer
from training.synth.recipe import Recipe

REPRESENTATIVE = 300  # pictures that set the int8 ranges
SETTLING = 256  # pictures on which a network from a bundle finds its normalisations
TURNS = (0, 180)  # of one look after the other: docs/decisions/0004
CALIBRATION = 4000  # composed pictures on which thresholds are chosen, besides the held-out ones
# What a hand shows, near enough: milder than what training sees, none at arm's length. Two notes at once are left out:
# a network that takes them for one is as sure of it at 0.99 as at 0.8, so they would raise thresholds for nothing.
USE = Recipe(strength=0.4, scale_low=0.6, several_share=0.0).without("strays")
AHEAD = 10_000_000  # sample numbers that training never reaches
SELFTEST_PICTURES = 6
# One step of an int8 logit and a half: two runtimes may round differently in every layer.
SELFTEST_STEPS = 6.0


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
    """Train on `prepared`, leave the steps' files in `run` and the bundle in `out`.

    `start` is a bundle whose network is trained on further, instead of one from `weights`.
    Raises TrainingError when the int8 model differs too much from the float one.
    """
    describe(prepared, run)
    composer = Composer(prepared.material, prepared.labels, settings.size, settings.seed, recipe or Recipe())
    with Supply(composer, settings.batch, workers=workers) as supply:
        model = fit(
            settings,
            len(prepared.labels),
            weights,
            supply.batches,
            run / "fit",
            start=None if start is None else lambda m: warmstart.begin(m, start, prepared.labels, _shown(composer)),
            resume=resume,
            minutes=minutes,
            tick=tick,
            validate=lambda m: score(network.logits(m, prepared.held_pictures), prepared.held_truth, prepared.labels),
        )
    made = replace(settings, steps=steps_of(run / "fit") - settings.head_steps)
    return export(model, prepared, composer, made, identity, run, out, say)


def _shown(composer: Composer) -> NDArray[np.uint8]:
    return np.stack([composer.sample(AHEAD + i).pixels for i in range(SETTLING)])


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
    pictures = np.stack([composer.sample(AHEAD + i).pixels for i in range(REPRESENTATIVE // 2)])
    pictures = np.concatenate(
        [pictures, prepared.held_pictures[:: max(1, len(prepared.held_pictures) * 2 // REPRESENTATIVE)]]
    )
    int8 = quantize.to_int8(model, pictures)
    (run / "quantized").mkdir(parents=True, exist_ok=True)
    (run / "quantized" / bundles.MODEL).write_bytes(int8)
    held, truth = prepared.held_pictures, prepared.held_truth
    # A network that was shown upright notes alone is not asked about others.
    turns = TURNS if "turns" not in composer.recipe.off else TURNS[:1]
    turned = np.concatenate([preprocess.turned(held, turn) for turn in turns])
    logits, places = quantize.int8_outputs(int8, turned)
    parity = quantize.parity(network.logits(model, turned), logits, np.tile(truth, len(turns)))
    say(f"int8 against float, held out: agreement {parity.agreement:.4f}, accuracy {parity.int8_accuracy:.4f}")
    parity.gate()
    logits = logits.reshape(len(turns), len(held), -1).mean(axis=0)
    visible = places[:, 4].reshape(len(turns), len(held)).mean(axis=0)
    temperature = calibrate.temperature(logits, truth)
    probs = calibrate.probabilities(logits, temperature)
    harder, hard_truth = _composed(prepared, settings, composer.recipe)
    say(f"choosing thresholds on {len(held)} pictures held out and {len(harder)} composed of them")
    hard_probs = calibrate.probabilities(_fused_logits(int8, harder, turns), temperature)
    # Real pictures are too few to count rare mistakes on, composed ones are harder than life: half the weight for each.
    weights = np.concatenate([np.ones(len(truth)), np.full(len(hard_truth), len(truth) / len(hard_truth))])
    thresholds = calibrate.thresholds(
        np.concatenate([probs, hard_probs]), np.concatenate([truth, hard_truth]), prepared.labels, weights
    )
    decision = decision_spec(
        temperature, thresholds, calibrate.least_visible(visible, probs, truth, prepared.labels, thresholds)
    )
    figures = {
        "held_out_pictures": float(len(truth)),
        "held_out_accuracy": round(parity.int8_accuracy, 4),
        "int8_float_agreement": round(parity.agreement, 4),
        "held_out_calibration_error": round(calibrate.calibration_error(probs, truth), 4),
    }
    return _write(int8, prepared, settings, identity, turns, decision, figures, out)


def _fused_logits(int8: bytes, pictures: NDArray[np.uint8], turns: tuple[int, ...]) -> NDArray[np.float32]:
    """(n, labels): the mean over the turns, as the device fuses them."""
    return np.mean([quantize.int8_outputs(int8, preprocess.turned(pictures, turn))[0] for turn in turns], axis=0)


def _composed(
    prepared: Prepared, settings: FitSettings, trained: Recipe
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pictures (n, size, size, 3) made of held-out notes and grounds, with their labels (n,): mistakes to count.

    Nothing happens to them that is not in the recipe that was `trained` with.
    """
    use = replace(
        USE,
        strength=min(USE.strength, trained.strength),
        scale_low=max(USE.scale_low, trained.scale_low),
        scale_high=trained.scale_high,
        off=USE.off | trained.off,
    )
    composer = Composer(prepared.held_material, prepared.labels, settings.size, settings.seed + 1, use)
    samples = [composer.sample(number) for number in range(CALIBRATION)]
    # Of a note that hardly shows, silence and its amount are both right: it is no mistake to count.
    background = prepared.labels.index(BACKGROUND)
    samples = [s for s in samples if s.target[background] == 0 or s.box[4] == 0]
    return np.stack([s.pixels for s in samples]), np.array([int(s.target.argmax()) for s in samples])


def decision_spec(temperature: float, thresholds: dict[str, float], least_visible: float = 0.0) -> DecisionSpec:
    """The decision numbers of a bundle; the times are those of a hand that shows a note."""
    return DecisionSpec(
        temperature=round(temperature, 4),
        thresholds=thresholds,
        window_s=0.6,
        min_frames=3,
        span_s=0.4,
        agree=0.6,
        unsure_after_s=1.5,
        rearm_s=0.7,
        least_visible=least_visible,
    )


def _write(
    int8: bytes,
    prepared: Prepared,
    settings: FitSettings,
    identity: Identity,
    turns: tuple[int, ...],
    decision: DecisionSpec,
    figures: dict[str, float],
    out: Path,
) -> Manifest:
    input_ = InputSpec(settings.size, settings.size, "squash", turns)
    pictures = selftest_pictures(input_)
    logits, _ = quantize.int8_outputs(int8, pictures)
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
