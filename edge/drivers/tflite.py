"""Owns the TensorFlow Lite interpreter, over either of its two packages; knows no labels and no thresholds.

`ai-edge-litert` is the maintained successor of `tflite-runtime`, with the same interface; "auto" takes it first
(measured on x86-64, int8 MobileNetV2, one thread: 3.2 ms against 45 ms).

The convention of every bundle: the model's real-valued input is pixel / 127.5 - 1, that is -1 to 1, whatever
integers it is quantised to.

What is wrong with a model is a BundleError. Its shapes are looked at before memory is taken for them. tflite-runtime
takes a damaged model for a whole one and takes the process down with it: for it, the model is tried in a process of its
own first. ai-edge-litert looks through a model before it uses it.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import math
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from edge import apart
from edge.core.errors import EXIT_BUNDLE, EXIT_OK, BundleError, HardwareError, Reason
from edge.core.line import brief

log = logging.getLogger(__name__)

Runtime = Literal["auto", "tflite-runtime", "ai-edge-litert"]
MODULES = {"ai-edge-litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime"}  # in the order of preference
BOX_WIDTH = 5  # the box output is (1, 5): it comes after the logits
LARGEST_PX = 1024  # a side of the input
TENSOR_MOST_BYTES = 128 << 20  # of any tensor: the largest of a picture of 1024 x 1024 in float32
# What the interpreter and numpy make of models that are damaged, or no models.
DAMAGE = (
    *(ValueError, RuntimeError, TypeError, IndexError, KeyError, AttributeError),
    *(OverflowError, MemoryError, RecursionError, SystemError),
)
TRIAL_S = 60.0  # a Pi that boots may be slow


class TfliteEngine:
    """Runs one model; `runtime` says in what."""

    runtime: str  # name and version, "ai-edge-litert 2.3.0"
    model: Callable[[], object]  # runs it on what lies in its input: what `saynote bench` holds a stopwatch to

    def __init__(self, model: bytes, *, threads: int, runtime: Runtime = "auto", tried: bool = False) -> None:
        """`tried`: the model is known not to take the process down. Raises BundleError and HardwareError."""
        package, interpreter_class = _find(runtime)
        self.runtime = f"{package} {_version(package)}"
        if package == "tflite-runtime" and not tried:
            _try_apart(model)
        try:
            self._open(interpreter_class(model_content=model, num_threads=threads))
        except BundleError:
            raise
        except DAMAGE as error:
            raise BundleError(f"the model cannot be loaded: {_sentence(error)}") from error
        log.debug("engine up runtime=%s threads=%d input=%s", self.runtime, threads, self._table.dtype)

    def _open(self, interpreter: Any) -> None:
        inputs = interpreter.get_input_details()
        self._shape = _check_input(inputs)
        _check_tensors(interpreter)
        self._table = input_table(inputs[0])
        # With the usual scale, 1/127.5, an int8 is the pixel less 128: one bit.
        self._shifts = self._table.dtype == np.int8 and np.array_equal(self._table, np.arange(-128, 128))
        interpreter.allocate_tensors()
        self._interpreter: Any = interpreter
        self.model = interpreter.invoke
        self._input = interpreter.tensor(inputs[0]["index"])
        self._outputs = [_Output(interpreter, detail) for detail in logits_first(interpreter)]

    def input_shape(self) -> tuple[int, ...]:
        """(1, height, width, 3)."""
        return self._shape

    def invoke(self, tensor: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Logits, then the box if the model has one, each (1, n), for a picture RGB 0..255."""
        if self._interpreter is None:
            raise HardwareError("engine", Reason.STOPPED, "it was closed")
        if tensor.shape != self._shape or tensor.dtype != np.uint8:
            raise ValueError(f"the tensor must be {self._shape} uint8, not {tensor.shape} {tensor.dtype}")
        try:
            self._fill(tensor)
            self.model()
            return [output.read() for output in self._outputs]
        except DAMAGE as error:
            raise HardwareError("engine", Reason.BROKEN, f"the model does not run: {_sentence(error)}") from error

    def _fill(self, tensor: NDArray[np.uint8]) -> None:
        """Straight into the interpreter's memory."""
        if self._shifts:
            np.bitwise_xor(tensor, 0x80, out=self._input().view(np.uint8))
        else:  # a mode other than "raise" is what keeps numpy from a buffer
            np.take(self._table, tensor, out=self._input(), mode="clip")

    def close(self) -> None:
        """Let the interpreter and its memory go."""
        self._interpreter = self._input = None
        self.model = lambda: None
        self._outputs = []


