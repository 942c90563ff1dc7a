"""The wiring for Prometheus reads fields that travel, its rules use figures that are made, and their tests can fail."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.core import observe, wire

FOLDER = Path(__file__).parents[2] / "deploy" / "cloud" / "prometheus"
EXPORTERS = sorted((FOLDER / "exporter").glob("*.yaml"))
RULES = FOLDER / "saynote.rules.yml"
KINDS = {"health": ["health"], "event": ["fault", "recovered"], "state": ["state"]}
UNITS = ("_seconds", "_total", "_bytes", "_celsius", "_messages", "_per_second")
NO_UNITS = {"saynote_online", "saynote_throttled", "saynote_state_fault", "saynote_event_part", "saynote_event_fault"}
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="install prometheus to run this test")


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def rules() -> list[dict[str, Any]]:
    return [rule for group in read(RULES)["groups"] for rule in group["rules"]]


def metrics() -> dict[str, list[dict[str, Any]]]:
    return {path.stem: read(path)["metrics"] for path in EXPORTERS}


def names() -> set[str]:
    return {metric["prom_name"] for group in metrics().values() for metric in group}


def fields(topic: str) -> set[str]:
    """Of the payloads on a topic, `kind` among them."""
    schema = wire.schema()
    definitions = [schema[kind]["$defs"].values() for kind in KINDS[topic]]
    return {name for of_kind in definitions for one in of_kind for name in one["properties"]}


@pytest.mark.parametrize("path", EXPORTERS, ids=lambda path: path.stem)
def test_an_exporter_listens_to_the_topic_of_its_name_and_takes_the_device_from_it(path: Path) -> None:
    mqtt, topics = read(path)["mqtt"], wire.Topics("saynote", "hall-pi")
    topic = getattr(topics, path.stem)() if hasattr(topics, path.stem) else f"saynote/hall-pi/{path.stem}"
    assert mqtt["topic_path"] == topic.replace("hall-pi", "+")
    found = re.search(mqtt["device_id_regex"], topic)
    assert found
    assert found["deviceid"] == "hall-pi"
    assert len({read(other)["mqtt"]["client_id"] for other in EXPORTERS}) == len(EXPORTERS)


@pytest.mark.parametrize("topic", sorted(KINDS))
def test_every_figure_is_of_a_field_that_travels(topic: str) -> None:
    assert {metric["mqtt_name"].partition(".")[0] for metric in metrics()[topic]} <= fields(topic)


def test_what_a_device_says_of_itself_in_numbers_becomes_a_figure() -> None:
    definition = wire.schema()["health"]["$defs"]["HealthPayload"]
    shared = {"kind", "version", "device", "run", "seq", "t_s", "daemon", "bundle", "digest"}
    read_of_it = {metric["mqtt_name"].partition(".")[0] for metric in metrics()["health"]}
    assert set(definition["properties"]) - shared <= read_of_it


@pytest.mark.parametrize(("figure", "each"), [("saynote_stage_mean_seconds", 1), ("saynote_stage_seconds", 2)])
def test_every_stage_of_a_frame_has_its_figures_and_nothing_else_has(figure: str, each: int) -> None:
    found = [metric for metric in metrics()["health"] if metric["prom_name"] == figure]
    labelled = [metric["const_labels"]["stage"] for metric in found]
    assert sorted(labelled) == sorted(each * observe.STAGES)
    assert [metric["mqtt_name"].split(".")[1] for metric in found] == labelled


def test_availability_is_one_for_online_and_nought_for_offline() -> None:
    (metric,) = metrics()["availability"]
    words = {wire.ONLINE.decode(): 1, wire.OFFLINE.decode(): 0}
    assert metric["string_value_mapping"]["map"] == words


def test_names_have_units_and_counters_end_in_total() -> None:
    for metric in (metric for group in metrics().values() for metric in group):
        name = metric["prom_name"]
        assert name.endswith(UNITS) or name in NO_UNITS, name
        assert (metric["type"] == "counter") is name.endswith("_total"), name
        assert (metric.get("mqtt_value_scale") == 0.001) is bool(
            re.search(r"\bms\b|stages|speech", metric["mqtt_name"])
        )


def test_rules_use_figures_that_are_made() -> None:
    made = names() | {rule["record"] for rule in rules() if "record" in rule}
    used = {word for rule in rules() for word in re.findall(r"\bsaynote[_:]\w+(?:\w|:)*", rule["expr"])}
    assert used <= made
    assert {"saynote_online", "saynote:fault"} <= used


def test_every_alert_says_what_is_wrong_and_how_bad_it_is() -> None:
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("warning", "critical")
            assert re.search(r"\{\{ \$labels\.(device|instance) \}\}", rule["annotations"]["summary"])
            assert rule["annotations"]["description"].endswith(".")


@needs_promtool
@pytest.mark.integration
def test_prometheus_takes_its_settings() -> None:
    done = subprocess.run(["promtool", "check", "config", FOLDER / "prometheus.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def try_rules(folder: Path) -> subprocess.CompletedProcess[str]:
    shutil.copy(FOLDER / "saynote.rules.test.yml", folder)
    return subprocess.run(
        ["promtool", "test", "rules", "saynote.rules.test.yml"], cwd=folder, capture_output=True, text=True, check=False
    )


@needs_promtool
@pytest.mark.integration
def test_the_rules_do_what_their_tests_say(tmp_path: Path) -> None:
    shutil.copy(RULES, tmp_path)
    done = try_rules(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


NEVER, ALWAYS = "vector(1) < 0", "group by (device, part, instance, job) ({__name__=~'.+'})"


@needs_promtool
@pytest.mark.integration
@pytest.mark.parametrize(
    "change", [{"expr": NEVER}, {"expr": ALWAYS}, {"for": "0s"}], ids=["never", "always", "at once"]
)
def test_alerts_that_do_not_fire_as_they_should_are_found_out_one_and_all(
    tmp_path: Path, change: dict[str, str]
) -> None:
    told = read(RULES)
    alerts = [rule for group in told["groups"] for rule in group["rules"] if "alert" in rule]
    changed = [rule for rule in alerts if set(change) <= set(rule)]
    for rule in changed:
        rule.update(change)
    (tmp_path / RULES.name).write_text(yaml.safe_dump(told), encoding="utf-8")
    done = try_rules(tmp_path)
    assert done.returncode == 1
    found_out = set(re.findall(r"alertname: (\w+)", done.stdout + done.stderr))
    assert found_out == {rule["alert"] for rule in changed}
    assert len(changed) >= len(alerts) - 2
