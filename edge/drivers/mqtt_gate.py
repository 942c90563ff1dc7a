"""Owns what a broker may send us, looked at before any of it is kept; knows no topic and no payload.

Of each packet only the first bytes are read here: its kind and its length. A packet that nobody asked for, or that is
longer than it may be, ends the connection before the first byte of its body is taken.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 1, 2, 3, 4, 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
ANSWERS = {CONNACK: CONNECT, PUBACK: PUBLISH, SUBACK: SUBSCRIBE, UNSUBACK: UNSUBSCRIBE, PINGRESP: PINGREQ}
NAMES = ("0", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK",
         "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH")  # fmt: skip
ANSWER_MAX_BYTES = 16_384  # of an answer, with all the properties of MQTT 5
WRONG_VERSION = (b"\x01", b"\x84")  # of MQTT 3.1.1, and of 5


class UnaskedError(ConnectionAbortedError):
    """The broker sent what it must not send; the sentence says what."""


class TooLongError(ConnectionAbortedError):
    """A message that was asked for is longer than any that is read; nothing of it was taken."""


class Framer:
    """Finds the packets in a stream of bytes, and keeps none of them."""

    def __init__(self, packet: Callable[[int, int], None]) -> None:
        """`packet` is called with the first byte and the length of the body, before the body."""
        self._packet = packet
        self._first: int | None = None
        self._length = self._shift = 0
        self._body = 0  # bytes of it to come

    def feed(self, data: bytes) -> None:
        """The next bytes of the stream. Raises UnaskedError for a length that is none, and what `packet` raises."""
        at = 0
        while at < len(data):
            if self._body:
                step = min(self._body, len(data) - at)
                self._body -= step
                at += step
                continue
            self._head(data[at])
            at += 1

    def _head(self, byte: int) -> None:
        if self._first is None:
            self._first, self._length, self._shift = byte, 0, 0
            return
        self._length |= (byte & 127) << self._shift
        self._shift += 7
        if byte & 128:
            if self._shift > 21:
                raise UnaskedError("it does not speak MQTT")
            return
        first, self._first = self._first, None
        self._packet(first, self._length)
        self._body = self._length


class Gate:
    """A socket that lets through what a broker may send: answers, and messages up to `publish_max_bytes`."""

    def __init__(self, sock: Any, publish_max_bytes: int = 0) -> None:
        """`publish_max_bytes`: 0 while nothing is subscribed to, since any message is uncalled for then."""
        self.error: OSError | None = None  # what ended the connection, or nothing but its end
        self._sock = sock
        self._publish_max_bytes = publish_max_bytes
        self._owed = dict.fromkeys(ANSWERS, 0)  # answers by kind
        self._first = b""  # the first four bytes that came
        self._inbound, self._outbound = Framer(self._came), Framer(self._went)

    def __getattr__(self, name: str) -> Any:
        """All that is not looked at, `pending` of a TLS socket among it, is the socket's own."""
        return getattr(self._sock, name)

    @property
    def wrong_version(self) -> bool:
        """The broker has refused our version of MQTT, in the words of any; paho would try an older one by itself."""
        return self._first[:1] == b"\x20" and self._first[3:] in WRONG_VERSION

    def allow(self, publish_max_bytes: int) -> None:
        """Let messages up to that length through from now on: something is subscribed to."""
        self._publish_max_bytes = publish_max_bytes

    def fileno(self) -> int:
        """The socket's."""
        return int(self._sock.fileno())

    def recv(self, size: int) -> bytes:
        """As the socket's. Raises UnaskedError for what must not come."""
        try:
            data: bytes = self._sock.recv(size)
            if not self._first:
                self._recognise(data)
            self._first += data[: 4 - len(self._first)]
            self._inbound.feed(data)
        except BlockingIOError:
            raise
        except OSError as error:
            if not isinstance(error, ssl.SSLWantReadError | ssl.SSLWantWriteError):
                self.error = error
            raise
        return data

    def send(self, data: bytes) -> int:
        """As the socket's."""
        count = int(self._sock.send(data))
        self._outbound.feed(data[:count])
        return count

    def _recognise(self, data: bytes) -> None:
        """The very first byte tells what is at the other end."""
        if not data or data[0] == CONNACK << 4:
            return
        if data[0] in (0x15, 0x16):
            raise UnaskedError("it answers in TLS: set mqtt.tls = true, or mqtt.port to its port without TLS")
        if data[:1] == b"H":
            raise UnaskedError("it is a web server, no MQTT broker: check mqtt.host and mqtt.port")
        raise UnaskedError("it does not speak MQTT: check mqtt.host and mqtt.port")

    def _came(self, first: int, length: int) -> None:
        kind = first >> 4
        most = ANSWER_MAX_BYTES
        if kind == PUBLISH and self._publish_max_bytes and first & 0b0100 == 0:  # QoS 2 is never subscribed to
            most = self._publish_max_bytes
        elif kind in ANSWERS and self._owed[kind] > 0:
            self._owed[kind] -= 1
        elif kind != DISCONNECT:
            raise UnaskedError(f"it sends what was never asked for ({NAMES[kind]}, {length} bytes)")
        if length > most and kind == PUBLISH:
            raise TooLongError(f"it sends a message of {length} bytes, and {most} are read")
        if length > most:
            raise UnaskedError(f"it sends {length} bytes in one packet ({NAMES[kind]}), and {most} are allowed")

    def _went(self, first: int, _length: int) -> None:
        for answer, question in ANSWERS.items():
            if first >> 4 == question:
                self._owed[answer] += 1
