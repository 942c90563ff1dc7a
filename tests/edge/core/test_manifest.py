from __future__ import annotations

import json
from typing import Any

import pytest

from edge import app
from edge.core import bundle as bundles
from edge.core import manifest
from edge.core.errors import BundleError
from edge.core.line import one_line
from edge.core.sums import hexadecimal

WHOLE = (app.BUNDLES / "xts" / bundles.MANIFEST).read_bytes()


def changed(path: str, value: Any) -> bytes:
    """The manifest with another value at `path`, dots between keys."""
    found = json.loads(WHOLE)
    *tables, key = path.split(".")
    place = found
    for table in tables:
        place = place[table]
    place[key] = value
    return json.dumps(found).encode()


def leaves(found: dict[str, Any], before: str = "") -> list[str]:
    return [
        path
        for key, value in found.items()
        for path in (leaves(value, f"{before}{key}.") if isinstance(value, dict) else [before + key])
        if "." not in key and not key[0].isdigit()
    ]


FREE = ("training.", "figures.", "files.", "digest", "oldest_runtime")  # for people, or compared as they are
NUMBERS = [float("nan"), float("inf"), -float("inf"), -1, 1e300, 10**400, 10**30]


def test_what_is_written_is_what_is_read() -> None:
    assert manifest.decode(manifest.encode(manifest.decode(WHOLE))) == manifest.decode(WHOLE)


@pytest.mark.parametrize("path", [leaf for leaf in leaves(json.loads(WHOLE)) if not leaf.startswith(FREE)])
@pytest.mark.parametrize(
    "value", [*NUMBERS, None, "", "x\n", "x" * 10_000, [], {}, [[]], {"a": {}}], ids=lambda value: repr(value)[:20]
)
def test_no_key_takes_a_value_that_nothing_could_be_done_with(path: str, value: Any) -> None:
    with pytest.raises(BundleError) as caught:
        manifest.decode(changed(path, value))
    assert len(one_line(str(caught.value))) == len(str(caught.value)) < 400


def test_every_key_must_be_there_unless_it_came_later() -> None:
    for path in leaves(json.loads(WHOLE)):
        if path.startswith(FREE) or path in ("decision.span_s", "decision.least_visible", "input.turns"):
            continue
        found = json.loads(WHOLE)
        *tables, key = path.split(".")
        place = found
        for table in tables:
            place = place[table]
        del place[key]
        with pytest.raises(BundleError, match=f"`{key}`|format None"):
            manifest.decode(json.dumps(found).encode())


@pytest.mark.parametrize(
    ("raw", "currency"),
    [
        (WHOLE, "XTS"),
        (changed("format", 7), "XTS"),
        (changed("name", "../x"), "XTS"),
        (changed("currency", "XTS\n"), ""),
        (changed("currency", ["XTS"]), ""),
        (b"[]", ""),
        (b"\xff", ""),
        (b"[" * 100_000, ""),
        (b"", ""),
    ],
)
def test_the_currency_is_known_of_what_is_refused_for_anything_else(raw: bytes, currency: str) -> None:
    assert manifest.claimed_currency(raw) == currency


@pytest.mark.parametrize(
    ("name", "later", "before"), [("inr", ["soon"], "5d58cafa9a9e"), ("xts", ["soon", "span_s"], "582d52808ebd")]
)
def test_what_came_later_changes_no_digest_of_a_bundle_that_lacks_it(name: str, later: list[str], before: str) -> None:
    bundle = bundles.read(app.BUNDLES / name)
    raw = json.loads((bundle.path / bundles.MANIFEST).read_bytes())
    for key in later:
        del raw["decision"][key]
    then = manifest.decode(json.dumps(raw).encode())
    assert (
        manifest.digest(hexadecimal(bundle.model), bundle.labels, then.currency, then.input, then.decision)[:12]
        == before
    )
