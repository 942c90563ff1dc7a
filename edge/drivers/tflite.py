"""Owns the TensorFlow Lite interpreter, over either of its two packages; knows no labels and no thresholds.

`ai-edge-litert` is the maintained successor of `tflite-runtime`, with the same interface; "auto" takes it first
(measured on x86-64, int8 MobileNetV2, one thread: 3.2 ms against 45 ms).

The convention of every bundle: the model's real-valued input is pixel / 127.5 - 1, that is -1 to 1, whatever
integers it is quantised to.

The caller has checked the model's hash: tflite-runtime takes a cut-off file for a whole one and crashes.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edge.core.errors import BundleError, HardwareError, Reason

log = logging.getLogger(__name__)

Runtime = Literal["auto", "tflite-runtime", "ai-edge-litert"]
MODULES = {"ai-edge-litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}  # in the order of preference
BOX_WIDTH = 5  # the box output is (1, 5): it comes after the logits


class TfliteEngine:
    """Runs one model; `runtime` says in what."""

    runtime: str  # name and version, "ai-edge-litert 2.3.0"

    def __init__(self, model: bytes, *, threads: int, runtime: Runtime = "auto") -> None:
        package, interpreter_class = _find(runtime)
        self.runtime = f"{package} {importlib.metadata.version(package)}"
        self._interpreter: Any = _load(interpreter_class, model, threads)
        inputs = self._interpreter.get_input_details()
        self._shape = _check_input(inputs)
        self._table = _input_table(inputs[0])
        self._input = self._interpreter.tensor(inputs[0]["index"])
        self._outputs = [_Output(self._interpreter, detail) for detail in _logits_first(self._interpreter)]
        log.debug("engine up runtime=%s threads=%d input=%s", self.runtime, threads, inputs[0]["dtype"].__name__)

    def input_shape(self) -> tuple[int, ...]:
        """(1, height, width, 3)."""
        return self._shape

    def invoke(self, tensor: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Logits, then the box if the model has one, each (1, n), for a picture RGB 0..255."""
        if self._interpreter is None:
            raise HardwareError("engine", Reason.STOPPED, "it was closed")
        if tensor.shape != self._shape or tensor.dtype != np.uint8:
            raise ValueError(f"the tensor must be {self._shape} uint8, not {tensor.shape} {tensor.dtype}")
        # Straight into the interpreter's memory: a mode other than "raise" is what keeps numpy from a buffer.
        np.take(self._table, tensor, out=self._input(), mode="clip")
        try:
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise HardwareError("engine", Reason.BROKEN, f"the model does not run: {error}") from error
        return [output.read() for output in self._outputs]

    def close(self) -> None:
        """Let the interpreter and its memory go."""
        self._interpreter = self._input = None
        self._outputs = []


class _Output:
    """One output tensor and how to make real numbers of it."""

    def __init__(self, interpreter: Any, detail: dict[str, Any]) -> None:
        self._tensor = interpreter.tensor(detail["index"])
        scale, zero_point = detail["quantization"]
        self._scale = np.float32(scale or 1.0)
        self._zero_point = np.float32(zero_point)

    def read(self) -> NDArray[np.float32]:
        """A copy: the interpreter refuses to run while anybody looks into its memory."""
        real: NDArray[np.float32] = (self._tensor().astype(np.float32) - self._zero_point) * self._scale
        return real


def _find(runtime: Runtime) -> tuple[str, Any]:
    """Name and Interpreter class of the first usable package that `runtime` allows."""
    problems = []
    for package in MODULES if runtime == "auto" else (runtime,):
        problem = unusable(package, np.__version__)
        if not problem:
            try:
                return package, importlib.import_module(f"{MODULES[package]}.interpreter").Interpreter
            except (ImportError, AttributeError) as error:
                problem = HardwareError("engine", Reason.BROKEN, f"{package} cannot be imported: {error}")
                log.warning("runtime skipped runtime=%s problem=%s", package, error)
        problems.append(problem)
    # A package that is there and broken says more than one that is not there.
    raise min(problems, key=lambda problem: problem.reason is Reason.NOT_INSTALLED)


def unusable(package: str, numpy_version: str) -> HardwareError | None:
    """Why `package` cannot run here, None if it seems that it can; nothing is imported to find out."""
    if importlib.util.find_spec(MODULES[package]) is None:
        return HardwareError("engine", Reason.NOT_INSTALLED, f"install it with: pip install {package}")
    if package == "tflite-runtime" and int(numpy_version.split(".")[0]) >= 2:
        # It imports under numpy 2 and takes the process down at the first Interpreter().
        return HardwareError("engine", Reason.BROKEN, "tflite-runtime needs numpy below 2; use ai-edge-litert")
    return None


def _load(interpreter_class: Any, model: bytes, threads: int) -> Any:
    try:
        interpreter = interpreter_class(model_content=model, num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError, TypeError) as error:
        raise BundleError(f"the model cannot be loaded: {error}") from error
    return interpreter


def _check_input(inputs: list[dict[str, Any]]) -> tuple[int, ...]:
    shape = tuple(int(size) for size in inputs[0]["shape"])
    if len(inputs) != 1 or len(shape) != 4 or shape[0] != 1 or shape[3] != 3:
        raise BundleError(f"the model cannot be used: its input must be (1, height, width, 3), not {shape}")
    return shape


def _input_table(detail: dict[str, Any]) -> NDArray[Any]:
    """What the model's input holds for each of the 256 values of a pixel."""
    real: NDArray[np.float64] = np.arange(256) / 127.5 - 1.0
    dtype = np.dtype(detail["dtype"])
    if dtype == np.float32:
        return real.astype(np.float32)
    if dtype not in (np.int8, np.uint8):
        raise BundleError(f"the model cannot be used: its input is {dtype}, not int8, uint8 or float32")
    scale, zero_point = detail["quantization"]
    limits = np.iinfo(dtype)
    # Half up with a margin: with the usual scale 1/127.5 every value lies on a half, and rounding those to even
    # would merge neighbouring pixel values.
    levels: NDArray[np.float64] = np.clip(np.floor(real / scale + zero_point + 0.501), limits.min, limits.max)
    return levels.astype(dtype)


def _logits_first(interpreter: Any) -> list[dict[str, Any]]:
    """The details of the outputs, the box last.

    Their widths tell them apart, but for a bundle of five labels: there the signature does, which keeps the order
    in which training built them. `get_output_details()` does not: converters reverse it.
    """
    details = interpreter.get_output_details()
    boxes = [detail for detail in details if detail["shape"][-1] == BOX_WIDTH]
    if len(boxes) == len(details) > 1:
        place = _signature_order(interpreter)
        return sorted(details, key=lambda detail: place.get(detail["index"], 0))
    return [detail for detail in details if detail["shape"][-1] != BOX_WIDTH] + boxes


def _signature_order(interpreter: Any) -> dict[int, int]:
    """The place of each output by its index, from the model's signature; empty where it has none."""
    keys = list(interpreter.get_signature_list())
    if not keys:
        return {}
    outputs = interpreter.get_signature_runner(keys[0]).get_output_details()
    names = sorted(outputs, key=lambda name: ("box" in name, name))
    return {outputs[name]["index"]: place for place, name in enumerate(names)}
