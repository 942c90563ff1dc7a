"""Owns the way from a bundle's int8 model to an ONNX file: picture in, scores and the note's place out.

It is the device's own int8 model, operation by operation, not the float network: docs/decisions/0015. Around it stand
the driver's table of pixels and what `edge.core.classify` makes of the logits. Knows no frame and no decision.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edge.core.bundle import MODEL, Bundle
from edge.drivers import tflite
from training.errors import TrainingError
from training.phone import facts
from training.phone.converters import FAILURES, first_line, quiet

OPSET = 17  # what runtimes on phones have known since 2022
PICTURE, SCORES, BOX = "picture", "scores", "box"


def convert(bundle: Bundle, told: dict[str, str]) -> bytes:
    """The ONNX model of `bundle`; `told` becomes its metadata. Raises TrainingError."""
    try:
        with quiet():
            import onnx
            import tf2onnx.convert

            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / MODEL
                file.write_bytes(bundle.model)
                model, _ = tf2onnx.convert.from_tflite(str(file), opset=OPSET)
            _surround(onnx, model, bundle)
            onnx.helper.set_model_props(model, told)
            model.doc_string = facts.summary(bundle)
            onnx.checker.check_model(model, full_check=True)
            return bytes(model.SerializeToString())
    except FAILURES as error:
        raise TrainingError(f"{bundle.path} cannot be converted to ONNX: {first_line(error)}") from error


def _surround(onnx: Any, model: Any, bundle: Bundle) -> None:
    """Give the graph a picture of bytes as its input, and scores and box as its outputs."""
    graph, helper, kinds = model.graph, onnx.helper, onnx.TensorProto
    interpreter = Interpreter(model_content=bundle.model)
    entry = interpreter.get_input_details()[0]
    logits, *rest = tflite.logits_first(interpreter)
    places = rest[:1] if bundle.manifest.has_box else []
    nodes = [
        helper.make_node("Cast", [PICTURE], ["pixel"], to=kinds.INT32),
        helper.make_node("Gather", ["pixel_table", "pixel"], [entry["name"]], axis=0),
        *graph.node,
        _real(onnx, graph, logits, "logits"),
        helper.make_node("Div", ["logits", "temperature"], ["softened"]),
        helper.make_node("LogSoftmax", ["softened"], [SCORES], axis=-1),
        *(_real(onnx, graph, place, BOX) for place in places),
    ]
    _constant(onnx, graph, "pixel_table", tflite.input_table(entry))
    _constant(onnx, graph, "temperature", np.array(bundle.manifest.decision.temperature, np.float32))
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    shapes = {SCORES: len(bundle.labels)} | ({BOX: tflite.BOX_WIDTH} if places else {})
    size = [1, *(int(side) for side in entry["shape"][1:])]
    graph.input.append(helper.make_tensor_value_info(PICTURE, kinds.UINT8, size))
    graph.output.extend(helper.make_tensor_value_info(name, kinds.FLOAT, [1, n]) for name, n in shapes.items())


def _real(onnx: Any, graph: Any, detail: dict[str, Any], name: str) -> Any:
    """The node that makes real numbers called `name` of an output of the int8 model."""
    if np.dtype(detail["dtype"]) == np.float32:
        return onnx.helper.make_node("Identity", [detail["name"]], [name])
    scale, zero_point = detail["quantization"]
    _constant(onnx, graph, f"{name}_scale", np.array(scale, np.float32))
    _constant(onnx, graph, f"{name}_zero_point", np.array(zero_point, detail["dtype"]))
    return onnx.helper.make_node("DequantizeLinear", [detail["name"], f"{name}_scale", f"{name}_zero_point"], [name])


def _constant(onnx: Any, graph: Any, name: str, value: NDArray[Any]) -> None:
    graph.initializer.append(onnx.numpy_helper.from_array(value, name))
