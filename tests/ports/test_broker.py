"""What holds for every broker: the fake, and paho against a real mosquitto."""

from __future__ import annotations

import contextlib
import logging
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from edge.core.errors import ConfigError, RefusedError, TransientError, UnansweredError
from edge.credentials import PASSWORD, secret
from edge.drivers import mqtt_link
from edge.drivers.fake import FakeBroker
from edge.drivers.mqtt import PahoBroker, probe
from edge.drivers.mqtt_link import Ending, Link
from edge.drivers.mqtt_pace import Pace
from edge.ports import Broker
from edge.settings import MqttConfig
from tests.certificates import authority, vouched
from tests.ports.standins import HangUpError, Mosquitto, StubBroker

WILL = ("saynote/test/status", b"offline")


def paho(
    port: int, patience_s: float = 10.0, password: str | None = None, pace: Pace | None = None, **settings: Any
) -> PahoBroker:
    config = MqttConfig(enabled=True, host="127.0.0.1", port=port, **settings)
    return PahoBroker(config, password, *WILL, patience_s=patience_s, pace=pace)


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
    stub_broker.wait_until(lambda: stub_broker.connects == 1)
    for number in range(60):
        with pytest.raises(TransientError):
            broker.publish("saynote/test/event", b"%d" % number)
    assert len(stub_broker.received) <= 21
    stub_broker.acknowledge = True
    stub_broker.send_acks()
    broker._patience_s = 5.0
    broker.publish("saynote/test/event", b"0")
    assert len(stub_broker.received) <= 21


V5_IN = b"\x20\x03\x00\x00\x00"


def v5_in(*properties: bytes) -> bytes:
    """A CONNACK of MQTT 5."""
    every = b"".join(properties)
    return bytes([0x20, 3 + len(every), 0, 0, len(every)]) + every


def v5_answer(reason: int) -> Callable[[str, bytes, bytes], bytes]:
    """PUBACK with a reason code."""
    return lambda topic, payload, number: b"\x40\x03" + number + bytes([reason])


@pytest.mark.parametrize(
    ("reason", "words"),
    [(0x80, "unspecified"), (0x87, "not auth"), (0x90, "topic name"), (0x97, "quota"), (0x99, "payload format")],
)
def test_a_refusal_under_mqtt_5_is_no_acknowledgement(
    stub_broker: StubBroker, closing: Callable[[PahoBroker], PahoBroker], reason: int, words: str
) -> None:
    stub_broker.connack, stub_broker.answer = V5_IN, v5_answer(reason)
    broker = closing(paho(stub_broker.port, protocol="5"))
    for attempt in (1, 2):
        with pytest.raises(RefusedError, match=rf"(?i){words}.*reason code {reason}"):
            broker.publish("saynote/test/event", b"1")
        assert len(stub_broker.received) == attempt
    stub_broker.answer = v5_answer(0x10)  # nobody has subscribed: it is taken all the same
    broker.publish("saynote/test/event", b"1")


def test_a_broker_that_says_why_in_words_of_its_own_is_quoted_on_one_line(
    stub_broker: StubBroker, closing: Callable[[PahoBroker], PahoBroker]
) -> None:
    why = b"no\nroom\x1b[2J"
    stub_broker.connack = V5_IN
    properties = b"\x1f" + len(why).to_bytes(2, "big") + why
    body = b"\x87" + bytes([len(properties)]) + properties
    stub_broker.answer = lambda topic, payload, number: bytes([0x40, 2 + len(body)]) + number + body
    with pytest.raises(RefusedError, match=r"no\?room\?\[2J"):
        closing(paho(stub_broker.port, protocol="5")).publish("a", b"1")


