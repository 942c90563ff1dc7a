"""The files for a history in a database hold together, as far as can be told without running them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from deploy import bootstrap, demo
from edge.core import observe, wire

FOLDER = Path(__file__).parents[2] / "deploy" / "cloud" / "history"
# As Docker ships it, with its licence beside it.
SCHEMA = json.loads((Path(__file__).parent / "vendor" / "compose_spec.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft201909Validator(SCHEMA)
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
TELEGRAF = tomllib.loads((FOLDER / "telegraf.conf").read_text(encoding="utf-8"))
GRAFANA = FOLDER / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards" / "saynote.json").read_text(encoding="utf-8"))
READERS = TELEGRAF["inputs"]["mqtt_consumer"]
KINDS = {"health": ["health"], "detection": ["detection"], "event": ["unsure", "hint", "fault", "recovered"]}
# What the plugins' own documentation names.
OPTIONS = {
    "agent": {"interval", "flush_interval", "metric_batch_size", "metric_buffer_limit", "omit_hostname"},
    "reader": {
        *(
            "servers",
            "topics",
            "topic_tag",
            "qos",
            "connection_timeout",
            "max_undelivered_messages",
            "persistent_session",
        ),
        *("client_id", "username", "password", "tls_ca", "tls_cert", "tls_key", "insecure_skip_verify"),
        *("data_format", "name_override", "json_v2", "topic_parsing"),
    },
    "json_v2": {
        "measurement_name",
        "measurement_name_path",
        "timestamp_path",
        "timestamp_format",
        "field",
        "tag",
        "object",
    },
    "object": {
        "path",
        "disable_prepend_keys",
        "included_keys",
        "excluded_keys",
        "tags",
        "renames",
        "fields",
        "optional",
    },
    "postgresql": {"connection", "schema", "create_templates", "add_column_templates", "tags_as_foreign_keys"},
}
SQL_WORDS = {
    *(
        "select",
        "distinct",
        "on",
        "as",
        "from",
        "where",
        "and",
        "in",
        "order",
        "by",
        "group",
        "interval",
        "count",
        "sum",
        "concat",
    ),
    *("max", "min", "avg", "now", "coalesce", "to_timestamp", "device", "time"),
}


def object_of(reader: dict[str, Any]) -> dict[str, Any]:
    (parser,) = reader["json_v2"]
    (found,) = parser["object"]
    return found


def topic_of(reader: dict[str, Any]) -> str:
    (topic,) = reader["topics"]
    return topic.rpartition("/")[2]


def columns() -> dict[str, set[str]]:
    """Of each table that Telegraf makes; an object's parts have its name before theirs."""
    found = {}
    for reader in READERS:
        names = set(object_of(reader)["included_keys"])
        stages = {f"ms_{stage}" for stage in observe.STAGES}
        found[reader["name_override"]] = names | stages | {"speech_ms_p50", "speech_ms_p95", "time"}
    return found


def test_compose_keeps_to_its_specification() -> None:
    VALIDATOR.validate(COMPOSE)


@pytest.mark.parametrize(("key", "value"), [("image", 5), ("imagine", "x"), ("depends_on", 3)])
def test_what_breaks_the_specification_is_found_out(key: str, value: object) -> None:
    broken = json.loads(json.dumps(COMPOSE))
    broken["services"]["grafana"][key] = value
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(broken)


def test_files_that_compose_brings_in_are_there_or_for_the_owner_to_make() -> None:
    mounts = [mount for service in COMPOSE["services"].values() for mount in service.get("volumes", [])]
    sources = {mount.partition(":")[0] for mount in mounts}
    files = {source for source in sources if source.startswith("./")}
    assert sources - files == set(COMPOSE["volumes"])
    assert {source for source in files if not (FOLDER / source).exists()} == {"./passwords", "./certs"}


def test_no_service_stands_open_and_no_password_is_written_down() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in FOLDER.rglob("*") if path.is_file())
    assert "allow_anonymous false" in text
    assert re.findall(r"(?i)password[\"']?\s*[:=]\s*[\"']?(?!\$)[\w-]+", text) == []
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert sorted(ports) == ["127.0.0.1:3000:3000", "8084:8084", "8883:8883"]
    assert all(
        ":" in service["image"] and ":latest" not in service["image"] for service in COMPOSE["services"].values()
    )


def test_telegraf_is_told_options_that_it_has() -> None:
    assert set(TELEGRAF) == {"agent", "inputs", "outputs"}
    assert set(TELEGRAF["agent"]) <= OPTIONS["agent"]
    for reader in READERS:
        assert set(reader) <= OPTIONS["reader"]
        assert set(reader["json_v2"][0]) <= OPTIONS["json_v2"]
        assert set(object_of(reader)) <= OPTIONS["object"]
    (database,) = TELEGRAF["outputs"]["postgresql"]
    assert set(database) <= OPTIONS["postgresql"]
    assert "host=database" in database["connection"]
    assert "database" in COMPOSE["services"]


def test_telegraf_misses_nothing_while_it_is_away() -> None:
    for reader in READERS:
        assert reader["qos"] == 1
        assert reader["persistent_session"]
    assert len({reader["client_id"] for reader in READERS}) == len(READERS)


@pytest.mark.parametrize("reader", READERS, ids=topic_of)
def test_telegraf_reads_the_devices_topics_and_fields_that_travel(reader: dict[str, Any]) -> None:
    topic = topic_of(reader)
    assert reader["topics"] == [getattr(wire.Topics("saynote", "x"), topic)().replace("/x/", "/+/")]
    definitions = [wire.schema()[kind]["$defs"].values() for kind in KINDS[topic]]
    known = {name for of_kind in definitions for one in of_kind for name in one["properties"]}
    told = object_of(reader)
    assert set(told["included_keys"]) <= known
    assert {"device", "run", "seq", "wall_s"} <= set(told["included_keys"]), "doubles could not be told apart"
    assert set(told["tags"]) <= set(told["included_keys"])


