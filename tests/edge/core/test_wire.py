from __future__ import annotations

import dataclasses
import json
import re
from decimal import Decimal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import payloads, wire
from edge.core.days import MOST_AMOUNTS, MOST_STAGES, Day
from edge.core.errors import ConfigError
from edge.core.ledger import Tally
from edge.core.messages import (
    Arrival,
    Compared,
    Decision,
    Event,
    Fault,
    Guidance,
    Health,
    Hint,
    Notice,
    Recovered,
    Verdict,
)
from edge.core.news import Newest, News, Taking
from edge.core.orders import Response
from edge.core.seal import Claim
from edge.core.session import Standing, Total
from edge.core.spread import Percentiles
from edge.core.stands import Stands

SOURCE = wire.Source("pi-1", "a1b2c3d4", "0.1.0", "INR", "inr 1.0.0", "ab" * 32)
TOPICS = wire.Topics("saynote", "pi-1")
ENTRY = wire.Entry(seq=7, waiting=2, lost=1, today=3)
WALL_S = 1_750_000_000.0
AMOUNT = Decision(Verdict.AMOUNT, 40, 12.5, 3, "500", 0.98761, 6, {"classify": 20.1234})
TRAVEL: list[wire.Told] = [
    AMOUNT,
    Decision(Verdict.UNSURE, 41, 13.0, 3, frames=9, ms={"classify": 20.0}),
    Decision(Verdict.SEVERAL, 42, 14.0, 4, frames=5),
    Fault("camera", "stopped", "no frame for 3 s"),
    Recovered("camera"),
    Arrival("INR-1.1.0-41d07be3", "refused", "a picture takes it 900 ms"),
    Guidance(Hint.TOO_DARK, 1.0),
    Response("c1", "say", ok=False, why="no number is said"),
    Health(60.0, 900, 800, 4, {"scene": 0.5}, 51.2, False),
]
STAY: list[Event] = [
    Decision(Verdict.SEEN, 39, 12.0, 3),
    Decision(Verdict.GONE, 43, 15.0, 3),
    Notice("ready"),
]


def payload(event: wire.Told, wall_s: float | None = WALL_S) -> wire.AnyPayload:
    return wire.payload(event, SOURCE, ENTRY, wire.Moment(12.3456789, wall_s))


@pytest.mark.parametrize("event", TRAVEL, ids=lambda event: type(event).__name__)
def test_a_payload_arrives_as_it_was_sent(event: wire.Told) -> None:
    sent = payload(event)
    assert wire.decode(wire.encode(sent)) == sent


@pytest.mark.parametrize("event", TRAVEL, ids=lambda event: type(event).__name__)
def test_every_payload_says_its_version_its_device_and_its_number(event: wire.Told) -> None:
    found = json.loads(wire.encode(payload(event)))
    assert (found["version"], found["device"], found["run"], found["seq"]) == (1, "pi-1", "a1b2c3d4", 7)
    assert (found["t_s"], found["wall_s"]) == (12.346, WALL_S)
    assert (found["daemon"], found["bundle"], found["digest"]) == ("0.1.0", "inr 1.0.0", "ab" * 32)


def test_a_detection_says_the_amount_and_how_it_came_about() -> None:
    found = json.loads(wire.encode(payload(AMOUNT)))
    assert (found["kind"], found["amount"], found["currency"], found["confidence"]) == (
        "detection",
        "500",
        "INR",
        0.9876,
    )
    assert (found["frames"], found["presence"], found["today"], found["ms"]) == (6, 3, 3, {"classify": 20.12})


@pytest.mark.parametrize("event", STAY, ids=lambda event: type(event).__name__)
def test_notices_and_the_beginning_and_the_end_of_a_presence_stay_on_the_device(event: Event) -> None:
    assert wire.level_of(event) is None
    with pytest.raises(ValueError, match="does not travel"):
        payload(event)


@pytest.mark.parametrize("event", TRAVEL, ids=lambda event: type(event).__name__)
def test_the_rest_travels(event: wire.Told) -> None:
    assert wire.level_of(event) in wire.LEVELS


def test_an_unsure_decision_never_names_an_amount() -> None:
    likeliest = dataclasses.replace(AMOUNT, verdict=Verdict.UNSURE)
    assert "500" not in json.loads(wire.encode(payload(likeliest))).values()


