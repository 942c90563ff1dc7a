"""Owns one connection to a broker, from its making to its end, over a client of paho's that serves it alone.

A client that outlived its connection would send what was not acknowledged again before anything else, so one message
that a broker hangs up on would block all the others; and an error that paho does not expect would end its thread. A
fresh client holds nothing of the one before; whoever runs a link decides what comes after it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge.core.errors import RefusedError, TransientError, UnansweredError
from edge.drivers import mqtt_words as words
from edge.drivers.mqtt_client import IN_FLIGHT_MAX, QOS, Account, connect, drop, make_client, topic_matches
from edge.drivers.mqtt_gate import ANSWER_MAX_BYTES, Gate, TooLongError, UnaskedError

log = logging.getLogger(__name__)

KEEPALIVE_TIMEOUT, RETAIN_NOT_SUPPORTED = 0x8D, 0x9A
FAILURE = 0x80  # reason codes of MQTT 5 from here on are refusals
LOOP_S = 1.0  # between looks at what is overdue
LEAVING_S = 1.0  # for a goodbye
DEAF_S = 60.0  # without an acknowledgement the connection is of no use

Message = tuple[str, bytes, bool]


class GoneError(TransientError):
    """The connection has ended, and the message was not sent."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection ended."""

    why: str  # a sentence
    up: bool = False  # the broker had let us in
    lived_s: float = 0.0  # since then
    answered: bool = False  # it has taken or refused a message
    refused: bool = False  # it has refused one: some hang up after that
    keeps_nothing: bool = False  # it does not let us in with a will that is to be kept
    hung_up: bool = False  # it was the broker's doing, without a word
    taken_over: bool = False  # with the word that somebody of our name is there
    unasked: bool = False  # it sent what it must not send
    unanswered: Message | None = None  # what it had got and not acknowledged


