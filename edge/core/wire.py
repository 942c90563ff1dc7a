"""Owns telemetry on the wire: what travels of each message of the device, and at which level of sharing.

Topics are spelt in `edge.core.topics`, fields stand in `edge.core.payloads`; who needs either takes them from here. How
much leaves the device is decided in this file and nowhere else. It must not know how a message is kept or sent.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from edge.core.days import Day
from edge.core.ledger import is_ordered
from edge.core.messages import Arrival, Decision, Fault, Guidance, Health, Recovered, Verdict
from edge.core.news import News, Taking
from edge.core.orders import BUNDLE, Response
from edge.core.payloads import (
    MAX_DETAIL,
    AnyPayload,
    ArrivedPart,
    BundlePart,
    BundlePayload,
    DayPart,
    DetectionPayload,
    FaultPayload,
    HealthPayload,
    HintPayload,
    LastPart,
    Level,
    NewestPart,
    Payload,
    PercentilesPart,
    RecoveredPayload,
    ResponsePayload,
    StandingFault,
    StatePayload,
    SummaryPayload,
    UnsurePayload,
    decode,
    encode,
)
from edge.core.payloads import schema as payload_schemas
from edge.core.seal import order
from edge.core.session import Total
from edge.core.spread import Percentiles, Spread
from edge.core.stands import Arrived, Stands
from edge.core.topics import OFFLINE, ONLINE, Told, Topics, retained

# For those who speak on the wire: one place to take it from.
__all__ = [
    "MAX_DETAIL",
    "OFFLINE",
    "ONLINE",
    "AnyPayload",
    "BundlePayload",
    "DetectionPayload",
    "FaultPayload",
    "HealthPayload",
    "HintPayload",
    "Payload",
    "RecoveredPayload",
    "ResponsePayload",
    "StatePayload",
    "SummaryPayload",
    "Told",
    "Topics",
    "UnsurePayload",
    "decode",
    "encode",
    "retained",
]

LEVELS: tuple[Level, ...] = ("health", "counts", "amounts")  # each tells all that the one before it tells
# From which level on each kind of message travels; what in it travels from a higher one only is null below that.
LEVEL_OF: dict[str, Level] = {
    "health": "health",
    "state": "health",
    "summary": "health",
    "fault": "health",
    "recovered": "health",
    "response": "health",
    "bundle": "health",
    "unsure": "counts",
    "hint": "counts",
    "detection": "amounts",
}


class Worth(enum.IntEnum):
    """Which message goes first when there is no room for all: the lowest."""

    HEALTH = 0
    HINT = 1
    UNSURE = 2
    FAULT = 3
    AMOUNT = 4


def tells(share: Level, level: Level) -> bool:
    """Whether whoever shares `share` tells what belongs to `level`."""
    return LEVELS.index(level) <= LEVELS.index(share)


@dataclass(frozen=True, slots=True)
class Source:
    """Who speaks, and how much it tells: the same for all messages of one run."""

    device: str
    run: str  # random, new at each start: `t_s` counts from it, and `seq` may begin anew after a damaged outbox
    daemon: str  # version
    currency: str  # ISO 4217
    bundle: str  # name and version
    digest: str  # of the bundle
    share: Level = "amounts"
    versions: Mapping[str, str] = field(default_factory=dict)  # of the bundles in use, by currency

    def tells(self, level: Level) -> bool:
        """Whether what belongs to `level` may leave the device."""
        return tells(self.share, level)


@dataclass(frozen=True, slots=True)
class Entry:
    """What the outbox knows of the row that it is about to write."""

    seq: int
    waiting: int  # rows already there
    lost: int  # messages lost, ever
    today: int | None = None  # the daily counter, this message included


def level_of(event: Told) -> Level | None:
    """From which level on `event` travels; None for what never does: notices, a presence's beginning and its end."""
    kind = _kind_of(event)
    return None if kind is None else LEVEL_OF[kind]


def _kind_of(event: Told) -> str | None:
    if isinstance(event, Decision):
        unsure = {Verdict.UNSURE: "unsure", Verdict.SEVERAL: "unsure"}
        return "detection" if event.verdict is Verdict.AMOUNT else unsure.get(event.verdict)
    kinds: dict[type, str] = {
        Guidance: "hint", Fault: "fault", Recovered: "recovered", Health: "health", Response: "response",
        Arrival: "bundle",
    }  # fmt: skip
    return kinds.get(type(event))


