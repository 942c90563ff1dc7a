"""What holds for every broker: the fake, and paho against a real mosquitto."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.config import MqttConfig
from edge.core.errors import ConfigError, TransientError
from edge.drivers.fake import FakeBroker
from edge.drivers.mqtt import PahoBroker, probe
from edge.ports import Broker
from tests.ports.standins import Mosquitto, StubBroker

WILL = ("saynote/test/status", b"offline")


def paho(port: int, patience_s: float = 10.0, password: str | None = None, **settings: Any) -> PahoBroker:
    config = MqttConfig(enabled=True, host="127.0.0.1", port=port, **settings)
    return PahoBroker(config, password, *WILL, patience_s=patience_s)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def closing() -> Iterator[Callable[[PahoBroker], PahoBroker]]:
    opened: list[PahoBroker] = []

    def keep(broker: PahoBroker) -> PahoBroker:
        opened.append(broker)
        return broker

    yield keep
    for broker in opened:
        broker.close()


@pytest.fixture(params=["fake", *(pytest.param(p, marks=pytest.mark.integration) for p in ("3.1.1", "5"))])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    if request.param == "fake":
        yield FakeBroker()
        return
    mosquitto = request.getfixturevalue("start_mosquitto")()
    broker = paho(mosquitto.port, protocol=request.param)
    yield broker
    broker.close()


def test_publishing_returns_once_acknowledged(broker: Broker) -> None:
    for number in range(50):
        broker.publish("saynote/test/event", b"%d" % number)
    broker.publish("saynote/test/status", b"online", retain=True)


def test_the_same_message_may_be_sent_again(broker: Broker) -> None:
    for _ in range(3):
        broker.publish("saynote/test/event", b"same")


def test_a_wildcard_is_no_topic(broker: Broker) -> None:
    with pytest.raises(ValueError, match="topic"):
        broker.publish("saynote/+/event", b"")


def test_it_may_be_closed_twice(broker: Broker) -> None:
    broker.close()
    broker.close()


def test_the_fake_is_out_of_reach_or_loses_acknowledgements_when_told() -> None:
    broker = FakeBroker()
    broker.down = True
    with pytest.raises(TransientError):
        broker.publish("a", b"1")
    broker.down, broker.lose_acks = False, 1
    with pytest.raises(TransientError):
        broker.publish("a", b"1", retain=True)
    broker.publish("a", b"1", retain=True)
    assert [message.payload for message in broker.messages] == [b"1", b"1"]
    assert broker.retained == {"a": b"1"}


# paho without a network


def test_a_device_without_a_broker_starts_like_any_other() -> None:
    before = time.monotonic()
    broker = paho(free_port(), patience_s=0.2)
    assert time.monotonic() - before < 1.0
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:\d+ is not connected"):
        broker.publish("saynote/test/event", b"1")
    broker.close()
    assert time.monotonic() - before < 6.0


def test_a_host_without_an_address_is_an_absent_broker_too() -> None:
    config = MqttConfig(enabled=True, host="no-such-host.invalid")
    broker = PahoBroker(config, None, *WILL, patience_s=0.2)
    with pytest.raises(TransientError):
        broker.publish("saynote/test/event", b"1")
    broker.close()


def test_a_missing_certificate_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.ca_file"):
        paho(free_port(), tls=True, ca_file="/nowhere/ca.pem")


def test_a_lost_acknowledgement_is_an_error_and_trying_again_sends_no_copy(
    stub_broker: StubBroker, closing: Callable[[PahoBroker], PahoBroker]
) -> None:
    broker = closing(paho(stub_broker.port, patience_s=0.5))
    for _ in range(3):
        with pytest.raises(TransientError, match="did not acknowledge"):
            broker.publish("saynote/test/event", b"1")
    assert len(stub_broker.received) == 1
    stub_broker.send_acks()
    broker.publish("saynote/test/event", b"1")
    assert len(stub_broker.received) == 1
    stub_broker.acknowledge = True
    broker.publish("saynote/test/event", b"1")
    assert len(stub_broker.received) == 2


def test_what_a_deaf_broker_can_pile_up_is_bounded(
    stub_broker: StubBroker, closing: Callable[[PahoBroker], PahoBroker]
) -> None:
    broker = closing(paho(stub_broker.port, patience_s=0.02))
    assert broker._connected.wait(5.0)
    for number in range(60):
        with pytest.raises(TransientError):
            broker.publish("saynote/test/event", b"%d" % number)
    stub_broker.acknowledge = True
    stub_broker.send_acks()
    broker._patience_s = 5.0
    broker.publish("saynote/test/event", b"19")  # the last that paho took: its acknowledgement is the last, too
    broker.publish("saynote/test/event", b"59")  # one that paho refused
    assert len(broker._unacknowledged) <= 21
    assert len(stub_broker.received) <= 22


# paho and mosquitto


@pytest.mark.integration
@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_what_is_published_arrives(
    protocol: str, start_mosquitto: Callable[..., Mosquitto], closing: Callable[[PahoBroker], PahoBroker]
) -> None:
    mosquitto = start_mosquitto()
    broker = closing(paho(mosquitto.port, protocol=protocol))
    broker.publish("saynote/test/status", "पाँच".encode(), retain=True)
    subscriber = mosquitto.subscriber("saynote/#")
    assert subscriber.communicate(timeout=30)[0] == "1 saynote/test/status पाँच\n"


@pytest.mark.integration
def test_a_device_that_dies_is_reported_and_one_that_leaves_is_not(
    start_mosquitto: Callable[..., Mosquitto],
) -> None:
    mosquitto = start_mosquitto()
    code = (
        "import sys; from edge.config import MqttConfig; from edge.drivers.mqtt import PahoBroker\n"
        f"broker = PahoBroker(MqttConfig(host='127.0.0.1', port={mosquitto.port}), None, *{WILL!r})\n"
        f"broker.publish({WILL[0]!r}, b'online', retain=True); sys.stdout.write('up\\n'); sys.stdout.flush()\n"
        "sys.stdin.readline(); broker.close()"
    )
    for leaves, last in ((True, "online"), (False, "offline")):
        device = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert device.stdout is not None
        assert device.stdout.readline() == "up\n"
        watcher = mosquitto.subscriber(WILL[0], count=1 if leaves else 2)
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == f"1 {WILL[0]} online\n"
        if leaves:
            device.communicate("leave\n", timeout=10)
        else:
            device.kill()
            device.communicate(timeout=10)
            assert watcher.stdout.readline() == f"0 {WILL[0]} offline\n"
        watcher.communicate(timeout=30)
        assert mosquitto.subscriber(WILL[0]).communicate(timeout=30)[0] == f"1 {WILL[0]} {last}\n"


@pytest.mark.integration
def test_a_broker_that_comes_back_is_found_and_announced(
    start_mosquitto: Callable[..., Mosquitto], closing: Callable[[PahoBroker], PahoBroker]
) -> None:
    mosquitto = start_mosquitto()
    broker = closing(paho(mosquitto.port))
    broker.publish("saynote/test/event", b"1")
    back = threading.Event()
    broker.on_connect = back.set
    assert back.is_set(), "told at once of a connection that was there before"
    mosquitto.stop()
    broker._patience_s = 0.2
    with pytest.raises(TransientError):
        broker.publish("saynote/test/event", b"2")
    back.clear()
    broker._patience_s = 10.0
    mosquitto.start()
    assert back.wait(20.0)
    broker.publish("saynote/test/event", b"2")


@pytest.mark.integration
def test_odd_passwords_are_taken_as_they_are_and_wrong_ones_named(
    start_mosquitto: Callable[..., Mosquitto], closing: Callable[[PahoBroker], PahoBroker], tmp_path: Path
) -> None:
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("install mosquitto to run this test")
    password, file = "p@ss:wörd \"'$#", tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", file, "maker", password], check=True)
    file.chmod(0o644)
    tmp_path.chmod(0o755)
    mosquitto = start_mosquitto(f"allow_anonymous false\npassword_file {file}\nuser root\n")
    closing(paho(mosquitto.port, username="maker", password=password)).publish("a", b"1")
    wrong = closing(paho(mosquitto.port, username="maker", password="wrong", patience_s=1.0))
    with pytest.raises(TransientError, match=r"(?i)not authori[sz]ed|bad user ?name or password"):
        wrong.publish("a", b"1")
    config = MqttConfig(enabled=True, host="127.0.0.1", port=mosquitto.port, username="maker")
    probe(config, password)
    with pytest.raises(TransientError, match=r"refuses us: (?i:not authori[sz]ed|bad user ?name or password)"):
        probe(config, "wrong")


@pytest.mark.integration
def test_tls_believes_the_given_authority_only(
    start_mosquitto: Callable[..., Mosquitto], closing: Callable[[PahoBroker], PahoBroker], tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("install openssl to run this test")
    for name in ("ours", "theirs"):
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
        command += ["-addext", "subjectAltName=IP:127.0.0.1"]
        command += ["-keyout", str(tmp_path / f"{name}.key"), "-out", str(tmp_path / f"{name}.pem")]
        subprocess.run(command, check=True, capture_output=True)
    certificate = f"certfile {tmp_path}/ours.pem\nkeyfile {tmp_path}/ours.key\n"
    mosquitto = start_mosquitto(f"allow_anonymous true\nuser root\n{certificate}")
    closing(paho(mosquitto.port, tls=True, ca_file=str(tmp_path / "ours.pem"))).publish("a", b"1")
    stranger = closing(paho(mosquitto.port, tls=True, ca_file=str(tmp_path / "theirs.pem"), patience_s=1.0))
    with pytest.raises(TransientError):
        stranger.publish("a", b"1")
    config = MqttConfig(enabled=True, host="127.0.0.1", port=mosquitto.port, tls=True, ca_file=f"{tmp_path}/theirs.pem")
    with pytest.raises(TransientError, match=r"(?i)certificate verify failed"):
        probe(config, None)


@pytest.mark.integration
def test_a_probe_does_not_throw_the_service_out(
    start_mosquitto: Callable[..., Mosquitto], closing: Callable[[PahoBroker], PahoBroker]
) -> None:
    mosquitto = start_mosquitto()
    service = closing(paho(mosquitto.port))
    service.publish("a", b"1")
    again = threading.Event()
    service.on_connect = again.set
    again.clear()  # it was told at once, being connected
    probe(MqttConfig(enabled=True, host="127.0.0.1", port=mosquitto.port), None)
    service.publish("a", b"2")
    assert not again.is_set()


@pytest.mark.parametrize(("host", "words"), [("127.0.0.1", "refused"), ("no-such-host.invalid", "cannot be reached")])
def test_a_probe_names_why_nobody_answers(host: str, words: str) -> None:
    with pytest.raises(TransientError, match=words):
        probe(MqttConfig(enabled=True, host=host, port=free_port()), None)


def test_a_probe_of_something_that_is_no_broker_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(TransientError, match="does not answer"):
        probe(MqttConfig(enabled=True, host="127.0.0.1", port=mute.getsockname()[1]), None, patience_s=0.3)