def test_what_the_broker_says_it_will_not_take_is_not_sent(
    stub_broker: StubBroker, closing: Callable[[PahoBroker], PahoBroker]
) -> None:
    stub_broker.connack = v5_in(b"\x27" + (60).to_bytes(4, "big"), b"\x25\x00")  # 60 bytes, nothing retained
    stub_broker.answer = v5_answer(0)
    broker = closing(paho(stub_broker.port, protocol="5"))
    with pytest.raises(RefusedError, match="60 bytes at most"):
        broker.publish("a", bytes(61))
    broker.publish("a", b"1", retain=True)
    assert [packet[0] & 1 for packet in stub_broker.received] == [0]


def test_a_broker_that_keeps_nothing_lets_us_in_without_a_will_that_is_to_be_kept(
    stub_broker: StubBroker, closing: Callable[[PahoBroker], PahoBroker]
) -> None:
    def take(packet: bytes, usual: Callable[[bytes], bytes] = stub_broker._take) -> bytes:
        if packet[0] == 0x10 and packet[packet.index(b"MQTT") + 5] & 0x20:
            return b"\x20\x03\x00\x9a\x00"
        return usual(packet)

    stub_broker.connack, stub_broker.answer = V5_IN, v5_answer(0)
    stub_broker._take = take  # type: ignore[method-assign]
    closing(paho(stub_broker.port, protocol="5")).publish("a", b"1")


def test_a_broker_that_takes_no_acknowledged_messages_gets_a_clear_word(
    stub_broker: StubBroker, closing: Callable[[PahoBroker], PahoBroker]
) -> None:
    stub_broker.connack = v5_in(b"\x24\x00")
    with pytest.raises(TransientError, match="acknowledges no message"):
        closing(paho(stub_broker.port, protocol="5", patience_s=0.5)).publish("a", b"1")


@pytest.mark.parametrize(
    ("protocol", "connack", "advice"),
    [
        ("3.1.1", b"\x20\x02\x00\x01", 'does not take MQTT 3.1.1: set mqtt.protocol = "5"'),
        ("3.1.1", b"\x20\x03\x00\x84\x00", 'does not take MQTT 3.1.1: set mqtt.protocol = "5"'),
        ("5", b"\x20\x03\x00\x84\x00", 'does not take MQTT 5: set mqtt.protocol = "3.1.1"'),
        ("5", b"\x20\x02\x00\x01", 'does not take MQTT 5: set mqtt.protocol = "3.1.1"'),
        ("3.1.1", b"\x20\x02\x00\x02", "does not take this device's name"),
        ("3.1.1", b"\x20\x02\x00\x03", "server unavailable"),
        ("3.1.1", b"\x20\x02\x00\x04", "bad user name or password"),
        ("3.1.1", b"\x20\x02\x00\x05", "not authorised"),
        ("5", b"\x20\x03\x00\x8a\x00", "banned"),
    ],
)
def test_why_we_are_not_let_in_is_the_same_sentence_for_service_and_doctor(
    stub_broker: StubBroker,
    closing: Callable[[PahoBroker], PahoBroker],
    protocol: Literal["3.1.1", "5"],
    connack: bytes,
    advice: str,
) -> None:
    stub_broker.connack = connack
    with pytest.raises(TransientError) as service:
        closing(paho(stub_broker.port, protocol=protocol, patience_s=0.5)).publish("a", b"1")
    with pytest.raises(TransientError) as doctor:
        probe(MqttConfig(enabled=True, host="127.0.0.1", port=stub_broker.port, protocol=protocol), None)
    assert str(service.value) == str(doctor.value)
    assert advice in str(doctor.value)
    assert stub_broker.protocol == (5 if protocol == "5" else 4), "never another version than the configured one"


def test_one_message_that_the_broker_hangs_up_on_stops_no_other(
    stub_broker: StubBroker, closing: Callable[[PahoBroker], PahoBroker]
) -> None:
    def answer(topic: str, payload: bytes, number: bytes) -> bytes:
        if payload == b"bad":
            raise HangUpError
        return b"\x40\x02" + number

    stub_broker.answer = answer
    broker = closing(paho(stub_broker.port))
    for number in range(3):
        with pytest.raises(UnansweredError, match="the connection ended"):
            broker.publish("saynote/test/event", b"bad")
        broker.publish("saynote/test/event", b"%d" % number)  # nothing of the former connection stands in its way
    assert len(stub_broker.received) == 6
    assert broker.taken_over() == 0


