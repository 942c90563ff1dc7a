"""Owns the transcript of a recording: what would be said to it, as fast as the model allows, without devices."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from edge import app
from edge.commands.shell import add_bundle, configured, put
from edge.core.bundle import Bundle
from edge.core.errors import EXIT_OK
from edge.core.line import one_line
from edge.core.pocket import Pocket
from edge.core.speech import Speech
from edge.devices import open_engine
from edge.drivers.clock import SystemClock
from edge.drivers.files import FilesCamera
from edge.ports import Engine
from edge.settings import Config

SILENCE = "(silence)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("folder", type=Path)
    add_bundle(parser)


def run(options: argparse.Namespace) -> int:
    """Print the transcript."""
    config = configured(options)
    for line in transcribe(config, options.folder, lambda bundle: open_engine(config, bundle)):
        put(one_line(line))  # a picture may be called anything
    return EXIT_OK


def transcribe(config: Config, folder: Path, open_engine_: Callable[[Bundle], Engine]) -> Iterator[str]:
    """A line for each thing said, with the file it was said to; stills to which nothing is said get a line too.

    Raises BundleError, and HardwareError where there are no pictures.
    """
    loaded = app.load(config, open_engine_)
    speech = Speech(config.voice.language, loaded[0][0].manifest.currency)
    with contextlib.ExitStack() as closing:
        for _, engine in loaded:
            closing.callback(engine.close)
        camera = FilesCamera(folder, pace=False, clock=SystemClock(), frames_per_s=config.camera.frames_per_s)
        closing.callback(camera.close)
        pocket = Pocket([(bundle, engine.invoke) for bundle, engine in loaded], time.perf_counter)
        yield from _said(pocket, speech, camera)
        for name, reason in camera.broken.items():
            yield f"{name}: left out, as it {reason}"


def _said(pocket: Pocket, speech: Speech, camera: FilesCamera) -> Iterator[str]:
    shown, spoke = "", False  # the still in view, and whether anything was said to it
    while (frame := camera.read(1.0)) is not None:
        # Between two stills there is a frame without a name; the frames of a recording all have theirs.
        if not frame.name and shown and not spoke:
            yield f"{shown}: {SILENCE}"
        if frame.name != shown:
            shown, spoke = frame.name, False
        for decision in pocket.step(pocket.observe(frame)):
            if text := speech.decision(decision):
                spoke = True
                yield f"{frame.name or f'{frame.t_s:.1f} s'}: {text}"
