"""Owns the way from a trained Keras model to a full-integer TFLite model, and the gate it has to pass.

Rounding weights shifts the mean of what a layer gives out, and the shifts add up from layer to layer. They are measured
and taken back in the biases (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
2019, section 4.2, with pictures instead of statistics): docs/decisions/0003 has what that gains.
Needs the TensorFlow backend; the inference that judges the result is the device's own driver.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from edge.drivers.tflite import TfliteEngine
from training.errors import TrainingError
from training.learn import modelfile

LEAST_AGREEMENT = 0.99  # int8 against float, best label
MOST_LOSS = 0.005  # of accuracy
MEASURED = 150  # pictures on which shifts are measured: their means change little with more


@dataclass(frozen=True)
class Parity:
    """How far int8 and float differ on the same pictures, counted."""

    pictures: int
    agreed: int  # have the same best label
    float_right: int
    int8_right: int

    @property
    def agreement(self) -> float:
        """The share of pictures with the same best label."""
        return self.agreed / self.pictures

    @property
    def float_accuracy(self) -> float:
        """The share that the float model is right on."""
        return self.float_right / self.pictures

    @property
    def int8_accuracy(self) -> float:
        """The share that the int8 model is right on."""
        return self.int8_right / self.pictures

    def gate(self) -> None:
        """Raises TrainingError when quantisation cost too much."""
        if self.agreement < LEAST_AGREEMENT or self.float_accuracy - self.int8_accuracy > MOST_LOSS:
            raise TrainingError(
                f"int8 differs too much from float: agreement {self.agreement:.4f} (at least {LEAST_AGREEMENT}), "
                f"accuracy {self.float_accuracy:.4f} to {self.int8_accuracy:.4f} (at most {MOST_LOSS} lost)"
            )


def require_backend() -> None:
    """Raises TrainingError where Keras runs on something that TFLite's converter does not take."""
    if keras.backend.backend() != "tensorflow":
        raise TrainingError("export to TFLite needs KERAS_BACKEND=tensorflow")


def to_int8(model: keras.Model, representative: NDArray[np.uint8]) -> bytes:
    """The model with int8 weights (per channel), activations, input and outputs.

    `representative`: (n, size, size, 3) uint8 pictures that look like use; they set the activations' ranges.
    """
    import tensorflow as tf

    require_backend()
    fixed = keras.Input((*model.input_shape[1:3], 3), batch_size=1, name="picture")
    outputs = model(fixed, training=False)
    flat = keras.Model(fixed, [outputs["logits"], outputs["box"]])
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    inputs = [picture[None].astype(np.float32) / 127.5 - 1 for picture in representative]
    with contextlib.redirect_stdout(io.StringIO()):
        reference: bytes = tf.lite.TFLiteConverter.from_keras_model(flat).convert()
        converter = tf.lite.TFLiteConverter.from_keras_model(flat)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([tensor] for tensor in inputs)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        converted: bytes = converter.convert()
    return with_biases_corrected(converted, reference, inputs[:: max(1, len(inputs) // MEASURED)])


def with_biases_corrected(int8: bytes, reference: bytes, inputs: Sequence[NDArray[np.float32]]) -> bytes:
    """`int8` with biases such that each layer's output has the mean it has in the float model `reference`.

    `inputs`: float (1, size, size, 3) each. Layers with an activation are left alone: the mean after a clipping says
    little about the one before, and the linear layers that follow take back what they shift.
    """
    corrected = bytearray(int8)
    view = schema.Model.GetRootAsModel(corrected, 0)
    layers, wanted = linear_layers(int8), linear_layers(reference)
    if [layer.channels for layer in layers] != [layer.channels for layer in wanted]:
        raise TrainingError("the int8 model has other layers than the float one: its biases cannot be compared")
    means = _means(reference, wanted, inputs)
    # One after the other: each sees what those before it still get wrong.
    for layer, mean in zip(layers, means, strict=True):
        shift = mean - _means(bytes(corrected), [layer], inputs)[0]
        biases = view.Buffers(layer.bias_buffer).DataAsNumpy().view("<i4")  # a view: writing changes `corrected`
        biases += np.round(shift / layer.bias_scale).astype(np.int32)
    return bytes(corrected)


@dataclass(frozen=True)
class Linear:
    """A layer without an activation, and how its numbers are to be read."""

    output: int  # its tensor
    channels: int
    scale: float  # of the output; 1.0 where it is float
    zero_point: int
    bias_buffer: int
    bias_scale: NDArray[np.float64]  # (channels,)


def linear_layers(model: bytes) -> list[Linear]:
    """The layers of a TFLite model that have weights and no activation, in the order they are run."""
    found = []
    for layer in modelfile.layers(model):
        if layer.activation == schema.ActivationFunctionType.NONE:
            scale, zero = _quantization(layer.output_tensor)
            bias_scale, _ = _quantization(layer.bias_tensor)
            channels = int(layer.output_tensor.shape[-1])
            found.append(Linear(layer.output, channels, scale[0], zero, layer.bias_tensor.buffer, bias_scale))
    return found


def _quantization(tensor: Any) -> tuple[NDArray[np.float64], int]:
    found = tensor.quantization
    if found is None or found.scale is None or not len(found.scale):
        return np.ones(1), 0
    return np.asarray(found.scale, np.float64), int(found.zeroPoint[0])


def _means(model: bytes, layers: Sequence[Linear], inputs: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float64]]:
    """Mean output of each channel of each layer, (channels,), dequantised."""
    interpreter = Interpreter(
        model_content=model,
        # A delegate would keep what lies between the layers to itself.
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]
    sums = [np.zeros(layer.channels) for layer in layers]
    for tensor in inputs:
        interpreter.set_tensor(entry["index"], _as_input(tensor, entry))
        interpreter.invoke()
        for total, layer in zip(sums, layers, strict=True):
            values = interpreter.get_tensor(layer.output).astype(np.float64).reshape(-1, layer.channels)
            total += (values.mean(axis=0) - layer.zero_point) * layer.scale
    return [total / len(inputs) for total in sums]


def _as_input(tensor: NDArray[np.float32], entry: dict[str, Any]) -> NDArray[Any]:
    if entry["dtype"] != np.int8:
        return tensor
    scale, zero = entry["quantization"]
    return np.asarray(np.clip(np.round(tensor / scale) + zero, -128, 127)).astype(np.int8)


def int8_outputs(model: bytes, pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits (n, labels) and places (n, 5) of the int8 model through the device's driver."""
    engine = TfliteEngine(model, threads=1)
    try:
        outputs = [[output.copy() for output in engine.invoke(picture[None])] for picture in pictures]
    finally:
        engine.close()
    return np.concatenate([logits for logits, _ in outputs]), np.concatenate([place for _, place in outputs])


def parity(float_: NDArray[np.float32], int8: NDArray[np.float32], truth: NDArray[np.int64]) -> Parity:
    """Compare logits (n, labels) of both on pictures whose labels are `truth` (n,)."""
    best_float, best_int8 = float_.argmax(axis=1), int8.argmax(axis=1)
    return Parity(
        len(truth),
        agreed=int((best_float == best_int8).sum()),
        float_right=int((best_float == truth).sum()),
        int8_right=int((best_int8 == truth).sum()),
    )
