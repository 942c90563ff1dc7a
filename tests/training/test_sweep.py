from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.training.drawn import SWEEP, weights
from training import onray, sweep, variants
from training.errors import TrainingError
from training.sweep import Left
from training.together import Job, Say


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.toml"
    path.write_text(SWEEP)
    return path


def test_what_all_have_in_common_may_be_said_once(file: Path) -> None:
    usual, small, flat = variants.read(file)
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
        variants.read(tmp_path / "a.toml")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="No such file"):
        variants.read(tmp_path / "a.toml")


def test_weights_lie_beside_the_file_or_in_the_folder_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[[variant]]\nname = 'a'\nweights = 'w.h5'\n")
    with pytest.raises(TrainingError, match=r"w\.h5: there is no such file"):
        variants.read(tmp_path / "a.toml")
    (tmp_path / "w.h5").touch()
    assert variants.read(tmp_path / "a.toml")[0].weights == str(tmp_path / "w.h5")
    with pytest.raises(TrainingError, match="elsewhere"):
        variants.read(tmp_path / "a.toml", tmp_path / "elsewhere")


def test_weights_of_what_is_not_picked_are_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[[variant]]\nname = 'a'\nweights = 'w.h5'\n[[variant]]\nname = 'b'\n")
    assert [variant.name for variant in variants.read(tmp_path / "a.toml", pick=["b"])] == ["b"]
    with pytest.raises(TrainingError, match="no training called c"):
        variants.read(tmp_path / "a.toml", pick=["c"])


def test_keras_is_not_imported_before_the_trainings_are_forked() -> None:
    program = "import sys, training.__main__, training.sweep; sys.exit(int('keras' in sys.modules))"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, cwd=Path(sweep.__file__).parents[1])


@pytest.mark.integration
def test_each_training_leaves_its_run_and_its_figures_or_is_said_to_have_failed(
    file: Path, photos: Path, tmp_path: Path
) -> None:
    """In a process of its own: the trainings are forks, which TensorFlow forgives only before it has computed."""
    (tmp_path / "w.h5").write_bytes(b"no weights")
    file.write_text(f"{SWEEP}\n[[variant]]\nname = 'broken'\ntrunk = 'mobilenet_v2'\nweights = 'w.h5'\n")
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


@pytest.mark.integration
def test_trainings_that_travel_learn_what_those_at_home_learn(file: Path, photos: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training", "sweep", file, photos, "--run", tmp_path / "home", "--test", photos]
    subprocess.run([*map(str, command), "--workers", "2"], check=True, capture_output=True, timeout=280)
    wanted, travelled = variants.read(file), tmp_path / "away"
    rows = sweep.sweep(wanted, photos, None, [], travelled, test=photos, workers=1, do=away)
    assert rows == json.loads((tmp_path / "home" / "sweep.json").read_text())
    for variant in wanted:
        home, far = (weights(tmp_path / where / variant.name) for where in ("home", "away"))
        assert home == far


def away(jobs: Sequence[Job], run: Path, left: Left, say: Say) -> None:
    """As a machine of a cluster does them, where they come and from where they go as bytes."""
    for job in jobs:
        assert left(job) is None
        onray.keep(onray.done(pickle.loads(pickle.dumps(job)), {}, None), run)


@pytest.mark.integration
def test_what_trainings_begin_with_travels_along(
    file: Path, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    begin = tmp_path / "weights.h5"
    begin.write_bytes(b"no weights")
    file.write_text("[[variant]]\nname = 'a'\nsize = 64\nsteps = 1\nbatch = 4\nweights = 'weights.h5'\n")
    told: list[str] = []

    def elsewhere(jobs: Sequence[Job], run: Path, left: Left, say: Say) -> None:
        [job] = jobs
        files = onray.files_of(job)
        begin.unlink()
        assert onray.done(job, files, None) == {}
        told.extend(files)

    assert sweep.sweep(variants.read(file), photos, None, [], tmp_path / "runs", do=elsewhere) == []
    assert told == [str(begin)]
    assert re.search(
        r"a: the weights \S+/begin/0/weights\.h5 for mobilenet_v2 1\.0 cannot be used", capfd.readouterr().out
    )


def test_without_ray_that_is_one_sentence(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(TrainingError, match=r"^Ray is not installed: pip install 'saynote\[ray\]'$"):
        onray.on("auto")
