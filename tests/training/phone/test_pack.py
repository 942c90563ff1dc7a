"""What an export leaves, end to end: the converted programs are read and run, each against the device's own code."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="tensorflow is not installed: nothing of the export was tried")
pytest.importorskip("coremltools", reason="coremltools is not installed: nothing of the export was tried")
pytest.importorskip("onnx", reason="onnx is not installed: nothing of the export was tried")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: nothing of the export was tried")
pytest.importorskip("tf2onnx", reason="tf2onnx is not installed: nothing of the export was tried")

import edge
from edge.core import bundle as bundles
from edge.core import classify, preprocess
from edge.core.bundle import Bundle
from edge.drivers.tflite import TfliteEngine
from tests.training.phone import mil
from training.errors import TrainingError
from training.learn import familiar, network, warmstart
from training.phone import agreement, coreml, engines, facts, pack
from training.playmoney import scenes

pytestmark = pytest.mark.integration

XTS = Path(edge.__file__).parent / "bundles" / "xts"
KINDS = {
    *("add", "conv", "linear", "mul", "pad", "reduce_log_sum_exp", "reduce_max", "reduce_mean"),
    *("relu", "relu6", "reshape", "sigmoid", "sub", "transpose"),
}


@dataclasses.dataclass
class Exported:
    folder: Path
    bundle: Bundle
    said: str  # on the terminal
    told: str  # the results

    @property
    def table(self) -> dict[str, Any]:
        return json.loads((self.folder / "xts.json").read_text())


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The play-money bundle as `python -m training export` leaves it."""
    folder = tmp_path_factory.mktemp("phone") / "new" / "xts"
    command = [sys.executable, "-m", "training", "export", XTS, "--coreml", "--onnx", "--out", folder]
    done = subprocess.run([*command, "--check-play", "6"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Exported(folder, bundles.read(XTS), done.stderr, done.stdout)


@pytest.fixture(scope="module")
def program(exported: Exported) -> mil.Program:
    return mil.read(exported.folder / "xts.mlpackage")


@pytest.fixture(scope="module")
def model(exported: Exported) -> Any:
    return warmstart.restored(exported.bundle)


@pytest.fixture(scope="module")
def pictures(exported: Exported) -> np.ndarray:
    """(24, height, width, 3): drawn notes that neither training nor the self-test has seen, and the self-test's."""
    drawn = [opened() for opened in agreement.play_money(exported.bundle, 18)]
    return np.concatenate([[pixels for pixels, _ in drawn], exported.bundle.selftest_pictures])


def test_all_is_there_and_nothing_is_left_beside_it(exported: Exported) -> None:
    assert {path.name for path in exported.folder.iterdir()} == {"xts.mlpackage", "xts.onnx", "xts.json", "selftest"}
    assert [path.name for path in exported.folder.parent.iterdir()] == ["xts"]
    assert {path.stat().st_mode & 0o044 for path in exported.folder.rglob("*")} == {0o044}  # for everybody to read


def test_the_terminal_tells_of_the_bundle_and_not_of_the_converters(exported: Exported) -> None:
    assert "xts 0.1.0 for phones in" in exported.said
    for word in ("coremltools", "libcoremlpython", "Running MIL", "tf2onnx", "absl", "passes", "Warning"):
        assert word not in exported.said + exported.told
    assert "onnxruntime" in exported.told  # the table of `--check-play`


def test_labels_thresholds_temperature_and_licence_travel_with_both_files(
    exported: Exported, program: mil.Program
) -> None:
    import onnx

    manifest = exported.bundle.manifest
    told = program.spec.description.metadata
    apple, other = (
        dict(told.userDefined),
        {p.key: p.value for p in onnx.load(exported.folder / "xts.onnx").metadata_props},
    )
    for found in (apple, other):
        assert json.loads(found["labels"]) == list(exported.bundle.labels)
        assert json.loads(found["thresholds"]) == manifest.decision.thresholds
        assert float(found["temperature"]) == manifest.decision.temperature
        assert json.loads(found["decision"]) == msgspec.to_builtins(msgspec.structs.asdict(manifest.decision))
        assert found["currency"], found["version"] == ("XTS", manifest.version)
        assert found["licence"] == "Apache-2.0"
        assert found["digest"] == manifest.digest
        assert "Model card: xts" in found["card"]
    assert (told.license, told.versionString) == ("Apache-2.0", manifest.version)
    assert "counterfeits" in told.shortDescription
    assert exported.table["thresholds"] == manifest.decision.thresholds


def test_the_program_takes_a_picture_and_consists_of_known_operations(
    exported: Exported, program: mil.Program, pictures: np.ndarray
) -> None:
    (given,) = program.spec.description.input
    kind = given.type.imageType
    assert (given.name, kind.width, kind.height) == ("picture", 96, 96)
    assert kind.colorSpace == kind.RGB
    assert program.inputs == {"picture": (1, 3, 96, 96)}
    assert program.kinds <= KINDS
    assert {name: found.shape for name, found in program.run(pictures[0]).items()} == {
        "scores": (1, len(exported.bundle.labels)),
        "box": (1, 5),
    }  # and every operation on the way has the shape that it is declared to have: mil.py asserts it


def test_every_weight_is_that_of_the_float_network_layer_by_layer(program: mil.Program, model: Any) -> None:
    wanted = [folded(*pair) for pair in warmstart._pairs(model.get_layer("trunk"))]
    wanted += [
        [np.asarray(value) for value in model.get_layer(name).get_weights()] for name in ("place", "logits", "box")
    ]
    found = program.weighted()
    assert len(found) == len(wanted) == 55
    for (weight, bias), (kernel, offset) in zip(found, wanted, strict=True):
        # Keras has (height, width, in, out), depthwise (height, width, channels, 1), dense (in, out).
        ours = (
            kernel.T
            if kernel.ndim == 2
            else kernel.transpose(2, 3, 0, 1)
            if depthwise(weight, kernel)
            else kernel.transpose(3, 2, 0, 1)
        )
        np.testing.assert_allclose(weight, ours, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(np.ravel(bias), offset, rtol=1e-5, atol=1e-6)


def test_what_a_bundle_knows_of_unfamiliar_notes_goes_along(
    exported: Exported, model: Any, pictures: np.ndarray, tmp_path: Path
) -> None:
    rng, labels = np.random.default_rng(4), len(exported.bundle.labels)
    width = familiar.width(model)
    kernel = rng.normal(0, 1, (width, labels)).astype(np.float32)
    known = familiar.Familiar(np.eye(width, dtype=np.float32), np.zeros(width, np.float32), kernel, kernel[0])
    wary = familiar.attached(model, known)
    coreml.write(coreml.convert(wary, exported.bundle, facts.facts(exported.bundle, None)), tmp_path / "wary.mlpackage")
    program = mil.read(tmp_path / "wary.mlpackage")
    temperature = exported.bundle.manifest.decision.temperature
    for picture, logits in zip(pictures[:6], network.logits(wary, pictures[:6]), strict=True):
        wanted = classify.scores(logits, temperature)
        np.testing.assert_allclose(program.run(picture)["scores"][0], wanted, atol=1e-3)
        assert np.abs(wanted - classify.scores(network.logits(model, picture[None])[0], temperature)).max() > 0.1


def depthwise(weight: np.ndarray, kernel: np.ndarray) -> bool:
    return kernel.shape[3] == 1 and weight.shape[1] == 1


def folded(convolution: Any, normalisation: Any) -> tuple[np.ndarray, np.ndarray]:
    gamma, beta, mean, variance = (np.asarray(value) for value in normalisation.get_weights())
    (kernel,) = convolution.get_weights()
    gain = gamma / np.sqrt(variance + normalisation.epsilon)
    by_channel = gain.reshape(-1, 1) if kernel.shape[3] == 1 and kernel.shape[2] == len(gain) else gain
    return kernel * by_channel, beta - mean * gain


def test_what_reaches_the_network_is_what_the_device_makes_of_the_same_frame(
    exported: Exported, program: mil.Program
) -> None:
    rng = np.random.default_rng(3)
    first = next(operation for operation in program.operations if operation.type == "conv")
    (entering,) = first.inputs["x"].arguments
    levels = np.arange(256, dtype=np.uint8)
    frames = [rng.integers(0, 256, (*rng.integers(40, 400, 2), 3)).astype(np.uint8) for _ in range(4)]
    frames.append(np.resize(levels, (96, 96, 3)))  # every value a pixel can have
    with_device = TfliteEngine(exported.bundle.model, threads=1)
    detail = with_device._interpreter.get_input_details()[0]
    scale, zero_point = detail["quantization"]
    for frame in frames:
        tensor = preprocess.to_tensor(frame, exported.bundle.manifest.input)
        values = program.work_out(tensor[0])[entering.name].transpose(0, 2, 3, 1)
        np.testing.assert_allclose(values, tensor / 127.5 - 1, atol=1e-6)
        as_int8 = np.floor(values.astype(np.float64) / scale + zero_point + 0.501).clip(-128, 127)
        assert np.array_equal(as_int8, with_device._table[tensor])


def test_the_program_says_what_keras_says(
    program: mil.Program, model: Any, pictures: np.ndarray, exported: Exported
) -> None:
    temperature = exported.bundle.manifest.decision.temperature
    outputs = model.predict_on_batch(network.inputs(pictures))
    for picture, logits, place in zip(pictures, outputs["logits"], outputs["box"], strict=True):
        found = program.run(picture)
        np.testing.assert_allclose(found["scores"][0], classify.scores(logits, temperature), atol=2e-4)
        np.testing.assert_allclose(found["box"][0], place, atol=1e-4)
    assert len({row.argmax() for row in outputs["logits"]}) >= 5  # pictures that differ


def test_program_and_onnx_name_what_the_device_names(
    exported: Exported, program: mil.Program, pictures: np.ndarray
) -> None:
    temperature = exported.bundle.manifest.decision.temperature
    onnx = engines.onnx((exported.folder / "xts.onnx").read_bytes(), temperature)
    device = TfliteEngine(exported.bundle.model, threads=1)
    for picture in pictures:
        logits, place = (np.array(output[0]) for output in device.invoke(picture[None]))
        sure = np.diff(np.sort(logits))[-1] > 2 * exported.bundle.manifest.selftest_tolerance
        found = [np.asarray(output)[0] for output in onnx(picture[None])]
        # Up to a constant: scores are logits that were normalised.
        np.testing.assert_allclose(found[0] - found[0].mean(), logits - logits.mean(), atol=0.4)
        np.testing.assert_allclose(found[1], place, atol=0.06)
        if sure:
            assert found[0].argmax() == program.run(picture)["scores"].argmax() == logits.argmax()


def test_the_self_test_for_apps_gives_what_is_written_beside_it(exported: Exported, program: mil.Program) -> None:
    rows = exported.table["selftest"]
    assert len(rows) == len(exported.bundle.selftest_pictures)
    for row, picture in zip(rows, exported.bundle.selftest_pictures, strict=True):
        opened = cv2.imread(str(exported.folder / row["picture"]))[..., ::-1]
        assert np.array_equal(opened, picture)
        np.testing.assert_allclose(program.run(opened)["scores"][0], row["float"]["scores"], atol=2e-4)
        assert set(row) == {"picture", "int8", "float", "onnx"}


def test_a_way_that_says_something_else_is_counted_as_such(exported: Exported, model: Any) -> None:
    float_ = engines.floating(model)

    def confused(tensor: np.ndarray) -> list[np.ndarray]:
        logits, place = float_(tensor)
        return [np.roll(logits, 1, axis=1), place]

    shown = agreement.play_money(exported.bundle, 30)
    device, honest, wrong = agreement.compare(exported.bundle, {"float": float_, "confused": confused}, shown)
    assert (device.way, honest.way, wrong.way) == (agreement.DEVICE, "float", "confused")
    assert device.best.share == device.said.share == 1
    assert honest.best.share >= 0.9
    assert honest.said.share >= 0.9
    assert wrong.best.share < 0.2
    assert wrong.wrong >= 5 > honest.wrong


def test_a_network_of_five_labels_keeps_scores_and_place_apart(exported: Exported, tmp_path: Path) -> None:
    labels = ("5", "10", "20", "background", "several")
    tiny = network.build("tiny", 1.0, 64, len(labels), None, 0.0)
    manifest = msgspec.structs.replace(
        exported.bundle.manifest,
        input=msgspec.structs.replace(exported.bundle.manifest.input, height=64, width=64),
    )
    bundle = dataclasses.replace(exported.bundle, manifest=manifest, labels=labels)
    coreml.write(coreml.convert(tiny, bundle, facts.facts(bundle)), tmp_path / "five.mlpackage")
    program = mil.read(tmp_path / "five.mlpackage")
    picture = scenes.draw_scene(1, (64, 64))
    found, wanted = program.run(picture), tiny.predict_on_batch(network.inputs(picture[None]))
    np.testing.assert_allclose(np.exp(found["scores"]).sum(), 1, atol=1e-5)
    np.testing.assert_allclose(found["box"], wanted["box"], atol=1e-5)
    np.testing.assert_allclose(
        found["scores"][0], classify.scores(wanted["logits"], manifest.decision.temperature), atol=1e-4
    )


def test_a_network_that_says_something_else_than_the_device_is_not_written(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a bundle would be whose operations lie in another order than the trainer's."""
    restored = warmstart.restored

    def confused(bundle: Bundle) -> Any:
        model = restored(bundle)
        head = model.get_layer("logits")
        head.set_weights([np.roll(value, 1, axis=-1) for value in head.get_weights()])
        return model

    monkeypatch.setattr(warmstart, "restored", confused)
    with pytest.raises(TrainingError, match="the float network says something else to self-test picture 0"):
        pack.export(exported.bundle, tmp_path / "new" / "out", to_coreml=True, to_onnx=False)
    assert list(tmp_path.iterdir()) == []