@pytest.mark.parametrize("event", TRAVEL, ids=lambda event: type(event).__name__)
def test_a_payload_holds_numbers_and_short_texts_only_so_no_picture_can_travel(event: wire.Told) -> None:
    data = wire.encode(payload(event))
    assert len(data) < 1024
    for value in json.loads(data).values():
        assert isinstance(value, str | int | float | dict | None), "and no list"


def test_pixels_cannot_be_smuggled_through_a_field() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(TypeError):
        wire.encode(payload(dataclasses.replace(AMOUNT, label=pixels)))  # type: ignore[arg-type]


def test_the_detail_of_a_fault_is_cut_short() -> None:
    found = payload(Fault("camera", "broken", "x" * 5000))
    assert isinstance(found, wire.FaultPayload)
    assert len(found.detail) == wire.MAX_DETAIL


def test_a_file_name_that_is_no_unicode_does_not_stop_a_fault() -> None:
    found = json.loads(wire.encode(payload(Fault("camera", "missing", "/dev/vid\udcffeo"))))
    assert found["detail"] == "/dev/vid?eo"


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_cannot_hold_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="cannot travel"):
        payload(dataclasses.replace(AMOUNT, confidence=number))


@pytest.mark.parametrize("wall_s", [None, WALL_S])
def test_a_clock_that_was_never_set_travels_as_null(wall_s: float | None) -> None:
    assert json.loads(wire.encode(payload(AMOUNT, wall_s)))["wall_s"] == wall_s


def test_a_reader_ignores_fields_of_a_later_version() -> None:
    later = json.loads(wire.encode(payload(AMOUNT))) | {"version": 2, "mood": "good"}
    assert wire.decode(json.dumps(later).encode()).version == 2


@pytest.mark.parametrize("data", [b"", b"online", b"{}", b'{"kind":"detection"}', b"\xff", b'{"kind":"other"}'])
def test_what_is_no_payload_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- msgspec words it
        wire.decode(data)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_payload_or_a_value_error(data: bytes) -> None:
    try:
        wire.decode(data)
    except ValueError:
        return


def test_topics_are_prefix_device_and_one_word() -> None:
    assert TOPICS.availability() == "saynote/pi-1/availability"
    assert [TOPICS.of(event) for event in TRAVEL] == [
        "saynote/pi-1/detection",
        "saynote/pi-1/event",
        "saynote/pi-1/event",
        "saynote/pi-1/event",
        "saynote/pi-1/event",
        "saynote/pi-1/event",
        "saynote/pi-1/event",
        "saynote/pi-1/response/say",
        "saynote/pi-1/health",
    ]
    assert wire.Topics.all_devices("saynote") == "saynote/+/+"


def test_only_health_is_retained_so_that_no_old_amount_is_taken_for_a_new_one() -> None:
    assert [type(event) for event in TRAVEL if wire.retained(event)] == [Health]


@pytest.mark.parametrize("device", ["", "a/b", "a+b", "#", "zwei wörter", "x" * 65, "a\n"])
def test_a_device_name_that_would_break_a_topic_is_refused(device: str) -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.device_id"):
        wire.Topics("saynote", device)


@pytest.mark.parametrize("prefix", ["", "/a", "a/", "a/+", "#", "$SYS", "a\0b", "a\nb"])
def test_a_prefix_that_would_break_a_topic_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.prefix"):
        wire.Topics(prefix, "pi-1")


@pytest.mark.parametrize("prefix", ["s", "saynote", "home/hall/saynote", "laden münze"])
def test_any_other_prefix_is_taken(prefix: str) -> None:
    assert wire.Topics(prefix, "pi-1").health() == f"{prefix}/pi-1/health"


def test_there_is_a_schema_for_every_kind_and_it_names_every_field() -> None:
    schemas = wire.schema()
    assert set(schemas) == {"detection", "unsure", "fault", "recovered", "health", "availability"} | {
        *("hint", "state", "summary", "response", "bundle"),
    }
    for event in TRAVEL:
        sent = json.loads(wire.encode(payload(event)))
        definition = schemas[sent["kind"]]["$defs"][schemas[sent["kind"]]["$ref"].rsplit("/")[-1]]
        assert set(sent) == set(definition["properties"])
        assert all("description" in field for name, field in definition["properties"].items() if name != "kind")
    json.dumps(schemas)


