"""Owns the folder that an export leaves: which files, and that it is there whole or not at all.

    NAME.mlpackage    for iOS, with --coreml
    NAME.onnx         with --onnx
    NAME.json         what a decision needs to know, and what each self-test picture is to give
    selftest/N.png    those pictures: drawn play money of the network's own size

Android takes the bundle's own model.tflite.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.core import classify
from edge.core.bundle import Bundle
from edge.core.errors import EdgeError
from edge.core.observe import Invoke
from training.errors import TrainingError
from training.measure.device import running
from training.phone import coreml, engines, onnxfile
from training.phone.converters import quiet, require
from training.phone.facts import facts

if TYPE_CHECKING:
    import keras

PACKAGE, ONNX, TABLE, SELFTEST = ".mlpackage", ".onnx", ".json", "selftest"
BESIDE = ".phone-"  # of the folder in which all is made, until it is whole
Given = dict[str, list[float]]  # scores and, where there is one, box of one picture
PLACES = 5  # decimal, of what the self-test's pictures give


def export(
    bundle: Bundle,
    out: Path,
    *,
    to_coreml: bool,
    to_onnx: bool,
    licence: str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Write what phones take of a bundle into the new folder `out`.

    Raises BundleError where its self-test fails, and TrainingError for what cannot be converted or written. Then
    nothing is left.
    """
    require_start(out, to_coreml=to_coreml, to_onnx=to_onnx)
    name, told = bundle.manifest.name, facts(bundle, licence)
    with whole(out) as inside, running(bundle) as invoke:
        given = {"int8": _given(bundle, invoke)}
        if to_coreml:
            say("the float network of the bundle, and a Core ML program of it")
            model = float_network(bundle)
            given["float"] = _same(bundle, "float", given["int8"], _given(bundle, engines.floating(model)))
            coreml.write(coreml.convert(model, bundle, told), inside / f"{name}{PACKAGE}")
        if to_onnx:
            say("an ONNX file of the int8 model")
            file = onnxfile.convert(bundle, told)
            invoke = engines.onnx(file, bundle.manifest.decision.temperature)
            given["onnx"] = _same(bundle, "ONNX", given["int8"], _given(bundle, invoke))
            (inside / f"{name}{ONNX}").write_bytes(file)
        _write_table(inside, bundle, told, given)


def require_start(out: Path, *, to_coreml: bool, to_onnx: bool) -> None:
    """Raises TrainingError for what would end an export later and can be known without looking at a bundle."""
    if not (to_coreml or to_onnx):
        raise TrainingError("say what to write: --coreml, --onnx or both")
    if to_coreml:
        require("--coreml", "tensorflow", "coremltools")
    if to_onnx:
        require("--onnx", "tensorflow", "onnx", "onnxruntime", "tf2onnx")
    require_new(out)
    with _parents(out.absolute().parent), tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=BESIDE):
        pass


def ways(bundle: Bundle, folder: Path) -> dict[str, Invoke]:
    """What runs each of the files that `export` left in `folder`; Core ML on a Mac alone."""
    name, temperature = bundle.manifest.name, bundle.manifest.decision.temperature
    package, file = folder / f"{name}{PACKAGE}", folder / f"{name}{ONNX}"
    found = {}
    if file.is_file():
        found["ONNX, onnxruntime"] = engines.onnx(file.read_bytes(), temperature)
    if package.is_dir():
        found["float network, Keras"] = engines.floating(float_network(bundle))
        if engines.runs_core_ml():
            found["Core ML"] = engines.core_ml(package, temperature)
    return found


def float_network(bundle: Bundle) -> keras.Model:
    """As `warmstart.restored`, without what TensorFlow says of this computer."""
    with quiet():
        from training.learn import warmstart  # and with it Keras, which takes seconds

        return warmstart.restored(bundle)


@contextlib.contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A folder to fill that becomes `out` at the end, and is gone where anything went wrong.

    Raises TrainingError where there cannot be one, or something is there already.
    """
    require_new(out)
    with (
        _parents(out.absolute().parent),
        tempfile.TemporaryDirectory(dir=out.absolute().parent, prefix=BESIDE) as beside,
    ):
        inside = Path(beside) / out.name
        inside.mkdir()
        yield inside
        inside.rename(out.absolute())


def require_new(out: Path) -> None:
    """Raises TrainingError where something is there already."""
    if out.is_symlink() or out.exists():
        raise TrainingError(f"{out} is there already: name a new folder, nothing is written over")


@contextlib.contextmanager
def _parents(folder: Path) -> Iterator[None]:
    """`folder` is there; what was made for it goes again where nothing was put into it."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except EdgeError:  # a model that does not run is no matter of writing
        raise
    except OSError as error:
        raise TrainingError(f"{folder} cannot be written: {error.strerror or error}") from error
    finally:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()


def _given(bundle: Bundle, invoke: Invoke) -> list[Given]:
    """Scores and place of each self-test picture."""
    rows = []
    for picture in bundle.selftest_pictures:
        logits, *places = invoke(picture[None])
        row = {"scores": classify.scores(logits, bundle.manifest.decision.temperature)}
        if places and bundle.manifest.has_box:
            row["box"] = places[0][0]
        rows.append({name: [round(float(number), PLACES) for number in values] for name, values in row.items()})
    return rows


def _same(bundle: Bundle, way: str, device: list[Given], mine: list[Given]) -> list[Given]:
    """`mine`. Raises TrainingError where it says something else to a self-test picture of which the device is sure."""
    sure = 2 * bundle.manifest.selftest_tolerance / bundle.manifest.decision.temperature
    for number, (row, given) in enumerate(zip(mine, device, strict=True)):
        second, first = sorted(given["scores"])[-2:]
        if first - second > sure and np.argmax(row["scores"]) != np.argmax(given["scores"]):
            raise TrainingError(f"{bundle.path}: the {way} network says something else to self-test picture {number}")
    return mine


def _write_table(inside: Path, bundle: Bundle, told: dict[str, str], given: dict[str, Any]) -> None:
    (inside / SELFTEST).mkdir()
    tests = []
    for number, picture in enumerate(bundle.selftest_pictures):
        name = f"{SELFTEST}/{number}.png"
        (inside / name).write_bytes(png(picture))
        tests.append({"picture": name, **{way: rows[number] for way, rows in given.items()}})
    as_json = ("labels", "thresholds", "decision", "input")
    table = {key: json.loads(text) if key in as_json else text for key, text in told.items() if key != "card"}
    table["temperature"] = bundle.manifest.decision.temperature
    text = json.dumps({**table, "selftest": tests}, indent=2) + "\n"
    (inside / f"{bundle.manifest.name}{TABLE}").write_text(text, encoding="utf-8")


def png(picture: NDArray[np.uint8]) -> bytes:
    """A picture (height, width, 3) RGB as a PNG file."""
    _, packed = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    return packed.tobytes()
