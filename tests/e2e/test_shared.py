"""What leaves a device at each level that its owner may choose, and what it may be asked: outlets and a real broker."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge import app
from edge.core import bundle as bundles
from edge.core import wire
from edge.core.messages import Decision, Fault, Guidance, Hint, Recovered, Verdict
from edge.core.speech import Speech
from edge.devices import open_broker
from edge.drivers.clock import SystemClock
from edge.drivers.fake import FakeSpeaker, FakeSynth
from edge.hub import Hub
from edge.outlets.phrases import Phrases
from edge.outlets.said import Said
from edge.settings import Config, HealthConfig, ModelConfig, MqttConfig
from edge.wiring import Kit, Outlets
from tests.devices import fake_parts
from tests.ports.standins import Mosquitto, require_mosquitto

pytestmark = pytest.mark.integration
PATIENCE_S = 90.0
AMOUNT = "20"


class Ear:
    """Hears every byte on every topic of the broker, and asks."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._changed, subscribed = threading.Condition(), threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = lambda _client, _data, message: self._take(message)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert subscribed.wait(PATIENCE_S)

    def _take(self, message: Any) -> None:
        with self._changed:
            self.heard.append((message.topic, message.payload))
            self._changed.notify_all()

    def of(self, part: str) -> list[dict[str, Any]]:
        return [json.loads(data) for topic, data in self.heard if topic == f"saynote/t1/{part}"]

    def until(self, true: Any) -> None:
        with self._changed:
            assert self._changed.wait_for(true, PATIENCE_S), self.heard

    def ask(self, verb: str, payload: object, *, retain: bool = False) -> None:
        data = payload if isinstance(payload, bytes) else json.dumps(payload)
        self._client.publish(f"saynote/t1/command/{verb}", data, qos=1, retain=retain).wait_for_publish(PATIENCE_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class SetClock(SystemClock):
    """The machine's clock, whether or not a time server has set it."""

    def wall_s(self) -> float:
        return time.time()


class Brief(FakeSpeaker):
    """Every sound is over at once: the clock here is the real one."""

    def wait(self, timeout_s: float) -> bool:
        return True


@contextlib.contextmanager
def device(
    folder: Path, port: int, share: wire.Level = "amounts", *, commands: bool = False
) -> Iterator[tuple[Hub, Said]]:
    """The outlets of a device that speaks to a real broker."""
    mqtt = MqttConfig(enabled=True, host="127.0.0.1", port=port, device_id="t1", share=share, commands=commands)
    config = Config(model=ModelConfig(bundle="xts"), mqtt=mqtt, health=HealthConfig(interval_s=1.0))
    parts = dataclasses.replace(
        fake_parts(clock=SetClock(), speaker=Brief), broker=lambda topics: open_broker(config, topics)
    )
    bundle, hub = bundles.read(app.find_bundle("xts")), Hub()
    speech, phrases, said = Speech("en", "XTS"), Phrases(FakeSynth(), "en", "test"), Said("never", folder)
    with contextlib.ExitStack() as closing:
        outlets = Outlets(Kit(config, parts, (bundle,), speech, phrases, said, folder, closing), hub)
        outlets.start()
        yield hub, said


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    require_mosquitto()
    found = Mosquitto(tmp_path)
    yield found
    found.stop()


@pytest.fixture
def ear(broker: Mosquitto) -> Iterator[Ear]:
    found = Ear(broker.port)
    yield found
    found.close()


def use(hub: Hub, ear: Ear) -> None:
    """A note, a doubt, a hint, a fault and its repair; then a report on it all."""
    hub.post(Decision(Verdict.AMOUNT, 1, 0.1, 1, AMOUNT, 0.98, 5, {"classify": 20.0}))
    hub.post(Decision(Verdict.UNSURE, 2, 0.2, 2, frames=5, ms={"classify": 20.0}))
    hub.post(Decision(Verdict.SEVERAL, 3, 0.3, 3, frames=5))
    hub.post(Guidance(Hint.CLOSER, 0.4))
    hub.post(Fault("camera", "stopped", "no new picture"))
    hub.post(Recovered("camera"))
    ear.until(lambda: any(one["kind"] == "recovered" for one in ear.of("event")))
    reports = len(ear.of("health"))
    ear.until(lambda: len(ear.of("health")) >= reports + 2)
    states = len(ear.of("state"))
    ear.until(lambda: len(ear.of("state")) > states)


@pytest.mark.parametrize("share", wire.LEVELS)
def test_every_byte_that_leaves_is_one_that_the_owner_shares(
    broker: Mosquitto, ear: Ear, tmp_path: Path, share: wire.Level
) -> None:
    with device(tmp_path / "state", broker.port, share, commands=True) as (hub, _):
        use(hub, ear)
        ear.ask("repeat", {"id": "r1"})
        ear.until(lambda: bool(ear.of("response/repeat")))
    ear.until(lambda: ("saynote/t1/availability", b"offline") in ear.heard)
    with device(tmp_path / "state", broker.port, share):  # its summary holds the day by now
        ear.until(lambda: any(one["days"] for one in ear.of("summary")))
    heard = [(topic, data) for topic, data in ear.heard if "/command/" not in topic]
    parts = {topic.removeprefix("saynote/t1/") for topic, _ in heard}
    expected = {"availability", "event", "health", "state", "summary", "response/repeat"}
    assert parts == expected | ({"detection"} if share == "amounts" else set())
    amounts, counts = share == "amounts", share != "health"
    for data in (data for topic, data in heard if not topic.endswith("/availability")):
        said = json.loads(data)
        assert said["device"] == "t1"
        names = flattened(said)
        assert (AMOUNT in names) if said["kind"] == "detection" else amounts or AMOUNT not in names, said
    kinds = {one["kind"] for one in ear.of("event")}
    assert kinds == {"fault", "recovered"} | ({"unsure", "hint"} if counts else set())
    assert {one["announced"] for one in ear.of("health")} <= ({0, 1} if counts else {None})
    assert ear.of("health")[-1]["announced"] in ((0, 1) if counts else (None,))
    state = [one for one in ear.of("state") if one["count"]] if counts else ear.of("state")
    assert (state[-1]["last"] is not None, state[-1]["total"], state[-1]["count"]) == (
        amounts, AMOUNT if amounts else None, 1 if counts else None,
    )  # fmt: skip
    (day,) = ear.of("summary")[-1]["days"]
    assert (day["detections"], day["unsure"], day["several"], day["hints"]) == ((1,) * 4 if counts else (None,) * 4)
    assert day["amounts"] == ({AMOUNT: 1} if amounts else None)
    if not counts:
        assert all(one["speech_ms"] is None for one in (*ear.of("health"), day))
    disk = b"".join(path.read_bytes() for path in (tmp_path / "state").glob("outbox*"))
    assert (b"XTS 20" in disk) is amounts


def flattened(value: Any) -> set[str]:
    """Every text and key in a payload."""
    if isinstance(value, dict):
        return set(value) | {name for one in value.values() for name in flattened(one)}
    if isinstance(value, list):
        return {name for one in value for name in flattened(one)}
    return {value} if isinstance(value, str) else set()


@pytest.mark.parametrize("commands", [True, False])
def test_a_device_does_what_it_is_asked_only_where_the_owner_wants_it(
    broker: Mosquitto, ear: Ear, tmp_path: Path, commands: bool
) -> None:
    ear.ask("say", {"id": "old", "text": "Never this"}, retain=True)
    with device(tmp_path / "state", broker.port, commands=commands) as (hub, said):
        ear.until(lambda: bool(ear.of("health")))
        ear.ask("say", {"id": "c1", "text": "Tea is ready"})
        ear.ask("say", {"id": "c1", "text": "Tea is ready"})
        ear.ask("say", {"id": "c2", "text": "five hundred crowns"})
        ear.ask("shout", {"id": "c3"})
        ear.ask("identify", {"id": "c4"})
        if commands:
            ear.until(lambda: bool(ear.of("response/identify")))
            ear.until(lambda: len(ear.of("response/say")) == 2)
            ear.until(lambda: len(ear.of("response/unknown")) == 1)
        hub.post(Decision(Verdict.AMOUNT, 1, 0.1, 1, AMOUNT, 0.98, 5))
        ear.until(lambda: bool(ear.of("detection")))
        if commands:
            ear.ask("repeat", {"id": "c5"})
            ear.until(lambda: bool(ear.of("response/repeat")))
    answers = {one["id"]: one["ok"] for topic, data in ear.heard if "/response/" in topic for one in [json.loads(data)]}
    texts = [utterance.text for utterance in said.utterances]
    assert answers == ({"c1": True, "c2": False, "c3": False, "c4": True, "c5": True} if commands else {})
    assert texts.count("Message: Tea is ready") == (1 if commands else 0)
    assert ("Once more: 20 play crowns" in texts) is commands
    assert not any("Never this" in text or "hundred" in text for text in texts)


def test_a_flood_of_rubbish_costs_no_amount_and_no_answer_to_come(broker: Mosquitto, ear: Ear, tmp_path: Path) -> None:
    with device(tmp_path / "state", broker.port, commands=True) as (hub, _):
        ear.until(lambda: bool(ear.of("health")))
        for number in range(1000):
            ear._client.publish("saynote/t1/command/say", b"\xff" * (number % 50), qos=0)
        for _ in range(3):
            ear._client.publish("saynote/t1/command/say", bytes(200_000), qos=0)  # it hangs up on each
        for presence in range(1, 11):
            hub.post(Decision(Verdict.AMOUNT, presence, 0.1, presence, AMOUNT, 0.98, 5))
        ear.until(lambda: len({one["presence"] for one in ear.of("detection")}) == 10)
        ear.until(lambda: any(one["t_s"] > 25 for one in ear.of("health")) or None)
        ear.ask("identify", {"id": "after"})
        ear.until(lambda: bool(ear.of("response/identify")))
    assert len(ear.of("response/say")) <= 60
    assert ear.of("health")[-1]["lost"] == 0
