"""Owns the network: a MobileNet trunk with two heads, class logits and the note's place. Knows no data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError
from training.learn.settings import TINY, TRUNKS

HEADS = "pool", "dropout", "logits", "place", "flat", "box"  # what stands on the trunk
BOX_CHANNELS = 24  # of the 1x1 convolution before the place head: enough to point, hardly any cost


def build(trunk: str, width: float, size: int, labels: int, weights: Path | str | None, dropout: float) -> keras.Model:
    """A model from (size, size, 3) RGB in -1..1 to {"logits": (labels,), "box": (5,) in 0..1}.

    `weights`: a file of trunk weights without the top, "imagenet" (keras.applications downloads them) or None.
    Raises TrainingError where they cannot be had or do not fit.
    """
    picture = keras.Input((size, size, 3), name="picture")
    features = _trunk(trunk, width, size, weights)(picture)
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    logits = keras.layers.Dense(labels, name="logits")(keras.layers.Dropout(dropout, name="dropout")(pooled))
    place = keras.layers.Conv2D(BOX_CHANNELS, 1, activation="relu", name="place")(features)
    box = keras.layers.Dense(5, activation="sigmoid", name="box")(keras.layers.Flatten(name="flat")(place))
    return keras.Model(picture, {"logits": logits, "box": box}, name="saynote")


def _trunk(trunk: str, width: float, size: int, weights: Path | str | None) -> keras.Model:
    if trunk == TINY:
        return _tiny(size)
    makers = {
        "mobilenet": keras.applications.MobileNet,
        "mobilenet_v2": keras.applications.MobileNetV2,
        "mobilenet_v3_small": keras.applications.MobileNetV3Small,
        "mobilenet_v3_large": keras.applications.MobileNetV3Large,
    }
    if trunk not in makers:
        raise TrainingError(f"unknown trunk {trunk}; known are {', '.join(TRUNKS)}")
    if isinstance(weights, Path) and not weights.is_file():
        raise TrainingError(f"there is no weights file {weights}")
    options = {"include_preprocessing": False} if "v3" in trunk else {}
    try:
        model = makers[trunk](
            input_shape=(size, size, 3),
            alpha=width,
            include_top=False,
            weights=str(weights) if weights else None,
            **options,
        )
    except (ValueError, OSError) as error:
        raise TrainingError(f"the weights {weights} for {trunk} {width} cannot be used: {first_line(error)}") from error
    model.name = "trunk"
    return model


def _tiny(size: int) -> keras.Model:
    picture = features = keras.Input((size, size, 3))
    for channels in (16, 32, 64, 96):
        features = keras.layers.Conv2D(channels, 3, strides=2, padding="same", use_bias=False)(features)
        features = keras.layers.ReLU(6.0)(keras.layers.BatchNormalization()(features))
    return keras.Model(picture, features, name="trunk")


@dataclass(frozen=True)
class Parts:
    """A network in two: what lies below learns no more, what lies above does. The layers are those of the network."""

    upper: keras.Model  # from what the last layer below gives out, (n, height, width, channels), to both outputs
    weighted_below: int  # layers with weights of their own, normalisations left out, that lie below


def parts(model: keras.Model, last_layers: int) -> Parts:
    """Part `model` before the last layers of its trunk.

    Raises TrainingError where that is within a block: what lies below has to be all that the layers above need, and a
    convolution is not parted from its normalisation.
    """
    layers = model.get_layer("trunk").layers
    begins = [count for count in range(1, len(layers)) if _parts_at(layers, len(layers) - count)]
    if last_layers not in begins:
        near = sorted(sorted(begins, key=lambda count: abs(count - last_layers))[:3])
        raise TrainingError(f"the trunk cannot be parted before its last {last_layers} layers: {near} are possible")
    first = len(layers) - last_layers
    entry = keras.Input(layers[first - 1].output.shape[1:], name="below")
    known = {layers[first - 1].name: entry}
    for layer in layers[first:]:
        needed = [known[name] for name in _needs(layer)]
        known[layer.name] = layer(needed if len(needed) > 1 else needed[0])
    upper = keras.Model(entry, heads(model, known[layers[-1].name]), name="upper")
    kinds = keras.layers.Conv2D | keras.layers.DepthwiseConv2D
    return Parts(upper, sum(isinstance(layer, kinds) for layer in layers[:first]))


def heads(model: keras.Model, features: Any) -> dict[str, Any]:
    """What the heads of `model` make of the last output of a trunk."""
    dropped = model.get_layer("dropout")(model.get_layer("pool")(features))
    flat = model.get_layer("flat")(model.get_layer("place")(features))
    return {"logits": model.get_layer("logits")(dropped), "box": model.get_layer("box")(flat)}


def _parts_at(layers: list[keras.Layer], first: int) -> bool:
    """Whether a block begins at `first`: with a convolution, and all that follows needs the layer before alone."""
    below = {layer.name for layer in layers[:first]}
    needed = {name for layer in layers[first:] for name in _needs(layer)} & below
    return isinstance(layers[first], keras.layers.Conv2D) and needed == {layers[first - 1].name}


def _needs(layer: keras.Layer) -> list[str]:
    """The names of the layers whose output `layer` takes in the trunk."""
    taken = layer.input if isinstance(layer.input, list) else [layer.input]
    return [tensor._keras_history.operation.name for tensor in taken]


def rejoin(model: keras.Model, upper: keras.Model) -> None:
    """Set those weights of `model` that `upper`, one like its own upper part, has learnt."""
    trunk = model.get_layer("trunk")
    own = {layer.name: layer for layer in (*trunk.layers, *model.layers)}
    for layer in upper.layers:
        if layer.weights:
            own[layer.name].set_weights(layer.get_weights())


def first_line(error: Exception) -> str:
    """What an error says first: Keras goes on for pages."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def normalisations(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The batch normalisations of the trunk."""
    layers = model.get_layer("trunk").layers
    return [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]


def take(model: keras.Model, file: Path) -> None:
    """Set the weights of a run's model.keras. Raises TrainingError where it holds another network."""
    try:
        model.set_weights(keras.models.load_model(file, compile=False).get_weights())
    except (OSError, ValueError) as error:
        raise TrainingError(f"{file} holds another network, or none: {first_line(error)}") from error


def inputs(pictures: NDArray[np.uint8]) -> Any:
    """Tensor (n, size, size, 3) float32 in -1..1 of uint8 pictures; they reach a GPU a byte a value."""
    return keras.ops.cast(keras.ops.convert_to_tensor(pictures), "float32") / 127.5 - 1


def logits(model: keras.Model, pictures: NDArray[np.uint8], batch: int = 32) -> NDArray[np.float32]:
    """(n, labels) of the float model for uint8 pictures (n, size, size, 3)."""
    return answers(model, pictures, batch)["logits"]


def answers(model: keras.Model, pictures: NDArray[np.uint8], batch: int = 32) -> dict[str, NDArray[np.float32]]:
    """All outputs of the float model by name, (n, ...) each, for uint8 pictures (n, size, size, 3)."""
    parts = []
    for start in range(0, len(pictures), batch):
        shown = pictures[start : start + batch]
        # Always as many: a compiled function is compiled anew for another shape.
        full = np.concatenate([shown, np.zeros((batch - len(shown), *shown.shape[1:]), np.uint8)])
        found = model.predict_on_batch(inputs(full))
        parts.append({name: values[: len(shown)] for name, values in found.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
