"""Owns how what was exported is run here: each as the device's stages run a model, pixels in and raw outputs out.

The exported programs give scores; a temperature makes logits of them again, up to a constant that no softmax sees.
Knows no decision.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge.core.observe import Invoke
from training.phone.converters import quiet
from training.phone.coreml import BOX, PICTURE, SCORES

if TYPE_CHECKING:
    import keras

Tensor = NDArray[np.uint8]
Outputs = Sequence[NDArray[np.float32]]


def onnx(model: bytes, temperature: float) -> Invoke:
    """An ONNX file of ours in onnxruntime, on one thread of the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def invoke(tensor: Tensor) -> Outputs:
        scores, *places = session.run(names, {PICTURE: tensor})
        return [scores * np.float32(temperature), *places]

    return invoke


def floating(model: keras.Model) -> Invoke:
    """The float network in Keras, of which the Core ML program is made."""
    from training.learn import network

    def invoke(tensor: Tensor) -> Outputs:
        outputs = model.predict_on_batch(network.inputs(tensor))
        return [outputs["logits"], outputs["box"]]

    return invoke


def runs_core_ml() -> bool:
    """Whether this computer can run Core ML: only Apple's can."""
    return sys.platform == "darwin"


def core_ml(package: Path, temperature: float, units: str = "ALL") -> Invoke:
    """A Core ML package of ours, on a Mac; `units` as coremltools.ComputeUnit names them."""
    with quiet():
        import coremltools as ct

        model: Any = ct.models.MLModel(str(package), compute_units=ct.ComputeUnit[units])
    from PIL import Image

    def invoke(tensor: Tensor) -> Outputs:
        found = model.predict({PICTURE: Image.fromarray(tensor[0])})
        return [np.asarray(found[SCORES], np.float32) * np.float32(temperature), np.asarray(found[BOX], np.float32)]

    return invoke