def test_grafana_finds_its_database_and_its_dashboards() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/timescale.yaml").read_text())["datasources"]
    assert source["url"].partition(":")[0] in COMPOSE["services"]
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/saynote.yaml").read_text())["providers"]
    mounts = [mount.split(":")[:2] for mount in COMPOSE["services"]["grafana"]["volumes"]]
    assert ["./grafana/dashboards", provider["options"]["path"]] in mounts
    used = {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]}
    used |= {target["datasource"]["uid"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
    assert used == {source["uid"]}


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_a_panel_asks_for_columns_that_telegraf_writes(panel: dict[str, Any]) -> None:
    (target,) = panel["targets"]
    sql = re.sub(r"'[^']*'|\$\w+|\b\d+\b", " ", target["rawSql"])
    (table,) = set(re.findall(r"FROM (\w+)", sql))
    own_names = {name.lower() for name in re.findall(r"\bAS (\w+)", sql)}
    words = {word.lower() for word in re.findall(r"[A-Za-z_]\w*", sql)}
    assert words - SQL_WORDS - own_names - {table} <= columns()[table]
    assert target["format"] == ("time_series" if panel["type"] == "timeseries" else "table")


def test_amounts_of_two_currencies_are_never_counted_as_one() -> None:
    asked = [target["rawSql"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    counting = [sql for sql in asked if "FROM detection" in sql]
    assert len(counting) == 2
    for sql in counting:
        told, _, rest = sql.partition(" FROM ")
        assert "currency" in told, "it is shown"
        assert "GROUP BY 1" in rest, "and counted apart: it stands in the first columns"
    assert "currency" in object_of(next(one for one in READERS if topic_of(one) == "detection"))["included_keys"]


def test_panels_have_names_of_their_own_and_do_not_cover_each_other() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_devices_may_speak_below_their_own_name_alone() -> None:
    rights = (FOLDER / "rights").read_text(encoding="utf-8")
    writes = re.findall(r"^(?:topic|pattern) (?:write|readwrite) (\S+)", rights, re.M)
    assert all("%u" in topic for topic in writes)
    assert wire.Topics.all_devices("saynote").startswith("saynote/")
    assert "topic read saynote/#" in rights


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """The broker as compose would run it, with paths and ports of this machine: its TLS port, and its certificate."""
    program = shutil.which("mosquitto", path=bootstrap.SYSTEM_FOLDERS)
    if program is None:
        pytest.skip("install mosquitto to run this test")
    for folder in ("config", "certs", "data"):
        (tmp_path / folder).mkdir()
    shutil.copy(FOLDER / "rights", tmp_path / "config")
    (tmp_path / "config" / "rights").chmod(0o700)
    for name in ("fleet", "hall", "shop"):
        new = [] if name != "fleet" else ["-c"]
        subprocess.run(["mosquitto_passwd", "-b", *new, tmp_path / "config" / "passwords", name, name], check=True)
    certificate = tmp_path / "certs" / "cert.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-out",
        certificate,
    ]
    command += ["-keyout", tmp_path / "certs" / "key.pem", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    shutil.copy(certificate, tmp_path / "certs" / "ca.pem")
    settings = (FOLDER / "mosquitto.conf").read_text(encoding="utf-8").replace("/mosquitto/", f"{tmp_path}/")
    ports = {port: demo.free_port() for port in ("8883", "8084", "1883")}
    settings = re.sub(r"^listener (\d+)$", lambda found: f"listener {ports[found[1]]} 127.0.0.1", settings, flags=re.M)
    (tmp_path / "mosquitto.conf").write_text(f"user {tmp_path.owner()}\n{settings}")
    program = shutil.which("mosquitto", path=bootstrap.SYSTEM_FOLDERS)
    with subprocess.Popen(
        [str(program), "-c", tmp_path / "mosquitto.conf"], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert any("running" in line for line in process.stderr), "mosquitto did not take its settings"
        yield ports["8883"], certificate
        process.kill()


@pytest.mark.integration
def test_the_broker_takes_its_settings_and_a_device_speaks_for_itself_alone(broker: tuple[int, Path]) -> None:
    port, certificate = broker
    reach = ["-h", "127.0.0.1", "-p", str(port), "--cafile", str(certificate), "-q", "1"]

    def say(user: str, topic: str, word: str) -> None:
        command = ["mosquitto_pub", *reach, "-u", user, "-P", user, "-t", topic, "-m", word, "-r"]
        subprocess.run(command, check=True, timeout=60)

    say("hall", "saynote/hall/availability", "online")
    say("shop", "saynote/hall/availability", "forged")
    say("fleet", "saynote/hall/availability", "forged")
    heard = [*reach, "-u", "fleet", "-P", "fleet", "-t", "saynote/#", "-C", "1", "-W", "60", "-F", "%t %p"]
    done = subprocess.run(["mosquitto_sub", *heard], capture_output=True, text=True, timeout=90, check=True)
    assert done.stdout.strip() == "saynote/hall/availability online"
    guessed = ["mosquitto_pub", *reach, "-u", "hall", "-P", "guessed", "-t", "saynote/hall/event", "-m", "x"]
    assert subprocess.run(guessed, capture_output=True, timeout=60, check=False).returncode != 0
