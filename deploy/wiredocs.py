"""Owns the machine-readable description of telemetry, made of what the device uses: JSON Schema and AsyncAPI 3.

`python -m deploy.wiredocs` writes docs/telemetry.schema.json and docs/asyncapi.json anew; a test compares them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec

from edge import __version__
from edge.core import payloads, wire
from edge.core.orders import MAX_ID, MAX_TEXT

DOCS = Path(__file__).resolve().parent.parent / "docs"
REFERENCES = "#/components/schemas/{name}"
CHANNELS = {
    "detection": ("detection",),
    "event": ("unsure", "hint", "fault", "recovered", "bundle"),
    "health": ("health",),
    "state": ("state",),
    "summary": ("summary",),
    "response/{verb}": ("response",),
}
COMMAND = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": MAX_ID},
        "text": {"type": "string", "maxLength": MAX_TEXT, "description": "of say"},
        "url": {"type": "string", "description": "of bundle: an https address"},
    },
}


def components() -> dict[str, Any]:
    """The schema of every payload and of what stands in them, by name."""
    _, found = msgspec.json.schema_components(payloads.KINDS.values(), ref_template=REFERENCES)
    return dict(found)


def schema() -> dict[str, Any]:
    """One JSON Schema that every payload fits."""
    _, found = msgspec.json.schema_components(payloads.KINDS.values(), ref_template="#/$defs/{name}")
    kinds = [{"$ref": f"#/$defs/{kind.__name__}"} for kind in payloads.KINDS.values()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "saynote",
        "anyOf": kinds,
        "$defs": found,
    }


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3: what a device sends, and what it may be asked."""
    channels = {_name(part): _channel(part, kinds) for part, kinds in CHANNELS.items()}
    channels["availability"] = _channel("availability", ("availability",))
    channels["command"] = _channel("command/{verb}", ("command",))
    messages: dict[str, Any] = {
        kind: {"contentType": "application/json", "payload": {"$ref": REFERENCES.format(name=struct.__name__)}}
        for kind, struct in payloads.KINDS.items()
    }
    messages["availability"] = {"contentType": "text/plain", "payload": wire.schema()["availability"]}
    messages["command"] = {"contentType": "application/json", "payload": COMMAND}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "saynote", "version": __version__, "license": {"name": "Apache-2.0"}},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": {
            f"{'receive' if name == 'command' else 'send'}-{name}": {
                "action": "receive" if name == "command" else "send",
                "channel": {"$ref": f"#/channels/{name}"},
            }
            for name in channels
        },
        "components": {"schemas": components(), "messages": messages},
    }


def _name(part: str) -> str:
    return part.split("/")[0]


def _channel(part: str, kinds: tuple[str, ...]) -> dict[str, Any]:
    parameters: dict[str, Any] = {"prefix": {"default": "saynote"}, "device": {}}
    if "{verb}" in part:
        parameters["verb"] = {}
    return {
        "address": f"{{prefix}}/{{device}}/{part}",
        "messages": {kind: {"$ref": f"#/components/messages/{kind}"} for kind in kinds},
        "parameters": parameters,
    }


def documents() -> dict[str, str]:
    """What stands in each file, by its name in docs."""
    made = {"telemetry.schema.json": schema(), "asyncapi.json": asyncapi()}
    return {name: json.dumps(document, indent=2, sort_keys=True) + "\n" for name, document in made.items()}


def main() -> None:
    """Write them."""
    argparse.ArgumentParser(prog="python -m deploy.wiredocs", description="Write how telemetry looks.").parse_args()
    for name, text in documents().items():
        (DOCS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
