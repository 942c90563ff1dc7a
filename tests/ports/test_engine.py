"""What holds for every engine; the tiny models' answers are known, see tiny_models.py."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge import apart
from edge.core import bundle
from edge.core.errors import BundleError, HardwareError, Reason
from edge.drivers import tflite
from edge.drivers.fake import FakeEngine
from edge.drivers.tflite import MODULES, TfliteEngine, unusable
from edge.ports import Engine
from tests.bundles import HARMS, copy

HERE = Path(__file__).parent
MODELS = sorted((HERE / "models").glob("*.tflite"))
BUNDLES = sorted(Path(bundle.__file__).parents[1].glob("bundles/*/manifest.json"))
RUNTIMES = [
    pytest.param(name, marks=pytest.mark.skipif(unusable(name, np.__version__) is not None, reason=f"no {name} here"))
    for name in MODULES
]


def picture(red: int, green: int, blue: int) -> np.ndarray:
    return np.full((1, 8, 8, 3), (red, green, blue), np.uint8)


def expected(red: int, green: int, blue: int, labels: int) -> tuple[np.ndarray, np.ndarray]:
    means = np.array([red, green, blue]) / 127.5 - 1
    return np.array([[means[i % 3] * (i + 1) for i in range(labels)]]), means[1] * np.arange(1, 6)[None]


@pytest.fixture(params=["fake", *(runtime.values[0] for runtime in RUNTIMES)])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "fake":
        return FakeEngine([expected(255, 191, 0, 7)], shape=(1, 8, 8, 3))
    if (problem := unusable(request.param, np.__version__)) is not None:
        pytest.skip(str(problem))
    return TfliteEngine((HERE / "models" / "int8.tflite").read_bytes(), threads=1, runtime=request.param)


def test_it_says_which_pictures_it_wants(engine: Engine) -> None:
    assert engine.input_shape() == (1, 8, 8, 3)


def test_it_gives_logits_then_box_as_real_numbers(engine: Engine) -> None:
    for _ in range(2):
        logits, box = engine.invoke(picture(255, 191, 0))
        assert logits.dtype == box.dtype == np.float32
        assert (logits.shape, box.shape) == ((1, 7), (1, 5))
        np.testing.assert_allclose(logits, expected(255, 191, 0, 7)[0], atol=0.1)


def test_answers_stay_after_the_next_invocation(engine: Engine) -> None:
    first = engine.invoke(picture(255, 191, 0))[0]
    copy = first.copy()
    engine.invoke(picture(0, 0, 0))
    np.testing.assert_array_equal(first, copy)


@pytest.mark.parametrize("wrong", [np.zeros((1, 9, 8, 3), np.uint8), np.zeros((1, 8, 8, 3), np.float32)])
def test_another_shape_or_type_is_a_mistake_of_the_caller(engine: Engine, wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="the tensor must be"):
        engine.invoke(wrong)


def test_it_may_be_closed_twice_and_does_not_run_after(engine: Engine) -> None:
    engine.close()
    engine.close()
    with pytest.raises(HardwareError) as caught:
        engine.invoke(picture(0, 0, 0))
    assert caught.value.device == "engine"


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("model", MODELS, ids=lambda file: file.stem)
@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 127, 126), (1, 2, 3)])
def test_every_input_type_and_order_of_outputs_gives_the_same(
    runtime: str, model: Path, colour: tuple[int, int, int]
) -> None:
    engine = TfliteEngine(model.read_bytes(), threads=1, runtime=runtime)  # type: ignore[arg-type]
    logits, box = engine.invoke(picture(*colour))
    wanted_logits, wanted_box = expected(*colour, logits.shape[1])
    np.testing.assert_allclose(logits, wanted_logits, atol=0.1)
    np.testing.assert_allclose(box, wanted_box, atol=0.1)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("model", MODELS, ids=lambda file: file.stem)
def test_no_two_brightnesses_are_merged_at_the_input(runtime: str, model: Path) -> None:
    engine = TfliteEngine(model.read_bytes(), threads=1, runtime=runtime)  # type: ignore[arg-type]
    assert len(set(engine._table.tolist())) == 256


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("threads", [1, 2])
def test_it_names_its_runtime_with_the_version(runtime: str, threads: int) -> None:
    engine = TfliteEngine(MODELS[0].read_bytes(), threads=threads, runtime=runtime)  # type: ignore[arg-type]
    name, version = engine.runtime.split()
    assert name == runtime
    assert version[0].isdigit()


def test_auto_takes_the_faster_package_first() -> None:
    engine = TfliteEngine(MODELS[0].read_bytes(), threads=1)
    first = next(name for name in MODULES if unusable(name, np.__version__) is None)
    assert engine.runtime.startswith(first)


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("model", [b"", b"not a model at all"])
def test_a_damaged_model_is_a_fault_of_the_bundle(runtime: str, model: bytes) -> None:
    with pytest.raises(BundleError, match="the model cannot be loaded"):
        TfliteEngine(model, threads=1, runtime=runtime)  # type: ignore[arg-type]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_half_a_model_is_a_fault_of_the_bundle_and_takes_no_process_down(runtime: str) -> None:
    whole = (HERE / "models" / "int8.tflite").read_bytes()
    for share in range(1, 8):
        with pytest.raises(BundleError, match="the model"):
            TfliteEngine(whole[: len(whole) * share // 8], threads=1, runtime=runtime)  # type: ignore[arg-type]


SELF_TEST = """
import sys
from pathlib import Path
from edge.core import bundle
from edge.core.errors import BundleError
from edge.drivers.tflite import TfliteEngine
broken = bundle.read(Path(sys.argv[1]))
try:
    bundle.selftest(broken, TfliteEngine(broken.model, threads=1, runtime=sys.argv[2]).invoke)
