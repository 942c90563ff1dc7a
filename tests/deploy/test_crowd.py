"""The simulated devices say what real ones would, and look like a fleet with a few troubles."""

import json

import pytest

from deploy.crowd import DENOMINATIONS, SimulatedDevice, _length
from edge.core import wire


def device(number: int = 1) -> SimulatedDevice:
    return SimulatedDevice(number, "saynote", 1_790_000_000.0)


def test_what_they_say_is_what_a_reader_of_the_format_understands() -> None:
    one = device()
    health, detection = wire.decode(one.health(60.0)), wire.decode(one.detection(61.0))
    assert isinstance(health, wire.HealthPayload)
    assert isinstance(detection, wire.DetectionPayload)
    assert detection.amount in DENOMINATIONS
    assert (health.seq, detection.seq) == (1, 2)


@pytest.mark.parametrize("kind", ["health", "state", "summary", "detection"])
def test_they_say_all_that_a_device_says_and_nothing_that_it_does_not(kind: str) -> None:
    said = getattr(device(), kind)(60.0)
    assert json.loads(wire.encode(wire.decode(said))) == json.loads(said)
    fields = wire.schema()[kind]["$defs"]
    (told,) = [one for one in fields.values() if "kind" in one["properties"]]
    assert set(json.loads(said)) == set(told["properties"])


def test_only_what_goes_through_the_outbox_is_numbered() -> None:
    one = device()
    numbers = [json.loads(getattr(one, kind)(60.0))["seq"] for kind in ("health", "state", "summary", "detection")]
    assert numbers == [1, None, None, 2]


def test_they_speak_on_the_topics_of_devices() -> None:
    one = device(7)
    topics = wire.Topics("saynote", one.name)
    assert [one.topic(part) for part in ("availability", "detection", "event", "health")] == [
        topics.availability(),
        topics.detection(),
        topics.event(),
        topics.health(),
    ]


def test_the_state_names_the_last_amount_and_the_faults_that_stand() -> None:
    one = device()
    amount = json.loads(one.detection(5.0))["amount"]
    one.fault = ("camera", "stopped", "no new picture")
    state = json.loads(one.state(6.0))
    assert state["last"]["amount"] == amount
    assert [fault["part"] for fault in state["faults"]] == ["camera"]


def test_the_month_ends_with_today_and_has_thirty_days_in_order() -> None:
    days = [day["day"] for day in json.loads(device().summary(0.0))["days"]]
    assert (len(days), days[-1]) == (30, "2026-09-21")
    assert days == sorted(set(days))


def test_the_same_number_says_the_same_every_time() -> None:
    assert device(3).health(60.0) == device(3).health(60.0)
    assert device(3).health(60.0) != device(4).health(60.0)


@pytest.mark.parametrize(("count", "written"), [(0, "00"), (127, "7f"), (128, "8001"), (16_384, "808001")])
def test_lengths_are_written_as_mqtt_wants_them(count: int, written: str) -> None:
    assert _length(count).hex() == written
