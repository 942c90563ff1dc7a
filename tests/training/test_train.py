"""The whole path in miniature: draw, train for a minute, quantise, bundle, replay, and no wrong amount is said."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from edge.core import bundle as bundles
from training.playmoney import recording

pytestmark = [pytest.mark.integration, pytest.mark.timeout(420)]

SHOWN = ((50, "front"), (5, "back"), (100, "front"), (5, "front"))
PLAY = ["play", "--gentle", "--from-scratch", "--trunk", "tiny", "--size", "64", "--denominations", "5,50,100"]


def training(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)


@pytest.fixture(scope="module")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("miniature")
    make(folder)
    return folder


def make(folder: Path) -> None:
    done = training(*PLAY, "--steps", "600", "--out", folder / "bundle", "--run", folder / "run")
    assert done.returncode == 0, done.stderr


def test_the_same_seed_makes_the_same_bundle(miniature: Path, tmp_path: Path) -> None:
    make(tmp_path)
    first, again = (bundles.read(folder / "bundle").manifest for folder in (miniature, tmp_path))
    assert first.digest == again.digest


def test_the_bundle_is_whole_and_was_measured(miniature: Path) -> None:
    bundle = bundles.read(miniature / "bundle")
    assert bundle.denominations == ("5", "50", "100")
    assert bundle.manifest.currency == "XTS"
    assert bundle.manifest.figures["int8_float_agreement"] >= 0.99
    assert "counterfeit" in (miniature / "bundle" / bundles.CARD).read_text()


def test_the_replay_says_right_amounts_in_order_or_that_it_is_not_sure(miniature: Path, tmp_path: Path) -> None:
    recording.write(tmp_path, 7, SHOWN)
    command = [sys.executable, "-m", "edge", "replay", str(tmp_path), "--bundle", str(miniature / "bundle")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    # A minute's training is unsure of some notes, as its thresholds say; what it says has to be right.
    said = re.findall(r"(\d+) play crowns", done.stdout)
    shown = iter(str(amount) for amount, _ in SHOWN)
    assert all(amount in shown for amount in said), done.stdout  # in the order in which they are shown
    assert len(set(said)) >= 2, done.stdout


def test_logs_are_left_for_eyes_and_for_tensorboard(miniature: Path) -> None:
    assert "loss" in (miniature / "run" / "fit" / "log.csv").read_text()
    assert list((miniature / "run" / "fit" / "tensorboard").glob("events.out.tfevents*"))
