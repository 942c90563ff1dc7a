"""Owns the network: a MobileNet trunk with two heads, class logits and the note's place. Knows no data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError
from training.learn.settings import TINY, TRUNKS

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
    parts = []
    for start in range(0, len(pictures), batch):
        shown = pictures[start : start + batch]
        # Always as many: a compiled function is compiled anew for another shape.
        full = np.concatenate([shown, np.zeros((batch - len(shown), *shown.shape[1:]), np.uint8)])
        parts.append(model.predict_on_batch(inputs(full))["logits"][: len(shown)])
    return np.concatenate(parts)