class _Output:
    """One output tensor and how to make real numbers of it."""

    def __init__(self, interpreter: Any, detail: dict[str, Any]) -> None:
        self._tensor = interpreter.tensor(detail["index"])
        scale, zero_point = detail["quantization"]
        self._scale = np.float32(scale or 1.0)
        self._zero_point = np.float32(zero_point)
        dtype = np.dtype(detail["dtype"])
        # What each of its 256 values stands for, by its byte; a negative one counts from the end, as indices do.
        self._table = self._real(np.arange(256, dtype=np.uint8).view(dtype)) if dtype.itemsize == 1 else None

    def read(self) -> NDArray[np.float32]:
        """A copy: the interpreter refuses to run while anybody looks into its memory."""
        held = self._tensor()
        return self._real(held) if self._table is None else self._table.take(held)

    def _real(self, held: NDArray[Any]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = (held.astype(np.float32) - self._zero_point) * self._scale
        return found


def _find(runtime: Runtime) -> tuple[str, Any]:
    """Name and Interpreter class of the first usable package that `runtime` allows."""
    problems = []
    for package in MODULES if runtime == "auto" else (runtime,):
        problem = unusable(package, np.__version__)
        if not problem:
            try:
                return package, _interpreter(MODULES[package])
            except (ImportError, AttributeError) as error:
                problem = HardwareError("engine", Reason.BROKEN, f"{package} cannot be imported: {error}")
                log.warning("runtime skipped runtime=%s problem=%s", package, error)
        problems.append(problem)
    # A package that is there and broken says more than one that is not there.
    raise min(problems, key=lambda problem: problem.reason is Reason.NOT_INSTALLED)


def _interpreter(name: str) -> Any:
    """The class. The package's own beginning loads libraries for another interface, 2 MB: it is passed over."""
    if name not in sys.modules and (spec := importlib.util.find_spec(name)) is not None:
        sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            return importlib.import_module(f"{name}.interpreter").Interpreter
        except ImportError:
            log.debug("%s needs its own beginning", name)
        finally:
            del sys.modules[name]  # whoever imports it later gets all of it
    return importlib.import_module(f"{name}.interpreter").Interpreter


def unusable(package: str, numpy_version: str) -> HardwareError | None:
    """Why `package` cannot run here, None if it seems that it can; nothing is imported to find out."""
    if importlib.util.find_spec(MODULES[package]) is None:
        return HardwareError("engine", Reason.NOT_INSTALLED, f"install it with: pip install {package}")
    if package == "tflite-runtime" and int(numpy_version.split(".")[0]) >= 2:
        # It imports under numpy 2 and takes the process down at the first Interpreter().
        return HardwareError("engine", Reason.BROKEN, "tflite-runtime needs numpy below 2; use ai-edge-litert")
    return None


def installed() -> tuple[str, ...]:
    """Names and versions of the runtimes that seem usable here, the preferred first; nothing is imported."""
    return tuple(f"{package} {_version(package)}" for package in MODULES if unusable(package, np.__version__) is None)


def _version(package: str) -> str:
    """What its folder of metadata is named by: to read that takes importlib.metadata, a tenth of the whole start."""
    spec = importlib.util.find_spec(MODULES[package])
    for place in (spec.submodule_search_locations if spec else None) or ():
        for found in Path(place).parent.glob(f"{package.replace('-', '[-_]')}-*.dist-info"):
            return found.name.removesuffix(".dist-info").rpartition("-")[2]
    return "of unknown version"


def _sentence(error: Exception) -> str:
    return brief(" ".join(str(error).split()), 200) or type(error).__name__


def _try_apart(model: bytes) -> None:
    """Load and run the model in another process. Raises BundleError where that does not survive it."""
    command, ours = apart.command(__name__, "run_once"), apart.environment()
    try:
        tried = subprocess.run(command, input=model, capture_output=True, timeout=TRIAL_S, check=False, env=ours)
    except subprocess.TimeoutExpired as error:
        raise BundleError(f"the model cannot be loaded: it takes tflite-runtime over {TRIAL_S:.0f} s") from error
    except OSError as error:
        raise HardwareError("engine", Reason.BROKEN, f"the model cannot be tried: {error.strerror}") from error
    if tried.returncode < 0:
        name = signal.Signals(-tried.returncode).name
        raise BundleError(f"the model cannot be loaded: tflite-runtime breaks down over it ({name})")
    if tried.returncode == EXIT_BUNDLE:
        raise BundleError(tried.stdout.decode("utf-8", "replace"))
    if tried.returncode != EXIT_OK:
        # Without the trial the model might take this process down.
        last = (tried.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
        raise HardwareError("engine", Reason.BROKEN, f"the model cannot be tried: {brief(last, 200)}")


def run_once() -> NoReturn:
    """In that other process: what the engine does with the model from standard input, up to its first answer.

    The maintained runtime comes first, where it can be used: it looks at the model's structure before it follows it.
    tflite-runtime follows whatever it finds, and whether it breaks down over that is a matter of luck.
    """
    model = sys.stdin.buffer.read()
    try:
        for runtime in ("ai-edge-litert", "tflite-runtime"):
            if unusable(runtime, np.__version__) is None:
                engine = TfliteEngine(model, threads=1, runtime=runtime, tried=True)
                engine.invoke(np.zeros(engine.input_shape(), np.uint8))
    except (BundleError, HardwareError) as error:
        sys.stdout.write(error.detail if isinstance(error, HardwareError) else str(error))
        sys.exit(EXIT_BUNDLE)
    sys.exit(EXIT_OK)


def _check_input(inputs: list[dict[str, Any]]) -> tuple[int, ...]:
    shapes = [tuple(int(size) for size in detail["shape"]) for detail in inputs]
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][0] != 1 or shapes[0][3] != 3:
        found = " and ".join(map(str, shapes[:3])) or "nothing"
        raise BundleError(f"the model cannot be used: its input must be (1, height, width, 3), not {found}")
    if not all(1 <= side <= LARGEST_PX for side in shapes[0][1:3]):
        raise BundleError(f"the model cannot be used: its input {shapes[0]} is larger than {LARGEST_PX} x {LARGEST_PX}")
    return shapes[0]


def _check_tensors(interpreter: Any) -> None:
    """What the model says that its tensors will take, before any of it is taken."""
    for detail in interpreter.get_tensor_details():
        size = math.prod(int(length) for length in detail["shape"]) * np.dtype(detail["dtype"]).itemsize
        if size > TENSOR_MOST_BYTES:
            raise BundleError(f"the model cannot be used: it holds a tensor of {size >> 20} MB")


def input_table(detail: dict[str, Any]) -> NDArray[Any]:
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


def logits_first(interpreter: Any) -> list[dict[str, Any]]:
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
