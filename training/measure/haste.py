"""Owns the price of speaking early: rules of decision on the same kept films, time to speech against wrong amounts.

A rule is the numbers of a decision; the device's own decider plays each over what a bundle saw. It draws nothing.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from edge.core.decide import Decider
from edge.core.evidence import log_odds
from edge.core.manifest import DecisionSpec, SoonSpec
from edge.core.messages import Decision, Verdict
from training import spread
from training.measure.device import amounts
from training.measure.films import judge_several, judge_swap
from training.measure.reels import Reel

SPANS_S = (0.0, 0.1, 0.2, 0.3, 0.4)  # for the rule that knows time alone
EVIDENCE = (5.0, 6.0, 7.0, 7.5, 8.1, 9.0, 10.0, 12.0)  # nats
MOST = (5.8, 7.0, 8.1)  # of one look
ALONE = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
LAGS_S = (0.033, 0.067, 0.1, 0.167, 0.267, 0.4, 0.533, 0.8)
SETTLED_S = 1.2  # after half of a note was seen: so long looks are compared


@dataclass(frozen=True)
class Row:
    """What one rule did with all films."""

    rule: str
    notes: int
    right: int
    wrong: int  # presences with any wrong amount
    median_s: float  # from half in view to the amount, NaN where none was right
    p95_s: float
    swaps: int
    swaps_right: int  # both said in order
    swaps_wrong: int
    several: int
    several_said: int  # an amount, to several notes at once
    empty_frames: int
    false: int  # amounts where there was no note


@dataclass(frozen=True)
class Alike:
    """How alike what two looks at one note say is: the correlation of their log-odds for its amount."""

    apart_s: float
    same: float  # both whole or both near
    other: float  # one near, one whole; NaN where there are none


def rules(spec: DecisionSpec) -> dict[str, DecisionSpec]:
    """The bundle's own rule, time alone at several spans, evidence at several bounds; and evidence with no other rule.

    The last show how far a bound is from what the bundle takes for notes.
    """
    found = {"as it is": spec}
    found |= {f"{span_s:g} s": replace(spec, span_s=span_s, soon=None) for span_s in SPANS_S}
    for most in MOST:
        found |= {f"{nats:g} nats, {most:g} a look": replace(spec, soon=SoonSpec(nats, most)) for nats in EVIDENCE}
    return found | {f"{nats:g} nats and nothing else": _alone(spec, nats) for nats in ALONE}


def _alone(spec: DecisionSpec, nats: float) -> DecisionSpec:
    never_s = spec.window_s + 1
    least = dict.fromkeys(spec.thresholds, 0.0)
    soon = SoonSpec(nats, spec.soon.most if spec.soon else MOST[-1])
    return replace(spec, thresholds=least, agree=0.0, least_visible=0.0, span_s=never_s, soon=soon)


def compare(
    reels: Sequence[Reel],
    labels: Sequence[str],
    rules_: dict[str, DecisionSpec],
    tick: Callable[[int, int], None] = lambda i, n: None,
    workers: int = 1,
) -> list[Row]:
    """One row for each rule."""

    def row(rule: tuple[str, DecisionSpec]) -> Row:
        return _row(rule[0], [(reel, play(reel, labels, rule[1])) for reel in reels])

    rows = []
    for found in spread.each(lambda: contextlib.nullcontext(row), list(rules_.items()), workers):
        rows.append(found)
        tick(len(rows), len(rules_))
    return rows


def play(reel: Reel, labels: Sequence[str], spec: DecisionSpec) -> list[Decision]:
    """What a device that decides by `spec` says to the reel."""
    decider = Decider(labels, spec)
    return [decision for look in reel.looks for decision in decider.step(look)]


def _row(name: str, played: Sequence[tuple[Reel, list[Decision]]]) -> Row:
    counts: Counter[str] = Counter()
    seconds = []
    for reel, decisions in played:
        kind, said = reel.heading.kind, amounts(decisions)
        counts[kind] += 1
        if kind == "one note" and said:
            wrong = any(label != reel.heading.truths[0] for label in said)
            counts["wrong" if wrong else "right"] += 1
            first_s = next(decision.t_s for decision in decisions if decision.verdict is Verdict.AMOUNT)
            seconds += [] if wrong else [max(0.0, first_s - reel.heading.seen_from_s)]
        elif kind == "one after the other":
            counts[judge_swap(reel.heading.truths, said)] += 1
        elif kind == "several at once":
            counts[judge_several(decisions)] += 1
        elif kind == "nothing":
            counts.update({"frames": reel.heading.frames, "false": len(said)})
    median_s, p95_s = np.percentile(seconds, (50, 95)) if seconds else (np.nan, np.nan)
    return Row(
        rule=name,
        notes=counts["one note"],
        right=counts["right"],
        wrong=counts["wrong"],
        median_s=float(median_s),
        p95_s=float(p95_s),
        swaps=counts["one after the other"],
        swaps_right=counts["both said in order"],
        swaps_wrong=counts["a wrong amount"],
        several=counts["several at once"],
        several_said=counts["an amount"],
        empty_frames=counts["frames"],
        false=counts["false"],
    )


def alike(reels: Sequence[Reel], labels: Sequence[str]) -> list[Alike]:
    """How alike looks at one note are, by the time between them: why their evidence is not simply added up."""
    pairs: dict[tuple[int, bool], list[tuple[float, float]]] = {}
    every = []
    for reel in reels:
        if reel.heading.kind != "one note":
            continue
        told = _told(reel, labels.index(reel.heading.truths[0]))
        every += [nats for _, _, nats in told]
        for number, (t_s, near, nats) in enumerate(told):
            for later_s, other, more in told[number + 1 :]:
                lag = int(np.argmin(np.abs(np.array(LAGS_S) - (later_s - t_s))))
                if abs(LAGS_S[lag] - (later_s - t_s)) < 0.01:
                    pairs.setdefault((lag, near == other), []).append((nats, more))
    middle, spread = float(np.mean(every or [0.0])), float(np.var(every or [0.0]))

    def likeness(found: list[tuple[float, float]]) -> float:
        if not found or not spread:
            return float("nan")
        return float(np.prod(np.array(found) - middle, axis=1).mean()) / spread

    return [
        Alike(lag_s, likeness(pairs.get((lag, True), [])), likeness(pairs.get((lag, False), [])))
        for lag, lag_s in enumerate(LAGS_S)
    ]


def _told(reel: Reel, label: int) -> list[tuple[float, bool, float]]:
    """For each look at the note just after it came: when, whether near, its nats for the true amount."""
    since_s = reel.heading.seen_from_s
    chosen = [
        (look, look.scores)
        for look in reel.looks
        if look.scores is not None and since_s <= look.t_s <= since_s + SETTLED_S
    ]
    nats = np.clip(log_odds(np.array([scores[label] for _, scores in chosen], np.float64)), -12, 12)
    return [(look.t_s, look.near, float(value)) for (look, _), value in zip(chosen, nats, strict=True)]
