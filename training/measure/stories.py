"""Owns what is shown to a bundle in films: notes in the hand, several notes, and walks past things that are no note.

Every story is a function of its plan's seed and its number. It knows no model and judges nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from edge.core.messages import Frame
from training.errors import TrainingError
from training.measure.specimens import Specimen
from training.measure.stock import Stock
from training.photos import cutout, dataset
from training.photos.cutout import Patch
from training.synth import film, paper
from training.synth.film import Film

BEFORE_S = 0.4  # of bare ground before a note comes
AFTER_REARM_S = 0.5  # of bare ground after the device has forgotten it
TIGHT_SHARE = 0.7  # of a photograph in the hand: the middle, which is note
PART = 3000  # frames, at least, that one device walks before the next is switched on
SHORTEST_S, LONGEST_S = 3.0, 8.0  # of a stretch of the walk


@dataclass(frozen=True)
class Plan:
    """How much is shown."""

    seed: int = 1
    seconds: float = 2.5  # from a note's first edge in the frame to its last
    notes: int = 0  # most presences, drawn evenly from the denominations; 0: every photograph
    empty_frames: int = 36_000  # an hour, at ten a second
    scenes: int = 40  # of each kind with more than one note
    frames_per_s: int = film.FRAMES_PER_S


@dataclass(frozen=True)
class Told:
    """A note carried into view, held and taken away, or a scene of several; `truths` in the order they are shown."""

    truths: tuple[str, ...]
    film: Film
    frames_per_s: int

    def frames(self) -> list[Frame]:
        """What the camera gives."""
        return self.film.frames(frames_per_s=self.frames_per_s)

    @property
    def seen_from_s(self) -> float:
        """When half of the first note is first in a frame."""
        return self.film.seen_from_s(0, self.frames_per_s)


@dataclass(frozen=True)
class Part:
    """Of a walk: what one device sees of it."""

    first: int  # its first stretch
    stop: int  # the stretch after its last
    frame: int  # number of its first frame


@dataclass(frozen=True)
class Stretch:
    """Some seconds of a walk past things that are no note."""

    kind: str  # what is in view: background, a hand, other money, ...
    frames: list[Frame]  # numbers and times go on from those of the stretch before


def one_note(specimen: Specimen, stock: Stock, plan: Plan, number: int, rearm_s: float) -> Told:
    """Raises TrainingError for a broken photograph."""
    rng = _rng(plan, 0, number)
    return _held((specimen.truth,), specimen.patch(), stock, plan, rng, rearm_s)


def photograph(path: Path, stock: Stock, plan: Plan, number: int, rearm_s: float) -> Told:
    """A photograph of several notes, shown as a note is. Raises TrainingError."""
    rng = _rng(plan, 4, number)
    return _held((), cutout.whole(dataset.load_to_compose(path)), stock, plan, rng, rearm_s)


def _held(truths: tuple[str, ...], patch: Patch, stock: Stock, plan: Plan, rng: Generator, rearm_s: float) -> Told:
    end_s = BEFORE_S + plan.seconds
    carried = film.Carried(patch, film.hold(patch, BEFORE_S, end_s, rng), rng)
    return _told(truths, [carried], stock, plan, rng, end_s + rearm_s)


def _told(
    truths: tuple[str, ...], things: list[film.Carried], stock: Stock, plan: Plan, rng: Generator, forgotten_s: float
) -> Told:
    shown = Film(_ground(stock, rng), things, film.Light(rng), forgotten_s + AFTER_REARM_S)
    return Told(truths, shown, plan.frames_per_s)


def swaps(stock: Stock, plan: Plan, rearm_s: float) -> Iterator[Told]:
    """One note, and another laid over it before it has gone."""
    for pair, rng in _pairs(stock, plan, 2, 1):
        swap_s = BEFORE_S + plan.seconds
        end_s = swap_s + plan.seconds
        first = film.hold(pair[0][1], BEFORE_S, swap_s + 1.5 * film.CARRY_S, rng)
        second = film.hold(pair[1][1], swap_s, end_s, rng)
        things = [film.Carried(pair[0][1], first, rng), film.Carried(pair[1][1], second, rng)]
        yield _told((pair[0][0], pair[1][0]), things, stock, plan, rng, end_s + rearm_s)


def together(stock: Stock, plan: Plan, count: int, rearm_s: float) -> Iterator[Told]:
    """Different notes in the hand at once, beside or above each other."""
    for several, rng in _pairs(stock, plan, count, count):
        end_s = BEFORE_S + plan.seconds
        side, stacked = float(rng.uniform(0, 360)), rng.random() < 0.6
        things = []
        for place, (_, patch) in enumerate(several):
            hold = _beside(patch, (place + 0.5) / count, stacked, side, end_s, count, rng)
            things.append(film.Carried(patch, hold, rng))
        yield _told(tuple(truth for truth, _ in several), things, stock, plan, rng, end_s + rearm_s)


def parts(plan: Plan) -> list[Part]:
    """The walk of `plan.empty_frames`, cut into parts of `PART` frames and the rest of a stretch: the same for all."""
    found, done, number = [], 0, 0
    while done < plan.empty_frames:
        first, begun = number, done
        while done < plan.empty_frames and done - begun < PART:
            done += round(_length_s(_rng(plan, 9, number)) * plan.frames_per_s)
            number += 1
        found.append(Part(first, number, begun))
    return found


def walk(stock: Stock, plan: Plan, part: Part) -> Iterator[Stretch]:
    """Past backgrounds, hands, other money and things held like money; all parts are `plan.empty_frames` long."""
    done = part.frame
    for number in range(part.first, part.stop):
        kind, shown = _nothing(stock, _rng(plan, 9, number))
        frames = shown.frames(done, done / plan.frames_per_s, plan.frames_per_s)[: plan.empty_frames - done]
        yield Stretch(kind, frames)
        done += len(frames)


def _rng(plan: Plan, what: int, number: int) -> Generator:
    return np.random.default_rng((plan.seed, what, number))


def _ground(stock: Stock, rng: Generator) -> film.Ground:
    return film.Ground(stock.grounds[rng.integers(len(stock.grounds))], rng)


def _pairs(stock: Stock, plan: Plan, count: int, what: int) -> Iterator[tuple[list[tuple[str, Patch]], Generator]]:
    """For each scene as many different amounts as asked for, each as a patch that is note and little else."""
    by_truth: dict[str, list[Specimen]] = defaultdict(list)
    for specimen in stock.notes:
        by_truth[specimen.truth].append(specimen)
    if len(by_truth) < count:
        return
    truths = sorted(by_truth)
    for number in range(plan.scenes):
        rng = _rng(plan, what, number)
        chosen = [truths[i] for i in rng.choice(len(truths), count, replace=False)]
        try:
            yield [(truth, _tight(_cut_out(by_truth[truth], rng))) for truth in chosen], rng
        except TrainingError:  # a broken file: it was named among the presences
            continue


def _cut_out(specimens: Sequence[Specimen], rng: Generator) -> Patch:
    """Any of them, one whose note could be cut out where there is one."""
    boxed = [specimen for specimen in specimens if specimen.box] or specimens
    return boxed[int(rng.integers(len(boxed)))].patch()


def _tight(patch: Patch) -> Patch:
    if patch.exact:
        return patch
    height, width = patch.mask.shape
    cut = round(height * (1 - TIGHT_SHARE) / 2), round(width * (1 - TIGHT_SHARE) / 2)
    window = slice(cut[0], height - cut[0]), slice(cut[1], width - cut[1])
    return Patch(np.ascontiguousarray(patch.pixels[window]), np.ascontiguousarray(patch.mask[window]), exact=False)


def _beside(
    patch: Patch, along: float, stacked: bool, side_deg: float, end_s: float, count: int, rng: Generator
) -> film.Hold:
    """Lengthwise across the row, no wider than its place in it and a little: others hide little of it."""
    height, width = patch.mask.shape
    place_px = (film.HEIGHT_PX if stacked else film.WIDTH_PX) / count
    size = min(film.WIDTH_PX * rng.uniform(0.5, 0.75), 1.15 * place_px * max(height, width) / min(height, width))
    angle = rng.normal(0, 8) + 180 * rng.integers(2) + (90 if stacked == (height > width) else 0)
    across = 0.5 + rng.normal(0, 0.04)
    centre = (float(across), along) if stacked else (along, float(across))
    return film.Hold(BEFORE_S, end_s, float(size), centre, float(angle), side_deg)


def _nothing(stock: Stock, rng: Generator) -> tuple[str, Film]:
    """Some seconds without a note: what is in view, and its film."""
    length_s = _length_s(rng)
    chance = rng.random()
    if chance < 0.35:
        kind, patch = "background", None
    elif chance < 0.65:
        kind, patch = "other money", stock.strangers[rng.integers(len(stock.strangers))]
    elif chance < 0.85 and stock.hands:
        kind, patch = "a hand", stock.hands[rng.integers(len(stock.hands))]
    else:
        kind, patch = "a thing held like money", _strip(stock, rng)
    things = []
    if patch is not None:
        hold = film.hold(patch, BEFORE_S, length_s - BEFORE_S, rng)
        things.append(film.Carried(patch, hold, rng))
    return kind, Film(_ground(stock, rng), things, film.Light(rng), length_s)


def _length_s(rng: Generator) -> float:
    """Of a stretch: the first that its generator gives."""
    return float(rng.uniform(SHORTEST_S, LONGEST_S))


def _strip(stock: Stock, rng: Generator) -> Patch:
    return paper.strip(cutout.whole(stock.grounds[rng.integers(len(stock.grounds))]), rng, 0.35, 0.8)
