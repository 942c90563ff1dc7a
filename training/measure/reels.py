"""Owns films as a bundle saw them: what each look said, kept so that rules of decision are compared without a picture.

What a look says depends on the looks before it and on no decision, so one recording serves every rule. A reel is what
one device sees from switching on to switching off. A file holds the reels of one bundle.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.core import arrays
from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from edge.core.messages import Box, Frame, Look, Observation, Scene
from edge.core.observe import Invoke, Observer
from training import spread
from training.errors import TrainingError
from training.measure import stories
from training.measure.device import running
from training.measure.films import NOTE, PHOTOGRAPHS, SWAPS, TOGETHER, WALK, Job
from training.measure.specimens import Specimen
from training.measure.stock import Stock, Tick, gather
from training.measure.stories import Plan

Kind = Literal["one note", "one after the other", "several at once", "nothing"]
LOOKS = list(Look)
ARRAYS = ("headings", "t_s", "looks", "scores", "visible", "near")
MOST_BYTES = 2**31  # of a file unpacked: days of film


class Heading(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a reel shows."""

    kind: Kind
    truths: tuple[str, ...] = ()  # in the order in which they are shown; photographs of several notes tell none
    seen_from_s: float = 0.0  # when half of the first note is in a frame
    name: str = ""  # of the photograph
    frames: int = 0


@dataclass(frozen=True)
class Reel:
    """What one device saw."""

    heading: Heading
    looks: list[Observation]


def record(
    bundle: Bundle,
    invoke: Invoke,
    stock: Stock,
    plan: Plan,
    tick: Tick = lambda what, i, n: None,
    workers: int = 1,
) -> list[Reel]:
    """Show the whole plan to `bundle`, whose model is run by `invoke`, and in other processes by one of their own.

    Broken photographs are passed over.
    """
    jobs: list[Job] = [
        *((NOTE, number) for number in range(len(stock.notes))),
        (SWAPS, 0),
        (TOGETHER, 2),
        (TOGETHER, 3),
    ]
    jobs += [(PHOTOGRAPHS, 0), *((WALK, number) for number in range(len(stories.parts(plan))))]
    results = spread.each(
        lambda: _recorder(bundle, stock, plan),
        jobs,
        workers,
        here=lambda job: _record(bundle, invoke, stock, plan, job),
    )
    reels: list[Reel] = []
    for number, found in enumerate(results):
        tick("watching films", number + 1, len(jobs))
        reels += found
    return reels


@contextlib.contextmanager
def _recorder(bundle: Bundle, stock: Stock, plan: Plan) -> Iterator[Callable[[Job], list[Reel]]]:
    with running(bundle) as invoke:
        yield lambda job: _record(bundle, invoke, stock, plan, job)


def _record(bundle: Bundle, invoke: Invoke, stock: Stock, plan: Plan, job: Job) -> list[Reel]:
    return [_reel(bundle, invoke, heading, frames) for heading, frames in _shown(bundle, stock, plan, job)]


def _shown(bundle: Bundle, stock: Stock, plan: Plan, job: Job) -> Iterator[tuple[Heading, Iterable[Frame]]]:
    """The films of one job."""
    (what, number), rearm_s = job, bundle.manifest.decision.rearm_s
    if what == NOTE:
        specimen = stock.notes[number]
        with contextlib.suppress(TrainingError):
            told = stories.one_note(specimen, stock, plan, number, rearm_s)
            yield Heading("one note", told.truths, told.seen_from_s, str(specimen.path)), told.frames()
    elif what == SWAPS:
        for told in stories.swaps(stock, plan, rearm_s):
            yield Heading("one after the other", told.truths, told.seen_from_s), told.frames()
    elif what == TOGETHER:
        for told in stories.together(stock, plan, number, rearm_s):
            yield Heading("several at once", told.truths, told.seen_from_s), told.frames()
    elif what == PHOTOGRAPHS:
        for place, path in enumerate(stock.several):
            told = stories.photograph(path, stock, plan, place, rearm_s)
            yield Heading("several at once", (), told.seen_from_s, str(path)), told.frames()
    else:
        walked = stories.walk(stock, plan, stories.parts(plan)[number])
        yield Heading("nothing"), (frame for stretch in walked for frame in stretch.frames)


