"""Owns reading a TensorFlow Lite file: the layers with weights, in the order they are run. Knows no network by name."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from training.errors import TrainingError

OPERATORS = schema.BuiltinOperator
WEIGHTED = (OPERATORS.CONV_2D, OPERATORS.DEPTHWISE_CONV_2D, OPERATORS.FULLY_CONNECTED)


@dataclass(frozen=True)
class Layer:
    """A convolution or fully connected layer; tensors and buffers are the file format's own objects."""

    kind: int  # one of WEIGHTED
    activation: int  # fused into it: schema.ActivationFunctionType
    output: int  # index of its output tensor
    output_tensor: Any
    kernel_tensor: Any
    bias_tensor: Any  # None where it has none
    buffers: Any  # of the whole model, by the tensors' `buffer`


def layers(model: bytes) -> list[Layer]:
    """Every layer with weights. Raises TrainingError if `model` is no TensorFlow Lite model."""
    try:
        root = schema.ModelT.InitFromPackedBuf(model, 0)
        graph = root.subgraphs[0]
    except (TypeError, IndexError, AttributeError, struct.error, UnicodeDecodeError) as error:
        raise TrainingError("this is no TensorFlow Lite model") from error
    found = []
    for operator in graph.operators:
        code = root.operatorCodes[operator.opcodeIndex]
        # Old converters write small codes into the first field, new ones into the second.
        kind = max(code.builtinCode, code.deprecatedBuiltinCode)
        if kind not in WEIGHTED:
            continue
        bias = operator.inputs[2] if len(operator.inputs) > 2 else -1
        found.append(
            Layer(
                kind,
                operator.builtinOptions.fusedActivationFunction,
                int(operator.outputs[0]),
                graph.tensors[operator.outputs[0]],
                graph.tensors[operator.inputs[1]],
                graph.tensors[bias] if bias >= 0 else None,
                root.buffers,
            )
        )
    return found
