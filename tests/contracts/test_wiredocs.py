from __future__ import annotations

import json
from typing import Any

import pytest

from deploy import wiredocs
from edge.core import payloads, wire


@pytest.mark.parametrize("name", sorted(wiredocs.documents()))
def test_the_documents_are_what_the_device_uses(name: str) -> None:
    found = (wiredocs.DOCS / name).read_text(encoding="utf-8")
    assert found == wiredocs.documents()[name], "run: python -m deploy.wiredocs"


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own | {found for one in value.values() for found in references(one)}
    return {found for one in value for found in references(one)} if isinstance(value, list) else set()


@pytest.mark.parametrize("name", sorted(wiredocs.documents()))
def test_every_reference_in_them_leads_somewhere(name: str) -> None:
    document = json.loads(wiredocs.documents()[name])
    for reference in references(document):
        place = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_every_kind_is_on_a_channel_and_every_channel_is_a_topic_of_ours() -> None:
    document = wiredocs.asyncapi()
    told = {kind for channel in document["channels"].values() for kind in channel["messages"]}
    assert told == {*payloads.KINDS, "availability", "command"}
    topics = wire.Topics("p", "d")
    spelt = {channel["address"].format(prefix="p", device="d", verb="say") for channel in document["channels"].values()}
    assert spelt == {
        *(topics.availability(), topics.detection(), topics.event(), topics.health(), topics.state(), topics.summary()),
        *(topics.command("say"), topics.response("say")),
    }
