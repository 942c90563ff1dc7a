"""The comparison itself, which runs anywhere. What Core ML says was not tried here: that takes a Mac."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml

from training.cli.app import app
from training.phone import on_mac

PROJECT = Path(__file__).parents[3]

GIVEN = {
    "a.png": {"scores": [-0.01, -5.0, -9.0], "box": [0.5, 0.5, 0.4, 0.3, 0.9]},
    "b.png": {"scores": [-4.0, -0.02, -6.0], "box": [0.4, 0.5, 0.4, 0.3, 0.8]},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [{"picture": name, "float": given, "int8": given} for name, given in GIVEN.items()]
    (tmp_path / "xts.json").write_text(json.dumps({"selftest": rows}))
    return tmp_path


def says(change: Any) -> on_mac.Predict:
    def predict(picture: Path) -> dict[str, Any]:
        given = GIVEN[picture.name]
        return change({name: np.array([values], np.float32) for name, values in given.items()})

    return predict


def test_what_says_the_same_is_not_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert on_mac.compare(folder, says(lambda found: found), "CPU_ONLY") == []
    assert capsys.readouterr().out == "CPU_ONLY: 2 pictures, off by 0.00000 at most, 0 wrong\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda found: {**found, "scores": found["scores"][:, ::-1]},  # red and blue, or labels, the other way round
        lambda found: {**found, "scores": found["scores"] * np.nan},
        lambda found: {**found, "box": found["box"] + 0.3},
        lambda found: {**found, "scores": found["scores"] - 0.5},
    ],
)
def test_what_says_something_else_is_named_picture_by_picture(folder: Path, change: Any) -> None:
    for units in on_mac.WITHIN:
        problems = on_mac.compare(folder, says(change), units)
        assert len(problems) == len(GIVEN)
        assert problems[0].startswith(f"{units}: a.png is ")


def test_what_is_hardly_possible_may_differ(folder: Path) -> None:
    def unlikely(found: dict[str, Any]) -> dict[str, Any]:
        return {**found, "scores": np.where(found["scores"] < -8, -30.0, found["scores"])}

    assert on_mac.compare(folder, says(unlikely), "CPU_ONLY") == []


@pytest.mark.skipif(sys.platform == "darwin", reason="this is a Mac")
def test_elsewhere_it_says_that_nothing_was_predicted(folder: Path) -> None:
    command = [sys.executable, "-m", "training.phone.on_mac", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Core ML runs on a Mac alone: nothing was predicted\n"
    done = subprocess.run(command[:-1], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_the_job_for_a_mac_calls_the_script_and_the_script_what_there_is() -> None:
    job = yaml.safe_load((PROJECT / ".github" / "workflows" / "phone-on-mac.yml").read_text())["jobs"]["predict"]
    (called,) = [step["run"] for step in job["steps"] if "run" in step]
    script = PROJECT / called
    assert os.access(script, os.X_OK)
    assert job["runs-on"].startswith("macos")
    group = typer.main.get_command(app)
    modules = []
    for line in script.read_text().splitlines():
        words = shlex.split(line, comments=True)
        if words[1:3] == ["-m", "training"]:
            context = group.make_context("training", words[3:], resilient_parsing=True)
            name, command, rest = group.resolve_command(context, words[3:])
            command.make_context(name, rest, parent=context)
        elif words[1:2] == ["-m"]:
            modules.append(words[2])
    assert modules[-1] == on_mac.__name__
    assert "'.[training,phone]'" in script.read_text()
