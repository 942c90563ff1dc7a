from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from training import sweep
from training.errors import TrainingError

FILE = """
[all]
trunk = "tiny"
size = 64
steps = 6
head_steps = 0
batch = 4

[[variant]]
name = "usual"

[[variant]]
name = "small"
size = 32

[[variant]]
name = "flat"
without = ["turns"]
only = "photographs"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.toml"
    path.write_text(FILE)
    return path


def test_what_all_have_in_common_may_be_said_once(file: Path) -> None:
    usual, small, flat = sweep.read(file)
    assert (usual.size, small.size, flat.size) == (64, 32, 64)
    assert usual.samples() == small.samples() != flat.samples()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "needs tables `variant`"),
        ("[[variant]]\nname = 'a'\n[[variant]]\nname = 'a'\n", "name of its own"),
        ("[[variant]]\nname = 'a'\nspeed = 3\n", "unknown field `speed`"),
        ("[[variant]]\nname = 'a'\nsteps = 'many'\n", "steps"),
        ("[[variant]]\nname = 'a'\nbatch = 0\n", "batch"),
        ("[[variant]]\nname = '../up'\n", "name"),
        ("[[variant]]\nname = 'a'\nwithout = ['foldes']\n", "folds"),
        ("[[variant]]\nname = 'a'\nonly = 'coins'\n", "coins"),
        ("[[variant]\n", "not a list of trainings"),
        ("variant = 3\n", "not a list of trainings"),
    ],
)
def test_a_file_that_cannot_be_meant_is_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(TrainingError, match=complaint):
        sweep.read(tmp_path / "a.toml")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="No such file"):
        sweep.read(tmp_path / "a.toml")


def test_weights_lie_beside_the_file_or_in_the_folder_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[[variant]]\nname = 'a'\nweights = 'w.h5'\n")
    with pytest.raises(TrainingError, match=r"w\.h5: there is no such file"):
        sweep.read(tmp_path / "a.toml")
    (tmp_path / "w.h5").touch()
    assert sweep.read(tmp_path / "a.toml")[0].weights == str(tmp_path / "w.h5")
    with pytest.raises(TrainingError, match="elsewhere"):
        sweep.read(tmp_path / "a.toml", tmp_path / "elsewhere")


def test_weights_of_what_is_not_picked_are_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[[variant]]\nname = 'a'\nweights = 'w.h5'\n[[variant]]\nname = 'b'\n")
    assert [variant.name for variant in sweep.read(tmp_path / "a.toml", pick=["b"])] == ["b"]
    with pytest.raises(TrainingError, match="no training called c"):
        sweep.read(tmp_path / "a.toml", pick=["c"])


def test_keras_is_not_imported_before_the_trainings_are_forked() -> None:
    program = "import sys, training.__main__, training.sweep; sys.exit(int('keras' in sys.modules))"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, cwd=Path(sweep.__file__).parents[1])


@pytest.mark.integration
def test_each_training_leaves_its_run_and_its_figures_or_is_said_to_have_failed(
    file: Path, photos: Path, tmp_path: Path
) -> None:
    """In a process of its own: the trainings are forks, which TensorFlow forgives only before it has computed."""
    (tmp_path / "w.h5").write_bytes(b"no weights")
    file.write_text(f"{FILE}\n[[variant]]\nname = 'broken'\ntrunk = 'mobilenet_v2'\nweights = 'w.h5'\n")
    runs = tmp_path / "runs"
    (runs / "broken").mkdir(parents=True)
    (runs / "broken" / "figures.json").write_text('{"name": "broken", "steps": 99999}')
    command = [sys.executable, "-m", "training", "sweep", file, photos, "--run", runs, "--test", photos]
    told = subprocess.run([*map(str, command), "--workers", "2"], capture_output=True, text=True, timeout=280)
    assert told.returncode == 1
    assert "broken: the weights" in told.stderr
    assert "1 of 4 trainings" in told.stderr
    assert [row["name"] for row in json.loads((runs / "sweep.json").read_text())] == ["usual", "small", "flat"]
    for name in ("usual", "small", "flat"):
        figures = json.loads((runs / name / "figures.json").read_text())
        assert figures["steps"] == 6
        assert figures["samples"] == 24
        assert {"held out: accuracy", "test: accuracy", "test: coverage_in_budget"} <= figures.keys()
        assert (runs / name / "fit" / "model.keras").is_file()
        assert name in told.stdout
