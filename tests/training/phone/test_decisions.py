from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge.core.messages import Look, Verdict
from tests.training.phone import port
from training.phone import decisions, stories

KEPT = Path(__file__).parents[3] / "docs" / "phone" / decisions.FILE
VECTORS: dict[str, Any] = json.loads(KEPT.read_text())
CASES = VECTORS["cases"]


def told(case: dict[str, Any]) -> list[dict[str, Any]]:
    return [VECTORS["bundles"][name] for name in case["bundles"]]


def alike(found: Any, wanted: Any, within: float) -> bool:
    """The same, but that numbers may differ a little: another processor's logarithm does."""
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(alike(found[key], wanted[key], within) for key in wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(lambda a, b: alike(a, b, within), found, wanted))
    if isinstance(wanted, float):
        return abs(found - wanted) <= within
    return type(found) is type(wanted) and found == wanted


def test_the_vectors_on_the_page_are_what_the_device_says_today() -> None:
    today = json.loads(decisions.encode(decisions.vectors()))
    assert today["bundles"] == VECTORS["bundles"]
    assert [case["name"] for case in today["cases"]] == [case["name"] for case in CASES]
    for now, kept in zip(today["cases"], CASES, strict=True):
        assert alike(now, kept, 2e-5), kept["name"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_port_made_of_the_words_of_the_page_says_the_same(case: dict[str, Any]) -> None:
    for found, wanted in zip(port.play(told(case), case["steps"]), case["steps"], strict=True):
        assert alike(found, wanted, 1e-4), (found, wanted)


@pytest.mark.parametrize(
    "wrong",
    [
        {"note_like": 0.02},
        {"several_at": 0.9},
        {"change_factor": 1},
        {"change_factor": 9},
        {"change_span": 2.0},
        {"forget_after_s": 60.0},
        {"seen_after": 1},
        {"forget_blur_after_s": 60.0},
        {"forget_blur_after_s": 1.0},
        {"seen_share": 0.1},
        {"near_for_s": 9.0},
        {"near_for_s": 0.0},
        {"fresh_s": 0.3},
        {"fewest": 1},
        {"claimed": 0.0},
        {"claimed": 1.1},
        {"stays": 0.0},
        {"stays": 1.0},
        {"fades_s": 0.01},
        {"fades_s": 1.0},
        {"other": 0.0},
        {"other": 1.0},
    ],
    ids=str,
)
def test_a_port_that_gets_one_rule_wrong_fails_on_the_vectors(wrong: dict[str, float]) -> None:
    played = [(port.play(told(case), case["steps"], wrong), case["steps"]) for case in CASES]
    assert not all(alike(found, wanted, 1e-4) for found, wanted in played)


@pytest.mark.parametrize(
    "key",
    ["window_s", "min_frames", "agree", "unsure_after_s", "rearm_s", "span_s", "least_visible", "temperature", "soon"],
)
def test_a_port_that_overlooks_a_number_of_the_bundle_fails_on_the_vectors(key: str) -> None:
    def without(one: dict[str, Any]) -> dict[str, Any]:
        other = {
            "window_s": 5.0,
            "min_frames": 1,
            "unsure_after_s": 0.1,
            "rearm_s": 0.1,
            "temperature": 1.0,
            "soon": None,
        }.get(key, 0)
        return {**one, "decision": {**one["decision"], key: other}}

    played = [(port.play([without(one) for one in told(case)], case["steps"]), case["steps"]) for case in CASES]
    assert not all(alike(found, wanted, 1e-4) for found, wanted in played)


def test_every_verdict_scene_turn_and_both_kinds_of_look_are_among_them() -> None:
    steps = [step for case in CASES for step in case["steps"]]
    verdicts = {decision["verdict"] for step in steps for decision in step["decisions"]}
    assert verdicts == {verdict.value for verdict in Verdict}
    assert {step["scene"] for step in steps} == {look.value for look in Look}
    assert {step["turn"] for step in steps if "turn" in step} == set(stories.FOUR_LOOKS.turns)
    assert {step["area"] == [0.5, 0.5, 1.0, 1.0] for step in steps if "area" in step} == {True, False}
    assert {len(case["bundles"]) for case in CASES} == {1, 2}


def test_what_is_written_is_what_is_kept_and_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    (tmp_path / decisions.FILE).write_text("an older one")
    assert decisions.write(tmp_path) == [tmp_path / decisions.FILE]
    assert alike(json.loads((tmp_path / decisions.FILE).read_text()), VECTORS, 2e-5)
