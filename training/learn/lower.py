"""Owns the lower layers of a bundle's int8 model, where these are to learn no more: what they make of a picture.

Their answer to a picture never changes, so it is computed once, by the device's own runtime, and learnt from as often
as one likes. Knows no Keras.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import flatbuffers
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from training.errors import TrainingError
from training.learn import modelfile


@dataclass(frozen=True)
class Lower:
    """The first layers with weights of a model: pictures in, the last one's numbers out."""

    model: bytes  # int8; ends at those numbers
    shape: tuple[int, ...]  # of the numbers that one picture becomes: (height, width, channels)
    scale: float
    zero_point: int

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.int8]:
        """(n, *shape) quantised numbers for pictures (n, size, size, 3)."""
        return np.stack([self._answer(picture) for picture in pictures])

    def real(self, numbers: NDArray[np.int8]) -> NDArray[np.float32]:
        """What `numbers` stand for."""
        return (numbers.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)

    def _answer(self, picture: NDArray[np.uint8]) -> NDArray[np.int8]:
        interpreter = self._interpreter
        entry, end = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
        interpreter.set_tensor(entry["index"], (picture.view(np.int8) ^ np.int8(-128))[None])
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(end["index"])[0], np.int8)

    @cached_property
    def _interpreter(self) -> Interpreter:
        """Made by whichever process asks first: an interpreter does not come along into a fork."""
        interpreter = Interpreter(model_content=self.model, num_threads=1)
        interpreter.allocate_tensors()
        return interpreter


def below(model: bytes, layers: int) -> Lower:
    """The first `layers` layers with weights of an int8 `model`, and what follows them without weights.

    Raises TrainingError where what comes after needs more than their last output: a shortcut leads past it.
    """
    root = modelfile.unpacked(model)
    graph = root.subgraphs[0]
    first = modelfile.places(root)[layers]
    tensor = int(graph.operators[first].inputs[0])
    made = {int(output) for operator in graph.operators[:first] for output in operator.outputs}
    needed = {int(i) for operator in graph.operators[first:] for i in operator.inputs} & made
    if needed != {tensor}:
        raise TrainingError(f"the network cannot be parted after {layers} layers: a shortcut leads past there")
    details = graph.tensors[tensor]
    graph.operators, graph.outputs, root.signatureDefs = graph.operators[:first], [tensor], []
    builder = flatbuffers.Builder(len(model))
    builder.Finish(root.Pack(builder), file_identifier=b"TFL3")
    return Lower(
        bytes(builder.Output()),
        tuple(int(side) for side in details.shape[1:]),
        float(details.quantization.scale[0]),
        int(details.quantization.zeroPoint[0]),
    )
