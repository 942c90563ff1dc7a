"""Owns what a training can be told, and every default of it. Knows no Keras."""

from __future__ import annotations

import enum
from dataclasses import dataclass


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


class Only(enum.Enum):
    """Of what notes samples are composed."""

    CUT_OUTS = "cut-outs"
    PHOTOGRAPHS = "photographs"
