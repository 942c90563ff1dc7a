"""Owns the way back from a bundle's int8 model to a float network that can be trained on. Knows no data.

Export folds each batch normalisation into the convolution before it. Going back, the folded weights stay in the
convolution and the normalisation is set so that it changes nothing for the pictures it is shown: mean and variance
are measured on them, gamma undoes the variance, beta the mean, plus the folded bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from training.errors import TrainingError
from training.learn import familiar, modelfile, network

Floats = NDArray[np.float32]
Pairs = list[tuple[keras.Layer, keras.layers.BatchNormalization]]
WIDEST = 4.0  # of a trunk: a manifest that asks for more would take the memory for it
PLACE_HEADS = "place", "box"
HEADS = "logits", *PLACE_HEADS


@dataclass(frozen=True)
class Folded:
    """Weights of one operation of a TFLite model, dequantised, in Keras' order of axes."""

    kernel: Floats  # (h, w, in, out), depthwise (h, w, channels, 1), dense (in, out)
    bias: Floats  # (out,)


def begin(model: keras.Model, folder: Path, currency: str, labels: Sequence[str], pictures: NDArray[np.uint8]) -> None:
    """Set the weights of `model` to those of the bundle in `folder`, or of the float network in a run's model.keras.

    `pictures` (n, size, size, 3) show what training will: the normalisations are set on them. Where a note lies is seen
    alike in every currency: that head is taken. The one of the amounts is taken too where the bundle is one of the same
    `currency`: what it says of a label that stays is kept, a new one begins as unlikely as its least likely.
    Raises BundleError, and TrainingError where the networks differ.
    """
    if folder.suffix == ".keras":
        network.take(model, folder)
        return
    bundle = bundles.read(folder)
    trunk = model.get_layer("trunk")
    pairs = _pairs(trunk)
    heads = _take_trunk(pairs, folder, read_weights(bundle.model))
    _settle(trunk, pairs, pictures)
    names = HEADS if bundle.manifest.currency == currency else PLACE_HEADS
    _take_heads(model, names, heads, bundle.labels, labels)


def restored(bundle: Bundle) -> keras.Model:
    """The float network of a bundle, for those who run it: as the int8 one, but that nothing in between is rounded.

    Each normalisation adds the folded bias, whatever it is shown. Raises TrainingError where the bundle's network is
    none that this trainer builds.
    """
    trunk, width = bundle.manifest.training.get("trunk"), bundle.manifest.training.get("width")
    if not isinstance(trunk, str) or not isinstance(width, int | float) or not 0 < width <= WIDEST:
        raise TrainingError(f"{bundle.path} does not say what network it holds: its manifest names no trunk and width")
    size, labels = bundle.manifest.input, bundle.labels
    if size.height != size.width:
        raise TrainingError(f"{bundle.path} holds another network: one for pictures of {size.width} x {size.height}")
    model = network.build(trunk, width, size.height, len(labels), None, 0.0)
    heads = _take_trunk(_pairs(model.get_layer("trunk")), bundle.path, read_weights(bundle.model))
    if missing := set(HEADS) - _take_heads(model, HEADS, heads, labels, labels):
        raise TrainingError(f"{bundle.path} holds another network: it has no head for {' and '.join(sorted(missing))}")
    return _wary(model, heads)


def _wary(model: keras.Model, heads: list[Folded]) -> keras.Model:
    """`model` with what lowers its logits for notes that it does not know, where a bundle has that."""
    width = familiar.width(model)
    shapes = (width, width), (width, model.output["logits"].shape[-1])
    found = [[head for head in heads if head.kernel.shape == shape] for shape in shapes]
    if width is None or not all(found):
        return model
    (whitening,), (unlike,) = found
    known = familiar.Familiar(whitening.kernel, whitening.bias, unlike.kernel, unlike.bias)
    return familiar.attached(model, known)


def _take_trunk(pairs: Pairs, folder: Path, operations: list[Folded]) -> list[Folded]:
    """Set the trunk's weights; what is left is of the heads and of what looks at the trunk's middle."""
    # Whatever is dense is none of the trunk's, though it may be run before the trunk's end.
    operations = sorted(operations, key=lambda folded: folded.kernel.ndim == 2)
    for (convolution, normalisation), folded in zip(pairs, operations, strict=False):
        if tuple(convolution.kernel.shape) != folded.kernel.shape:
            raise TrainingError(f"{folder} holds another network: {convolution.name} does not fit")
        convolution.set_weights([folded.kernel])
        ones = np.ones_like(folded.bias)
        normalisation.set_weights([ones, folded.bias, 0 * ones, ones - normalisation.epsilon])
    if len(operations) < len(pairs):
        raise TrainingError(f"{folder} holds another network: it has {len(operations)} layers, not {len(pairs)}")
    return operations[len(pairs) :]


