"""Owns telemetry on the wire: the topics, the payloads and their JSON Schema; explained in docs/telemetry.md.

Payloads are JSON objects with named fields; only `availability` is a bare word, because the broker itself
speaks it when a device vanishes. A reader ignores fields it does not know; `version` rises when a field changes
its meaning or goes. It must not know how a message is kept or sent. There is no field for a picture, ever.
"""

from __future__ import annotations

import enum
import math
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

from edge.core.errors import ConfigError
from edge.core.messages import Decision, Event, Fault, Health, Recovered, Verdict

VERSION = 1
ONLINE, OFFLINE = b"online", b"offline"
MAX_DETAIL = 200  # characters of a fault's detail that travel

Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Payload(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What every payload says; (device, run, seq) names a message, so that a duplicate can be recognised."""

    version: Annotated[int, Meta(description="of this format", ge=1)] = VERSION
    device: Annotated[str, Meta(description="which device")]
    run: Annotated[str, Meta(description="random name of the daemon's run that wrote the message")]
    seq: Annotated[int, Meta(description="counts the device's messages, across restarts", ge=1)]
    t_s: Annotated[float, Meta(description="seconds since that run began", ge=0)]
    wall_s: Annotated[float | None, Meta(description="seconds since 1970; null until a time server has set the clock")]
    daemon: Annotated[str, Meta(description="the daemon's version")]
    bundle: Annotated[str, Meta(description="the model bundle's name and version")]
    digest: Annotated[str, Meta(description="the model bundle's identity, SHA-256")]


class DecisionPayload(Payload, frozen=True, kw_only=True):
    """What every decision says."""

    frames: Annotated[Count, Meta(description="observations that went into it")]
    presence: Annotated[Count, Meta(description="counts the notes shown since the run began")]
    ms: Annotated[dict[str, float], Meta(description="milliseconds per stage, by the stage's name")]


class DetectionPayload(DecisionPayload, frozen=True, kw_only=True, tag="detection"):
    """An amount was decided."""

    amount: Annotated[str, Meta(description="the denomination, a decimal number")]
    currency: Annotated[str, Meta(description="ISO 4217")]
    confidence: Annotated[Share, Meta(description="fused probability of the amount")]
    today: Annotated[Count | None, Meta(description="times this amount today, 1 is the first; null like wall_s")]


class UnsurePayload(DecisionPayload, frozen=True, kw_only=True, tag="unsure"):
    """A note was in view and no amount was decided."""

    reason: Annotated[Literal["unsure", "several"], Meta(description="several: two different notes in view")]


class FaultPayload(Payload, frozen=True, kw_only=True, tag="fault"):
    """A part of the device failed."""

    part: Annotated[str, Meta(description="camera, speaker, button, board, clock, disk, bundle ...")]
    reason: Annotated[str, Meta(description="missing, busy, denied, stopped, frozen, too hot ...")]
    detail: Annotated[str, Meta(description="for a technician", max_length=MAX_DETAIL)]


class RecoveredPayload(Payload, frozen=True, kw_only=True, tag="recovered"):
    """A part that had failed works again."""

    part: Annotated[str, Meta(description="camera, speaker, button ...")]


class HealthPayload(Payload, frozen=True, kw_only=True, tag="health"):
    """How the device does."""

    uptime_s: Annotated[float, Meta(description="seconds the daemon has run", ge=0)]
    frames: Annotated[Count, Meta(description="pictures seen since the run began")]
    inferences: Annotated[Count, Meta(description="inferences since the run began")]
    announced: Annotated[Count, Meta(description="amounts decided since the run began")]
    ms: Annotated[dict[str, float], Meta(description="mean milliseconds per stage since the last health message")]
    temperature_c: Annotated[float | None, Meta(description="of the processor; null where not known")]
    throttled: Annotated[bool | None, Meta(description="slowed by heat or low voltage; null where not known")]
    waiting: Annotated[Count, Meta(description="messages that wait on the device")]
    lost: Annotated[Count, Meta(description="messages lost, ever")]
    taken_over: Annotated[Count, Meta(description="times another device of the same name threw us out, this run")] = 0


AnyPayload: TypeAlias = DetectionPayload | UnsurePayload | FaultPayload | RecoveredPayload | HealthPayload


class Worth(enum.IntEnum):
    """Which message goes first when there is no room for all: the lowest."""

    HEALTH = 0
    HINT = 1
    UNSURE = 2
    FAULT = 3
    AMOUNT = 4


@dataclass(frozen=True, slots=True)
class Topics:
    """Every topic of one device, spelt here only."""

    prefix: str  # one or more levels, from the configuration
    device: str  # one level

    def __post_init__(self) -> None:
        if not re.fullmatch(r"(?![$/])[^+#\x00-\x1f]+(?<!/)", self.prefix):
            raise ConfigError([f"mqtt.prefix = {self.prefix!r} cannot begin a topic: no + # $ and no outer /"])
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", self.device):
            raise ConfigError([f"mqtt.device_id = {self.device!r} must be 1 to 64 letters, digits and . _ -"])

    def availability(self) -> str:
        """`online` or `offline`, retained; the broker says `offline` when the device vanishes."""
        return f"{self.prefix}/{self.device}/availability"

    def detection(self) -> str:
        """Amounts."""
        return f"{self.prefix}/{self.device}/detection"

    def event(self) -> str:
        """Unsure, faults and recoveries."""
        return f"{self.prefix}/{self.device}/event"

    def health(self) -> str:
        """Health, retained: who comes late sees the latest at once."""
        return f"{self.prefix}/{self.device}/health"

    def of(self, event: Event) -> str:
        """The topic that `event` belongs on."""
        if isinstance(event, Decision) and event.verdict is Verdict.AMOUNT:
            return self.detection()
        return self.health() if retained(event) else self.event()

    @staticmethod
    def all_devices(prefix: str) -> str:
        """What to subscribe to for all topics of all devices."""
        return f"{prefix}/+/+"


def retained(event: Event) -> bool:
    """Whether the broker keeps the latest of it for who comes late."""
    return isinstance(event, Health)


@dataclass(frozen=True, slots=True)
class Source:
    """Who speaks: the same for all messages of one run."""

    device: str
    run: str  # random, new at each start: `t_s` counts from it, and `seq` may begin anew after a damaged outbox
    daemon: str  # version
    currency: str  # ISO 4217
    bundle: str  # name and version
    digest: str  # of the bundle


@dataclass(frozen=True, slots=True)
class Entry:
    """What the outbox knows of the row that it is about to write."""

    seq: int
    waiting: int  # rows already there
    lost: int  # messages lost, ever
    today: int | None = None  # the daily counter, this message included


def reported(event: Event) -> bool:
    """Whether `event` travels at all: hints, notices, the beginning and the end of a presence do not."""
    if isinstance(event, Decision):
        return event.verdict not in (Verdict.SEEN, Verdict.GONE)
    return isinstance(event, Fault | Recovered | Health)


def worth(event: Event) -> Worth:
    """What would be lost with it."""
    if isinstance(event, Decision):
        return Worth.AMOUNT if event.verdict is Verdict.AMOUNT else Worth.UNSURE
    if isinstance(event, Fault | Recovered):
        return Worth.FAULT
    return Worth.HEALTH if isinstance(event, Health) else Worth.HINT


def payload(
    event: Event, source: Source, entry: Entry, *, t_s: float, wall_s: float | None, taken_over: int = 0
) -> AnyPayload:
    """What travels for `event`; ValueError when nothing does or a number in it is none."""
    head: dict[str, Any] = {
        "device": source.device,
        "run": source.run,
        "seq": entry.seq,
        "t_s": _round(t_s, 3),
        "wall_s": None if wall_s is None else _round(wall_s, 3),
        "daemon": source.daemon,
        "bundle": source.bundle,
        "digest": source.digest,
    }
    if isinstance(event, Decision) and reported(event):
        return _decision(event, source, entry, head)
    if isinstance(event, Fault):
        detail = event.detail[:MAX_DETAIL].encode("utf-8", "replace").decode()  # a file's name need not be Unicode
        return FaultPayload(part=event.device, reason=event.reason, detail=detail, **head)
    if isinstance(event, Recovered):
        return RecoveredPayload(part=event.device, **head)
    if isinstance(event, Health):
        return _health(event, entry, taken_over, head)
    raise ValueError(f"{type(event).__name__} does not travel")


def _decision(decision: Decision, source: Source, entry: Entry, head: dict[str, Any]) -> AnyPayload:
    head |= {"frames": decision.frames, "presence": decision.presence, "ms": _round_all(decision.ms)}
    if decision.verdict is not Verdict.AMOUNT:
        return UnsurePayload(reason="several" if decision.verdict is Verdict.SEVERAL else "unsure", **head)
    currency = decision.currency or source.currency
    head |= {"currency": currency, "confidence": _round(decision.confidence, 4), "today": entry.today}
    return DetectionPayload(amount=decision.label, **head)


def _health(health: Health, entry: Entry, taken_over: int, head: dict[str, Any]) -> HealthPayload:
    return HealthPayload(
        uptime_s=_round(health.uptime_s, 1),
        frames=health.frames,
        inferences=health.inferences,
        announced=health.announced,
        ms=_round_all(health.ms),
        temperature_c=None if health.temperature_c is None else _round(health.temperature_c, 1),
        throttled=health.throttled,
        waiting=entry.waiting,
        lost=entry.lost,
        taken_over=taken_over,
        **head,
    )


def _round(value: float, digits: int) -> float:
    if not math.isfinite(value):  # JSON has no such number: it would arrive as null
        raise ValueError(f"{value} cannot travel")
    return round(float(value), digits)


def _round_all(ms: dict[str, float]) -> dict[str, float]:
    return {stage: _round(value, 2) for stage, value in ms.items()}


def encode(payload: Payload) -> bytes:
    """The bytes that travel: one JSON object, UTF-8."""
    return msgspec.json.encode(payload)


def decode(data: bytes) -> AnyPayload:
    """What the bytes on a topic other than availability say; ValueError when they are no payload of ours."""
    found: AnyPayload = msgspec.json.decode(data, type=AnyPayload)
    return found


def schema() -> dict[str, dict[str, Any]]:
    """JSON Schema of each payload, by its kind."""
    schemas = {str(kind.__struct_config__.tag): msgspec.json.schema(kind) for kind in get_args(AnyPayload)}
    return schemas | {"availability": {"enum": [ONLINE.decode(), OFFLINE.decode()]}}
