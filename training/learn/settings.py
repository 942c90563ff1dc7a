"""Owns what a training can be told, and every default of it. Knows no Keras."""

from __future__ import annotations

import difflib
import enum
from dataclasses import dataclass, replace

from babel.numbers import list_currencies

from edge.core import bundle as bundles
from training.errors import TrainingError

TINY = "tiny"  # plain convolutions: learns play money in a minute, for tests and for trying things out
TRUNKS = (TINY, "mobilenet", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large")


LEAST_EMA = 0.98


@dataclass(frozen=True)
class FitSettings:
    """How long and how hard to train."""

    trunk: str = "mobilenet_v2"
    width: float = 1.0
    size: int = 192
    steps: int = 4000  # of all layers
    head_steps: int = 150  # of the heads alone, first: their random start must not shake the trunk
    last_layers: int | None = None  # of the trunk that learn after that; None: all
    kept: int = 0  # samples that are composed once, run through the layers that learn no more and learnt from again
    batch: int = 32
    learning_rate: float = 8e-4
    weight_decay: float = 1e-4
    warmup_steps: int = 200
    label_smoothing: float = 0.05
    box_weight: float = 2.0
    dropout: float = 0.2
    norm_momentum: float = 0.98  # Keras' 0.999 would keep ImageNet's statistics for too long
    ema: float = 0.998  # of the weights, at most: steadier than the last step
    seed: int = 1
    checkpoint_every: int = 250

    @property
    def averaging(self) -> float:
        """The average's momentum: over an eighth of the steps, else a short run ends half where it began."""
        return min(self.ema, max(LEAST_EMA, 1 - 8 / self.steps))

    @property
    def warming(self) -> int:
        """Steps of the warm-up: a fifth of a short run."""
        return min(self.warmup_steps, self.steps // 5)


class Only(enum.Enum):
    """Of what notes samples are composed."""

    CUT_OUTS = "cut-outs"
    PHOTOGRAPHS = "photographs"


@dataclass(frozen=True)
class Identity:
    """What the bundle that a training ends in is called. Raises BundleError, TrainingError for what none may be."""

    name: str
    version: str
    currency: str

    def __post_init__(self) -> None:
        """Now, not when the bundle is written after hours."""
        bundles.check_names(self.name, self.version, self.currency)
        require_currency(self.currency)


def require_currency(code: str) -> None:
    """Raises TrainingError for a code that is no currency's: the device could not name what it says."""
    known = sorted(list_currencies())
    if code not in known:
        near = difflib.get_close_matches(code, known, 1)
        hint = f": did you mean {near[0]}?" if near else ""
        raise TrainingError(f"there is no currency {code} in ISO 4217{hint}")


USUAL = FitSettings()
# Drawn notes are learnt from less: a small picture, a short run.
PLAY = replace(USUAL, size=96, steps=1400, head_steps=40, dropout=0.1)
FURTHER_RATE = 4e-4  # what has learnt notes already is not to forget how: half the rate that ImageNet's weights need
SCRATCH_RATE = 4e-3  # random weights have nothing to forget
SHORT_STEPS = 800  # up to so many, statistics and averages must follow sooner


def peak_rate(*, further: bool) -> float:
    """The learning rate's peak where nobody gave one; `further`: the network has learnt notes before."""
    return FURTHER_RATE if further else USUAL.learning_rate


def for_play_money(trunk: str, width: float, size: int, steps: int, seed: int, *, from_scratch: bool) -> FitSettings:
    """Those of a training on drawn notes, which are learnt in a short run."""
    short = steps <= SHORT_STEPS
    return replace(
        PLAY,
        trunk=trunk,
        width=width,
        size=size,
        steps=steps,
        seed=seed,
        head_steps=0 if from_scratch else PLAY.head_steps,
        warmup_steps=min(100, steps // 5),
        learning_rate=SCRATCH_RATE if from_scratch else PLAY.learning_rate,
        norm_momentum=0.9 if short else 0.95,
        ema=0.98 if short else 0.99,
    )