def _reel(bundle: Bundle, invoke: Invoke, heading: Heading, frames: Iterable[Frame]) -> Reel:
    observer = Observer(bundle, invoke, lambda: 0.0)
    looks = [observer.observe(frame) for frame in frames]
    return Reel(msgspec.structs.replace(heading, frames=len(looks)), looks)


def keep(
    folder: Path,
    specimens: Callable[[Bundle], list[Specimen]],
    plan: Plan,
    several: Path | None = None,
    tick: Tick = lambda what, i, n: None,
    workers: int = 1,
) -> tuple[list[Reel], tuple[str, ...]]:
    """What the bundle in `folder` sees, and its labels. Raises BundleError, TrainingError."""
    cv2.setNumThreads(1)  # pictures this small gain nothing from more
    bundle = bundles.read(folder)
    shown = gather(specimens(bundle), plan.notes, plan.seed, several, tick)
    with running(bundle) as invoke:
        return record(bundle, invoke, shown, plan, tick, workers), bundle.labels


def write(path: Path, reels: Sequence[Reel], labels: Sequence[str]) -> None:
    """Keep reels in an .npz file. Raises TrainingError."""
    headings = msgspec.json.encode([reel.heading for reel in reels])
    looks = [look for reel in reels for look in reel.looks]
    nothing = np.full(len(labels), np.nan, np.float32)  # where the scene gate stopped the frame
    packed = {
        "headings": np.frombuffer(headings, np.uint8),
        "t_s": np.array([look.t_s for look in looks]),
        "looks": np.array([LOOKS.index(look.scene.look) for look in looks], np.uint8),
        "scores": np.stack([nothing if look.scores is None else look.scores for look in looks]),
        "visible": np.array([np.nan if look.box is None else look.box.visible for look in looks], np.float32),
        "near": np.array([look.near for look in looks]),
    }
    try:
        np.savez_compressed(path, **packed)
    except OSError as error:
        raise TrainingError(f"{path} cannot be written: {error.strerror}") from error


def read(path: Path, labels: Sequence[str]) -> list[Reel]:
    """What `write` kept for a bundle with these labels. Raises TrainingError."""
    try:
        found = arrays.unpack(path.read_bytes(), ARRAYS, MOST_BYTES)
        headings = msgspec.json.decode(found["headings"].tobytes(), type=list[Heading])
        shape = sum(heading.frames for heading in headings), len(labels)
        if found["scores"].shape != shape or any(found[name].shape != shape[:1] for name in ARRAYS[1:3] + ARRAYS[4:]):
            raise ValueError(f"it does not hold the looks of a bundle with {len(labels)} labels")
        looks = _looks(found)
        return [Reel(heading, [next(looks) for _ in range(heading.frames)]) for heading in headings]
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, IndexError, msgspec.MsgspecError) as error:
        raise TrainingError(f"{path} holds no films that `reels` kept: {str(error).lower()}") from error


def _looks(found: dict[str, NDArray[Any]]) -> Iterator[Observation]:
    rows = zip(*(found[name] for name in ARRAYS[1:]), strict=True)
    for number, (t_s, look, scores, visible, near) in enumerate(rows):
        scene = Scene(LOOKS[look], 0.0, 0.0, 0.0)
        box = None if np.isnan(visible) else Box(0.5, 0.5, 1.0, 1.0, float(visible))
        clear = LOOKS[look] is Look.CLEAR
        yield Observation(number, float(t_s), scene, scores if clear else None, box, near=bool(near))