class Link:
    """One connection. `run` makes it and serves it; another thread publishes."""

    def __init__(self, account: Account, patience_s: float) -> None:
        """`patience_s`: the longest wait for an answer while the connection is made."""
        self._account, self._config = account, account.config
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._answers: dict[int, str] = {}  # by message number; the text of a refusal, or empty
        self._sent: dict[Message, tuple[int, float]] = {}  # number, and when
        self._sending: Message | None = None  # handed to paho just now
        self._up_s: float | None = None
        self._answered = self._refused = False
        self._ending: Ending | None = None
        self._refusal = ""  # at the door
        self._keeps_nothing = False
        self._last_word: Any = None  # the reason that the broker gave for hanging up
        self._mute = False  # it did not answer our signs of life
        self._leaving_s: float | None = None
        self._left_because = "the connection is given back"
        self._limits: dict[str, int] = {}  # what the broker allows, by MQTT 5's names
        self._gate: Gate | None = None
        self._asked: dict[int | None, list[str]] = {}  # by message number: topics to listen to
        self._greet: Callable[[], None] = lambda: None
        self._client: Any = None  # while `run` runs

    def run(self, greet: Callable[[], None]) -> Ending:
        """Connect, call `greet` when that has worked, and serve the connection until it ends; it raises nothing."""
        self._greet = greet
        client: Any = None
        try:
            self._client = client = make_client(self._account, self._patience_s, self._guard)
            client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
            client.on_publish, client.on_message = self._on_publish, self._on_message
            client.on_subscribe = self._on_subscribe
            connect(client, self._account)
            ending = self._serve(client)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is this connection's and ends with it
            ending = self._ended(error)
        finally:
            self._client = None
            if client is not None:
                drop(client)
        with self._changed:
            self._ending = ending
            self._changed.notify_all()
        return ending

    @property
    def up(self) -> bool:
        """The broker has let us in, and the connection has not ended."""
        return self._up_s is not None and self._ending is None

    def publish(self, topic: str, payload: bytes, *, retain: bool, patience_s: float) -> None:
        """As `edge.ports.Broker` has it; on one connection the same message is never sent twice at a time."""
        if self._ending is not None:
            raise GoneError(f"broker {self._where} is not connected any more")
        message = (topic, payload, retain and self._limits.get("RetainAvailable", 1) != 0)
        number = self._sent[message][0] if message in self._sent else self._send(message)
        with self._changed:
            self._changed.wait_for(lambda: number in self._answers or self._ending is not None, patience_s)
            if number not in self._answers:
                raise self._no_answer(topic)
            refusal = self._answers.pop(number)
            del self._sent[message]
        if refusal:
            raise RefusedError(f"broker {self._where}: {refusal}")

    def subscribe(self) -> None:
        """Ask for all that the account listens to, once the broker has let us in; from any thread."""
        client, gate, topics = self._client, self._gate, list(self._account.heard)
        if client is None or gate is None or self._up_s is None or not topics:
            return
        gate.allow(ANSWER_MAX_BYTES)
        _, number = client.subscribe([(topic, QOS) for topic in topics])
        self._asked[number] = topics

    def _on_subscribe(self, _client: Any, _data: Any, number: int, reasons: Any, _properties: Any) -> None:
        for topic, reason in zip(self._asked.pop(number, ()), reasons, strict=False):
            if reason.is_failure:
                why = words.plain(str(reason).lower())
                log.warning("broker %s does not let this device hear %s: %s", self._where, words.plain(topic), why)

    def _on_message(self, client: Any, _data: Any, message: Any) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        for wanted, heard in self._account.heard.items():
            if topic_matches(wanted, topic):
                heard(topic, bytes(message.payload), bool(message.retain))

    def leave(self, why: str = "") -> None:
        """Say goodbye, so that the will is not sent, and end; from any thread."""
        self._left_because = why or self._left_because
        self._leaving_s = self._leaving_s or time.monotonic()
        client = self._client
        if client is not None:
            client.disconnect()

    @property
    def _where(self) -> str:
        return words.where(self._config)

    def _send(self, message: Message) -> int:
        topic, payload, retain = message
        most = self._limits.get("MaximumPacketSize", 0)
        if most and len(payload) + len(topic.encode()) + 16 > most:
            raise RefusedError(f"broker {self._where} takes {most} bytes at most, the message has {len(payload)}")
        if len(self._sent) >= min(IN_FLIGHT_MAX, self._limits.get("ReceiveMaximum", IN_FLIGHT_MAX)):
            raise TransientError(f"broker {self._where} leaves {len(self._sent)} messages unacknowledged")
        if "\0" in topic:
            raise ValueError(f"not a topic to publish on: {topic!r}")
        client, self._sending = self._client, message
        info = None if client is None else client.publish(topic, payload, qos=QOS, retain=retain)
        if info is None or info.rc:
            raise GoneError(f"broker {self._where} is not connected any more")
        with self._changed:
            self._sent[message] = (info.mid, time.monotonic())
            self._sending = None
        return int(info.mid)

    def _no_answer(self, topic: str) -> TransientError:
        if self._ending is None:
            return UnansweredError(f"broker {self._where} did not acknowledge a message on {topic}")
        if self._ending.taken_over:
            return TransientError(f"broker {self._where} is not connected: {self._ending.why}")
        return UnansweredError(f"broker {self._where} did not acknowledge a message on {topic}: {self._ending.why}")

    def _guard(self, gate: Gate) -> None:
        self._gate = gate

    def _serve(self, client: Any) -> Ending:
        answer_by_s = time.monotonic() + self._patience_s
        while client.loop(LOOP_S if self._up_s is not None else min(LOOP_S, self._patience_s / 4)) == 0:
            now_s = time.monotonic()
            if self._leaving_s is not None:
                if now_s > self._leaving_s + LEAVING_S:
                    break
            elif self._up_s is None and now_s > answer_by_s:
                self.leave(words.silent(self._config))
            elif self._is_deaf(now_s):
                self.leave(f"it has acknowledged nothing for {DEAF_S:.0f} s")
        return self._ended(None)

    def _is_deaf(self, now_s: float) -> bool:
        with self._changed:
            open_s = [sent_s for number, sent_s in self._sent.values() if number not in self._answers]
        return bool(open_s) and now_s > min(open_s) + DEAF_S

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._refusal = words.refused(reason.value, str(reason), self._config)
            self._keeps_nothing = reason.value == RETAIN_NOT_SUPPORTED
            return
        for name in ("MaximumQoS", "MaximumPacketSize", "ReceiveMaximum", "RetainAvailable"):
            value = getattr(properties, name, None)
            if isinstance(value, int):
                self._limits[name] = value
        if self._limits.get("MaximumQoS", QOS) < QOS:
            self._refusal = "it acknowledges no message (QoS 1), and saynote must know what has arrived"
            self.leave(self._refusal)
            return
        if self._limits.get("RetainAvailable") == 0:
            log.warning("broker %s keeps no message for those who come later", self._where)
        self._up_s = time.monotonic()
        self.subscribe()
        self._greet()

    def _on_publish(self, _client: Any, _data: Any, number: int, reason: Any, properties: Any) -> None:
        refusal = ""
        if reason.value >= FAILURE:
            more = getattr(properties, "ReasonString", "")
            refusal = words.plain(f"{str(reason).lower()}{f': {more}' if more else ''} (reason code {reason.value})")
        with self._changed:
            self._answers[number] = refusal
            self._answered, self._refused = True, self._refused or bool(refusal)
            self._changed.notify_all()

    def _on_disconnect(self, _client: Any, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
        if flags.is_disconnect_packet_from_server and reason.value:
            self._last_word = reason
        self._mute = not flags.is_disconnect_packet_from_server and reason.value == KEEPALIVE_TIMEOUT

    def _ended(self, error: Exception | None) -> Ending:
        """What is to be said of the end; `error` is one that paho let through."""
        error = (self._gate.error if self._gate is not None else None) or error
        up, word = self._up_s is not None, self._last_word
        with self._changed:
            open_ = [message for message, (number, _) in self._sent.items() if number not in self._answers]
        left = self._leaving_s is not None
        taken_over = word is not None and word.value == words.TAKEN_OVER
        return Ending(
            why=self._why(error),
            up=up,
            lived_s=0.0 if self._up_s is None else time.monotonic() - self._up_s,
            answered=self._answered,
            refused=self._refused,
            keeps_nothing=self._keeps_nothing,
            hung_up=up
            and not (left or word or self._mute or isinstance(error, TooLongError))
            and (error is None or isinstance(error, ConnectionError)),
            taken_over=taken_over,
            unasked=up and isinstance(error, UnaskedError),
            unanswered=open_[0] if open_ else self._sending,
        )

    def _why(self, error: Exception | None) -> str:
        if self._gate is not None and self._gate.wrong_version:
            return words.refused(words.UNSUPPORTED_VERSION, "", self._config)
        if self._refusal:
            return self._refusal
        if self._leaving_s is not None:
            return self._left_because
        if self._last_word is not None:
            if self._last_word.value == words.TAKEN_OVER:
                return words.taken_over(self._account.client_id, certain=True)
            return f"it ended the connection: {words.plain(str(self._last_word)).lower()}"
        if error is not None:
            return words.unreachable(error, self._config)
        if self._mute:
            return "it gives no sign of life any more"
        return "the connection ended" if self._up_s is not None else words.closed_at_once(self._config)
