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


def unpacked(model: bytes) -> Any:
    """The file format's own objects, which may be changed. Raises TrainingError if it is no TensorFlow Lite model."""
    try:
        root = schema.ModelT.InitFromPackedBuf(model, 0)
        root.subgraphs[0].operators[0]
    except (TypeError, IndexError, AttributeError, struct.error, UnicodeDecodeError) as error:
        raise TrainingError("this is no TensorFlow Lite model") from error
    return root


def places(root: Any) -> list[int]:
    """Where among the operators of an `unpacked` model those with weights stand, in the order they are run."""
    return [place for place, operator in enumerate(root.subgraphs[0].operators) if _kind(root, operator) in WEIGHTED]


def _kind(root: Any, operator: Any) -> int:
    code = root.operatorCodes[operator.opcodeIndex]
    # Old converters write small codes into the first field, new ones into the second.
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def layers(model: bytes) -> list[Layer]:
    """Every layer with weights. Raises TrainingError if `model` is no TensorFlow Lite model."""
    root = unpacked(model)
    graph = root.subgraphs[0]
    found = []
    for place in places(root):
        operator = graph.operators[place]
        bias = operator.inputs[2] if len(operator.inputs) > 2 else -1
        found.append(
            Layer(
                _kind(root, operator),
                operator.builtinOptions.fusedActivationFunction,
                int(operator.outputs[0]),
                graph.tensors[operator.outputs[0]],
                graph.tensors[operator.inputs[1]],
                graph.tensors[bias] if bias >= 0 else None,
                root.buffers,
            )
        )
    return found
