"""Owns what travels with a network to a phone: all that the decision needs and who may use it, as text by its name.

The same pairs stand in the metadata of the Core ML package, in that of the ONNX file and in the JSON file beside them.
Knows no file format.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

import edge
from edge.core import intake
from edge.core.bundle import CARD, MOST_BYTES, Bundle

SHIPPED = Path(edge.__file__).parent / "bundles"
OURS, UNKNOWN = "Apache-2.0", "not stated"
SUMMARY = "Says of a picture which {currency} banknote it shows. It does not tell genuine notes from counterfeits."
PICTURE = "RGB, the whole frame squashed or letterboxed to this size by averaging, as docs/phone.md says"
SCORES = "log-probability of each label after the temperature, natural logarithm, in the order of the labels"
PLACE = "where the note is: centre x, centre y, width, height in shares of the picture, and how much of it is seen"


def summary(bundle: Bundle) -> str:
    """One line on what the network is for."""
    return SUMMARY.format(currency=bundle.manifest.currency)


def licence(bundle: Bundle, stated: str | None = None) -> str:
    """What the owner stated, else that of saynote for the bundles that come with it."""
    ours = bundle.path.resolve().parent == SHIPPED.resolve()
    return stated or (OURS if ours else UNKNOWN)


def facts(bundle: Bundle, stated: str | None = None) -> dict[str, str]:
    """Text by name; lists and tables as JSON, with every default written out."""
    manifest = bundle.manifest
    found = {
        "name": manifest.name,
        "version": manifest.version,
        "currency": manifest.currency,
        "licence": licence(bundle, stated),
        "labels": json.dumps(bundle.labels),
        "thresholds": json.dumps(manifest.decision.thresholds),
        "temperature": str(manifest.decision.temperature),
        "decision": json.dumps(written(manifest.decision)),
        "input": json.dumps(written(manifest.input)),
        "digest": manifest.digest,
        "card": card(bundle),
    }
    return {name: text for name, text in found.items() if text}


def written(record: msgspec.Struct) -> dict[str, Any]:
    """A table of the manifest with every default written out, of what JSON has."""
    found: dict[str, Any] = msgspec.to_builtins(msgspec.structs.asdict(record))
    return found


def card(bundle: Bundle) -> str:
    """The model card with sources and limits, "" where the bundle has none that can be read."""
    try:
        return intake.read(bundle.path / CARD, MOST_BYTES[CARD]).decode("utf-8", "replace")
    except OSError:
        return ""
