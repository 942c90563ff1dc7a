"""Owns which labels the other pictures do not confirm, and how pictures of one class fall into groups. Opens no file
but the network's; knows no folder.

A frozen network describes each picture; a multinomial logistic regression learns the labels from those descriptions
on four fifths of the near-duplicate clusters and judges the last fifth, five times. What it is sure of against the
label is to be looked at. scipy's minimiser does it in seconds, so scikit-learn is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from scipy.optimize import minimize

from training.errors import TrainingError

Features = NDArray[np.float32]  # (n, values)
Chances = NDArray[np.floating[Any]]  # (n, labels) probabilities
FOLDS = 5
DIRECTIONS = 256  # principal directions kept: beyond them the descriptions hold backgrounds and noise
PENALTY = 1e-3  # on the squared weights
SURE = 0.88  # of a spread name: on 280 looked-at pictures of rupees none above it was wrong
FEWEST_NAMED = 20  # pictures of each series, before their names are spread over a class
SIDE_PX = 96  # the smallest that ImageNet's MobileNetV2 weights were trained for; 8,000 pictures in a few minutes


def describe(
    pictures: Sequence[NDArray[np.uint8]], weights: Path, tick: Callable[[int], None] = lambda n: None, batch: int = 64
) -> Features:
    """(n, 1280) of the frozen MobileNetV2 whose weights without the top lie in `weights`; pictures: 96 px squares."""
    import keras

    if not weights.is_file():
        raise TrainingError(f"there is no weights file {weights}")
    try:
        network = keras.applications.MobileNetV2(
            input_shape=(SIDE_PX, SIDE_PX, 3), include_top=False, weights=str(weights), pooling="avg"
        )
    except (ValueError, OSError) as error:
        raise TrainingError(
            f"{weights} holds no MobileNetV2 1.0 without the top: {str(error).splitlines()[0]}"
        ) from None
    parts = []
    for start in range(0, len(pictures), batch):
        inputs = np.stack(pictures[start : start + batch]).astype(np.float32) / 127.5 - 1
        parts.append(network.predict_on_batch(inputs))
        tick(min(start + batch, len(pictures)))
    return np.concatenate(parts)


def reduced(features: Features) -> Features:
    """The same descriptions of one length each, in their principal directions."""
    rows = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    rows = rows - rows.mean(axis=0)
    _, directions = np.linalg.eigh(rows.T @ rows)
    kept = rows @ directions[:, ::-1][:, :DIRECTIONS]
    return np.asarray(kept / max(float(kept.std(axis=0).max()), 1e-9)).astype(np.float32)


def out_of_fold(features: Features, labels: NDArray[np.int64], clusters: Sequence[str], seed: int) -> Chances:
    """(n, labels) probabilities, each by a model that never saw the picture or a near-duplicate of it."""
    names, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    folds = np.random.default_rng(seed).permutation(len(names))[cluster] % FOLDS
    result = np.zeros((len(labels), int(labels.max()) + 1))
    for fold in range(FOLDS):
        inside = folds == fold
        if inside.any() and not inside.all():
            result[inside] = learnt(features[~inside], labels[~inside], result.shape[1])(features[inside])
    return result


def learnt(features: Features, labels: NDArray[np.int64], count: int) -> Callable[[Features], Chances]:
    """A function from descriptions to (n, count) probabilities, learnt from these labels."""
    ones = np.ones((len(features), 1), np.float32)
    rows, truth = np.hstack([features, ones]), np.eye(count, dtype=np.float32)[labels]

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(-1, count)
        chance = _softmax(rows @ weights.astype(np.float32))
        slope = rows.T @ (chance - truth) / len(rows)
        slope[:-1] += PENALTY * weights[:-1]
        likelihood = np.log(chance[np.arange(len(rows)), labels] + 1e-9).mean()
        return float(PENALTY * (weights[:-1] ** 2).sum() / 2 - likelihood), slope.ravel().astype(np.float64)

    start = np.zeros(rows.shape[1] * count)
    weights = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 150}).x.reshape(-1, count)
    return lambda new: _softmax(new @ weights[:-1] + weights[-1])


def _softmax(logits: NDArray[Any]) -> Chances:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def grouped(features: Features, count: int, seed: int) -> NDArray[np.int64]:
    """For each picture the number of its group, of at most `count`, by k-means."""
    count = min(count, len(features))
    _, group = kmeans2(features[:, :48].astype(np.float64), count, minit="++", seed=seed, iter=40, missing="warn")
    return np.asarray(group).astype(np.int64)


def spread(features: Features, names: Sequence[str]) -> list[str]:
    """The names with the empty ones filled in where the named pictures of the class leave no doubt."""
    kinds = sorted({name for name in names if name})
    numbered = np.array([kinds.index(name) if name else -1 for name in names])
    if len(kinds) < 2 or min(np.bincount(numbered[numbered >= 0])) < FEWEST_NAMED:
        return list(names)
    chances = learnt(features[numbered >= 0], numbered[numbered >= 0], len(kinds))(features)
    best, sure = chances.argmax(axis=1), chances.max(axis=1) >= SURE
    return [name or (kinds[best[i]] if sure[i] else "") for i, name in enumerate(names)]
