"""Owns the way from a trained Keras model to a full-integer TFLite model, and the gate it has to pass.

Needs the TensorFlow backend; the inference that judges the result is the device's own driver.
"""

from __future__ import annotations

import contextlib
import io
import logging
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge.drivers.tflite import TfliteEngine
from training.errors import TrainingError

LEAST_AGREEMENT = 0.99  # int8 against float, best label
MOST_LOSS = 0.005  # of accuracy


@dataclass(frozen=True)
class Parity:
    """How far int8 and float differ on the same pictures."""

    agreement: float  # share of pictures with the same best label
    float_accuracy: float
    int8_accuracy: float

    def gate(self) -> None:
        """Raises TrainingError when quantisation cost too much."""
        if self.agreement < LEAST_AGREEMENT or self.float_accuracy - self.int8_accuracy > MOST_LOSS:
            raise TrainingError(
                f"int8 differs too much from float: agreement {self.agreement:.4f} (at least {LEAST_AGREEMENT}), "
                f"accuracy {self.float_accuracy:.4f} to {self.int8_accuracy:.4f} (at most {MOST_LOSS} lost)"
            )


def to_int8(model: keras.Model, representative: NDArray[np.uint8]) -> bytes:
    """The model with int8 weights (per channel), activations, input and outputs.

    `representative`: (n, size, size, 3) uint8 pictures that look like use; they set the activations' ranges.
    """
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        raise TrainingError("export to TFLite needs KERAS_BACKEND=tensorflow")
    fixed = keras.Input((*model.input_shape[1:3], 3), batch_size=1, name="picture")
    outputs = model(fixed, training=False)
    flat = keras.Model(fixed, [outputs["logits"], outputs["box"]])
    converter = tf.lite.TFLiteConverter.from_keras_model(flat)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([p[None].astype(np.float32) / 127.5 - 1] for p in representative)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):
        converted: bytes = converter.convert()
    return converted


def float_logits(model: Any, pictures: NDArray[np.uint8], batch: int = 32) -> NDArray[np.float32]:
    """(n, labels) of the float model."""
    parts = []
    for start in range(0, len(pictures), batch):
        inputs = pictures[start : start + batch].astype(np.float32) / 127.5 - 1
        parts.append(keras.ops.convert_to_numpy(model(inputs, training=False)["logits"]))
    return np.concatenate(parts)


def int8_logits(model: bytes, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, labels) of the int8 model through the device's driver."""
    engine = TfliteEngine(model, threads=1)
    try:
        return np.concatenate([engine.invoke(picture[None])[0].copy() for picture in pictures])
    finally:
        engine.close()


def parity(float_: NDArray[np.float32], int8: NDArray[np.float32], truth: NDArray[np.int64]) -> Parity:
    """Compare logits (n, labels) of both on pictures whose labels are `truth` (n,)."""
    best_float, best_int8 = float_.argmax(axis=1), int8.argmax(axis=1)
    return Parity(
        float((best_float == best_int8).mean()), float((best_float == truth).mean()), float((best_int8 == truth).mean())
    )
