from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from edge.core import wire
from edge.core.messages import Arrival, Decision, Fault, Guidance, Health, Hint, Recovered, Verdict
from edge.core.orders import Response

PAGE = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text(encoding="utf-8")
KINDS = sorted(set(wire.schema()) - {"availability"})
PARTS = {"#/$defs/PercentilesPart": "percentile"}
LATEST = {"state", "summary"}  # past the outbox
EVENTS: dict[str, wire.Told] = {
    "detection": Decision(Verdict.AMOUNT, 1, 1.0, 1, "500"),
    "unsure": Decision(Verdict.UNSURE, 1, 1.0, 1),
    "hint": Guidance(Hint.CLOSER, 1.0),
    "fault": Fault("camera", "stopped"),
    "recovered": Recovered("camera"),
    "bundle": Arrival("INR-1.1.0-41d07be3", "refused"),
    "health": Health(1.0, 1, 1, 1, {}),
    "response": Response("c1", "say", ok=True),
}


@cache
def properties(kind: str) -> dict[str, Any]:
    schema = wire.schema()[kind]
    definition = schema["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    return {name: field for name, field in definition["properties"].items() if name != "kind"}


@cache
def shared() -> list[str]:
    """Fields that every payload has."""
    return [name for name in properties(KINDS[0]) if all(name in properties(kind) for kind in KINDS)]


def words(field: dict[str, Any]) -> str:
    """A field's type, for people."""
    if "anyOf" in field:
        return " or ".join(words(choice) for choice in field["anyOf"])
    if "enum" in field:
        return " or ".join(f'"{word}"' for word in field["enum"])
    if "$ref" in field:
        return PARTS.get(field["$ref"], "object")
    inner = field.get("items") or field.get("additionalProperties")
    whole = {"object": "object", "array": "list"}.get(field["type"], field["type"])
    return f"{whole} of {words(inner)}s" if inner else whole


def table(fields: dict[str, Any]) -> str:
    rows = [f"| `{name}` | {words(field)} | {field['description']} |" for name, field in fields.items()]
    return "\n".join(["| field | type | meaning |", "|---|---|---|", *rows])


def section(heading: str) -> str:
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/telemetry.md has no section {heading!r}"
    return found[1]


def test_the_topic_table_is_the_codes() -> None:
    topics = wire.Topics("PREFIX", "DEVICE")
    expected: dict[str, tuple[str, list[str]]] = {topics.availability(): ("yes", ["online", "offline"])}
    for kind, event in EVENTS.items():
        keeps = "yes" if wire.retained(event) else "no"
        topic = topics.of(event).replace("/say", "/<verb>")
        expected.setdefault(topic, (keeps, []))[1].append(kind)
    expected[topics.state()] = ("yes", ["state"])
    expected[topics.summary()] = ("yes", ["summary"])
    rows = [
        f"| `{topic.replace('PREFIX', '<prefix>').replace('DEVICE', '<device>')}` | {keeps} "
        f"| {', '.join(f'`{kind}`' for kind in kinds)} |"
        for topic, (keeps, kinds) in expected.items()
    ]
    assert "\n".join(["| topic | retained | payload |", "|---|---|---|", *rows]) in section("Topics")


def test_every_kind_of_payload_is_on_some_topic() -> None:
    assert sorted({*EVENTS, *LATEST}) == KINDS


def test_the_table_of_shared_fields_is_the_codes() -> None:
    assert table({name: properties("fault")[name] for name in shared()}) in section("In every payload")


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_of_each_kind_is_the_codes(kind: str) -> None:
    own = {name: field for name, field in properties(kind).items() if name not in shared()}
    assert table(own) in section(f"`{kind}`")


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_each_kind_is_a_message_we_could_have_sent(kind: str) -> None:
    (example,) = re.findall(r"```json\n(.*?)```", section(f"`{kind}`"), re.DOTALL)
    message = json.loads(example)
    assert message["kind"] == kind
    assert json.loads(wire.encode(wire.decode(example.encode()))) == message
