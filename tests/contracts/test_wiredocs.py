from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from deploy import wiredocs
from edge.core import payloads, wire


@pytest.mark.parametrize("name", sorted(wiredocs.documents()))
def test_the_documents_are_what_the_device_uses(name: str) -> None:
    found = (wiredocs.DOCS / name).read_text(encoding="utf-8")
    assert found == wiredocs.documents()[name], "run: python -m deploy.wiredocs"


SPECIFICATION = json.loads((Path(__file__).parent / "vendor" / "asyncapi-3.0.0.json").read_text(encoding="utf-8"))


def mistakes(document: dict[str, Any]) -> list[str]:
    validator = jsonschema.Draft7Validator(SPECIFICATION)
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(document)]


def test_the_asyncapi_document_is_one_by_asyncapi_s_own_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SPECIFICATION)
    assert mistakes(json.loads(wiredocs.documents()["asyncapi.json"])) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("asyncapi", "4.0.0"),
        ("info/version", 3),
        ("channels/health/address", 5),
        ("channels/health/adress", "x"),
        ("channels/event/parameters/device", {"kind": "x"}),
        ("operations/send-health/action", "shout"),
        ("operations/send-health/channel", "health"),
        ("components/messages/health/contentType", 1),
        ("components/messages/health/contents", 1),
    ],
)
def test_that_schema_finds_what_is_wrong_however_deep(path: str, value: object) -> None:
    document = json.loads(wiredocs.documents()["asyncapi.json"])
    *steps, last = path.split("/")
    place = document
    for step in steps:
        place = place[step]
    place[last] = value
    assert mistakes(document)


@pytest.mark.parametrize("name", sorted(payloads.KINDS))
def test_the_payload_schemas_are_schemas(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(wiredocs.schema()["$defs"][payloads.KINDS[name].__name__])


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