def read_weights(model: bytes) -> list[Folded]:
    """The weights of every convolution and dense layer of an int8 TFLite model, in the order they are run."""
    return [
        Folded(
            _keras_order(_dequantised(layer.kernel_tensor, layer.buffers), layer.kind),
            _dequantised(layer.bias_tensor, layer.buffers),
        )
        for layer in modelfile.layers(model)
    ]


def _dequantised(tensor: Any, buffers: Any) -> Floats:
    kinds = {0: np.float32, 2: np.int32, 9: np.int8}
    raw = np.frombuffer(bytes(buffers[tensor.buffer].data), kinds[tensor.type]).reshape(tensor.shape)
    if raw.dtype == np.float32:
        return raw.copy()
    scale = np.asarray(tensor.quantization.scale, np.float32)
    shape = [1] * raw.ndim
    shape[tensor.quantization.quantizedDimension] = len(scale)
    scale = scale.reshape(shape) if len(scale) > 1 else scale
    return (raw * scale).astype(np.float32)  # weights and biases are symmetric: no zero point


def _keras_order(kernel: Floats, kind: int) -> Floats:
    dense = kind == modelfile.OPERATORS.FULLY_CONNECTED
    return np.ascontiguousarray(kernel.T if dense else kernel.transpose(1, 2, 3, 0))


def _pairs(trunk: keras.Model) -> Pairs:
    """Each convolution of the trunk with the normalisation that follows it."""
    pairs, waiting = [], None
    for layer in trunk.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            waiting = layer
        elif isinstance(layer, keras.layers.BatchNormalization) and waiting is not None:
            pairs.append((waiting, layer))
            waiting = None
    return pairs


def _settle(trunk: keras.Model, pairs: Pairs, pictures: NDArray[np.uint8]) -> None:
    """Measure what reaches each normalisation and set it to change nothing for such pictures."""
    probe = keras.Model(trunk.input, [convolution.output for convolution, _ in pairs])
    sums = [np.zeros((2, layer.gamma.shape[0])) for _, layer in pairs]
    counts = [0] * len(pairs)
    for start in range(0, len(pictures), 16):
        inputs = pictures[start : start + 16].astype(np.float32) / 127.5 - 1
        for index, output in enumerate(probe(inputs, training=False)):
            values = keras.ops.convert_to_numpy(output).astype(np.float64)
            values = values.reshape(-1, values.shape[-1])
            sums[index] += np.stack([values.sum(axis=0), (values**2).sum(axis=0)])
            counts[index] += len(values)
    for (_, layer), (total, squares), count in zip(pairs, sums, counts, strict=True):
        mean = total / count
        variance = np.maximum(squares / count - mean**2, 0.0)
        bias = keras.ops.convert_to_numpy(layer.beta)
        layer.set_weights([np.sqrt(variance + layer.epsilon), bias + mean, mean, variance])


def _take_heads(
    model: keras.Model, names: Sequence[str], heads: list[Folded], before: tuple[str, ...], labels: Sequence[str]
) -> set[str]:
    """Set those heads with these names to those of a bundle with the labels `before`; the names of the ones it has."""
    taken = set()
    for name in names:
        layer = model.get_layer(name)
        wanted = tuple(layer.kernel.shape)
        if name == "logits":
            wanted = (*wanted[:-1], len(before))
        fitting = [head for head in heads if head.kernel.shape == wanted]
        if len(fitting) == 1:
            head = _relabelled(fitting[0], before, labels) if name == "logits" else fitting[0]
            layer.set_weights([head.kernel, head.bias])
            taken.add(name)
    return taken


def _relabelled(head: Folded, before: tuple[str, ...], labels: Sequence[str]) -> Folded:
    """What the head says of each of `labels`, in their order."""
    kernel = np.zeros((len(head.kernel), len(labels)), np.float32)
    bias = np.full(len(labels), head.bias.min(), np.float32)
    for column, label in enumerate(labels):
        if label in before:
            kernel[:, column], bias[column] = head.kernel[:, before.index(label)], head.bias[before.index(label)]
    return Folded(kernel, bias)
