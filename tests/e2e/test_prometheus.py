"""The alarms for a fleet, with Debian's own Prometheus and exporter, the real broker and the real daemon."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy import demo
from deploy.crowd import SimulatedDevice
from edge.core import wire
from tests.ports.standins import Mosquitto

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not all(map(shutil.which, ("prometheus", "prometheus-mqtt-exporter"))),
        reason="install prometheus and prometheus-mqtt-exporter to run this test",
    ),
]

FOLDER = Path(__file__).parents[2] / "deploy" / "cloud" / "prometheus"
TOPICS = ("availability", "health", "event", "state")
PATIENCE_S = 180.0


@contextlib.contextmanager
def program(*command: str | Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs until the end of the block."""
    with log.open("wb") as said:
        process = subprocess.Popen(list(map(str, command)), stdout=said, stderr=said, cwd=log.parent)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def publish(port: int, topic: str, payload: bytes, *options: str) -> None:
    command = ["mosquitto_pub", "-p", str(port), "-q", "1", "-t", topic, "-s", *options]
    subprocess.run(command, input=payload, check=True, timeout=30)


class Prometheus:
    """What the shipped files make, with shorter intervals; asked over HTTP."""

    def __init__(self, folder: Path, broker: int, closing: contextlib.ExitStack) -> None:
        exporters = [demo.free_port() for _ in TOPICS]
        for topic, port in zip(TOPICS, exporters, strict=True):
            settings = (FOLDER / "exporter" / f"{topic}.yaml").read_text(encoding="utf-8")
            (folder / f"{topic}.yaml").write_text(settings.replace("127.0.0.1:1883", f"127.0.0.1:{broker}"))
            command = ["prometheus-mqtt-exporter", "-config", folder / f"{topic}.yaml"]
            command += ["-listen-address", "127.0.0.1", "-listen-port", str(port)]
            closing.enter_context(program(*command, log=folder / f"{topic}.log"))
        rules = (FOLDER / "saynote.rules.yml").read_text(encoding="utf-8")
        (folder / "saynote.rules.yml").write_text(re.sub(r"for: \d+m", "for: 1s", rules))
        settings = (FOLDER / "prometheus.yml").read_text(encoding="utf-8").replace("15s", "1s")
        targets = ", ".join(f'"127.0.0.1:{port}"' for port in exporters)
        settings = re.sub(r'\["127.0.0.1:9641".*\]', f"[{targets}]", settings)
        settings = settings.replace('targets: ["127.0.0.1:9093"]', "targets: []")
        (folder / "prometheus.yml").write_text(settings, encoding="utf-8")
        port = demo.free_port()
        self._url = f"http://127.0.0.1:{port}/api/v1/"
        command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        command.append(f"--web.listen-address=127.0.0.1:{port}")
        closing.enter_context(program(*command, log=folder / "prometheus.log"))

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self._url + path, timeout=30) as answer:
            return json.load(answer)["data"]

    def value(self, expression: str) -> float | None:
        """Of the one series that it gives; None where there is none, yet."""
        with contextlib.suppress(OSError):
            found = self._get("query?" + urllib.parse.urlencode({"query": expression}))["result"]
            return float(found[0]["value"][1]) if found else None
        return None

    def firing(self) -> set[tuple[str, str]]:
        """Alerts that fire, with their devices."""
        with contextlib.suppress(OSError):
            alerts = self._get("alerts")["alerts"]
            return {
                (one["labels"]["alertname"], one["labels"].get("device", ""))
                for one in alerts
                if one["state"] == "firing"
            }
        return set()


