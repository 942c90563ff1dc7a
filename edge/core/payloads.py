"""Owns what each message on the wire holds: its fields, their types and what they mean; explained in docs/telemetry.md.

JSON objects with named fields. A reader ignores fields it does not know; `version` rises when a field changes its
meaning or goes. There is no field for a picture or a sound, ever. What goes on which topic is `edge.core.wire`'s.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, get_args

import msgspec
from msgspec import Meta

VERSION = 1
MAX_DETAIL = 200  # characters of a fault's detail, and of why a command was not done

Count = Annotated[int, Meta(ge=0)]
Chance = Annotated[float, Meta(ge=0, le=1)]
Ms = Annotated[float, Meta(ge=0)]
Level = Literal["health", "counts", "amounts"]


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What stands within a payload."""


class PercentilesPart(Part, frozen=True, kw_only=True):
    """Of milliseconds: true to 2.5 %."""

    p50: Ms
    p95: Ms


class Payload(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What every payload says; (device, run, seq) names a message, so that a duplicate can be recognised."""

    version: Annotated[int, Meta(description="of this format", ge=1)] = VERSION
    device: Annotated[str, Meta(description="which device")]
    run: Annotated[str, Meta(description="random name of the daemon's run that wrote the message")]
    seq: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="counts the device's messages, across restarts; null in state and summary"),
    ]
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
    confidence: Annotated[Chance, Meta(description="fused probability of the amount")]
    today: Annotated[Count | None, Meta(description="times this amount today, 1 is the first; null like wall_s")]


class UnsurePayload(DecisionPayload, frozen=True, kw_only=True, tag="unsure"):
    """A note was in view and no amount was decided."""

    reason: Annotated[Literal["unsure", "several"], Meta(description="several: two different notes in view")]


class HintPayload(Payload, frozen=True, kw_only=True, tag="hint"):
    """The hand was told how to hold the note."""

    hint: Annotated[str, Meta(description="closer, too dark, hold still, camera covered ...")]


class FaultPayload(Payload, frozen=True, kw_only=True, tag="fault"):
    """A part of the device failed."""

    part: Annotated[str, Meta(description="camera, speaker, button, board, clock, disk, bundle ...")]
    reason: Annotated[str, Meta(description="missing, busy, denied, stopped, frozen, too hot ...")]
    detail: Annotated[str, Meta(description="for a technician", max_length=MAX_DETAIL)]


class RecoveredPayload(Payload, frozen=True, kw_only=True, tag="recovered"):
    """A part that had failed works again."""

    part: Annotated[str, Meta(description="camera, speaker, button ...")]
    reason: Annotated[
        str, Meta(description="which trouble is over: too hot, under-voltage, full, not set; empty for any other")
    ] = ""


class BundlePayload(Payload, frozen=True, kw_only=True, tag="bundle"):
    """What became of a bundle that was installed."""

    entry: Annotated[str, Meta(description="currency, version and the beginning of its digest", max_length=MAX_DETAIL)]
    what: Annotated[str, Meta(description="in the shadow, refused, switched, stays, rolled back")]
    why: Annotated[str, Meta(description="for a technician", max_length=MAX_DETAIL)]


class HealthPayload(Payload, frozen=True, kw_only=True, tag="health"):
    """How the device does."""

    uptime_s: Annotated[float, Meta(description="seconds the daemon has run", ge=0)]
    frames: Annotated[Count, Meta(description="pictures seen since the run began")]
    inferences: Annotated[Count, Meta(description="inferences since the run began")]
    announced: Annotated[
        Count | None, Meta(description="amounts decided since the run began; null where counts are not shared")
    ]
    ms: Annotated[dict[str, float], Meta(description="mean milliseconds per stage since the last health message")]
    temperature_c: Annotated[float | None, Meta(description="of the processor; null where not known")]
    throttled: Annotated[bool | None, Meta(description="slowed by heat or low voltage; null where not known")]
    waiting: Annotated[Count, Meta(description="messages that wait on the device")]
    lost: Annotated[Count, Meta(description="messages lost, ever")]
    taken_over: Annotated[Count, Meta(description="times another device of the same name threw us out, this run")] = 0
    memory_bytes: Annotated[Count | None, Meta(description="that the daemon holds, resident; null where not known")] = (
        None
    )
    disk_free_bytes: Annotated[
        Count | None, Meta(description="free on the disk of the outbox; null where not known")
    ] = None
    frames_per_s: Annotated[float, Meta(description="pictures a second since the last health message", ge=0)] = 0.0
    stages: Annotated[
        dict[str, PercentilesPart], Meta(description="percentiles of each stage's ms since the last health message")
    ] = {}
    speech_ms: Annotated[
        PercentilesPart | None,
        Meta(description="from an amount's decision to its first sample, likewise; null for none, or not shared"),
    ] = None
    dropped: Annotated[Count, Meta(description="things an outlet had no room for, this run")] = 0


class LastPart(Part, frozen=True, kw_only=True):
    """The last amount of this run."""

    amount: Annotated[str, Meta(description="the denomination, a decimal number")]
    t_s: Annotated[float, Meta(ge=0)]
    wall_s: float | None


class StandingFault(Part, frozen=True, kw_only=True):
    """A fault that has not been repaired."""

    part: str
    reason: str
    detail: Annotated[str, Meta(max_length=MAX_DETAIL)]
    since_t_s: Annotated[float, Meta(ge=0)]


class ArrivedPart(Part, frozen=True, kw_only=True):
    """The bundle that was installed last, in this run or before; the null ones are not shared, or not known."""

    entry: Annotated[str, Meta(max_length=MAX_DETAIL)]
    what: str
    why: Annotated[str, Meta(max_length=MAX_DETAIL)]
    since_wall_s: float | None
    seconds: Annotated[float, Meta(ge=0)] | None
    alike: Count | None
    otherwise: Count | None
    silent: Count | None
    alone: Count | None


class NewestPart(Part, frozen=True, kw_only=True):
    """A newer bundle than the one in use, as its owner says."""

    version: str
    page: str
    installing: bool
    why: Annotated[str, Meta(max_length=MAX_DETAIL)]


class BundlePart(Part, frozen=True, kw_only=True):
    """What stands of the bundles of one currency."""

    currency: str
    version: str
    newest: NewestPart | None
    arrived: ArrivedPart | None


class StatePayload(Payload, frozen=True, kw_only=True, tag="state"):
    """What stands now."""

    currency: Annotated[str, Meta(description="of last and total, ISO 4217")]
    last: Annotated[LastPart | None, Meta(description="the last amount of this run; null for none, or not shared")]
    total: Annotated[str | None, Meta(description="the running total in that currency; null where not shared")]
    count: Annotated[Count | None, Meta(description="notes in the running total; null where not shared")]
    uptime_s: Annotated[float, Meta(description="seconds the daemon has run", ge=0)]
    started_wall_s: Annotated[float | None, Meta(description="when the run began, since 1970; null like wall_s")]
    faults: Annotated[list[StandingFault], Meta(description="those that stand, the oldest first")]
    share: Annotated[Level, Meta(description="how much this device is allowed to tell")]
    bundles: Annotated[
        list[BundlePart], Meta(description="of each currency: which is used, and what was installed")
    ] = []


class DayPart(Part, frozen=True, kw_only=True):
    """One day; the null ones are not shared, or not known."""

    day: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d$")]
    uptime_s: Annotated[float, Meta(ge=0)]
    frames: Count
    detections: Count | None
    unsure: Count | None
    several: Count | None
    hints: Count | None
    faults: Count
    lost: Count
    temperature_max_c: float | None
    amounts: dict[str, Count] | None
    stages: dict[str, PercentilesPart]
    speech_ms: PercentilesPart | None


class SummaryPayload(Payload, frozen=True, kw_only=True, tag="summary"):
    """What the last days brought."""

    days: Annotated[
        list[DayPart], Meta(description="of the last 30 those that it was on, the oldest first", max_length=30)
    ]


class ResponsePayload(Payload, frozen=True, kw_only=True, tag="response"):
    """What became of a command."""

    id: Annotated[str, Meta(description="the command's; empty where it had none that could be read", max_length=64)]
    verb: Annotated[str, Meta(description="repeat, say, identify, snapshot, reload, bundle", max_length=64)]
    ok: Annotated[bool, Meta(description="whether it was done")]
    why: Annotated[str, Meta(description="why not; empty when it was done", max_length=MAX_DETAIL)]
    result: Annotated[
        str,
        Meta(
            description="the kept picture's name, where counts are shared; the installed bundle's",
            max_length=MAX_DETAIL,
        ),
    ] = ""


AnyPayload: TypeAlias = (
    DetectionPayload
    | UnsurePayload
    | HintPayload
    | FaultPayload
    | RecoveredPayload
    | BundlePayload
    | HealthPayload
    | StatePayload
    | SummaryPayload
    | ResponsePayload
)
KINDS: dict[str, type[Payload]] = {str(kind.__struct_config__.tag): kind for kind in get_args(AnyPayload)}


def encode(payload: Payload) -> bytes:
    """The bytes that travel: one JSON object, UTF-8."""
    return msgspec.json.encode(payload)


def decode(data: bytes) -> AnyPayload:
    """What the bytes on a topic other than availability say; ValueError when they are no payload of ours."""
    found: AnyPayload = msgspec.json.decode(data, type=AnyPayload)
    return found


def schema() -> dict[str, dict[str, Any]]:
    """JSON Schema of each payload, by its kind."""
    return {kind: msgspec.json.schema(struct) for kind, struct in KINDS.items()}
