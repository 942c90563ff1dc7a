"""Owns the speed figures: milliseconds per stage, and the whole over the bare inference, in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import numpy as np

from edge.core import preprocess, scene
from edge.core.bundle import SELFTEST, Bundle
from edge.core.decide import Decider
from edge.core.errors import BundleError
from edge.core.messages import Frame, Look, Pixels
from edge.core.observe import Observer
from edge.ports import Engine

CAMERA_SIZE = (480, 640)  # the default camera's height and width


def measure(bundle: Bundle, engine: Engine, frames: int) -> Iterator[str]:
    """Lines with medians over `frames` frames; bare and whole take turns, so that a slow moment hits both."""
    observer = Observer(bundle, engine.invoke, time.perf_counter)
    decider = Decider(bundle.labels, bundle.manifest.decision)
    pixels = _picture(bundle)
    tensor = preprocess.to_tensor(pixels, bundle.manifest.input)
    stages: dict[str, list[float]] = {}
    bare, whole = [], []
    for number in range(frames + 20):
        started = time.perf_counter()
        engine.invoke(tensor)
        between = time.perf_counter()
        observation = observer.observe(Frame(number, number / 15, pixels))
        looked = time.perf_counter()
        decider.step(observation)
        ended = time.perf_counter()
        if number < 20:  # caches warm up
            continue
        bare.append((between - started) * 1e3)
        whole.append((ended - between) * 1e3)
        for stage, ms in {**observation.ms, "decide": (ended - looked) * 1e3}.items():
            stages.setdefault(stage, []).append(ms)
    for stage, values in stages.items():
        yield f"{stage:12} {statistics.median(values):8.3f} ms"
    ratio = statistics.median(w / b for w, b in zip(whole, bare, strict=True))
    yield f"{'whole frame':12} {statistics.median(whole):8.3f} ms"
    yield f"{'bare invoke':12} {statistics.median(bare):8.3f} ms"
    yield f"{'ratio':12} {ratio:8.3f} (median of whole over bare, pair by pair, {frames} frames)"


def _picture(bundle: Bundle) -> Pixels:
    """The first self-test picture that the scene gate lets pass, enlarged to the camera's size."""
    for drawn in bundle.selftest_pictures:
        rows = np.linspace(0, drawn.shape[0] - 1, CAMERA_SIZE[0]).astype(int)
        columns = np.linspace(0, drawn.shape[1] - 1, CAMERA_SIZE[1]).astype(int)
        pixels: Pixels = np.ascontiguousarray(drawn[rows][:, columns])
        if scene.assess(pixels).look is Look.CLEAR:
            return pixels
    raise BundleError(f"{bundle.path}: {SELFTEST} holds no picture that the scene gate lets pass")
