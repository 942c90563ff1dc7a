"""Owns one picture for the person who sets the device up, with what the device makes of it; stores it nowhere else."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edge import selection
from edge.commands.shell import add_bundle, configured, loader, put
from edge.core.bundle import Bundle
from edge.core.errors import EXIT_OK, BundleError, HardwareError, Reason
from edge.core.messages import Frame, Look, Observation, Pixels
from edge.core.observe import Observer
from edge.devices import Parts, parts
from edge.ports import Camera, Engine
from edge.selection import Load
from edge.settings import Config

SETTLE_S = 1.5  # of frames, in which a camera finds its exposure and focus
FIRST_FRAME_S = 5.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("file", nargs="?", type=_picture, default=Path("snapshot.jpg"), help="[snapshot.jpg]")
    add_bundle(parser)


def _picture(text: str) -> Path:
    if Path(text).suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise argparse.ArgumentTypeError(f"{text!r} must end in .jpg or .png")
    return Path(text)


def run(options: argparse.Namespace) -> int:
    """Take it with the configured camera."""
    config = configured(options)
    for line in take(config, parts(config), options.file, loader(options)):
        put(line)
    return EXIT_OK


def take(config: Config, devices: Parts, file: Path, load: Load = selection.load) -> Iterator[str]:
    """Write the picture to `file`; lines that say what is in it.

    Raises HardwareError where there is no picture or it cannot be written.
    """
    with contextlib.closing(devices.camera()) as camera:
        frame = _settled(camera)
    _write(file, frame.pixels)
    height, width = frame.pixels.shape[:2]
    yield f"picture    {file}, {width} x {height}"
    try:
        loaded = load(config, devices.engine)
    except BundleError as error:
        yield f"bundle     refused: {error}"
        return
    for bundle, engine in loaded:
        with contextlib.closing(engine):
            if len(loaded) > 1:
                yield f"bundle     {bundle.manifest.name} {bundle.manifest.version}"
            yield from _describe(bundle, engine, frame)


def _settled(camera: Camera) -> Frame:
    first = last = camera.read(FIRST_FRAME_S)
    while first is not None and last is not None and last.t_s - first.t_s < SETTLE_S:
        following = camera.read(FIRST_FRAME_S)
        if following is None:
            break
        last = following
    if last is None:
        raise HardwareError("camera", Reason.STOPPED, "it gives no picture")
    return last


def _write(file: Path, pixels: Pixels) -> None:
    good, data = cv2.imencode(file.suffix.lower(), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    if not good:
        raise HardwareError("disk", Reason.BROKEN, f"{file} cannot be made")
    try:
        file.write_bytes(data.tobytes())
    except OSError as error:
        raise HardwareError("disk", Reason.DENIED, f"{file} cannot be written: {error.strerror}") from error


def _describe(bundle: Bundle, engine: Engine, frame: Frame) -> Iterator[str]:
    seen = Observer(bundle, engine.invoke, time.perf_counter).observe(frame)
    scene = seen.scene
    yield f"look       {scene.look.value}"
    yield f"luma       {scene.luma:.0f} of 255"
    yield f"detail     {scene.detail:.1f}"
    yield f"sharpness  {scene.sharpness:.0f}"
    if scene.look is not Look.CLEAR:
        yield f"note       not looked for: the picture is {scene.look.value}"
        return
    yield from _most_likely(bundle, seen)
    if bundle.manifest.has_box and seen.box is not None:
        box = seen.box
        yield (
            f"box        centre {box.centre_x:.2f} from the left, {box.centre_y:.2f} from the top; "
            f"{box.width:.2f} wide, {box.height:.2f} high; {box.visible:.0%} of the note in the picture"
        )


def _most_likely(bundle: Bundle, seen: Observation) -> Iterator[str]:
    assert seen.scores is not None
    shares = np.exp(seen.scores)
    for place, index in enumerate(np.argsort(-shares)[:3]):
        label = bundle.labels[int(index)]
        needed = bundle.manifest.decision.thresholds.get(label)
        limit = f", said from {needed:.1%} on" if needed is not None else ""
        yield f"{'label' if place == 0 else '':10} {label}: {shares[index]:.1%}{limit}"
