"""Owns the way from a trained network to what a bundle decides with: int8, the gate, temperature, thresholds.

It writes no bundle: whoever makes one gets `Decided`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from edge.core import bundle as bundles
from edge.core import preprocess
from edge.core.bundle import BACKGROUND, DecisionSpec, InputSpec
from edge.core.manifest import Turn
from training.learn import calibrate, familiar, network, quantize
from training.learn.familiar import Seen
from training.learn.looks import looked, round_of
from training.learn.prepare import Prepared
from training.learn.quantize import Parity
from training.photos.cutout import Patch
from training.photos.material import Material
from training.synth import near
from training.synth.compose import AHEAD, Composer
from training.synth.recipe import Recipe

REPRESENTATIVE = 300  # pictures that set the int8 ranges
TURNS: tuple[Turn, ...] = (0, 180)  # of one look after the other: docs/decisions/0004
NEAR = 0.15  # the note's place enlarged by so much: docs/decisions/0010
CALIBRATION = 4000  # composed pictures on which thresholds are chosen, besides the held-out ones
AT_ONCE = 100  # of them in memory
SURE_OF = 10  # pictures that the composed ones weigh for the temperature: real ones may all be right, and say nothing
COMPOSED, REAL = 2000, 80  # looks, and photographs of each amount, that say what notes are like
# What a hand shows, near enough: milder than what training sees, none at arm's length. Two notes at once are left out:
# a network that takes them for one is as sure of it at 0.99 as at 0.8, so they would raise thresholds for nothing.
USE = Recipe(none_share=0.3, strength=0.4, scale_low=0.6, several_share=0.0).without("strays", "near")


@dataclass(frozen=True)
class Decided:
    """What a network has become."""

    model: bytes  # int8
    input: InputSpec  # how the device looks
    decision: DecisionSpec
    figures: dict[str, float]  # of the held-out pictures


def decide(
    model: keras.Model, prepared: Prepared, composer: Composer, run: Path, say: Callable[[str], None]
) -> Decided:
    """Quantise, pass the gate and calibrate on the held-out pictures.

    The int8 model is left in `run`/quantized before the gate, for whoever wants to know why that refused it.
    Raises TrainingError when it differs too much from the float one.
    """
    input_ = _looks(composer)
    if familiar.width(model) is not None:
        say("measuring how unlike others a note may be")
        model = _wary(model, prepared, composer, input_)
    say("quantising to int8")
    int8 = quantize.to_int8(model, _representative(prepared, composer))
    (run / "quantized").mkdir(parents=True, exist_ok=True)
    (run / "quantized" / bundles.MODEL).write_bytes(int8)
    held, truth = prepared.held_pictures, prepared.held_truth
    turned = np.concatenate([preprocess.turned(held, turn) for turn in input_.turns])
    parity = quantize.parity(
        network.logits(model, turned), quantize.int8_outputs(int8, turned)[0], np.tile(truth, len(input_.turns))
    )
    say(f"int8 against float, held out: agreement {parity.agreement:.4f}, accuracy {parity.int8_accuracy:.4f}")
    parity.gate()
    logits, visible = looked(int8, prepared.held_finer, prepared.labels, input_)
    hard_logits, hard_truth = _composed(int8, prepared, composer, input_)
    say(f"choosing thresholds on {len(held)} pictures held out and {len(hard_truth)} composed of them")
    all_logits, all_truth = np.concatenate([logits, hard_logits]), np.concatenate([truth, hard_truth])

    def weights(composed: int) -> NDArray[np.float64]:
        """One for each real picture, `composed` for all composed ones together."""
        return np.concatenate([np.ones(len(truth)), np.full(len(hard_truth), composed / len(hard_truth))])

    temperature = calibrate.temperature(all_logits, all_truth, weights(SURE_OF))
    all_probs = calibrate.probabilities(all_logits, temperature)
    # Real ones are too few to count rare mistakes on, composed ones harder than life: half the weight for each kind.
    thresholds = calibrate.thresholds(all_probs, all_truth, prepared.labels, weights(len(truth)))
    probs = all_probs[: len(truth)]
    least_visible = calibrate.least_visible(visible, probs, truth, prepared.labels, thresholds)
    return Decided(
        int8,
        input_,
        decision_spec(temperature, thresholds, least_visible),
        _figures(parity, probs, truth),
    )


def _looks(composer: Composer) -> InputSpec:
    """How the device is to look: as the network was taught to see."""
    off = composer.recipe.off
    placed = any(p.placed for sources in composer.material.notes.values() for found in sources.values() for p in found)
    turns = TURNS if "turns" not in off else TURNS[:1]
    return InputSpec(composer.size, composer.size, "squash", turns, NEAR if placed and "near" not in off else 0.0)


def _wary(model: keras.Model, prepared: Prepared, composer: Composer, input_: InputSpec) -> keras.Model:
    """`model` with evidence against money that it never learnt."""
    labels = prepared.labels
    photographs = [
        (patch.pixels, labels.index(label))
        for label, sources in prepared.material.notes.items()
        for patch in _some([patch for found in sources.values() for patch in found], REAL)
    ]
    held = [
        (picture, int(truth))
        for picture, truth in zip(prepared.held_finer, prepared.held_truth, strict=True)
        if truth < labels.index(BACKGROUND)
    ]
    looks = (
        _notes(prepared.material, composer, COMPOSED),
        round_of(model, photographs, input_),
        # One person's photographs do not say how unlike another camera's a note may be: composed ones do.
        round_of(model, held, input_)
        if len(prepared.sources) > 1
        else _notes(prepared.held_material, composer, COMPOSED // 4),
    )
    composed, real, others = (Seen(familiar.features(model, pictures), truth) for pictures, truth in looks)
    return familiar.attached(model, familiar.learnt(composed, real, others, labels))


def _notes(material: Material, trained: Composer, count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Looks composed as those that were `trained` with, of notes alone, and their labels; at most `count`.

    A note of which too little shows is none.
    """
    recipe = replace(trained.recipe, none_share=0.0, several_share=0.0)
    composer = Composer(material, trained.labels, trained.size, trained.seed, recipe)
    samples = [composer.sample(AHEAD + number) for number in range(count)]
    samples = [s for s in samples if s.target[composer.background] == 0]
    return np.stack([s.pixels for s in samples]), np.array([int(s.target.argmax()) for s in samples])


