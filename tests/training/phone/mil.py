"""A Core ML program from its files, worked out with numpy: the operations that the networks here use, and no other.

It reads the package as a phone would, the protobuf and the file of weights, and shares no code with what wrote them.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from coremltools.proto import Model_pb2

WEIGHTS_MARK, FLOAT32 = 0xDEADBEEF, 2  # of the entries in weight.bin
Values = dict[str, Any]


@dataclass
class Program:
    """The one function of a package."""

    spec: Any
    inputs: dict[str, tuple[int, ...]]
    outputs: list[str]
    operations: list[Any]
    constants: Values
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)  # that each value is declared to have

    def weighted(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Weight and bias of every layer that has them, in the order in which they are run."""
        inputs = [operation.inputs for operation in self.operations if "weight" in operation.inputs]
        return [(_argument(i["weight"], self.constants), _argument(i["bias"], self.constants)) for i in inputs]

    @property
    def kinds(self) -> set[str]:
        return {operation.type for operation in self.operations}

    def run(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """The outputs for a picture (height, width, 3)."""
        values = self.work_out(pixels)
        return {name: values[name] for name in self.outputs}

    def work_out(self, pixels: np.ndarray) -> Values:
        """Every value for a picture (height, width, 3), which Core ML hands on as (1, 3, height, width)."""
        (name,) = self.inputs
        values: Values = {**self.constants, name: pixels.transpose(2, 0, 1)[None].astype(np.float32)}
        for operation in self.operations:
            given = {key: _argument(argument, values) for key, argument in operation.inputs.items()}
            (output,) = operation.outputs
            found = OPERATIONS[operation.type](**given)
            assert found.shape == self.shapes[output.name], (operation.type, output.name)
            values[output.name] = found.astype(np.float32)
        return values


def read(package: Path) -> Program:
    """The program in NAME.mlpackage."""
    folder = package / "Data" / "com.apple.CoreML"
    spec = Model_pb2.Model()
    spec.ParseFromString((folder / "model.mlmodel").read_bytes())
    function = spec.mlProgram.functions["main"]
    block = function.block_specializations[function.opset]
    weights = (folder / "weights" / "weight.bin").read_bytes()
    constants, operations, shapes = {}, [], {}
    for operation in block.operations:
        for output in operation.outputs:
            shapes[output.name] = _shape(output.type.tensorType)
        if operation.type == "const":
            constants[operation.outputs[0].name] = _value(operation.attributes["val"], weights)
        else:
            operations.append(operation)
    inputs = {given.name: _shape(given.type.tensorType) for given in function.inputs}
    return Program(spec, inputs, list(block.outputs), operations, constants, shapes)


def _shape(kind: Any) -> tuple[int, ...]:
    return tuple(dimension.constant.size for dimension in kind.dimensions)


def _value(value: Any, weights: bytes) -> Any:
    shape = _shape(value.type.tensorType)
    if value.HasField("blobFileValue"):
        mark, kind, size, start = struct.unpack_from("<IIQQ", weights, value.blobFileValue.offset)
        assert (mark, kind, size) == (WEIGHTS_MARK, FLOAT32, 4 * math.prod(shape))
        return np.frombuffer(weights, "<f4", math.prod(shape), start).reshape(shape)
    tensor = value.immediateValue.tensor
    kept = list(getattr(tensor, tensor.WhichOneof("value")).values)
    if isinstance(kept[0], str):
        return kept[0]
    array = np.array(kept, np.float32 if isinstance(kept[0], float) else None)
    return array.reshape(shape) if shape else array[0]


def _argument(argument: Any, values: Values) -> Any:
    (binding,) = argument.arguments
    return values[binding.name] if binding.name else _value(binding.value, b"")


def _conv(
    x: np.ndarray, weight: np.ndarray, strides: Any, pad_type: str, pad: Any, dilations: Any, groups: int, bias: Any = 0
) -> np.ndarray:
    assert set(dilations) == {1}
    sizes, kernel = x.shape[2:], weight.shape[2:]
    margins = [(0, 0), (0, 0)]
    if pad_type == "custom":
        margins = [(int(pad[0]), int(pad[1])), (int(pad[2]), int(pad[3]))]
    elif pad_type == "same":
        for axis in (0, 1):
            wanted = max(0, (math.ceil(sizes[axis] / strides[axis]) - 1) * strides[axis] + kernel[axis] - sizes[axis])
            margins[axis] = (wanted // 2, wanted - wanted // 2)
    else:
        assert pad_type == "valid"
    x = np.pad(x, [(0, 0), (0, 0), *margins])
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, (2, 3))[:, :, :: strides[0], :: strides[1]]
    if groups == 1:
        found = np.einsum("nchwij,ocij->nohw", windows, weight, optimize=True)
    else:
        assert groups == x.shape[1] == len(weight)
        found = np.einsum("nchwij,cij->nchw", windows, weight[:, 0], optimize=True)
    return found + np.reshape(bias, (1, -1, 1, 1))


def _pad(x: np.ndarray, pad: Any, mode: str = "constant", constant_val: float = 0.0) -> np.ndarray:
    assert mode == "constant"
    margins = np.reshape(pad, (-1, 2))
    return np.pad(x, [(0, 0)] * (x.ndim - len(margins)) + [tuple(m) for m in margins], constant_values=constant_val)


def _log_sum_exp(x: np.ndarray, axes: Any, keep_dims: bool) -> np.ndarray:
    return np.log(np.exp(x.astype(np.float64)).sum(axis=tuple(axes), keepdims=bool(keep_dims)))


def _matmul(x: np.ndarray, y: np.ndarray, transpose_x: bool, transpose_y: bool) -> np.ndarray:
    return (x.T if transpose_x else x) @ (y.T if transpose_y else y)


OPERATIONS: dict[str, Callable[..., np.ndarray]] = {
    "add": lambda x, y: x + y,
    "conv": _conv,
    "linear": lambda x, weight, bias: x @ weight.T + bias,
    "matmul": _matmul,
    "mul": lambda x, y: x * y,
    "pad": _pad,
    "reduce_log_sum_exp": _log_sum_exp,
    "maximum": lambda x, y: np.maximum(x, y),
    "reduce_sum": lambda x, axes, keep_dims: x.sum(axis=tuple(axes), keepdims=bool(keep_dims)),
    "rsqrt": lambda x, epsilon: 1 / np.sqrt(x + epsilon),
    "reduce_max": lambda x, axes, keep_dims: x.max(axis=tuple(axes), keepdims=bool(keep_dims)),
    "reduce_mean": lambda x, axes, keep_dims: x.mean(axis=tuple(axes), keepdims=bool(keep_dims)),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "reshape": lambda x, shape: x.reshape(tuple(shape)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "sub": lambda x, y: x - y,
    "transpose": lambda x, perm: x.transpose(tuple(perm)),
}