def may_wait(payload: Payload, source: Source) -> bool:
    """Whether a message may stand in the outbox: one from days of a higher level must go."""
    if isinstance(payload, HealthPayload):
        return source.tells("counts") or (payload.announced is None and payload.speech_ms is None)
    return source.tells(LEVEL_OF[str(payload.__struct_config__.tag)])


def worth(event: Told) -> Worth:
    """What would be lost with it."""
    if isinstance(event, Decision):
        return Worth.AMOUNT if event.verdict is Verdict.AMOUNT else Worth.UNSURE
    if isinstance(event, Fault | Recovered | Arrival):
        return Worth.FAULT
    return Worth.HEALTH if isinstance(event, Health) else Worth.HINT


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is told."""

    t_s: float  # since the run began
    wall_s: float | None

    def head(self, source: Source, seq: int | None) -> dict[str, Any]:
        """What every payload begins with."""
        return {
            "device": source.device,
            "run": source.run,
            "seq": seq,
            "t_s": _round(self.t_s, 3),
            "wall_s": None if self.wall_s is None else _round(self.wall_s, 3),
            "daemon": source.daemon,
            "bundle": source.bundle,
            "digest": source.digest,
        }


def payload(event: Told, source: Source, entry: Entry, moment: Moment, *, taken_over: int = 0) -> AnyPayload:
    """What travels for `event`; ValueError when nothing does at this level, or a number in it is none."""
    level = level_of(event)
    if level is None or not source.tells(level):
        raise ValueError(f"{type(event).__name__} does not travel")
    head = moment.head(source, entry.seq)
    if isinstance(event, Decision):
        return _decision(event, source, entry, head)
    if isinstance(event, Guidance):
        return HintPayload(hint=event.hint.value, **head)
    if isinstance(event, Fault):
        return FaultPayload(part=event.device, reason=event.reason, detail=_detail(event.detail), **head)
    if isinstance(event, Recovered):
        return RecoveredPayload(part=event.device, reason=event.reason, **head)
    if isinstance(event, Arrival):
        return BundlePayload(entry=_detail(event.entry), what=event.what, why=_detail(event.why), **head)
    if isinstance(event, Response):
        head |= {"id": event.id, "verb": event.verb[:64], "ok": event.ok}
        # A picture's name counts those of its day.
        result = _detail(event.result) if source.tells("counts") or event.verb == BUNDLE else ""
        return ResponsePayload(why=_detail(event.why), result=result, **head)
    assert isinstance(event, Health)
    return _health(event, source, entry, taken_over, head)


def _decision(decision: Decision, source: Source, entry: Entry, head: dict[str, Any]) -> AnyPayload:
    head |= {"frames": decision.frames, "presence": decision.presence, "ms": _round_all(decision.ms)}
    if decision.verdict is not Verdict.AMOUNT:
        return UnsurePayload(reason="several" if decision.verdict is Verdict.SEVERAL else "unsure", **head)
    currency = decision.currency or source.currency
    head |= {"currency": currency, "confidence": _round(decision.confidence, 4), "today": entry.today}
    return DetectionPayload(amount=decision.label, **head)


def _health(health: Health, source: Source, entry: Entry, taken_over: int, head: dict[str, Any]) -> HealthPayload:
    counts = source.tells("counts")
    return HealthPayload(
        uptime_s=_round(health.uptime_s, 1),
        frames=health.frames,
        inferences=health.inferences,
        announced=health.announced if counts else None,
        ms=_round_all(health.ms),
        temperature_c=None if health.temperature_c is None else _round(health.temperature_c, 1),
        throttled=health.throttled,
        waiting=entry.waiting,
        lost=entry.lost,
        taken_over=taken_over,
        memory_bytes=health.memory_bytes,
        disk_free_bytes=health.disk_free_bytes,
        frames_per_s=_round(health.frames_per_s, 2),
        stages={stage: _percentiles(found) for stage, found in health.stages.items()},
        speech_ms=_percentiles(health.speech_ms) if counts and health.speech_ms else None,
        dropped=health.dropped,
        **head,
    )


def state(stands: Stands, source: Source, moment: Moment) -> StatePayload:
    """What travels of what stands."""
    last = stands.last if source.tells("amounts") else None
    currency = (last.currency if last is not None else "") or source.currency
    totals = (stands.total, *stands.total.others)
    total = next((one for one in totals if (one.currency or source.currency) == currency), Total(Decimal(0), 0))
    count = total.notes if source.tells("amounts") else sum(one.notes for one in totals)
    began = None if moment.wall_s is None else _round(moment.wall_s - moment.t_s, 3)
    return StatePayload(
        currency=currency,
        last=None if last is None else LastPart(amount=last.label, t_s=_round(last.t_s, 3), wall_s=last.wall_s),
        total=f"{total.amount:f}" if source.tells("amounts") else None,
        count=count if source.tells("counts") else None,
        uptime_s=_round(moment.t_s, 1),
        started_wall_s=began,
        faults=[
            StandingFault(
                part=stood.fault.device,
                reason=stood.fault.reason,
                detail=_detail(stood.fault.detail),
                since_t_s=_round(stood.since_t_s, 1),
            )
            for stood in stands.faults
        ],
        share=source.share,
        bundles=[
            BundlePart(
                currency=of,
                version=version,
                newest=_newest(stands.newest.get(of), version),
                arrived=_arrived(stands.arrived.get(of), source),
            )
            for of, version in source.versions.items()
        ],
        **moment.head(source, None),
    )


def _newest(found: tuple[News, Taking] | None, used: str) -> NewestPart | None:
    if found is None or (is_ordered(used) and order(found[0].claim.version) <= order(used)):
        return None
    news, taking = found
    return NewestPart(version=news.claim.version, page=news.page, installing=taking.busy, why=_detail(taking.why))


def _arrived(arrived: Arrived | None, source: Source) -> ArrivedPart | None:
    if arrived is None:
        return None
    tally, told = arrived.tally, arrived.arrival
    # How long it looked changes with each note, and whoever sees it change learns when one was shown.
    shown = msgspec.structs.asdict(tally) if source.tells("counts") else {}
    return ArrivedPart(
        entry=_detail(told.entry),
        what=told.what,
        why=_detail(told.why),
        since_wall_s=None if tally.since_wall_s is None else _round(tally.since_wall_s, 3),
        seconds=_round(tally.seconds, 1) if shown else None,
        **{key: shown.get(key) for key in ("alike", "otherwise", "silent", "alone")},
    )


def summary(days: Mapping[str, Day], source: Source, moment: Moment) -> SummaryPayload:
    """What travels of what was counted on `days`, the oldest first."""
    return SummaryPayload(days=[_day(day, found, source) for day, found in days.items()], **moment.head(source, None))


def _day(day: str, found: Day, source: Source) -> DayPart:
    counts, speech = source.tells("counts"), Spread(found.speech).percentiles()
    stages = {stage: Spread(steps).percentiles() for stage, steps in found.stages.items()}
    amounts = {what.removeprefix(f"{source.currency} "): n for what, n in found.amounts.items()}
    return DayPart(
        day=day,
        uptime_s=_round(found.uptime_s, 1),
        frames=found.frames,
        detections=found.detections if counts else None,
        unsure=found.unsure if counts else None,
        several=found.several if counts else None,
        hints=found.hints if counts else None,
        faults=found.faults,
        lost=found.lost,
        temperature_max_c=None if found.temperature_max_c is None else _round(found.temperature_max_c, 1),
        amounts=amounts if source.tells("amounts") else None,
        stages={stage: _percentiles(one) for stage, one in stages.items() if one is not None},
        speech_ms=_percentiles(speech) if counts and speech else None,
    )


def _percentiles(found: Percentiles) -> PercentilesPart:
    return PercentilesPart(p50=_round(found.p50, 2), p95=_round(found.p95, 2))


def _detail(text: str) -> str:
    return text[:MAX_DETAIL].encode("utf-8", "replace").decode()  # a file's name need not be Unicode


def _round(value: float, digits: int) -> float:
    if not math.isfinite(value):  # JSON has no such number: it would arrive as null
        raise ValueError(f"{value} cannot travel")
    return round(float(value), digits)


def _round_all(ms: dict[str, float]) -> dict[str, float]:
    return {stage: _round(value, 2) for stage, value in ms.items()}


def schema() -> dict[str, dict[str, Any]]:
    """JSON Schema of each payload, by its kind."""
    return payload_schemas() | {"availability": {"enum": [ONLINE.decode(), OFFLINE.decode()]}}
