"""A cluster as deploy/cloud/nats sets it up: nothing is lost with a node, rights hold, the page works on it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from deploy.pages import PageServer
from tests.e2e import chromium
from tests.e2e.chromium import sign_in, until
from tests.e2e.cluster import (
    FLEET,
    FOLDER,
    LOOKS,
    MESSAGES,
    PASSWORD,
    Balancer,
    Cluster,
    load,
    names,
    password_of,
    program,
    running,
)
from tests.e2e.onlooker import Onlooker

DEVICES = 6
ROWS = "[...document.querySelectorAll('#rows tr')].map(row => row.querySelector('a').textContent)"
PATIENCE_S = 60.0

pytestmark = [pytest.mark.integration]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Balancer]]:
    with running(tmp_path_factory.mktemp("nats"), DEVICES) as found:
        yield found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    started = chromium.start(tmp_path_factory.mktemp("chromium"))
    yield started
    started.quit()


def client(port: int, user: str, password: str) -> tuple[paho.Client, threading.Event, list[Any]]:
    """Somebody who tries to come in; whether an answer came, and which."""
    answered, codes = threading.Event(), []
    found = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    found.username_pw_set(user, password)

    def on_connect(_client: Any, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        codes.append(code)
        answered.set()

    found.on_connect = on_connect
    found.connect("127.0.0.1", port)
    found.loop_start()
    assert answered.wait(PATIENCE_S)
    return found, answered, codes


def test_a_node_is_killed_and_no_acknowledged_message_is_lost_and_its_page_shows_all_again(
    cluster: tuple[Cluster, Balancer], tmp_path: Path
) -> None:
    nodes, balancer = cluster
    (tmp_path / "devices").mkdir()
    with contextlib.ExitStack() as closing:
        page = None
        if shutil.which("chromium") and shutil.which("chromedriver"):  # messages are counted without them, too
            pages = Balancer([node.websocket for node in nodes.nodes.values()])  # first to the node that is killed
            closing.callback(pages.close)
            page = Onlooker(tmp_path / "chromium", pages.port)
            closing.callback(page.close)
        found = load(tmp_path / "devices", DEVICES, nodes, balancer.port, spread_s=10.0, page=page)
    assert found.acknowledged == found.arrived >= DEVICES * MESSAGES
    assert (found.lost, found.two_payloads, found.given_up) == (0, 0, 0)
    assert len(found.seen) == (0 if page is None else len(LOOKS))


def test_a_device_speaks_below_its_own_name_alone_and_the_page_s_user_not_at_all(
    cluster: tuple[Cluster, Balancer],
) -> None:
    nodes, balancer = cluster
    heard: list[str] = []
    marked = threading.Event()
    reader, _, _ = client(balancer.port, FLEET, PASSWORD)

    def on_message(_client: Any, _data: Any, message: Any) -> None:
        heard.append(message.topic)
        if message.payload == b"mark":
            marked.set()

    subscribed = threading.Event()
    reader.on_message = on_message
    reader.on_subscribe = lambda *_: subscribed.set()
    reader.subscribe("saynote/#", qos=1)
    assert subscribed.wait(PATIENCE_S)
    one, other = names(2)
    device, _, _ = client(nodes.nodes["b"].mqtt, one, password_of(one))
    reader.publish(f"saynote/{one}/detection", "by the page", qos=0)
    device.publish(f"saynote/{other}/detection", "under a false name", qos=0)
    device.publish("saynote/nobody/detection", "under no name", qos=0)
    device.publish(f"saynote/{one}/event", "mark", qos=1)
    assert marked.wait(PATIENCE_S)
    assert [topic for topic in heard if topic.endswith("detection")] == []
    for started in (reader, device):
        started.disconnect()
        started.loop_stop()


def test_nobody_comes_in_without_a_password(cluster: tuple[Cluster, Balancer]) -> None:
    found, _, codes = client(cluster[1].port, names(1)[0], "guessed")
    found.loop_stop()
    assert codes[0].is_failure


def test_the_dashboard_works_on_each_of_its_nodes(cluster: tuple[Cluster, Balancer], browser: Any) -> None:
    nodes, _ = cluster
    for node in nodes.nodes.values():
        url = f"ws://127.0.0.1:{node.websocket}/mqtt"
        page = PageServer({"url": url, "prefix": "saynote", "connect": False})
        try:
            browser.get("about:blank")
            browser.get(page.url)
            sign_in(browser, FLEET, PASSWORD)
            until(browser, f"{ROWS}.length === {DEVICES}")
            assert sorted(browser.execute_script(f"return {ROWS}")) == names(DEVICES)
        finally:
            browser.get("about:blank")
            page.close()


def test_the_settings_with_tls_are_taken_by_the_server(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate]
    subprocess.run([*command, "-days", "2", "-subj", "/CN=localhost"], check=True, capture_output=True)
    environment = {
        **os.environ, "NODE": "a", "STORE": str(tmp_path), "CERT": str(certificate), "KEY": str(key),
        "CA": str(certificate), "ROUTE1": "tls://b.example:6222", "ROUTE2": "tls://c.example:6222",
        "FLEET_PASSWORD": "x", "HALL_PI_PASSWORD": "y",
    }  # fmt: skip

    def check(settings: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program(), "-t", "-c", settings], env=environment, capture_output=True, text=True)

    good = check(FOLDER / "node.conf")
    assert good.returncode == 0, good.stderr
    assert "is valid" in good.stdout + good.stderr
    (tmp_path / "users.conf").write_text((FOLDER / "users.conf").read_text())
    bad = tmp_path / "node.conf"
    bad.write_text((FOLDER / "node.conf").read_text().replace("stream_replicas", "stream_copies"))
    assert check(bad).returncode != 0