def eventually(true: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline_s, f"never: {what}"
        time.sleep(0.2)


@pytest.fixture
def closing() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def broker(tmp_path: Path, closing: contextlib.ExitStack) -> Mosquitto:
    started = Mosquitto(tmp_path)
    closing.callback(started.stop)
    return started


def test_a_device_that_goes_away_is_told_and_again_when_it_is_back(
    tmp_path: Path, broker: Mosquitto, closing: contextlib.ExitStack
) -> None:
    for topic in (wire.Topics("saynote", f"odd-{n}").health() for n in range(5)):
        publish(broker.port, topic, b'{"uptime_s": "rubbish', "-r")
        publish(broker.port, topic.replace("health", "availability"), b"\xff\xfe", "-r")
    prometheus = Prometheus(tmp_path, broker.port, closing)
    devices = {}
    for name in ("hall", "shop"):
        devices[name] = demo.start_device(tmp_path, name, broker.port, 1.0)
        closing.callback(devices[name].kill)
    for name in devices:
        eventually(lambda name=name: prometheus.value(f'saynote_online{{device="{name}"}}') == 1, "online")
        frames = f'saynote_frames_total{{device="{name}"}}'
        eventually(lambda frames=frames: (prometheus.value(frames) or 0) > 0, "frames")
        assert (prometheus.value(f'saynote_stage_mean_seconds{{device="{name}",stage="invoke"}}') or 0) > 0
    assert {name for name, device in prometheus.firing() if device in devices} == set()
    devices["shop"].kill()
    devices["shop"].wait(10)
    eventually(lambda: ("SaynoteDeviceGone", "shop") in prometheus.firing(), "gone")
    assert ("SaynoteDeviceGone", "hall") not in prometheus.firing()
    shutil.rmtree(tmp_path / "shop")
    again = demo.start_device(tmp_path, "shop", broker.port, 1.0)
    closing.callback(again.kill)
    eventually(lambda: ("SaynoteDeviceGone", "shop") not in prometheus.firing(), "back")
    assert prometheus.value("saynote_online{device='shop'}") == 1


def test_a_fault_is_told_while_it_stands_and_no_longer(
    tmp_path: Path, broker: Mosquitto, closing: contextlib.ExitStack
) -> None:
    prometheus = Prometheus(tmp_path, broker.port, closing)
    new, old = (SimulatedDevice(number, "saynote", time.time()) for number in (1, 2))
    eventually(lambda: prometheus.value("count(up == 1)") == len(TOPICS), "all exporters are asked")
    publish(
        broker.port,
        new.topic("state"),
        new.state(1.0).replace(b'"faults": []', b'"faults": [{"part": "camera"}, {"part": "bundle"}]'),
        "-r",
    )
    publish(
        broker.port, old.topic("event"), old.payload("fault", 1.0, part="bundle", reason="refused", detail="damaged")
    )
    told = {("SaynoteCameraLost", new.name), ("SaynoteBundleRefused", new.name), ("SaynoteBundleRefused", old.name)}
    eventually(lambda: prometheus.firing() >= told, "faults")
    publish(
        broker.port,
        new.topic("state"),
        new.state(2.0).replace(b'"faults": []', b'"faults": [{"part": "bundle"}]'),
        "-r",
    )
    publish(broker.port, old.topic("event"), old.payload("recovered", 2.0, part="bundle"))
    eventually(lambda: prometheus.firing() & told == {("SaynoteBundleRefused", new.name)}, "one is left")
    publish(broker.port, new.topic("state"), new.state(3.0), "-r")
    eventually(lambda: not prometheus.firing() & told, "all is well")


def test_an_exporter_survives_its_broker_and_says_meanwhile_that_nobody_watches(
    tmp_path: Path, broker: Mosquitto, closing: contextlib.ExitStack
) -> None:
    prometheus = Prometheus(tmp_path, broker.port, closing)
    eventually(lambda: prometheus.value("count(mqtt2prometheus_connected == 1)") == len(TOPICS), "connected")
    broker.stop()
    eventually(lambda: ("SaynoteExporterBlind", "") in prometheus.firing(), "blind")
    broker.start()
    hall = SimulatedDevice(1, "saynote", time.time())
    # One that was online and reported nothing would be an alarm of its own, a second later.
    publish(broker.port, hall.topic("health"), hall.health(1.0), "-r")
    publish(broker.port, hall.topic("availability"), wire.ONLINE, "-r")
    online = f'saynote_online{{device="{hall.name}"}}'
    eventually(lambda: prometheus.value(online) == 1, "heard after the broker came back")
    eventually(lambda: not prometheus.firing(), "no alert")