except BundleError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("harm", [harm for harm in HARMS if harm.startswith("the model ") and " is " not in harm])
def test_a_model_that_is_none_is_a_fault_of_the_bundle(runtime: str, harm: str, tmp_path: Path) -> None:
    """In a process of its own, as on a device: beside TensorFlow, which other tests load, the old one breaks down."""
    folder = copy(tmp_path / "bundle")
    HARMS[harm](folder)
    command = [sys.executable, "-c", SELF_TEST, str(folder), runtime]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("refused:")


def test_the_old_runtime_is_refused_under_numpy_2_before_it_takes_the_process_down() -> None:
    if importlib.util.find_spec("tflite_runtime") is None:
        pytest.skip("tflite-runtime is not installed")
    problem = unusable("tflite-runtime", "2.1.3")
    assert problem is not None
    assert problem.reason is Reason.BROKEN
    assert "ai-edge-litert" in problem.detail


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("manifest", BUNDLES, ids=lambda file: file.parent.name)
def test_the_shipped_bundles_replay_their_self_test(runtime: str, manifest: Path) -> None:
    shipped = bundle.read(manifest.parent)
    engine = TfliteEngine(shipped.model, threads=1, runtime=runtime)  # type: ignore[arg-type]
    for pixels, logits in zip(shipped.selftest_pictures, shipped.selftest_logits, strict=True):
        answer = engine.invoke(pixels[None])[0][0]
        np.testing.assert_allclose(answer, logits, atol=shipped.manifest.selftest_tolerance)


def test_the_fake_repeats_its_last_answer_and_remembers_the_tensors() -> None:
    engine = FakeEngine([[[0, 1]], RuntimeError("heat"), [[2, 3]]], shape=(1, 8, 8, 3))
    assert engine.invoke(picture(0, 0, 0))[0].tolist() == [[0, 1]]
    with pytest.raises(RuntimeError, match="heat"):
        engine.invoke(picture(1, 1, 1))
    assert [engine.invoke(picture(2, 2, 2))[0].tolist() for _ in range(2)] == [[[2, 3]]] * 2
    assert [int(tensor.max()) for tensor in engine.tensors] == [0, 1, 2, 2]


@pytest.mark.integration
def test_the_tiny_models_are_what_their_script_makes(tmp_path: Path) -> None:
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("install saynote[training] to make the models")
    subprocess.run([sys.executable, HERE / "tiny_models.py", tmp_path], check=True, capture_output=True)
    for model in MODELS:
        kept, made = (TfliteEngine(file.read_bytes(), threads=1) for file in (model, tmp_path / model.name))
        for output, again in zip(kept.invoke(picture(9, 99, 199)), made.invoke(picture(9, 99, 199)), strict=True):
            np.testing.assert_allclose(output, again, atol=0.05)


def test_a_trial_that_fails_by_itself_lets_no_model_through(monkeypatch: pytest.MonkeyPatch) -> None:
    if unusable("tflite-runtime", np.__version__) is not None:
        pytest.skip("tflite-runtime cannot be used here")
    monkeypatch.setattr(apart, "BEGIN", "raise SystemError('no such thing here')")
    with pytest.raises(HardwareError, match="the model cannot be tried: SystemError: no such thing here"):
        TfliteEngine(MODELS[0].read_bytes(), threads=1, runtime="tflite-runtime")


def test_libraries_of_another_interface_are_not_loaded_and_the_package_stays_whole_for_others() -> None:
    if unusable("ai-edge-litert", np.__version__) is not None:
        pytest.skip("ai-edge-litert cannot be used here")
    program = (
        "import sys; from pathlib import Path; from edge.drivers.tflite import TfliteEngine\n"
        "engine = TfliteEngine(Path(sys.argv[1]).read_bytes(), threads=1, runtime='ai-edge-litert')\n"
        "print('libLiteRt.so' in Path('/proc/self/maps').read_text())\n"
        "import ai_edge_litert; print(bool(ai_edge_litert.__version__))"
    )
    command = [sys.executable, "-c", program, str(MODELS[0])]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_a_runtime_that_needs_its_packages_beginning_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needy").mkdir()
    (tmp_path / "needy" / "__init__.py").write_text("BEGUN = True\n")
    (tmp_path / "needy" / "interpreter.py").write_text("from needy import BEGUN\nclass Interpreter: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert tflite._interpreter("needy").__module__ == "needy.interpreter"
        assert sys.modules["needy"].BEGUN
    finally:
        for name in ("needy", "needy.interpreter"):
            sys.modules.pop(name, None)
