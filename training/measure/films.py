"""Owns what a bundle does with films of notes in a moving hand: events, through the device's own stages.

A presence is one note carried into view, held and taken away: it ends right, wrong, unsure or missed. Beside
presences there is a walk past things that are no note, where nothing may be said, and scenes with more than one
note. `film` makes the pictures, `observe` and `decide` judge them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator

from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from edge.core.messages import Decision, Frame, Verdict
from edge.core.observe import Invoke
from training.errors import TrainingError
from training.measure.device import Watcher, amounts, running
from training.measure.rates import Pace, Rate, pace, rate
from training.measure.specimens import Specimen
from training.measure.stock import Stock, Tick, gather
from training.photos import cutout, dataset
from training.photos.cutout import Patch
from training.synth import film, paper

BEFORE_S = 0.4  # of bare ground before a note comes
AFTER_REARM_S = 0.5  # of bare ground after the device has forgotten it
TIGHT_SHARE = 0.7  # of a photograph in the hand: the middle, which is note
RIGHT, WRONG, UNSURE, MISSED = "right", "wrong", "unsure", "missed"
EVENTS = (RIGHT, WRONG, UNSURE, MISSED)


@dataclass(frozen=True)
class Plan:
    """How much is shown."""

    seed: int = 1
    seconds: float = 2.5  # from a note's first edge in the frame to its last
    notes: int = 0  # most presences, drawn evenly from the denominations; 0: every photograph
    empty_frames: int = 36_000  # an hour
    scenes: int = 40  # of each kind with more than one note


@dataclass(frozen=True)
class Presence:
    """What one note in the hand led to."""

    path: str
    truth: str
    event: str  # one of EVENTS
    said: list[str]  # amounts, in order
    several: bool  # "one note at a time" was said
    seconds: float | None  # from half of the note in the frame to the first amount


@dataclass(frozen=True)
class Scene:
    """A row of scenes with more than one note."""

    name: str
    of: int
    outcomes: dict[str, Rate]


@dataclass(frozen=True)
class Walk:
    """What was announced where there was no note."""

    frames: int
    announced: Pace
    by_kind: dict[str, Pace]  # what was in view: background, a hand, other money, ...
    said: dict[str, int]  # amount -> how often


@dataclass(frozen=True)
class Sequences:
    """All figures."""

    bundle: dict[str, str]
    plan: Plan
    drawn_grounds: bool
    frames_per_s: int
    presences: int
    events: dict[str, Rate]  # shares of all presences
    wrong_of_spoken: Rate  # presences with a wrong amount, of those with any
    wrong_then_right: Rate
    double: Rate  # the same amount said twice in one presence: it would be counted twice
    several: Rate  # "one note at a time" said to one note
    seconds_median: float | None
    seconds_p95: float | None
    by_truth: dict[str, dict[str, Rate]]
    walk: Walk
    scenes: list[Scene]
    mistakes: list[Presence]
    broken: list[str]


def run(bundle: Bundle, invoke: Invoke, stock: Stock, plan: Plan, tick: Tick = lambda what, i, n: None) -> Sequences:
    """Show the whole plan to `bundle`, whose model is run by `invoke`."""
    shown, broken = [], list(stock.broken)
    for number, specimen in enumerate(stock.notes):
        tick("notes in the hand", number + 1, len(stock.notes))
        try:
            shown.append(_presence(bundle, invoke, specimen, stock, plan, number))
        except TrainingError as error:
            broken.append(str(error))
    rows = [
        swaps(bundle, invoke, stock, plan, tick),
        together(bundle, invoke, stock, plan, 2, tick),
        together(bundle, invoke, stock, plan, 3, tick),
        _photographs(bundle, invoke, stock, plan, tick),
    ]
    walked = walk(bundle, invoke, stock, plan, tick)
    return summary(bundle, plan, shown, walked, [row for row in rows if row.of], stock.drawn, broken)


def read(bundle: Bundle, invoke: Invoke, frames: Iterable[Frame]) -> list[Decision]:
    """What a device that has just started says to these frames."""
    watcher = Watcher(bundle, invoke)
    return [decision for frame in frames for decision in watcher.see(frame)]


def judge(specimen: Specimen, decisions: Sequence[Decision], seen_from_s: float) -> Presence:
    """What the decisions mean for one note; one wrong amount makes the presence wrong, whatever else was said."""
    said = amounts(decisions)
    told = {d.verdict for d in decisions}
    if any(label != specimen.truth for label in said):
        event = WRONG
    elif said:
        event = RIGHT
    else:
        event = UNSURE if told & {Verdict.UNSURE, Verdict.SEVERAL} else MISSED
    first = next((d.t_s for d in decisions if d.verdict is Verdict.AMOUNT), None)
    seconds = None if first is None else max(0.0, first - seen_from_s)
    return Presence(str(specimen.path), specimen.truth, event, said, Verdict.SEVERAL in told, seconds)


def _rng(plan: Plan, what: int, number: int) -> Generator:
    return np.random.default_rng((plan.seed, what, number))


def _ground(stock: Stock, rng: Generator) -> film.Ground:
    return film.Ground(stock.grounds[rng.integers(len(stock.grounds))], rng)


def _length_s(bundle: Bundle, end_s: float) -> float:
    return end_s + bundle.manifest.decision.rearm_s + AFTER_REARM_S


def _presence(bundle: Bundle, invoke: Invoke, specimen: Specimen, stock: Stock, plan: Plan, number: int) -> Presence:
    rng = _rng(plan, 0, number)
    patch = specimen.patch()
    end_s = BEFORE_S + plan.seconds
    carried = film.Carried(patch, film.hold(patch, BEFORE_S, end_s, rng), rng)
    shown = film.Film(_ground(stock, rng), [carried], film.Light(rng), _length_s(bundle, end_s))
    return judge(specimen, read(bundle, invoke, shown.frames()), shown.seen_from_s())


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


def swaps(bundle: Bundle, invoke: Invoke, stock: Stock, plan: Plan, tick: Tick = lambda what, i, n: None) -> Scene:
    """One note, and another laid over it before it has gone."""
    counts: Counter[str] = Counter()
    for number, (pair, rng) in enumerate(_pairs(stock, plan, 2, 1)):
        tick("one note after another", number + 1, plan.scenes)
        swap_s = BEFORE_S + plan.seconds
        end_s = swap_s + plan.seconds
        first = film.hold(pair[0][1], BEFORE_S, swap_s + 1.5 * film.CARRY_S, rng)
        second = film.hold(pair[1][1], swap_s, end_s, rng)
        things = [film.Carried(pair[0][1], first, rng), film.Carried(pair[1][1], second, rng)]
        shown = film.Film(_ground(stock, rng), things, film.Light(rng), _length_s(bundle, end_s))
        counts[judge_swap((pair[0][0], pair[1][0]), amounts(read(bundle, invoke, shown.frames())))] += 1
    return _scene("two notes, one straight after the other", counts, SWAP_OUTCOMES)


SWAP_OUTCOMES = ("both said in order", "one said", "none said", "a wrong amount")


def judge_swap(shown: tuple[str, str], said: Sequence[str]) -> str:
    """One of SWAP_OUTCOMES; said out of order is wrong: by then the first note was no longer there."""
    once = [label for i, label in enumerate(said) if i == 0 or said[i - 1] != label]
    if once == list(shown):
        return "both said in order"
    if len(once) == 1 and once[0] in shown:
        return "one said"
    return "a wrong amount" if once else "none said"


SEVERAL_OUTCOMES = ("one note at a time", "nothing, or not sure", "an amount")


def judge_several(decisions: Sequence[Decision]) -> str:
    """One of SEVERAL_OUTCOMES: an amount is wrong, whichever it is."""
    if amounts(decisions):
        return "an amount"
    told = any(d.verdict is Verdict.SEVERAL for d in decisions)
    return "one note at a time" if told else "nothing, or not sure"


def together(
    bundle: Bundle, invoke: Invoke, stock: Stock, plan: Plan, count: int, tick: Tick = lambda what, i, n: None
) -> Scene:
    """Different notes in the hand at once, beside or above each other."""
    counts: Counter[str] = Counter()
    for number, (several, rng) in enumerate(_pairs(stock, plan, count, count)):
        tick(f"{count} notes at once", number + 1, plan.scenes)
        end_s = BEFORE_S + plan.seconds
        side, stacked = float(rng.uniform(0, 360)), rng.random() < 0.6
        things = []
        for place, (_, patch) in enumerate(several):
            hold = _beside(patch, (place + 0.5) / count, stacked, side, end_s, count, rng)
            things.append(film.Carried(patch, hold, rng))
        shown = film.Film(_ground(stock, rng), things, film.Light(rng), _length_s(bundle, end_s))
        counts[judge_several(read(bundle, invoke, shown.frames()))] += 1
    return _scene(f"{count} different notes at once", counts, SEVERAL_OUTCOMES)


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


def _photographs(bundle: Bundle, invoke: Invoke, stock: Stock, plan: Plan, tick: Tick) -> Scene:
    """Photographs of several notes, shown as a note is."""
    counts: Counter[str] = Counter()
    for number, path in enumerate(stock.several):
        tick("photographs of several notes", number + 1, len(stock.several))
        rng, end_s = _rng(plan, 4, number), BEFORE_S + plan.seconds
        patch = cutout.whole(dataset.load_to_compose(path))
        carried = film.Carried(patch, film.hold(patch, BEFORE_S, end_s, rng), rng)
        shown = film.Film(_ground(stock, rng), [carried], film.Light(rng), _length_s(bundle, end_s))
        counts[judge_several(read(bundle, invoke, shown.frames()))] += 1
    return _scene("photographs of several notes", counts, SEVERAL_OUTCOMES)


def _scene(name: str, counts: Counter[str], outcomes: Sequence[str]) -> Scene:
    total = counts.total()
    return Scene(name, total, {outcome: rate(counts[outcome], total) for outcome in outcomes})


def walk(bundle: Bundle, invoke: Invoke, stock: Stock, plan: Plan, tick: Tick = lambda what, i, n: None) -> Walk:
    """One device that is never switched off, past backgrounds, hands, other money and things held like money."""
    watcher = Watcher(bundle, invoke)
    done, said = 0, Counter[str]()
    frames_of, false_of = Counter[str](), Counter[str]()
    for number in range(plan.empty_frames):
        if done >= plan.empty_frames:
            break
        kind, shown = _nothing(stock, _rng(plan, 9, number))
        for frame in shown.frames(done, done / film.FRAMES_PER_S)[: plan.empty_frames - done]:
            found = amounts(watcher.see(frame))
            said.update(found)
            frames_of[kind] += 1
            false_of[kind] += len(found)
            done += 1
        tick("past things that are no note", done, plan.empty_frames)
    by_kind = {kind: pace(false_of[kind], _hours(count)) for kind, count in sorted(frames_of.items())}
    return Walk(done, pace(said.total(), _hours(done)), by_kind, dict(said))


def _hours(frames: int) -> float:
    return frames / film.FRAMES_PER_S / 3600


def _nothing(stock: Stock, rng: Generator) -> tuple[str, film.Film]:
    """Some seconds without a note: what is in view, and its film."""
    length_s = float(rng.uniform(3, 8))
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
    return kind, film.Film(_ground(stock, rng), things, film.Light(rng), length_s)


def _strip(stock: Stock, rng: Generator) -> Patch:
    return paper.strip(cutout.whole(stock.grounds[rng.integers(len(stock.grounds))]), rng, 0.35, 0.8)


def summary(
    bundle: Bundle,
    plan: Plan,
    shown: Sequence[Presence],
    walked: Walk,
    rows: list[Scene],
    drawn_grounds: bool,
    broken: list[str],
) -> Sequences:
    """The figures of everything that was shown."""
    total = len(shown)
    seconds = [p.seconds for p in shown if p.event == RIGHT and p.seconds is not None]
    wrong = [p for p in shown if p.event == WRONG]
    manifest = bundle.manifest
    return Sequences(
        bundle={"name": manifest.name, "version": manifest.version, "digest": manifest.digest},
        plan=plan,
        drawn_grounds=drawn_grounds,
        frames_per_s=film.FRAMES_PER_S,
        presences=total,
        events=_events(shown),
        wrong_of_spoken=rate(len(wrong), sum(bool(p.said) for p in shown)),
        wrong_then_right=rate(sum(corrected(p) for p in wrong), total),
        double=rate(sum(len(p.said) > len(set(p.said)) for p in shown), total),
        several=rate(sum(p.several for p in shown), total),
        seconds_median=float(np.median(seconds)) if seconds else None,
        seconds_p95=float(np.percentile(seconds, 95)) if seconds else None,
        by_truth={
            label: _events([p for p in shown if p.truth == label])
            for label in bundle.denominations
            if any(p.truth == label for p in shown)
        },
        walk=walked,
        scenes=rows,
        mistakes=wrong,
        broken=broken,
    )


def corrected(presence: Presence) -> bool:
    """Whether the right amount came after a wrong one, and last."""
    return presence.event == WRONG and presence.said[-1] == presence.truth


def _events(shown: Sequence[Presence]) -> dict[str, Rate]:
    counts = Counter(p.event for p in shown)
    return {event: rate(counts[event], len(shown)) for event in EVENTS}


def measure(
    folder: Path,
    specimens: Callable[[Bundle], list[Specimen]],
    plan: Plan,
    several: Path | None = None,
    tick: Tick = lambda what, i, n: None,
) -> Sequences:
    """The figures of the bundle in `folder`; `several`: photographs of more than one note.

    Raises BundleError, TrainingError.
    """
    cv2.setNumThreads(1)  # pictures this small gain nothing from more
    bundle = bundles.read(folder)
    shown = gather(specimens(bundle), plan.notes, plan.seed, several, tick)
    with running(bundle) as invoke:
        return run(bundle, invoke, shown, plan, tick)
