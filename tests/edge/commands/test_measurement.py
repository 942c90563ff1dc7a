from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from edge import app
from edge.commands.measurement import FRAMES_PER_S, WARM_UP, frames, moving, spread
from edge.core import bundle as bundles
from edge.core.bundle import BACKGROUND, Bundle
from edge.core.errors import BundleError
from edge.core.messages import Frame
from edge.core.observe import Observer
from edge.core.still import RESTS_S
from edge.drivers.fake import FakeEngine


@pytest.fixture(params=sorted(path.name for path in app.BUNDLES.iterdir() if path.is_dir()))
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return bundles.read(app.BUNDLES / request.param)


def engine(bundle: Bundle) -> FakeEngine:
    """A model that sees nothing, so that a table comes to rest."""
    size = bundle.manifest.input
    logits = [20.0 if label == BACKGROUND else 0.0 for label in bundle.labels]
    return FakeEngine([[logits, [0.0] * 5]], (1, size.height, size.width, 3))


def test_every_stage_is_measured_and_every_frame_that_moves_costs_an_inference(bundle: Bundle) -> None:
    runs = engine(bundle)
    found = frames(bundle, runs, 5)
    stages = {"scene", "preprocess", "invoke", "classify", "decide", "whole frame", "bare invoke", "our own"}
    assert set(found) == stages | {"cpu", "ratios"}
    assert all(found[stage]["p50"] <= found[stage]["p95"] <= found[stage]["p99"] for stage in stages)
    rested = len(bundle.manifest.input.turns) + int((5 + WARM_UP) / FRAMES_PER_S / RESTS_S)
    assert len(runs.tensors) == 2 * (5 + WARM_UP) + rested, "as many whole frames as bare ones, and a table's few"


def test_the_whole_is_not_less_than_its_parts(bundle: Bundle) -> None:
    found = frames(bundle, engine(bundle), 20)
    assert found["whole frame"]["p50"] >= found["our own"]["p50"] > 0
    assert found["ratios"]["p99 over median"] >= 1


def test_what_moves_never_rests(bundle: Bundle) -> None:
    runs = engine(bundle)
    observer = Observer(bundle, runs.invoke, lambda: 0.0)
    for number in range(40):
        pictures = moving(bundle)
        observer.observe(Frame(number, number / 15, pictures[number % len(pictures)]))
    assert len(runs.tensors) == 40


def test_a_picture_that_the_scene_gate_stops_would_measure_nothing(bundle: Bundle) -> None:
    grey = replace(bundle, selftest_pictures=np.full_like(bundle.selftest_pictures, 128))
    with pytest.raises(BundleError, match="scene gate"):
        frames(grey, engine(bundle), 5)


def test_a_spread_is_of_all_values() -> None:
    assert spread([1.0, 2.0, 3.0]) == pytest.approx({"p50": 2.0, "p95": 2.9, "p99": 2.98})


def test_what_is_our_own_is_told_without_the_model_however_long_that_takes(bundle: Bundle) -> None:
    class Long(FakeEngine):
        """Takes its time at the model, as a real driver shows it."""

        def model(self) -> None:
            until_s = time.thread_time() + 0.02
            while time.thread_time() < until_s:
                pass

        def invoke(self, tensor: np.ndarray) -> list:  # type: ignore[type-arg]
            self.model()
            return super().invoke(tensor)

    quick = engine(bundle)
    runs = Long(quick._script, quick.input_shape())
    found = frames(bundle, runs, 5)
    assert found["bare invoke"]["p50"] >= 20
    assert found["whole frame"]["p50"] >= 20 > found["our own"]["p50"]
    assert runs.model.__name__ == "model", "the stopwatch is taken away"


def test_a_note_is_in_view_so_the_whole_way_of_a_decision_is_measured(bundle: Bundle) -> None:
    found = frames(bundle, engine(bundle), 10)
    assert found["decide"]["p50"] > 0
    assert found["ratios"]["nothing over classified"] < 1