def test_another_device_of_the_same_name_is_named_and_given_way_to(
    stub_broker: StubBroker, closing: Callable[[PahoBroker], PahoBroker], caplog: pytest.LogCaptureFixture
) -> None:
    stub_broker.connack, stub_broker.answer = V5_IN, v5_answer(0)
    broker = closing(paho(stub_broker.port, protocol="5", patience_s=0.5, pace=quick_pace()))
    for times in (1, 2, 3):
        broker._patience_s = 20.0
        broker.publish("a", b"%d" % times)
        stub_broker.send(b"\xe0\x02\x8e\x00")  # DISCONNECT: session taken over
        broker._patience_s = 0.2
        with pytest.raises(TransientError, match=r"another device uses the same name .* mqtt\.device_id"):
            broker.publish("a", b"waits")
        stub_broker.wait_until(lambda times=times: broker.taken_over() == times)  # type: ignore[misc]
    (named,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "another device uses the same name" in named.getMessage()


def test_under_mqtt_3_a_broker_that_hangs_up_again_and_again_is_taken_for_the_same(
    stub_broker: StubBroker, closing: Callable[[PahoBroker], PahoBroker], caplog: pytest.LogCaptureFixture
) -> None:
    stub_broker.acknowledge = True
    broker = closing(paho(stub_broker.port, pace=quick_pace()))
    for number in range(5):
        broker.publish("a", b"%d" % number)
        connects = stub_broker.connects
        stub_broker.hang_up()
        if number < 4:
            stub_broker.wait_until(lambda before=connects: stub_broker.connects > before)  # type: ignore[misc]
    stub_broker.wait_until(lambda: broker.taken_over() == 5)
    (named,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "it seems that another device uses the same name" in named.getMessage()


def quick_pace() -> Pace:
    """The pace of a device that has no time."""

    class Quick(Pace):
        def after(self, ending: Ending) -> float:
            return min(1.0, super().after(ending))

    return Quick()


PUBLISH_QOS_2 = b"\x34\x05\x00\x01x\x00\x01"
UNASKED = {
    "a message": b"\x30\x04\x00\x01xy",
    "a message that wants an answer": b"\x32\x05\x00\x01x\x00\x01",
    "messages that are to be kept": PUBLISH_QOS_2 * 1000,
    "a message of 256 MB": b"\x30\xff\xff\xff\x7f" + bytes(100_000),
    "an answer of 256 MB": b"\x40\xff\xff\xff\x7f" + bytes(100_000),
    "a length without end": b"\x30\xff\xff\xff\xff\xff",
    "an answer to nothing": b"\x40\x02\x00\x01",
    "a second welcome": b"\x20\x02\x00\x00",
    "signs of life without end": b"\xd0\x00" * 10_000,
    "a connection of its own": b"\x10\x00",
    "a release of nothing": b"\x62\x02\x00\x01",
}


@pytest.mark.parametrize("data", UNASKED.values(), ids=UNASKED)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_broker_that_sends_what_was_never_asked_for_is_left(
    stub_broker: StubBroker,
    closing: Callable[[PahoBroker], PahoBroker],
    data: bytes,
    at_once: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stub_broker.acknowledge = True
    stub_broker.greeting = data if at_once else b""
    broker = closing(paho(stub_broker.port, patience_s=10.0))
    if not at_once:
        broker.publish("a", b"1")
        with contextlib.suppress(OSError):  # it may be left before all is sent
            stub_broker.send(data)
    stub_broker.wait_until(lambda: any(record.levelno == logging.WARNING for record in caplog.records))
    broker._patience_s = 0.3
    with pytest.raises(TransientError, match=r"is not connected: it (sends|does not speak MQTT)"):
        broker.publish("a", b"2")
    assert stub_broker.connects == 1, "it is not tried again soon"
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(said) == 1


def test_a_flood_of_messages_takes_no_memory(
    stub_broker: StubBroker, closing: Callable[[PahoBroker], PahoBroker]
) -> None:
    def resident_bytes() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    stub_broker.acknowledge = True
    broker = closing(paho(stub_broker.port))
    broker.publish("a", b"1")
    before = resident_bytes()
    packet = b"\x34\xff\xff\x03\x00\x01x" + bytes(65_535 - 3)
    with contextlib.suppress(OSError):
        for _ in range(2000):
            stub_broker.send(packet)
    assert resident_bytes() - before < 20_000_000


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x46", "answers in TLS: set mqtt.tls = true"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "web server"),
        (b"220 mail.example.com ESMTP\r\n", "does not speak MQTT"),
        (b"", "ends the connection before it has answered"),
    ],
)
def test_something_else_at_that_port_is_told_apart(
    stub_broker: StubBroker, closing: Callable[[PahoBroker], PahoBroker], first: bytes, words: str
) -> None:
    stub_broker.connack = first or None
    with pytest.raises(TransientError, match=words):
        closing(paho(stub_broker.port, patience_s=0.5)).publish("a", b"1")


def test_a_broker_without_tls_where_tls_is_configured_is_named(stub_broker: StubBroker) -> None:
    stub_broker.connack = None
    config = MqttConfig(enabled=True, host="127.0.0.1", port=stub_broker.port, tls=True)
    stub_broker._take = lambda packet: b"\x20\x02\x00\x05"  # type: ignore[method-assign]
    with pytest.raises(TransientError, match="TLS"):
        probe(config, None, patience_s=2.0)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("mqtt://127.0.0.1", 'holds more than a name: leave out "mqtt://"'),
        ("127.0.0.1:1883", "the port belongs into mqtt.port"),
        ("broker..local", "is no name that could be looked up"),
        ("a" * 300, "name"),
        ("bro\0ker", "."),
        ("", "."),
        ("-", "."),
    ],
)
def test_a_host_that_cannot_be_is_refused_before_it_is_tried_and_the_doctor_says_why(host: str, words: str) -> None:
    config = MqttConfig(enabled=True, host=host, port=free_port())
    with pytest.raises(ConfigError, match=r"^mqtt\.host = "):
        PahoBroker(config, None, *WILL)
    with pytest.raises(TransientError, match=rf"is not connected: .*{words}") as told:
        probe(config, None)
    assert str(told.value).isprintable()


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"host": "no-such-host.invalid"}, "name"), ({"username": "\ud800"}, "."), ({"username": "x" * 70_000}, ".")],
)
def test_a_setting_that_cannot_work_ends_neither_the_thread_nor_the_hope(
    settings: dict[str, str], words: str, closing: Callable[[PahoBroker], PahoBroker]
) -> None:
    config = MqttConfig(**({"enabled": True, "host": "127.0.0.1", "port": free_port()} | settings))
    broker = closing(PahoBroker(config, None, *WILL, patience_s=0.3))
    for _ in range(2):
        with pytest.raises(TransientError, match=rf"is not connected: .*{words}") as told:
            broker.publish("a", b"1")
        assert str(told.value).isprintable()
    assert broker._thread.is_alive()


