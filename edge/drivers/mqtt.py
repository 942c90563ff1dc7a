"""Owns the connection to the MQTT broker through paho; knows nothing of what it sends, and keeps nothing on disk.

paho's network thread connects and reconnects by itself, so a device without a network starts like any other. paho
keeps unacknowledged messages and sends them again after a reconnect: a caller that tries the same message again waits
for that one instead of adding a copy.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import queue
import secrets
import threading
from collections.abc import Callable
from typing import Any

from edge.config import MqttConfig
from edge.core.errors import ConfigError, HardwareError, Reason, TransientError

log = logging.getLogger(__name__)

QOS = 1
KEEPALIVE_S = 30
RECONNECT_S = (1, 4)  # paho's back-off, within one publish's patience: it meets an attempt, whenever it comes
UNACKNOWLEDGED_MAX = 20  # messages that paho may hold; more are refused
Message = tuple[str, bytes, bool]


class PahoBroker:
    """Publishes with acknowledgement."""

    def __init__(
        self,
        config: MqttConfig,
        password: str | None,
        will_topic: str,
        will_payload: bytes,
        patience_s: float = 5.0,
    ) -> None:
        self._greet: Callable[[], None] | None = None
        self._where = f"{config.host}:{config.port}"
        self._patience_s = patience_s
        self._connected = threading.Event()
        self._problem = "no answer"
        self._sending = threading.Lock()
        self._unacknowledged: dict[Message, Any] = {}
        self._client: Any = _make_client(config, password, _client_id(will_topic), patience_s)
        self._client.on_connect, self._client.on_disconnect = self._on_connect, self._on_disconnect
        self._client.will_set(will_topic, will_payload, qos=QOS, retain=True)
        self._client.connect_async(config.host, config.port, keepalive=KEEPALIVE_S)
        self._client.loop_start()

    @property
    def on_connect(self) -> Callable[[], None] | None:
        """Called on every connection, from the network thread: it must only hand on."""
        return self._greet

    @on_connect.setter
    def on_connect(self, callback: Callable[[], None] | None) -> None:
        self._greet = callback
        # The network thread may have been faster than whoever sets this; better told twice than never.
        if callback is not None and self._connected.is_set():
            callback()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Return once the broker has acknowledged it; TransientError when it has not in time."""
        with self._sending:
            if not self._connected.wait(self._patience_s):
                raise TransientError(f"broker {self._where} is not connected: {self._problem}")
            info = self._send((topic, payload, retain))
            try:
                info.wait_for_publish(self._patience_s)
                acknowledged = info.is_published()
            except (RuntimeError, ValueError) as error:
                # paho refused it: the next attempt must be a new one.
                del self._unacknowledged[topic, payload, retain]
                raise TransientError(f"broker {self._where}: {error}") from error
            if not acknowledged:
                raise TransientError(f"broker {self._where} did not acknowledge a message on {topic}")
            del self._unacknowledged[topic, payload, retain]

    def close(self) -> None:
        """Say goodbye, so that the will is not sent, and end the network thread."""
        self._client.disconnect()
        self._client.loop_stop()

    def _send(self, message: Message) -> Any:
        """paho's record of `message`: that of an earlier attempt if it is still on its way."""
        if message not in self._unacknowledged:
            self._unacknowledged = {m: i for m, i in self._unacknowledged.items() if not _acknowledged(i)}
            topic, payload, retain = message
            self._unacknowledged[message] = self._client.publish(topic, payload, qos=QOS, retain=retain)
        return self._unacknowledged[message]

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._problem = str(reason)
            log.warning("broker refused us broker=%s reason=%s", self._where, reason)
            return
        log.info("broker connected broker=%s", self._where)
        self._connected.set()
        if self._greet is not None:
            self._greet()

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if self._connected.is_set():
            self._problem = str(reason)
            log.info("broker disconnected broker=%s reason=%s", self._where, reason)
        self._connected.clear()


def probe(config: MqttConfig, password: str | None, patience_s: float = 5.0) -> None:
    """Connect once as the service would, and leave; TransientError says why that does not work.

    Under a name of its own: the broker ends an older connection of the same name, and that is the service's.
    """
    where = f"{config.host}:{config.port}"
    client = _make_client(config, password, f"saynote-doctor-{secrets.token_hex(4)}", patience_s)
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.put(reason)
    try:
        client.connect(config.host, config.port, keepalive=KEEPALIVE_S)
    except (OSError, ValueError) as error:
        raise TransientError(f"broker {where} cannot be reached: {error}") from error
    client.loop_start()
    try:
        reason = answers.get(timeout=patience_s)
    except queue.Empty:
        raise TransientError(f"broker {where} takes the connection and does not answer: is mqtt.tls right?") from None
    finally:
        client.disconnect()
        client.loop_stop()
    if reason.is_failure:
        raise TransientError(f"broker {where} refuses us: {reason}")


def _make_client(config: MqttConfig, password: str | None, client_id: str, patience_s: float) -> Any:
    mqtt = _import_paho()
    protocol = {"3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}[config.protocol]
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol)
    client.connect_timeout = patience_s
    client.reconnect_delay_set(*RECONNECT_S)
    client.max_queued_messages_set(UNACKNOWLEDGED_MAX)
    if config.username:
        client.username_pw_set(config.username, password)
    if config.tls:
        _use_tls(client, config.ca_file)
    return client


def _client_id(will_topic: str) -> str:
    """The same for one device at all times, so that a reconnect ends its old session and sends its will first.

    Made from the will's topic, which holds the device's id; 23 characters are all that MQTT 3.1.1 promises.
    """
    return "saynote-" + hashlib.sha256(will_topic.encode()).hexdigest()[:15]


def _acknowledged(info: Any) -> bool:
    try:
        return bool(info.is_published())
    except (RuntimeError, ValueError):
        return True


def _use_tls(client: Any, ca_file: str) -> None:
    try:
        client.tls_set(ca_certs=ca_file or None)
    except OSError as error:
        raise ConfigError([f"mqtt.ca_file = {ca_file!r} cannot be used: {error}"]) from error


def _import_paho() -> Any:
    try:
        return importlib.import_module("paho.mqtt.client")
    except ImportError as error:
        raise HardwareError("broker", Reason.NOT_INSTALLED, "install it with: pip install paho-mqtt") from error
