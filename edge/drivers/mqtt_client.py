"""Owns how a client of paho's is made for one connection and let go after it: what it may do, and its guarded socket.

paho by itself connects again for ever, and sends what was not acknowledged again before anything else.
"""

from __future__ import annotations

import importlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from edge.core.errors import HardwareError, Reason
from edge.drivers.mqtt_gate import ANSWER_MAX_BYTES, Gate
from edge.settings import MqttConfig

Heard: TypeAlias = Callable[[str, bytes, bool], None]

QOS = 1
IN_FLIGHT_MAX = 20  # unacknowledged messages on one connection


@dataclass(frozen=True)
class Account:
    """As whom to connect, and where."""

    config: MqttConfig
    password: str | None = field(repr=False)
    client_id: str
    tls: ssl.SSLContext | None
    will: tuple[str, bytes] | None = None
    keeps_will: bool = True  # for those who come after it
    keepalive_s: int = 30
    heard: dict[str, Heard] = field(default_factory=dict, compare=False)  # by topic: whom a message is handed to


def make_client(account: Account, patience_s: float, guard: Callable[[Gate], None]) -> Any:
    """A client that makes one connection; `guard` is handed what its socket is looked at through."""
    mqtt, config = import_paho(), account.config
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2,
        client_id=account.client_id,
        protocol={"3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}[config.protocol],
        reconnect_on_failure=False,
    )
    client.connect_timeout = patience_s
    client.max_queued_messages_set(IN_FLIGHT_MAX)
    client.on_socket_register_write = lambda *_: None  # else paho writes from the thread that publishes
    if config.username:
        client.username_pw_set(config.username, account.password)
    if account.tls is not None:
        client.tls_set_context(account.tls)
    if account.will is not None:
        client.will_set(*account.will, qos=QOS, retain=account.keeps_will)
    open_socket = client._create_socket  # paho has no other place where its socket can be guarded

    def guarded() -> Gate:
        gate = Gate(open_socket())
        guard(gate)
        return gate

    client._create_socket = guarded
    return client


def connect(client: Any, account: Account) -> None:
    """Make the connection and send the first packet; raises whatever sockets and TLS raise."""
    config, options = account.config, {}
    if config.protocol == "5":
        properties = importlib.import_module("paho.mqtt.properties").Properties(1)  # of CONNECT
        properties.MaximumPacketSize = ANSWER_MAX_BYTES
        options["properties"] = properties
    client.connect(config.host, config.port, keepalive=account.keepalive_s, **options)


def drop(client: Any) -> None:
    """Let the client's sockets go now, not when Python finds the time to look for circles."""
    sock = client.socket()
    if sock is not None:
        sock.close()
    client.on_connect = client.on_disconnect = client.on_publish = client.on_message = client.on_subscribe = None
    vars(client).pop("_create_socket", None)


def import_paho() -> Any:
    """paho's client. Raises HardwareError where it is not installed."""
    try:
        return importlib.import_module("paho.mqtt.client")
    except ImportError as error:
        raise HardwareError("broker", Reason.NOT_INSTALLED, "install it with: pip install paho-mqtt") from error


def topic_matches(wanted: str, topic: str) -> bool:
    """Whether a message on `topic` is one of those that `wanted`, with its wildcards, asks for."""
    return bool(import_paho().topic_matches_sub(wanted, topic))