@pytest.mark.parametrize("ca_file", ["/nowhere/ca.pem", "/", "/dev/zero", "a\0b", __file__])
def test_a_certificate_file_that_is_none_is_a_mistake_in_the_configuration(ca_file: str) -> None:
    with pytest.raises(ConfigError, match=r"mqtt\.ca_file"):
        paho(free_port(), tls=True, ca_file=ca_file)


def test_a_mistake_in_a_callback_or_in_the_driver_costs_one_connection(
    stub_broker: StubBroker, closing: Callable[[PahoBroker], PahoBroker], monkeypatch: pytest.MonkeyPatch
) -> None:
    stub_broker.acknowledge = True
    broker = closing(paho(stub_broker.port))
    broker.publish("a", b"1")
    failures = iter([ValueError("a mistake"), MemoryError("no room")])

    def fail_twice(self: Link, greet: Callable[[], None], run: Any = Link.run) -> Ending:
        for failure in failures:
            raise failure
        return run(self, greet)

    monkeypatch.setattr(Link, "run", fail_twice)
    stub_broker.hang_up()
    stub_broker.wait_until(lambda: stub_broker.connects == 2)
    broker.publish("a", b"2")

    def cannot() -> None:
        raise RuntimeError("a mistake")

    broker._greet = cannot
    stub_broker.hang_up()
    stub_broker.wait_until(lambda: stub_broker.connects == 3)
    broker.publish("a", b"3")


