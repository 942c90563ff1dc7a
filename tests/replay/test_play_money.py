"""The shipped recording and the shipped bundle: what the whole device says, as text and as sound."""

from __future__ import annotations

import re
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from edge import app
from edge.commands.replay import transcribe
from edge.devices import open_engine
from edge.settings import Config, ModelConfig
from training.playmoney.recording import SHOWN

AMOUNTS = [str(amount) for amount, _ in SHOWN]


def test_the_shipped_recording_is_read_right_and_nothing_else_is_said() -> None:
    config = Config(model=ModelConfig(bundle="xts"))
    lines = list(transcribe(config, app.REPLAY, lambda bundle: open_engine(config, bundle)))
    assert [re.fullmatch(r"\d{4}\.jpg: (\d+) play crowns", line)[1] for line in lines] == AMOUNTS  # type: ignore[index]


@pytest.mark.parametrize("bundle", [("xts", "inr"), ("inr", "xts")])
def test_with_rupees_in_the_pocket_as_well_play_money_is_play_money(bundle: tuple[str, ...]) -> None:
    config = Config(model=ModelConfig(bundle=bundle))
    lines = list(transcribe(config, app.REPLAY, lambda loaded: open_engine(config, loaded)))
    assert [re.fullmatch(r"\d{4}\.jpg: (\d+) play crowns", line)[1] for line in lines] == AMOUNTS  # type: ignore[index]


def test_the_recording_that_ships_is_small() -> None:
    assert sum(file.stat().st_size for file in app.REPLAY.iterdir()) < 3_000_000


@pytest.mark.integration
def test_the_demonstration_is_announced_speaks_every_amount_and_ends_well(tmp_path: Path) -> None:
    sound = tmp_path / "said.wav"
    command = [sys.executable, "-m", "edge", "run", "--camera", "replay", "--view", "--wav", str(sound)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    spoken = re.findall(r"^spoken +“(.*)”", done.stdout, re.MULTILINE)
    assert spoken == ["Demonstration, play money", *(f"{amount} play crowns" for amount in AMOUNTS)]
    if not sound.exists():
        pytest.skip("there is a sound card here: it was spoken aloud")
    with wave.open(str(sound)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        seconds = len(samples) / file.getframerate()
    assert 7 < seconds < 30
    assert np.abs(samples.astype(int)).max() > 8000