def test_a_missing_field_is_an_error_that_names_it() -> None:
    sent = json.loads(wire.encode(payload(AMOUNT)))
    del sent["amount"]
    with pytest.raises(msgspec.ValidationError, match=re.escape("`amount`")):
        wire.decode(json.dumps(sent).encode())


def test_a_detection_names_the_currency_that_was_decided() -> None:
    found = payload(dataclasses.replace(AMOUNT, label="50000", currency="VND"))
    assert isinstance(found, wire.DetectionPayload)
    assert (found.amount, found.currency) == ("50000", "VND")


def at(share: wire.Level) -> wire.Source:
    return dataclasses.replace(SOURCE, share=share)


@pytest.mark.parametrize(
    ("share", "kinds"),
    [
        ("health", {"fault", "recovered", "bundle", "response", "health"}),
        ("counts", {"fault", "recovered", "bundle", "response", "health", "unsure", "hint"}),
        ("amounts", {"fault", "recovered", "bundle", "response", "health", "unsure", "hint", "detection"}),
    ],
)
def test_what_travels_is_what_the_owner_shares(share: wire.Level, kinds: set[str]) -> None:
    found = set()
    for event in TRAVEL:
        try:
            found.add(json.loads(wire.encode(wire.payload(event, at(share), ENTRY, wire.Moment(1.0, None))))["kind"])
        except ValueError as error:
            assert "does not travel" in str(error)  # noqa: PT017
    assert found == kinds


def test_health_tells_nothing_of_notes_unless_counts_are_shared() -> None:
    busy = Health(60.0, 900, 800, 4, {"scene": 0.5}, speech_ms=Percentiles(300.0, 400.0))
    told = {
        share: wire.payload(busy, at(share), ENTRY, wire.Moment(1.0, None))  # type: ignore[arg-type]
        for share in wire.LEVELS
    }
    assert [(one.announced, one.speech_ms is None) for one in told.values()] == [  # type: ignore[union-attr]
        (None, True),
        (4, False),
        (4, False),
    ]


def stands() -> Stands:
    found = Stands()
    found.note(AMOUNT, 12.5, WALL_S)
    found.note(Standing(Total(Decimal("510.5"), 2)), 12.6, WALL_S)
    found.note(Fault("camera", "stopped", "no frame for 3 s"), 20.0, WALL_S)
    return found


@pytest.mark.parametrize(
    ("share", "last", "total", "count"),
    [("health", None, None, None), ("counts", None, None, 2), ("amounts", "500", "510.5", 2)],
)
def test_state_tells_what_is_shared(share: wire.Level, last: str | None, total: str | None, count: int | None) -> None:
    found = wire.state(stands(), at(share), wire.Moment(60.0, WALL_S + 60))
    assert ((found.last and found.last.amount), found.total, found.count) == (last, total, count)
    assert (found.share, found.started_wall_s, found.seq) == (share, WALL_S, None)
    assert [(one.part, one.reason, one.since_t_s) for one in found.faults] == [("camera", "stopped", 20.0)]
    assert wire.decode(wire.encode(found)) == found
    assert ('"500"' in wire.encode(found).decode()) is (share == "amounts")


ENTRY_NAME = "INR-1.1.0-41d07be3"
TALLY = Tally(60.0, 3, 0, 1, 2, WALL_S)


@pytest.mark.parametrize(("share", "counts"), [("health", None), ("counts", 3), ("amounts", 3)])
def test_state_tells_of_the_shadow_and_how_many_notes_it_saw_only_where_counts_are_shared(
    share: wire.Level, counts: int | None
) -> None:
    stood = Stands()
    stood.note(Arrival(ENTRY_NAME, "in the shadow"), 1.0, None)
    source = dataclasses.replace(at(share), versions={"INR": "1.0.0", "VND": "2.0"})
    before = wire.state(stood, source, wire.Moment(1.0, None))
    stood.note(Compared(ENTRY_NAME, TALLY), 2.0, None)
    found = wire.state(stood, source, wire.Moment(1.0, None))
    inr, vnd = found.bundles
    assert inr.arrived is not None
    assert (inr.version, inr.arrived.entry, inr.arrived.what) == ("1.0.0", ENTRY_NAME, "in the shadow")
    assert (inr.arrived.alike, inr.arrived.since_wall_s) == (counts, WALL_S)
    assert (inr.arrived.seconds is None) is (share == "health")
    assert (vnd.currency, vnd.arrived) == ("VND", None)
    assert wire.decode(wire.encode(found)) == found
    stood.note(Compared(ENTRY_NAME, msgspec.structs.replace(TALLY, alike=4, seconds=70.0)), 3.0, None)
    changed = wire.state(stood, source, wire.Moment(1.0, None))
    assert (changed == found) is (share == "health"), "from a change somebody learns that a note was shown"
    assert before != found