def _some(patches: list[Patch], most: int) -> list[Patch]:
    """At most so many, evenly from the first to the last."""
    return patches[:: -(-len(patches) // most)]


def _representative(prepared: Prepared, composer: Composer) -> NDArray[np.uint8]:
    """Composed pictures and held-out ones (n, size, size, 3), about half of each."""
    held = prepared.held_pictures[:: max(1, len(prepared.held_pictures) * 2 // REPRESENTATIVE)]
    return np.concatenate([composer.unseen(REPRESENTATIVE // 2), held])


def _figures(parity: Parity, probs: NDArray[np.float32], truth: NDArray[np.int64]) -> dict[str, float]:
    return {
        "held_out_pictures": float(len(truth)),
        "held_out_looks": float(parity.pictures),  # each picture is looked at once for each turn
        "held_out_right": float(parity.int8_right),
        "held_out_accuracy": round(parity.int8_accuracy, 4),
        "int8_float_agreed": float(parity.agreed),
        "int8_float_agreement": round(parity.agreement, 4),
        "held_out_calibration_error": round(calibrate.calibration_error(probs, truth), 4),
    }


def _composed(
    int8: bytes, prepared: Prepared, trained: Composer, input_: InputSpec
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """What `int8` makes of pictures composed of held-out notes and grounds, with their labels (n,): mistakes to count.

    Nothing happens to them that is not in the recipe of what was `trained` with.
    """
    recipe = trained.recipe
    use = replace(
        USE,
        strength=min(USE.strength, recipe.strength),
        scale_low=max(USE.scale_low, recipe.scale_low),
        scale_high=recipe.scale_high,
        off=USE.off | recipe.off,
    )
    size = trained.size * (near.FINER if input_.near else 1)
    composer = Composer(prepared.held_material, prepared.labels, size, trained.seed + 1, use)
    background = prepared.labels.index(BACKGROUND)
    logits, truth = [], []
    for first in range(0, CALIBRATION, AT_ONCE):
        samples = [composer.sample(number) for number in range(first, first + AT_ONCE)]
        # Of a note that hardly shows, silence and its amount are both right: it is no mistake to count.
        samples = [s for s in samples if s.target[background] == 0 or s.box[4] == 0]
        logits.append(looked(int8, [s.pixels for s in samples], prepared.labels, input_)[0])
        truth += [int(s.target.argmax()) for s in samples]
    return np.concatenate(logits), np.array(truth)


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
        soon=calibrate.soon(),
    )
