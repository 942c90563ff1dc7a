"""Owns the way to the MQTT broker: one connection after the other, each a `Link`; knows nothing of what it sends.

A thread of its own connects and connects again, so a device without a network starts like any other; nothing that
happens to a connection ends it. It keeps nothing on disk.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable

from edge.core.errors import ConfigError, TransientError
from edge.core.words import unusable_host
from edge.drivers import mqtt_tls
from edge.drivers import mqtt_words as words
from edge.drivers.mqtt_client import Account, Heard, import_paho
from edge.drivers.mqtt_link import Ending, GoneError, Link
from edge.drivers.mqtt_pace import Pace
from edge.settings import MqttConfig

log = logging.getLogger(__name__)

KEEPALIVE_S = 30
MISTAKE_S = 5.0  # after one of ours, which may come again
AT_ONCE, EVERY_S = 20, 1.0  # messages of a topic that we listen to
FLOOD_SAID_S = 3600.0  # between two words about too many of them
CLOSE_S = 2.0  # longest wait for the thread at the end


class PahoBroker:
    """Publishes with acknowledgement."""

    def __init__(
        self,
        config: MqttConfig,
        password: str | None,
        will_topic: str,
        will_payload: bytes,
        patience_s: float = 5.0,
        keepalive_s: int = KEEPALIVE_S,
        pace: Pace | None = None,
    ) -> None:
        import_paho()
        if why := unusable_host("mqtt.host", config.host):
            raise ConfigError([why])
        will = (will_topic, will_payload)
        self._account = Account(
            config, password, _client_id(will_topic), mqtt_tls.context(config), will, keepalive_s=keepalive_s
        )
        self._where = words.where(config)
        self._patience_s = patience_s
        self._pace = pace or Pace()
        self._greet: Callable[[], None] | None = None
        self._changed = threading.Condition()
        self._link: Link | None = None  # while the broker lets us in
        self._trying: Link | None = None
        self._why = "it has not answered yet"
        self._said = ""  # why, as it stands in the log
        self._sending = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._thread.start()

    @property
    def on_connect(self) -> Callable[[], None] | None:
        """Called on every connection, from the network thread: it must only hand on."""
        return self._greet

    @on_connect.setter
    def on_connect(self, callback: Callable[[], None] | None) -> None:
        self._greet = callback
        # The network thread may have been faster than whoever sets this; better told twice than never.
        if callback is not None and self._link is not None:
            callback()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """As `edge.ports.Broker` has it; it waits for a connection first, as long as its patience lasts."""
        with self._sending:
            until_s, gone = time.monotonic() + self._patience_s, None
            while True:
                link = self._wait_for_link(until_s, gone)
                try:
                    link.publish(topic, payload, retain=retain, patience_s=self._patience_s)
                    return
                except GoneError:
                    gone = link

    def listen(self, topic: str, heard: Heard) -> None:
        """As `edge.ports.Broker` has it; `AT_ONCE` messages at a time, then one each `EVERY_S`."""
        self._account.heard[topic] = _rationed(topic, heard)
        link = self._link
        if link is not None:
            link.subscribe()

    def taken_over(self) -> int:
        """Times that another device of the same name has thrown us out; under MQTT 3.1.1 as far as can be told."""
        return self._pace.taken_over

    def close(self) -> None:
        """Say goodbye, so that the will is not sent, and end the network thread; may be called twice."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        trying = self._trying
        if trying is not None:
            trying.leave()
        self._thread.join(CLOSE_S)

    def _wait_for_link(self, until_s: float, gone: Link | None) -> Link:
        """A connection other than `gone`, which has just ended."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._link not in (None, gone) or self._closing.is_set(), max(0.0, until_s - time.monotonic())
            )
            if self._link is None or self._link is gone:
                raise TransientError(f"broker {self._where} is not connected: {self._why}")
            return self._link

    def _run(self) -> None:
        while not self._closing.is_set():
            pause_s = MISTAKE_S
            try:
                pause_s = self._connect_once()
            except Exception:  # this thread's outermost frame: without it there is no telemetry until a restart
                log.exception("a connection to broker %s failed", self._where)
            self._closing.wait(pause_s)

    def _connect_once(self) -> float:
        """One connection, to its end; how long to wait then."""
        link = self._trying = Link(self._account, self._patience_s)
        if self._closing.is_set():
            return 0.0
        ending = link.run(lambda: self._connected(link))
        with self._changed:
            self._link, self._why = None, ending.why
        if ending.keeps_nothing:
            self._account = dataclasses.replace(self._account, keeps_will=False)
        pause_s = self._pace.after(ending)
        if self._pace.disputed and ending.up:
            self._why = words.taken_over(self._account.client_id, certain=self._pace.certain)
        self._tell(ending, pause_s)
        return pause_s

    def _connected(self, link: Link) -> None:
        log.info("broker connected broker=%s", self._where)
        with self._changed:
            self._link = link
            self._changed.notify_all()
        try:
            if self._greet is not None:
                self._greet()
        except Exception:  # whoever hears of it must not end the connection
            log.exception("the connection to broker %s could not be told of", self._where)

    def _tell(self, ending: Ending, pause_s: float) -> None:
        """Each end of a connection that was there; each reason why there is none, once."""
        if self._closing.is_set():
            return
        if ending.up:
            reason = "taken over" if ending.taken_over else ending.why
            log.info("broker disconnected broker=%s reason=%s again_in_s=%.1f", self._where, reason, pause_s)
        strange = self._pace.disputed or ending.unasked
        if ending.up and not strange:
            self._said = ""
        elif self._said != self._why and (strange or not ending.up):
            log.log(logging.WARNING if strange else logging.INFO, "broker %s: %s", self._where, self._why)
            self._said = self._why


def _rationed(topic: str, heard: Heard) -> Heard:
    """`heard`, but for what comes too fast: a flood must cost neither time nor room."""
    left, since_s, said_s = float(AT_ONCE), time.monotonic(), float("-inf")

    def ration(found: str, payload: bytes, retained: bool) -> None:
        nonlocal left, since_s, said_s
        now_s = time.monotonic()
        left, since_s = min(float(AT_ONCE), left + (now_s - since_s) / EVERY_S), now_s
        if left >= 1:
            left -= 1
            heard(found, payload, retained)
        elif now_s > said_s + FLOOD_SAID_S:
            said_s = now_s
            log.warning("too many messages on %s: those beyond one a second are not read", topic)

    return ration


def probe(config: MqttConfig, password: str | None, patience_s: float = 5.0) -> None:
    """Connect once as the service would, and leave; TransientError says why that does not work.

    Under a name of its own: the broker ends an older connection of the same name, and that is the service's.
    """
    import_paho()
    account = Account(config, password, f"saynote-doctor-{secrets.token_hex(4)}", mqtt_tls.context(config))
    link = Link(account, patience_s)
    ending = link.run(link.leave)
    if not ending.up:
        raise TransientError(f"broker {words.where(config)} is not connected: {ending.why}")


def _client_id(will_topic: str) -> str:
    """The same for one device at all times, so that a reconnect ends its old session and sends its will first.

    Made from the will's topic, which holds the device's id; 23 characters are all that MQTT 3.1.1 promises.
    """
    return "saynote-" + hashlib.sha256(will_topic.encode()).hexdigest()[:15]
