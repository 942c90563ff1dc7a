"""Owns the opening of a broker that cannot be opened yet: a certificate or a package is missing. Knows no driver.

Telemetry is an extra: the device reads notes all the same, and messages wait in the outbox. It is tried again with each
message that is tried again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from edge.core.errors import EdgeError, TransientError
from edge.ports import Broker


class LateBroker:
    """The broker that `open_` gives, now or later; until then every message is one that did not get through."""

    def __init__(self, open_: Callable[[], Broker]) -> None:
        self._open = open_
        self._greet: Callable[[], None] | None = None
        self._heard: dict[str, Callable[[str, bytes, bool], None]] = {}
        self._broker: Broker | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._why = self._try()

    @property
    def on_connect(self) -> Callable[[], None] | None:
        """As `edge.ports.Broker` has it."""
        return self._greet

    @on_connect.setter
    def on_connect(self, callback: Callable[[], None] | None) -> None:
        with self._lock:
            self._greet = callback
            if self._broker is not None:
                self._broker.on_connect = callback

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """As `edge.ports.Broker` has it."""
        with self._lock:
            if self._broker is None and not self._closed:
                self._why = self._try()
            broker = self._broker
        if broker is None:
            raise TransientError(f"the broker cannot be used: {self._why}")
        broker.publish(topic, payload, retain=retain)

    def listen(self, topic: str, heard: Callable[[str, bytes, bool], None]) -> None:
        """As `edge.ports.Broker` has it."""
        with self._lock:
            self._heard[topic] = heard
            if self._broker is not None:
                self._broker.listen(topic, heard)

    def taken_over(self) -> int:
        """As `edge.ports.Broker` has it."""
        broker = self._broker
        return 0 if broker is None else broker.taken_over()

    def close(self) -> None:
        """Let go of what was opened; nothing is opened any more."""
        with self._lock:
            self._closed = True
        if self._broker is not None:
            self._broker.close()

    def _try(self) -> str:
        """Why it cannot be opened; "" once it was."""
        try:
            self._broker = self._open()
        except EdgeError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 -- whatever a library makes of it: notes are read without
            return f"{type(error).__name__}: {error}"
        self._broker.on_connect = self._greet
        for topic, heard in self._heard.items():
            self._broker.listen(topic, heard)
        return ""
