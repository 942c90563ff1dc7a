"""Runs the device beside other ways to read banknotes, in one process, on the same pictures: how long, and how right.

    make bench-peers                                   Keras' `model.predict` on each frame, the same network in float
    make bench-peers DATA=FOLDER PEER="PATH PATH"      and readers of others, on photographs (FOLDER/AMOUNT/*.jpg)

Keras' weights are those of chance: how long it takes does not depend on them. All see the same frames in turn, from the
camera's picture of 640 x 480 to the amount. CPU time is that of all threads. What is said is said to the photographs as
they are: by the device to one that is held for a second, by the others to one frame.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from edge import app
from edge.commands.measurement import CAMERA_SIZE, WARM_UP, moving
from edge.core import bundle as bundles
from edge.core import photograph, picture
from edge.core.bundle import Bundle
from edge.core.decide import Decider
from edge.core.messages import Frame, Pixels, Verdict
from edge.core.observe import Observer
from edge.drivers.tflite import TfliteEngine
from tests.peers.readers import Reads, opened
from training.measure.specimens import list_pictures

FRAMES = 60
KERAS = ("model.predict(frame)", "model(frame)")

Shown = Sequence[tuple[Path, str]]  # pictures and their amounts


def main() -> int:
    """Print one table, or two where there are photographs."""
    given = _asked()
    bundle = bundles.read(app.find_bundle("inr"))
    engine = TfliteEngine(bundle.model, threads=2)
    try:
        peers = dict(opened(path) for path in given.peer)
        shown = _some(list_pictures(given.data, None, bundle), given.each) if given.data else []
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    ways = {"saynote": _device(bundle, engine), **({} if given.no_keras else _keras(bundle)), **peers}
    frames = [_as_camera(path) for path, _ in shown[:: max(1, len(shown) // FRAMES)]] or moving(bundle)
    _print(_table(_times(ways, frames)))
    if shown:
        answers: dict[str, Reads] = {"saynote": lambda pixels: _said(bundle, engine, pixels), **peers}
        _print(_rights(answers, shown))
    engine.close()
    return 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="the device beside other readers of banknotes")
    parser.add_argument("--peer", type=Path, nargs="*", default=[], help="checkouts of other readers")
    parser.add_argument("--data", type=Path, help="photographs of rupees, a sub-folder an amount")
    parser.add_argument("--each", type=int, default=0, help="so many photographs of each amount; 0: all")
    parser.add_argument("--no-keras", action="store_true", help="leave the Keras loops out")
    return parser.parse_args()


def _some(shown: Shown, each: int) -> Shown:
    found: dict[str, list[tuple[Path, str]]] = {}
    for path, amount in shown:
        found.setdefault(amount, []).append((path, amount))
    return [one for rows in found.values() for one in rows[:: max(1, len(rows) // each) if each else 1][: each or None]]


def _as_camera(path: Path) -> Pixels:
    height, width = CAMERA_SIZE
    return cv2.resize(picture.read(path).pixels, (width, height))


def _device(bundle: Bundle, engine: TfliteEngine) -> Callable[[Pixels], object]:
    observer = Observer(bundle, engine.invoke, time.perf_counter)
    decider, number = Decider(bundle.labels, bundle.manifest.decision), 0

    def see(pixels: Pixels) -> object:
        nonlocal number
        number += 1
        return decider.step(observer.observe(Frame(number, number / 15, pixels)))

    return see


def _keras(bundle: Bundle) -> dict[str, Callable[[Pixels], object]]:
    from training.learn import network

    side, told = bundle.manifest.input.width, bundle.manifest.training
    trunk, width = str(told.get("trunk", "mobilenet_v2")), float(told.get("width", 0.35))
    model = network.build(trunk, width, side, len(bundle.labels), None, 0.0)

    def small(pixels: Pixels) -> np.ndarray:
        return cv2.resize(pixels, (side, side)).astype(np.float32)[None] / 127.5 - 1

    predict, call = KERAS
    return {
        predict: lambda pixels: model.predict(small(pixels), verbose=0),
        call: lambda pixels: np.asarray(model(small(pixels), training=False)["logits"]),
    }


def _times(
    ways: dict[str, Callable[[Pixels], object]], frames: Sequence[Pixels]
) -> dict[str, tuple[float, float, float, float]]:
    """Medians of each way: milliseconds, times the first's, CPU milliseconds, times the first's; in pairs."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(WARM_UP + FRAMES):
        for name, way in ways.items():
            taken[name].append(_timed(way, frames[number % len(frames)]))
    first = taken["saynote"][WARM_UP:]
    found = {}
    for name, rows in taken.items():
        pairs = list(zip(rows[WARM_UP:], first, strict=True))
        wall, cpu = (statistics.median(row[which] for row, _ in pairs) for which in (0, 1))
        by_wall, by_cpu = (statistics.median(row[which] / own[which] for row, own in pairs) for which in (0, 1))
        found[name] = (wall, by_wall, cpu, by_cpu)
    return found


def _timed(way: Callable[[Pixels], object], pixels: Pixels) -> tuple[float, float]:
    """Milliseconds of wall and of CPU."""
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    way(pixels)
    return (time.perf_counter() - wall_s) * 1e3, (time.process_time() - cpu_s) * 1e3


def _table(found: dict[str, tuple[float, float, float, float]]) -> list[str]:
    rows = [
        f"| {name} | {wall:.2f} | {by_wall:.1f} | {cpu:.2f} | {by_cpu:.1f} |"
        for name, (wall, by_wall, cpu, by_cpu) in found.items()
    ]
    return ["| a frame of 640 x 480 | ms | times | CPU ms | times |", "|---|--:|--:|--:|--:|", *rows]


def _said(bundle: Bundle, engine: TfliteEngine, pixels: Pixels) -> str:
    answer = photograph.hold([(bundle, engine.invoke)], pixels).answer
    return answer.label if answer is not None and answer.verdict is Verdict.AMOUNT else ""


def _rights(readers: dict[str, Reads], shown: Shown) -> list[str]:
    counts = {name: Counter[str]() for name in readers}
    for path, amount in shown:
        pixels = picture.read(path).pixels
        for name, read in readers.items():
            said = read(pixels)
            counts[name]["right" if said == amount else "wrong" if said else "silent"] += 1
    out = [f"| of {len(shown)} photographs | right | wrong amount | no amount |", "|---|--:|--:|--:|"]
    return out + [f"| {name} | {c['right']} | {c['wrong']} | {c['silent']} |" for name, c in counts.items()]


def _print(lines: list[str]) -> None:
    sys.stdout.write("\n".join([*lines, "", ""]))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