def test_connections_leave_no_file_open(stub_broker: StubBroker, closing: Callable[[PahoBroker], PahoBroker]) -> None:
    stub_broker.connack = b"\x20\x02\x00\x05"
    config = MqttConfig(enabled=True, host="127.0.0.1", port=stub_broker.port)

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    for round_ in range(30):
        with pytest.raises(TransientError):
            probe(config, None)
        if round_ == 4:
            stub_broker.hang_up()
            before = open_files()
    stub_broker.hang_up()
    assert open_files() <= before + 8


def test_a_broker_that_gives_no_sign_of_life_is_left(
    stub_broker: StubBroker, closing: Callable[[PahoBroker], PahoBroker]
) -> None:
    """A half-open connection: the other end has gone and nobody says so."""
    stub_broker.acknowledge = True
    config = MqttConfig(enabled=True, host="127.0.0.1", port=stub_broker.port)
    broker = closing(PahoBroker(config, None, *WILL, patience_s=20.0, keepalive_s=1))
    broker.publish("a", b"1")
    take = stub_broker._take
    with stub_broker.changed:
        stub_broker._take = lambda packet: take(packet) if packet[0] >> 4 == 1 else b""  # type: ignore[method-assign]
    stub_broker.wait_until(lambda: stub_broker.connects == 2)
    stub_broker._take = take  # type: ignore[method-assign]
    broker.publish("a", b"2")
    assert broker.taken_over() == 0


