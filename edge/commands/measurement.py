"""Owns how long a frame takes with one bundle: each stage, the whole beside the bare inference, and what rest costs.

Bare and whole take turns, so that a slow moment of the machine hits both; what is compared is compared pair by pair.
CPU time is that of all threads of this process. It must not know how figures are shown.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from edge.core import preprocess, scene
from edge.core.bundle import SELFTEST, Bundle
from edge.core.decide import Decider
from edge.core.errors import BundleError
from edge.core.messages import Frame, Look, Pixels
from edge.core.observe import STAGES, Observer
from edge.core.still import RESTS_S
from edge.ports import Engine

CAMERA_SIZE = (480, 640)  # the default camera's height and width
FRAMES_PER_S = 15.0  # the default camera's
PLACES = 8  # of what moves
WARM_UP = 20  # frames
Figures: TypeAlias = dict[str, float]


def frames(bundle: Bundle, engine: Engine, count: int) -> dict[str, Figures]:
    """Milliseconds by what they are of, each with p50, p95 and p99; "ratios" and "cpu" by their own names."""
    pictures = moving(bundle)
    tensor = preprocess.to_tensor(pictures[0], bundle.manifest.input)
    device = _Device(bundle, engine)
    bare, whole, own, bare_cpu, seen_cpu = [], [], [], [], []
    for number in range(count + WARM_UP):
        bare_ms, cpu_ms = _timed(lambda: engine.invoke(tensor))
        whole_ms, whole_cpu_ms = _timed(lambda: device.see(pictures[number % PLACES]))  # noqa: B023 -- called at once
        if number < WARM_UP:
            device.stages.clear()
            continue
        bare.append(bare_ms)
        whole.append(whole_ms)
        own.append(whole_ms - device.stages[STAGES[2]][-1])
        bare_cpu.append(cpu_ms)
        seen_cpu.append(whole_cpu_ms)
    gated_cpu = _cpu(device, np.full_like(pictures[0], 128), count)
    rested_cpu = _cpu(_Device(bundle, engine), pictures[0], count)
    found = {name: spread(values) for name, values in device.stages.items() if len(values) >= count}
    found |= {"whole frame": spread(whole), "bare invoke": spread(bare), "our own": spread(own)}
    notes = statistics.median(seen_cpu)
    found["cpu"] = {
        "bare invoke": statistics.median(bare_cpu),
        "a frame classified": notes,
        "nothing in view": statistics.median(gated_cpu),
        "a table at rest": statistics.median(rested_cpu),
    }
    looks = 1 / (RESTS_S * FRAMES_PER_S)
    found["ratios"] = {
        "our own over bare": statistics.median(o / b for o, b in zip(own, bare, strict=True)),
        "whole over bare": statistics.median(w / b for w, b in zip(whole, bare, strict=True)),
        "p99 over median": found["whole frame"]["p99"] / found["whole frame"]["p50"],
        "p99 over median, CPU": spread(seen_cpu)["p99"] / notes,
        "nothing over classified": statistics.median(gated_cpu) / notes,
        "table over notes": looks + (1 - looks) * statistics.median(rested_cpu) / notes,
    }
    return found


def moving(bundle: Bundle) -> list[Pixels]:
    """A self-test picture that the scene gate lets pass, in the camera's size and moving: no frame of it rests."""
    for drawn in bundle.selftest_pictures:
        rows = np.linspace(0, drawn.shape[0] - 1, CAMERA_SIZE[0]).astype(int)
        columns = np.linspace(0, drawn.shape[1] - 1, CAMERA_SIZE[1]).astype(int)
        pixels = np.ascontiguousarray(drawn[rows][:, columns])
        if scene.assess(pixels).look is Look.CLEAR:
            return [np.roll(pixels, step, axis=1) for step in range(0, CAMERA_SIZE[1], CAMERA_SIZE[1] // PLACES)]
    raise BundleError(f"{bundle.path}: {SELFTEST} holds no picture that the scene gate lets pass")


def spread(values: Sequence[float]) -> Figures:
    """Median, 95th and 99th percentile."""
    p50, p95, p99 = (float(value) for value in np.percentile(values, [50, 95, 99]))
    return {"p50": p50, "p95": p95, "p99": p99}


class _Device:
    """A frame's way from camera to decision, and how long its stages took."""

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self.stages: dict[str, list[float]] = {}
        self._observer = Observer(bundle, engine.invoke, time.perf_counter)
        self._decider = Decider(bundle.labels, bundle.manifest.decision)
        self._number = 0

    def see(self, pixels: Pixels) -> None:
        self._number += 1
        observation = self._observer.observe(Frame(self._number, self._number / FRAMES_PER_S, pixels))
        looked_s = time.perf_counter()
        self._decider.step(observation)
        decided_ms = (time.perf_counter() - looked_s) * 1e3
        for stage, ms in {**observation.ms, "decide": decided_ms}.items():
            self.stages.setdefault(stage, []).append(ms)


def _cpu(device: _Device, pixels: Pixels, count: int) -> list[float]:
    """CPU milliseconds of each of `count` frames that show the same."""
    return [_timed(lambda: device.see(pixels))[1] for _ in range(count)]


def _timed(act: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of wall and of CPU that `act` takes."""
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    act()
    return (time.perf_counter() - wall_s) * 1e3, (time.process_time() - cpu_s) * 1e3
