"""What an export refuses: one sentence each, before anything slow, and nothing is left behind."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

import edge
from edge.core.errors import BundleError, HardwareError, Reason
from tests import bundles as harmed
from training.__main__ import main
from training.errors import TrainingError
from training.phone import pack

XTS = Path(edge.__file__).parent / "bundles" / "xts"
BOTH = ("--coreml", "--onnx")


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """The one sentence that the command ends with."""
    monkeypatch.setattr("sys.argv", ["training", "export", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr()
    assert ended.value.code == 1
    assert told.out == ""
    (line,) = told.err.strip().splitlines()
    return line


@pytest.fixture(autouse=True)
def converters(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all were installed: what is refused here is refused before any of them is called."""
    monkeypatch.setattr(pack, "require", lambda option, *packages: None)


def test_a_folder_that_is_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(monkeypatch, capsys, tmp_path / "nowhere", *BOTH, "--out", tmp_path / "deep" / "out")
    assert said == f"error: there is no bundle {tmp_path / 'nowhere'}"
    (tmp_path / "empty").mkdir()
    said = refused(monkeypatch, capsys, tmp_path / "empty", *BOTH, "--out", tmp_path / "deep" / "out")
    assert "manifest.json cannot be read: No such file" in said
    assert not (tmp_path / "deep").exists()


def test_a_bundle_that_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = harmed.copy(tmp_path / "xts")
    (bundle / "model.tflite").write_bytes((bundle / "model.tflite").read_bytes()[:-1])
    said = refused(monkeypatch, capsys, bundle, *BOTH, "--out", tmp_path / "out")
    assert "model.tflite is damaged" in said
    assert [path.name for path in tmp_path.iterdir()] == ["xts"]


def test_nothing_that_is_to_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(monkeypatch, capsys, XTS, "--out", tmp_path / "out")
    assert said == "error: say what to write: --coreml, --onnx or both"


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_an_out_folder_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    out = tmp_path / "out"
    {"folder": out.mkdir, "file": out.touch, "dangling link": lambda: out.symlink_to("nowhere")}[kind]()
    said = refused(monkeypatch, capsys, XTS, *BOTH, "--out", out)
    assert said == f"error: {out} is there already: name a new folder, nothing is written over"


def test_an_out_folder_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    said = refused(monkeypatch, capsys, XTS, *BOTH, "--out", tmp_path / "file" / "out")
    assert said == f"error: {tmp_path / 'file'} cannot be written: File exists"
    said = refused(monkeypatch, capsys, XTS, *BOTH, "--out", "/proc/phone/out")
    assert "/proc/phone cannot be written: " in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_out_folder_of_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "theirs").mkdir(0o555)
    said = refused(monkeypatch, capsys, XTS, *BOTH, "--out", tmp_path / "theirs" / "out")
    assert said == f"error: {tmp_path / 'theirs'} cannot be written: Permission denied"


def test_play_money_to_a_bundle_of_rupees_and_photographs_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inr = XTS.parent / "inr"
    said = refused(monkeypatch, capsys, inr, *BOTH, "--out", tmp_path / "out", "--check-play", "5")
    assert said == "error: play money is of XTS, and this bundle of INR"
    said = refused(monkeypatch, capsys, inr, *BOTH, "--out", tmp_path / "out", "--check", tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in said
    assert list(tmp_path.iterdir()) == []


def fill(out: Path, error: BaseException, theirs: Path | None = None) -> None:
    """Begin a folder, let somebody else put a file there meanwhile, and fail."""
    with pack.whole(out) as inside:
        (inside / "ours").touch()
        if theirs is not None:
            theirs.parent.mkdir()
            theirs.touch()
            return
        raise error


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        (TrainingError("half way"), TrainingError, "half way"),
        (OSError(28, "No space left on device"), TrainingError, r"a cannot be written: No space left on device"),
        (BundleError("self-test failed"), BundleError, "self-test failed"),
        (HardwareError("engine", Reason.BROKEN, "x"), HardwareError, "engine broken: x"),
        (KeyboardInterrupt("stopped"), KeyboardInterrupt, "stopped"),
    ],
    ids=repr,
)
def test_what_went_wrong_in_between_leaves_nothing(
    tmp_path: Path, error: BaseException, kind: type[BaseException], sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        fill(tmp_path / "a" / "b", error)
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_else_put_there_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be written"):
        fill(tmp_path / "out", OSError(), theirs=tmp_path / "out" / "theirs")
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*")] == [Path("out"), Path("out/theirs")]


class TestPackagesThatAreNotInstalled:
    @pytest.fixture(autouse=True)
    def converters(self) -> None:
        """Look for them after all."""

    @pytest.mark.parametrize(("option", "package"), [("--coreml", "coremltools"), ("--onnx", "tf2onnx")])
    def test_they_are_named_with_what_installs_them(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        option: str,
        package: str,
    ) -> None:
        monkeypatch.setitem(sys.modules, package, None)  # what Python itself takes for "not there"
        said = refused(monkeypatch, capsys, XTS, option, "--out", tmp_path / "out")
        assert said.startswith(f"error: {option} needs ")
        assert package in said
        assert "pip install -e '.[training,phone]'" in said
        assert list(tmp_path.iterdir()) == []


@pytest.mark.integration
class TestNetworksThatTheTrainerDoesNotBuild:
    @pytest.fixture(autouse=True)
    def keras(self) -> None:
        pytest.importorskip("keras")

    @pytest.mark.parametrize(
        ("training", "sentence"),
        [
            ({"trunk": "resnet", "width": 1.0}, "unknown trunk resnet; known are"),
            ({"trunk": "mobilenet_v2", "width": 0.5}, "holds another network"),
            ({"trunk": "mobilenet_v3_small", "width": 1.0}, "holds another network"),
            ({"trunk": "tiny", "width": 1.0}, "holds another network"),
            ({"trunk": "mobilenet_v2", "width": 1e9}, "does not say what network it holds"),
            ({"trunk": "mobilenet_v2"}, "does not say what network it holds"),
            ({"trunk": 2, "width": 1.0}, "does not say what network it holds"),
            ({}, "does not say what network it holds"),
        ],
        ids=str,
    )
    def test_they_are_not_converted_to_core_ml(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        training: dict[str, str | float],
        sentence: str,
    ) -> None:
        bundle = harmed.copy(tmp_path / "xts")
        harmed.edit(bundle, lambda manifest: manifest.update(training=training))
        capsys.readouterr()
        monkeypatch.setattr("sys.argv", ["training", "export", str(bundle), "--coreml", "--out", str(tmp_path / "out")])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert last.startswith("error: ")
        assert sentence in last
        shutil.rmtree(bundle)
        assert list(tmp_path.iterdir()) == []
