"""Owns the transcript of a recording: what would be said to it, as fast as the model allows, without devices.

Photographs are told one by one, each as by a device that has just been switched on (`edge/core/photograph.py`).
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from edge import selection
from edge.commands.shell import add_bundle, configured, loader, put
from edge.core import photograph, picture
from edge.core.bundle import Bundle
from edge.core.errors import EXIT_OK, PictureError
from edge.core.line import one_line
from edge.core.observe import Invoke
from edge.core.pocket import Pocket
from edge.core.speech import Speech
from edge.devices import open_engine
from edge.drivers import files
from edge.drivers.clock import SystemClock
from edge.drivers.files import FilesCamera
from edge.ports import Engine
from edge.selection import Load
from edge.settings import Config

SILENCE = "(silence)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument("folder", type=Path)
    add_bundle(parser)


def run(options: argparse.Namespace) -> int:
    """Print the transcript."""
    config = configured(options)
    for line in transcribe(config, options.folder, lambda bundle: open_engine(config, bundle), loader(options)):
        put(one_line(line))  # a picture may be called anything
    return EXIT_OK


def transcribe(
    config: Config, folder: Path, open_engine_: Callable[[Bundle], Engine], load: Load = selection.load
) -> Iterator[str]:
    """A line for each thing said, with the file it was said to; stills to which nothing is said get a line too.

    Raises BundleError, and HardwareError where there are no pictures.
    """
    loaded = load(config, open_engine_)
    speech = Speech(config.voice.language, loaded[0][0].manifest.currency)
    with contextlib.ExitStack() as closing:
        for _, engine in loaded:
            closing.callback(engine.close)
        readers = [(bundle, engine.invoke) for bundle, engine in loaded]
        photographs = files.photographs(folder)
        if photographs is not None:
            yield from _of_photographs(readers, speech, photographs)
            return
        camera = FilesCamera(folder, pace=False, clock=SystemClock(), frames_per_s=config.camera.frames_per_s)
        closing.callback(camera.close)
        yield from _of_frames(Pocket(readers, time.perf_counter), speech, camera)
        yield from _left_out(camera.broken)


def _of_photographs(
    readers: Sequence[tuple[Bundle, Invoke]], speech: Speech, photographs: Sequence[Path]
) -> Iterator[str]:
    broken: dict[str, str] = {}
    for path in photographs:
        try:
            pixels = picture.read(path).pixels
        except PictureError as error:
            broken[path.name] = error.reason
            continue
        said = [speech.decision(decision) for decision in photograph.hold(readers, pixels).decisions]
        yield from (f"{path.name}: {text}" for text in [text for text in said if text] or [SILENCE])
    yield from _left_out(broken)


def _of_frames(pocket: Pocket, speech: Speech, camera: FilesCamera) -> Iterator[str]:
    while (frame := camera.read(1.0)) is not None:
        for decision in pocket.step(pocket.observe(frame)):
            if text := speech.decision(decision):
                yield f"{frame.name or f'{frame.t_s:.1f} s'}: {text}"


def _left_out(broken: Mapping[str, str]) -> Iterator[str]:
    for name, reason in broken.items():
        yield f"{name}: left out, as it {reason}"
