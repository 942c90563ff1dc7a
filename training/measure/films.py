"""Owns what a bundle does with films of notes in a moving hand: events, through the device's own stages.

A presence is one note carried into view, held and taken away: it ends right, wrong, unsure or missed. Beside
presences there is a walk past things that are no note, where nothing may be said, and scenes with more than one
note. `stories` makes the films, `observe` and `decide` judge them.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from edge.core.messages import Decision, Frame, Verdict
from edge.core.observe import Invoke
from training import spread
from training.errors import TrainingError
from training.measure import stories
from training.measure.device import Watcher, amounts, running
from training.measure.rates import Pace, Rate, pace, rate
from training.measure.specimens import Specimen
from training.measure.stock import Stock, Tick, gather
from training.measure.stories import Part, Plan

RIGHT, WRONG, UNSURE, MISSED = "right", "wrong", "unsure", "missed"
EVENTS = (RIGHT, WRONG, UNSURE, MISSED)


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
class Walked:
    """What one device said in its part of the walk."""

    frames: Counter[str] = field(default_factory=Counter)  # by what was in view
    false: Counter[str] = field(default_factory=Counter)  # amounts, likewise
    said: Counter[str] = field(default_factory=Counter)  # by amount


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


NOTE, WALK, SWAPS, TOGETHER, PHOTOGRAPHS = "note", "walk", "swaps", "together", "photographs"
Job = tuple[str, int]  # what to show, and which note or how many


def run(
    bundle: Bundle,
    invoke: Invoke,
    stock: Stock,
    plan: Plan,
    tick: Tick = lambda what, i, n: None,
    workers: int = 1,
) -> Sequences:
    """Show the whole plan to `bundle`, whose model is run by `invoke`, and in other processes by one of their own."""
    jobs: list[Job] = [(SWAPS, 0), (TOGETHER, 2), (TOGETHER, 3), (PHOTOGRAPHS, 0)]  # what takes longest
    jobs += [(WALK, number) for number in range(len(stories.parts(plan)))]
    jobs += [(NOTE, number) for number in range(len(stock.notes))]
    results = spread.each(
        lambda: _shower(bundle, stock, plan),
        jobs,
        workers,
        here=lambda job: _show(bundle, invoke, stock, plan, job, tick),
    )
    found = dict[Job, Any]()
    for job, result in zip(jobs, results, strict=True):
        found[job] = result
        if job[0] == NOTE or workers > 1:
            tick("notes in the hand", max(0, len(found) - len(jobs) + len(stock.notes)), len(stock.notes))
    shown = [result for job, result in found.items() if isinstance(result, Presence)]
    broken = [*stock.broken, *(result for result in found.values() if isinstance(result, str))]
    rows = [row for row in found.values() if isinstance(row, Scene) and row.of]
    walked = walk_of([result for result in found.values() if isinstance(result, Walked)], plan)
    return summary(bundle, plan, shown, walked, rows, stock.drawn, broken)


@contextlib.contextmanager
def _shower(bundle: Bundle, stock: Stock, plan: Plan) -> Iterator[Callable[[Job], Any]]:
    with running(bundle) as invoke:
        yield lambda job: _show(bundle, invoke, stock, plan, job)


def _show(
    bundle: Bundle, invoke: Invoke, stock: Stock, plan: Plan, job: Job, tick: Tick = lambda what, i, n: None
) -> Presence | Walked | Scene | str:
    """What came of one job; a sentence for a note whose picture cannot be read."""
    what, number = job
    if what == WALK:
        return walk(bundle, invoke, stock, plan, stories.parts(plan)[number], tick)
    if what == SWAPS:
        return swaps(bundle, invoke, stock, plan, tick)
    if what == TOGETHER:
        return together(bundle, invoke, stock, plan, number, tick)
    if what == PHOTOGRAPHS:
        return _photographs(bundle, invoke, stock, plan, tick)
    try:
        return _presence(bundle, invoke, stock.notes[number], stock, plan, number)
    except TrainingError as error:
        return str(error)


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


def _presence(bundle: Bundle, invoke: Invoke, specimen: Specimen, stock: Stock, plan: Plan, number: int) -> Presence:
    told = stories.one_note(specimen, stock, plan, number, bundle.manifest.decision.rearm_s)
    return judge(specimen, read(bundle, invoke, told.frames()), told.seen_from_s)


def swaps(bundle: Bundle, invoke: Invoke, stock: Stock, plan: Plan, tick: Tick = lambda what, i, n: None) -> Scene:
    """One note, and another laid over it before it has gone."""
    counts: Counter[str] = Counter()
    for number, told in enumerate(stories.swaps(stock, plan, bundle.manifest.decision.rearm_s)):
        tick("one note after another", number + 1, plan.scenes)
        counts[judge_swap(told.truths, amounts(read(bundle, invoke, told.frames())))] += 1
    return _scene("two notes, one straight after the other", counts, SWAP_OUTCOMES)


SWAP_OUTCOMES = ("both said in order", "one said", "none said", "a wrong amount")


def judge_swap(shown: Sequence[str], said: Sequence[str]) -> str:
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
    for number, told in enumerate(stories.together(stock, plan, count, bundle.manifest.decision.rearm_s)):
        tick(f"{count} notes at once", number + 1, plan.scenes)
        counts[judge_several(read(bundle, invoke, told.frames()))] += 1
    return _scene(f"{count} different notes at once", counts, SEVERAL_OUTCOMES)


def _photographs(bundle: Bundle, invoke: Invoke, stock: Stock, plan: Plan, tick: Tick) -> Scene:
    """Photographs of several notes, shown as a note is."""
    counts: Counter[str] = Counter()
    for number, path in enumerate(stock.several):
        tick("photographs of several notes", number + 1, len(stock.several))
        told = stories.photograph(path, stock, plan, number, bundle.manifest.decision.rearm_s)
        counts[judge_several(read(bundle, invoke, told.frames()))] += 1
    return _scene("photographs of several notes", counts, SEVERAL_OUTCOMES)


def _scene(name: str, counts: Counter[str], outcomes: Sequence[str]) -> Scene:
    total = counts.total()
    return Scene(name, total, {outcome: rate(counts[outcome], total) for outcome in outcomes})


def walk(
    bundle: Bundle,
    invoke: Invoke,
    stock: Stock,
    plan: Plan,
    part: Part,
    tick: Tick = lambda what, i, n: None,
) -> Walked:
    """One device past backgrounds, hands, other money and things held like money."""
    watcher, walked = Watcher(bundle, invoke), Walked()
    done = part.frame
    for stretch in stories.walk(stock, plan, part):
        for frame in stretch.frames:
            found = amounts(watcher.see(frame))
            walked.said.update(found)
            walked.frames[stretch.kind] += 1
            walked.false[stretch.kind] += len(found)
        done += len(stretch.frames)
        tick("past things that are no note", done, plan.empty_frames)
    return walked


def walk_of(parts: Sequence[Walked], plan: Plan) -> Walk:
    """The figures of all parts of a walk."""
    frames, false, said = Counter[str](), Counter[str](), Counter[str]()
    for part in parts:
        frames.update(part.frames)
        false.update(part.false)
        said.update(part.said)
    per_hour = plan.frames_per_s * 3600
    by_kind = {kind: pace(false[kind], count / per_hour) for kind, count in sorted(frames.items())}
    return Walk(frames.total(), pace(false.total(), frames.total() / per_hour), by_kind, dict(sorted(said.items())))


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
        frames_per_s=plan.frames_per_s,
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
    workers: int = 1,
) -> Sequences:
    """The figures of the bundle in `folder`; `several`: photographs of more than one note.

    Raises BundleError, TrainingError.
    """
    cv2.setNumThreads(1)  # pictures this small gain nothing from more
    bundle = bundles.read(folder)
    shown = gather(specimens(bundle), plan.notes, plan.seed, several, tick)
    with running(bundle) as invoke:
        return run(bundle, invoke, shown, plan, tick, workers)
