"""Owns the evidence against money that was never learnt: how unlike the notes that were a picture is, within the graph.

What the trunk gives out before its last block is averaged over the picture, measured against how it spreads within one
amount (whitened) and brought to length one. The less it points the way of an amount's own notes, the more that amount
loses of its logit: docs/decisions/0020. It is layers like all others, so whatever runs a bundle has it. Knows no
photograph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge.core.bundle import RESERVED
from training.errors import TrainingError
from training.learn import network

MIDDLE = "block_15_add"  # of MobileNetV2: the layers before tell less of what a note is, those after forget all else
SHRINK = 0.05  # of the covariance, towards that of independent features: few pictures cannot tell small spreads
# Of held-out looks: so many are less alike than what loses nothing, and one as unlike as the second loses so much.
LOSING, RARE, LOST = 0.2, 0.01, 2.3  # a logit counts as in a network that learnt with label smoothing
MOST_PRICE = 20.0  # of each unit of cosine that is missing, where hardly any look is held out

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Familiar:
    """Weights of two dense layers with a norm between them."""

    whitening: Floats  # (features, features)
    offset: Floats  # (features,)
    kernel: Floats  # (features, labels)
    bias: Floats  # (labels,)


def width(model: keras.Model) -> int | None:
    """How many features are looked at; None for a trunk that has no such block."""
    layers = {layer.name: layer for layer in model.get_layer("trunk").layers}
    return int(layers[MIDDLE].output.shape[-1]) if MIDDLE in layers else None


def features(model: keras.Model, pictures: NDArray[np.uint8]) -> Floats:
    """What is looked at, (n, features), for uint8 pictures (n, size, size, 3)."""
    trunk = model.get_layer("trunk")
    pooled = keras.layers.GlobalAveragePooling2D()(trunk.get_layer(MIDDLE).output)
    return network.answers(keras.Model(trunk.input, {"features": pooled}), pictures)["features"]


@dataclass(frozen=True)
class Seen:
    """Features (n, features) of looks, and the labels (n,) of what they show: amounts alone."""

    features: Floats
    truth: NDArray[np.int64]


def learnt(composed: Seen, real: Seen, held: Seen, labels: Sequence[str]) -> Familiar:
    """How features spread within an amount from `composed` looks, where amounts lie from `real` ones.

    What light, lens and hand do to a note spreads widest in composed looks; a note itself is what photographs show.
    `held` ones say how unlike one may be. Raises TrainingError where an amount has no real look or no composed one.
    """
    amounts = [index for index, label in enumerate(labels) if label not in RESERVED]
    for index in amounts:
        if not ((composed.truth == index).any() and (real.truth == index).any()):
            raise TrainingError(f"nothing is left to see of {labels[index]}: its photographs show too little of a note")
    means = {index: composed.features[composed.truth == index].mean(axis=0, dtype=np.float64) for index in amounts}
    within = composed.features - np.stack([means[index] for index in composed.truth])
    spread = np.cov(within.T)
    spread = (1 - SHRINK) * spread + SHRINK * np.trace(spread) / len(spread) * np.eye(len(spread))
    values, axes = np.linalg.eigh(spread)
    whitening = axes / np.sqrt(values) @ axes.T
    offset = -np.mean(list(means.values()), axis=0) @ whitening
    directions = _units(real.features @ whitening + offset)
    own = _units(np.stack([directions[real.truth == index].mean(axis=0) for index in amounts]))
    alike = (_units(held.features @ whitening + offset) @ own.T)[
        np.arange(len(held.truth)), [amounts.index(index) for index in held.truth]
    ]
    enough, rare = np.quantile(alike, (LOSING, RARE))
    price = min(MOST_PRICE, LOST / max(enough - rare, 1e-6))
    kernel, bias = np.zeros((len(spread), len(labels))), np.zeros(len(labels))
    kernel[:, amounts], bias[amounts] = -price * own.T, price * enough
    return Familiar(*(np.asarray(part, np.float32) for part in (whitening, offset, kernel, bias)))


def _units(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def attached(model: keras.Model, familiar: Familiar) -> keras.Model:
    """The same network, sharing its layers, whose logits are lowered for amounts that the picture is unlike."""
    trunk, picture = model.get_layer("trunk"), keras.Input(model.input_shape[1:], name="picture")
    both = keras.Model(trunk.input, [trunk.output, trunk.get_layer(MIDDLE).output], name="trunk")
    last, middle = both(picture)
    whitened = keras.layers.Dense(len(familiar.offset), name="whitened")
    unlike = keras.layers.Dense(len(familiar.bias), activation="relu", name="unlike")
    lost = unlike(_Unit(name="unit")(whitened(keras.layers.GlobalAveragePooling2D(name="middle")(middle))))
    plain = network.heads(model, last)
    logits = keras.layers.Subtract(name="familiar")([plain["logits"], lost])
    whitened.set_weights([familiar.whitening, familiar.offset])
    unlike.set_weights([familiar.kernel, familiar.bias])
    return keras.Model(picture, {**plain, "logits": logits}, name=model.name)


class _Unit(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Vectors of length one; written so that TFLite's converter sees the one integer operation that this is."""

    def call(self, vectors: Any) -> Any:
        squares = keras.ops.sum(keras.ops.square(vectors), axis=-1, keepdims=True)
        return vectors * keras.ops.rsqrt(keras.ops.maximum(squares, 1e-12))