def test_a_broker_that_acknowledges_nothing_for_long_is_left(
    stub_broker: StubBroker, closing: Callable[[PahoBroker], PahoBroker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt_link, "DEAF_S", 0.5)
    broker = closing(paho(stub_broker.port, patience_s=10.0))
    with pytest.raises(UnansweredError, match="acknowledged nothing"):
        broker.publish("a", b"1")
    stub_broker.acknowledge = True
    broker.publish("a", b"1")
    assert stub_broker.connects == 2


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
        "import sys; from edge.settings import MqttConfig; from edge.drivers.mqtt import PahoBroker\n"
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
    with pytest.raises(TransientError, match=r"not connected: (not authorised|bad user name or password)"):
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
@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_a_broker_that_wants_a_certificate_takes_ours_and_says_that_it_misses_one(
    start_mosquitto: Callable[..., Mosquitto],
    closing: Callable[[PahoBroker], PahoBroker],
    tmp_path: Path,
    protocol: Literal["3.1.1", "5"],
) -> None:
    authority(tmp_path)
    authority(tmp_path, "theirs")
    for name, by in (("broker", "ca"), ("device", "ca"), ("stranger", "theirs")):
        vouched(tmp_path, name, by)
    files = f"cafile {tmp_path}/ca.pem\ncertfile {tmp_path}/broker.pem\nkeyfile {tmp_path}/broker.key\n"
    who = "allow_anonymous false\nrequire_certificate true\nuse_identity_as_username true\nuser root\n"
    mosquitto = start_mosquitto(who + files)

    def config(name: str) -> MqttConfig:
        own = {"cert_file": f"{tmp_path}/{name}.pem", "key_file": f"{tmp_path}/{name}.key"} if name else {}
        where: dict[str, Any] = {"host": "127.0.0.1", "port": mosquitto.port, "protocol": protocol}
        return MqttConfig(enabled=True, tls=True, ca_file=f"{tmp_path}/ca.pem", **where, **own)

    broker = closing(PahoBroker(config("device"), None, *WILL, patience_s=20.0))
    broker.publish("saynote/test/event", b"1")
    probe(config("device"), None)
    with pytest.raises(TransientError, match=r"wants a certificate of this device .*: set mqtt\.cert_file"):
        probe(config(""), None)
    with pytest.raises(TransientError, match=r"does not take this device's certificate .*: check mqtt\.cert_file"):
        probe(config("stranger"), None)


@pytest.mark.parametrize(("protocol", "other"), [("3.1.1", "5"), ("5", "3.1.1")])
def test_that_a_broker_takes_only_the_other_version_stands_in_the_log(
    stub_broker: StubBroker,
    closing: Callable[[PahoBroker], PahoBroker],
    caplog: pytest.LogCaptureFixture,
    protocol: Literal["3.1.1", "5"],
    other: str,
) -> None:
    stub_broker.connack = b"\x20\x02\x00\x01"
    caplog.set_level(logging.INFO)
    closing(paho(stub_broker.port, protocol=protocol))
    words = f'it does not take MQTT {protocol}: set mqtt.protocol = "{other}"'
    stub_broker.wait_until(lambda: words in caplog.text)


@pytest.fixture
def only_mqtt_5(tmp_path: Path) -> Iterator[int]:
    """The port of rumqttd with no other listener than that for MQTT 5; to all else it hangs up."""
    pytest.importorskip("iotcore", reason="it comes with the extra dev")
    port = free_port()
    settings = tmp_path / "rumqttd.toml"
    settings.write_text(RUMQTTD.format(port=port))
    code = f"from iotcore.iotcore import IotCoreBroker; IotCoreBroker(config_path={str(settings)!r}).run_forever()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline_s = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None
            assert time.monotonic() < deadline_s, "it never listened"
            time.sleep(0.1)
        yield port
        process.kill()


RUMQTTD = """
id = 0
[router]
id = 0
max_connections = 10
max_outgoing_packet_count = 200
max_segment_size = 1000000
max_segment_count = 10
[v5.1]
name = "only"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = 20480
max_inflight_count = 100
"""


@pytest.mark.integration
def test_a_real_broker_that_takes_only_mqtt_5_gets_a_clear_word_and_with_it_works(
    only_mqtt_5: int, closing: Callable[[PahoBroker], PahoBroker]
) -> None:
    with pytest.raises(TransientError, match=r'does not take MQTT 3\.1\.1: try mqtt\.protocol = "5"'):
        probe(MqttConfig(enabled=True, host="127.0.0.1", port=only_mqtt_5), None)
    probe(MqttConfig(enabled=True, host="127.0.0.1", port=only_mqtt_5, protocol="5"), None)
    closing(paho(only_mqtt_5, protocol="5")).publish("saynote/test/event", b"1")


@pytest.mark.integration
@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_what_is_listened_to_is_heard_also_when_asked_late_and_after_the_broker_came_back(
    start_mosquitto: Callable[..., Mosquitto],
    closing: Callable[[PahoBroker], PahoBroker],
    protocol: Literal["3.1.1", "5"],
) -> None:
    mosquitto = start_mosquitto()
    broker = closing(paho(mosquitto.port, protocol=protocol))
    heard: list[tuple[str, bytes]] = []
    changed = threading.Condition()

    def hear(topic: str, payload: bytes, _retained: bool) -> None:
        with changed:
            heard.append((topic, payload))
            changed.notify_all()

    def comes(topic: str, payload: bytes) -> None:
        """Said again until it is heard: a subscription has no answer that can be waited for here."""
        for _ in range(120):
            broker.publish(topic, payload)
            with changed:
                if changed.wait_for(lambda: (topic, payload) in heard, 0.5):
                    return
        raise AssertionError(f"{topic} was never heard")

    broker.listen("saynote/test/command/+", hear)  # before it is connected, likely
    comes("saynote/test/command/say", b"1")
    broker.listen("homes/status", hear)  # on the connection that is there
    comes("homes/status", b"online")
    comes("saynote/test/command/say", b"2")
    mosquitto.stop()
    mosquitto.start()
    comes("homes/status", b"again")
    comes("saynote/test/command/say", b"3")
    broker.publish("saynote/test/other", b"x")
    assert "saynote/test/other" not in {topic for topic, _ in heard}


@pytest.mark.parametrize(
    ("protocol", "code", "why"), [("3.1.1", b"\x80", "unspecified error"), ("5", b"\x87", "not authorized")]
)
def test_a_subscription_that_is_refused_stands_in_the_log_and_costs_no_message(
    stub_broker: StubBroker,
    closing: Callable[[PahoBroker], PahoBroker],
    caplog: pytest.LogCaptureFixture,
    protocol: Literal["3.1.1", "5"],
    code: bytes,
    why: str,
) -> None:
    stub_broker.granted, stub_broker.acknowledge = code, True
    if protocol == "5":
        stub_broker.connack = b"\x20\x03\x00\x00\x00"
    broker = closing(paho(stub_broker.port, protocol=protocol))
    broker.listen("saynote/test/command/+", lambda *_: None)
    words = f"does not let this device hear saynote/test/command/+: {why}"
    stub_broker.wait_until(lambda: words in caplog.text)
    broker.publish("saynote/test/event", b"1")
    assert stub_broker.topics() == ["saynote/test/event"]


ODD_PASSWORDS = [
    "p@ss:wörd \"'$#",
    "#begins with a hash",
    "100 %s %d %(name)s {0} %",
    "पासवर्ड 密码 🔑",
    "back\\slash `tick` $(sub) ;&|<>",
    "  spaces around  ",
    "tab\tinside",
    "x" * 500,
]


@pytest.mark.integration
def test_odd_passwords_open_a_real_broker_and_stand_in_no_log(
    start_mosquitto: Callable[..., Mosquitto],
    closing: Callable[[PahoBroker], PahoBroker],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("install mosquitto to run this test")
    file = tmp_path / "passwords"
    for number, password in enumerate(ODD_PASSWORDS):
        new = () if number else ("-c",)
        subprocess.run(["mosquitto_passwd", "-b", *new, file, f"user{number}", password], check=True)
    file.chmod(0o644)
    tmp_path.chmod(0o755)
    mosquitto = start_mosquitto(f"allow_anonymous false\npassword_file {file}\nuser root\n")
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for number, password in enumerate(ODD_PASSWORDS):
        (tmp_path / PASSWORD).write_bytes(password.encode() + b"\n")
        config = MqttConfig(enabled=True, host="127.0.0.1", port=mosquitto.port, username=f"user{number}")
        probe(config, secret(PASSWORD), patience_s=20.0)
        broker = closing(PahoBroker(config, secret(PASSWORD), *WILL, patience_s=20.0))
        broker.publish("a", b"1")
        broker.close()
        with pytest.raises(TransientError) as told:
            probe(config, password + "x", patience_s=20.0)
        assert password.strip() not in f"{told.value} {told.value!r}"
        assert password.strip() not in repr(vars(broker))
    assert caplog.records
    shown = "\n".join(f"{record.getMessage()} {record.args!r} {record.exc_text}" for record in caplog.records)
    assert [password for password in ODD_PASSWORDS if password.strip() in shown] == []


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


@pytest.mark.parametrize(("host", "words"), [("127.0.0.1", "refused"), ("no-such-host.invalid", "the name")])
def test_a_probe_names_why_nobody_answers(host: str, words: str) -> None:
    with pytest.raises(TransientError, match=words):
        probe(MqttConfig(enabled=True, host=host, port=free_port()), None)


def test_a_probe_of_something_that_is_no_broker_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(TransientError, match="does not answer"):
        probe(MqttConfig(enabled=True, host="127.0.0.1", port=mute.getsockname()[1]), None, patience_s=0.3)