@pytest.mark.parametrize(
    ("used", "announced", "told"),
    [("1.0.0", "1.1.0", "1.1.0"), ("1.1.0", "1.1.0", None), ("1.10.0", "1.9.0", None), ("mine", "0.1", "0.1")],
)
def test_state_tells_what_is_newest_where_that_is_newer(used: str, announced: str, told: str | None) -> None:
    stood, source = Stands(), dataclasses.replace(SOURCE, versions={"INR": used})
    claim = Claim("inr", announced, "INR", "41d07be3" * 8)
    stood.note(Newest("INR", News(claim, "https://example.org/x", "https://example.org")), 1.0, None)
    stood.note(Taking("INR", busy=False, why="x" * 1000), 2.0, None)
    (inr,) = wire.state(stood, source, wire.Moment(3.0, None)).bundles
    assert (inr.newest and inr.newest.version) == told
    assert inr.newest is None or (inr.newest.page, len(inr.newest.why)) == ("https://example.org", wire.MAX_DETAIL)


def full_day() -> Day:
    day = Day(uptime_s=86_400.0, frames=1_296_000, detections=10**6, unsure=10**6, several=10**6, hints=10**6)
    day.faults, day.lost, day.temperature_max_c = 10**6, 10**9, 85.0
    day.amounts = {f"INR {number}000": 10**6 for number in range(1, MOST_AMOUNTS + 1)}
    day.stages = {
        f"a stage of many letters {number}": dict.fromkeys(range(300), 10**6) for number in range(MOST_STAGES)
    }
    day.speech = dict.fromkeys(range(300), 10**6)
    return day


def test_the_fullest_summary_is_far_from_what_a_broker_may_refuse() -> None:
    days = {f"2026-11-{number:02}": full_day() for number in range(1, 31)}
    assert len(wire.encode(wire.summary(days, SOURCE, wire.Moment(1.0, WALL_S)))) < 48_000


def test_every_kind_of_message_has_a_level() -> None:
    assert set(wire.LEVEL_OF) == set(payloads.KINDS)
    assert set(wire.LEVEL_OF.values()) == set(wire.LEVELS)


@pytest.mark.parametrize("share", wire.LEVELS)
def test_a_summary_tells_what_is_shared(share: wire.Level) -> None:
    day = Day(uptime_s=60.0, detections=3, unsure=2, several=1, hints=4, amounts={"INR 500": 3, "VND 20000": 7})
    day.speech = {100: 3}
    (found,) = wire.summary({"2026-11-27": day}, at(share), wire.Moment(1.0, None)).days
    counts = (found.detections, found.unsure, found.several, found.hints)
    assert counts == ((None,) * 4 if share == "health" else (3, 2, 1, 4))
    assert (found.speech_ms is None) is (share == "health")
    assert found.amounts == ({"500": 3, "VND 20000": 7} if share == "amounts" else None)


def test_commands_and_their_answers_have_topics_of_their_own() -> None:
    assert (TOPICS.commands(), TOPICS.command("say")) == ("saynote/pi-1/command/+", "saynote/pi-1/command/say")
    assert TOPICS.verb_of(TOPICS.command("say")) == "say"
    assert TOPICS.response("say") == "saynote/pi-1/response/say"
    assert TOPICS.response("a+#/b\0") == "saynote/pi-1/response/unknown"


@pytest.mark.parametrize("share", wire.LEVELS)
def test_whatever_is_told_at_a_level_may_wait_at_it_and_what_tells_more_may_not(share: wire.Level) -> None:
    for event in TRAVEL:
        full = payload(event)
        told = wire.level_of(event)
        assert told is not None
        if at(share).tells(told):
            assert wire.may_wait(wire.payload(event, at(share), ENTRY, wire.Moment(1.0, None)), at(share))
        if isinstance(event, Health):
            assert wire.may_wait(full, at(share)) is (share != "health"), "it counts amounts"
        else:
            assert wire.may_wait(full, at(share)) is at(share).tells(told)
