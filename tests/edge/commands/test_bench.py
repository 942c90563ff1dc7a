from __future__ import annotations

import re
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge import app
from edge.commands.bench import measure, measure_sound, measure_starts
from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from edge.core.errors import BundleError, HardwareError
from edge.drivers.fake import FakeEngine, FakeSynth
from edge.settings import VoiceConfig


@pytest.fixture(params=sorted(path.name for path in app.BUNDLES.iterdir() if path.is_dir()))
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return bundles.read(app.BUNDLES / request.param)


def engine(bundle: Bundle) -> FakeEngine:
    size = bundle.manifest.input
    return FakeEngine([[list(bundle.selftest_logits[0]), [0.5] * 5]], (1, size.height, size.width, 3))


def test_every_stage_is_measured_on_a_picture_that_goes_all_the_way(bundle: Bundle) -> None:
    runs = engine(bundle)
    lines = list(measure(bundle, runs, 5))
    stages = ["scene", "preprocess", "invoke", "classify", "decide", "whole frame", "bare invoke", "ratio"]
    assert [re.split(r"\s{2,}", line)[0] for line in lines] == stages
    assert len(runs.tensors) == 2 * 25, "as many whole frames as bare ones, warm-up included"
    np.testing.assert_array_equal(runs.tensors[0], runs.tensors[1])


def test_the_whole_is_not_less_than_its_parts(bundle: Bundle) -> None:
    figures = {line[:12].strip(): float(line[12:].split()[0]) for line in measure(bundle, engine(bundle), 20)}
    assert figures["whole frame"] >= figures["invoke"] + figures["scene"]
    assert figures["ratio"] > 1


def test_a_picture_that_the_scene_gate_stops_would_measure_nothing(bundle: Bundle) -> None:
    grey = replace(bundle, selftest_pictures=np.full_like(bundle.selftest_pictures, 128))
    with pytest.raises(BundleError, match="scene gate"):
        list(measure(grey, engine(bundle), 5))


def test_the_way_to_the_ear_is_measured_from_decisions_and_from_presses(bundle: Bundle) -> None:
    synth = FakeSynth()
    lines = list(measure_sound(bundle, synth, VoiceConfig(), times=3))
    figures = {re.split(r"\s{2,}", line)[0]: float(line[20:].split()[0]) for line in lines}
    assert set(figures) == {"decision to sound", "press to total"}
    assert all(ms > 0 for ms in figures.values())
    totals = [text for text, _ in synth.texts if text.startswith("Total")]
    assert len(totals) == 3, "each once, when it changed"
    assert not [thread.name for thread in threading.enumerate() if thread.name in ("announcer", "phrases", "fake card")]


@pytest.mark.integration
def test_whole_starts_are_measured_and_their_stages_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(app.__file__).parents[1])
    first, then = measure_starts([])
    for line in (first, then):
        assert re.search(r"\d+\.\d\d s to the first word", line)
        assert all(f"{stage}=" in line for stage in ("imports", "bundle", "voice", "phrases", "outlets"))


@pytest.mark.integration
def test_a_start_that_comes_to_no_word_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(app.__file__).parents[1])
    with pytest.raises(HardwareError, match="there is no bundle 'gold'"):
        list(measure_starts(["--bundle", "gold"]))
