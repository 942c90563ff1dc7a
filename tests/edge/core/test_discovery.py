from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from edge.core import discovery, orders, wire
from edge.core.payloads import Level

TOPICS = wire.Topics("home/saynote", "hall.pi-1")
SOURCE = wire.Source("hall.pi-1", "5e1f09ab", "0.2.0", "INR", "inr 1.0.0", "ab" * 32)


MONEY = {"last_amount", "total", "seen"}


def told(share: Level = "amounts", *, commands: bool = True) -> dict[str, dict[str, Any]]:
    """What is announced, by the entity's key."""
    said = discovery.announcements("homeassistant", TOPICS, replace(SOURCE, share=share), commands=commands)
    return {topic.split("/")[3]: json.loads(payload) for topic, payload in said.items()}


def test_every_entity_has_a_topic_of_its_own_of_the_form_that_is_looked_for() -> None:
    said = discovery.announcements("homeassistant", TOPICS, SOURCE, commands=True)
    # https://www.home-assistant.io/integrations/mqtt/#discovery-topic
    form = re.compile(r"homeassistant/(sensor|binary_sensor|button|event|update)/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config")
    assert [topic for topic in said if not form.fullmatch(topic)] == []
    assert len({json.loads(payload)["unique_id"] for payload in said.values()}) == len(said) > 20


def test_all_are_of_one_device_and_gone_when_it_is() -> None:
    said = told()
    assert len({json.dumps(one["device"]) for one in said.values()}) == 1
    assert {key for key, one in said.items() if "availability_topic" not in one} == {"connected"}


def test_what_an_entity_reads_is_what_the_device_sends() -> None:
    kinds = {TOPICS.state(): "state", TOPICS.health(): "health", TOPICS.detection(): "detection"}
    read = 0
    for key, one in told().items():
        for topic, template in PAIRS:
            names = re.findall(r"value_json(?: or \{\}\))?\.(\w+)", one.get(template, ""))
            unknown = [name for name in names if name not in fields_of(kinds[one[topic]])]
            assert unknown == [], key
            read += len(names)
    assert read > 20


PAIRS = (("state_topic", "value_template"), ("json_attributes_topic", "json_attributes_template"))


def fields_of(kind: str) -> set[str]:
    schema = wire.schema()[kind]
    return {name for definition in schema["$defs"].values() for name in definition.get("properties", ())}


@pytest.mark.parametrize(("share", "missing"), [("amounts", set()), ("counts", MONEY), ("health", MONEY | {"notes"})])
def test_what_is_not_shared_is_not_announced(share: Level, missing: set[str]) -> None:
    assert set(told()) - set(told(share)) == missing


def test_an_amount_of_another_currency_is_not_shown_with_this_ones_unit() -> None:
    for key in ("last_amount", "total"):
        assert told()[key]["unit_of_measurement"] == "INR"
        assert "value_json.currency == 'INR' else none" in told()[key]["value_template"]


def test_buttons_are_there_only_where_the_device_takes_commands() -> None:
    assert set(told()) - set(told(commands=False)) == {"repeat", "identify"}
    assert {"command_topic", "payload_install"} & set(told(commands=False)["bundle"]) == set()


def test_a_press_on_install_is_a_command_that_the_device_takes_and_holds_no_address() -> None:
    update = told()["bundle"]
    verb = TOPICS.verb_of(update["command_topic"])
    command = orders.read(verb, update["payload_install"].encode())
    assert (command.verb, command.currency, command.text) == ("bundle", "INR", "")


def test_each_currency_s_bundle_is_updated_by_itself() -> None:
    source = replace(SOURCE, versions={"INR": "1.0.0", "VND": "2.0"})
    said = discovery.announcements("homeassistant", TOPICS, source, commands=True)
    presses = {
        topic.split("/")[3]: json.loads(payload)["payload_install"]
        for topic, payload in said.items()
        if "/update/" in topic
    }
    assert {key: json.loads(press)["newest"] for key, press in presses.items()} == {
        "bundle": "INR",
        "bundle_vnd": "VND",
    }
