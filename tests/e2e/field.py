"""What tests of telemetry share: a broker that keeps what waits, a reader, a device, a line that fails between them."""

from __future__ import annotations

import contextlib
import itertools
import socket
import sqlite3
import subprocess
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.core import wire
from edge.core.messages import Decision, Fault, Recovered, Verdict
from edge.drivers.clock import SystemClock
from edge.drivers.mqtt import PahoBroker
from edge.outlets.outbox import Outbox
from edge.outlets.telemetry import Telemetry
from edge.ports import Clock
from edge.settings import MqttConfig
from tests.ports.standins import Mosquitto

TOPICS = wire.Topics("saynote", "pi-1")
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Account:
    """What became of every message that got a number."""

    numbered: int
    arrived: int  # different ones
    doubled: int  # arrivals of one that had arrived
    lost: int  # as the device counts
    two_payloads: int  # names that came with different bytes
    two_names: int  # sightings that came under different names
    kills: int
    restarts: int

    @property
    def uncounted(self) -> int:
        """Neither arrived nor counted as lost; one that had to go while it was under way may be both."""
        return max(0, self.numbered - self.arrived - self.lost)

    @property
    def clean(self) -> bool:
        """As it must be."""
        return self.uncounted == self.two_payloads == self.two_names == 0


class KeepingMosquitto(Mosquitto):
    """A broker that is stopped in peace, and so keeps on its disk what waits for the reader."""

    def stop(self) -> None:
        process, self._process = self._process, None
        while process is not None and process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):  # it can sleep through a signal
                process.wait(2)


class Subscriber:
    """Hears all devices; the broker keeps its session while either of them is away."""

    def __init__(
        self, port: int, name: str, account: tuple[str, str] | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        self._subscribed = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=name, clean_session=False, protocol=paho.MQTTv311
        )
        if account is not None:
            self._client.username_pw_set(*account)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe(wire.Topics.all_devices("saynote"), qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _client, _data, message: self._take(message)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(patience_s)

    def _take(self, message: Any) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Leave; the session stays."""
        self._client.disconnect()
        self._client.loop_stop()


class Reader(Subscriber):
    """A fleet's dashboard."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self._changed = threading.Condition()
        super().__init__(port, "dashboard")

    def _take(self, message: Any) -> None:
        with self._changed:
            self.messages.append((message.topic, message.payload, message.retain))
            self._changed.notify_all()

    def wait_until(self, true: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        with self._changed:
            assert self._changed.wait_for(true, patience_s), f"never came true after {len(self.messages)} messages"

    def payloads(self) -> list[wire.AnyPayload]:
        """All that went through the outbox."""
        found = [wire.decode(data) for topic, data, _ in self.messages if topic != TOPICS.availability()]
        return [payload for payload in found if payload.seq is not None]

    def seqs(self) -> list[int | None]:
        return [payload.seq for payload in self.payloads()]

    def availability(self) -> list[bytes]:
        return [data for topic, data, _ in self.messages if topic == TOPICS.availability()]


class WatchedOutbox(Outbox):
    """An Outbox whose writes can be waited for."""

    def __init__(self, path: Path, rows: int) -> None:
        super().__init__(path, rows)
        self.written = threading.Semaphore(0)

    def add(self, *args: Any, **options: Any) -> int:
        seq = super().add(*args, **options)
        self.written.release()
        return seq


def counts(state: Path) -> tuple[int, int]:
    """Waiting and lost, as they stand on the disk."""
    with contextlib.closing(Outbox(state / "outbox.db", 10_000)) as outbox:
        return outbox.waiting(), outbox.lost()


class Device:
    """Telemetry as `app` puts it together, on the disk and the network of this machine."""

    def __init__(
        self,
        port: int,
        state: Path,
        clock: Clock | None = None,
        *,
        rows: int = 10_000,
        password: str | None = None,
        **settings: Any,
    ) -> None:
        source = wire.Source("pi-1", uuid.uuid4().hex[:8], "0.1.0", "XTS", "play 1.0.0", "ab" * 32)
        config = MqttConfig(enabled=True, host="127.0.0.1", port=port, **settings)
        self.reports: list[Fault | Recovered] = []
        self.outbox = WatchedOutbox(state / "outbox.db", rows)
        self.broker = PahoBroker(config, password, TOPICS.availability(), wire.OFFLINE, patience_s=1.0)
        self.telemetry = Telemetry(
            self.outbox,
            self.broker,
            clock or SystemClock(),
            TOPICS,
            source,
            report=self.reports.append,
            delays=lambda: itertools.repeat(0.1),
        )
        self.broker.on_connect = self.telemetry.connected
        self.telemetry.start()

    def see(self, first: int, last: int) -> None:
        for presence in range(first, last + 1):
            assert self.telemetry.offer(Decision(Verdict.AMOUNT, presence, float(presence), presence, "500", 0.99, 6))

    def wait_until_written(self, count: int) -> None:
        assert all(self.outbox.written.acquire(timeout=PATIENCE_S) for _ in range(count))

    def close(self) -> None:
        self.telemetry.close()
        self.broker.close()
        self.outbox.close()


class Line:
    """The network between a device and its broker: may be cut, and may swallow everything without a word."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._flows = threading.Event()
        self._flows.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._run, daemon=True).start()

    def lead_to(self, port: int) -> None:
        """Bring the next connections to another broker."""
        self._target = port

    def cut(self) -> None:
        """End every connection."""
        ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def stall(self) -> None:
        """Pass nothing on, and leave the connections half open."""
        self._flows.clear()

    def flow(self) -> None:
        """Pass on again, what was held back first."""
        self._flows.set()

    def close(self) -> None:
        self._listener.close()
        self.flow()
        self.cut()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._target), 5)
                except OSError:
                    near.close()
                    continue
                self._ends += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                self._flows.wait()
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def start_broker(folder: Path, *, more: str = "", before: tuple[str, ...] = ()) -> KeepingMosquitto:
    """A mosquitto that keeps on its disk what waits for a reader."""
    kept = f"persistence true\npersistence_location {folder}/\nuser {Path(folder).owner()}\n"
    return KeepingMosquitto(folder, f"allow_anonymous true\n{kept}max_queued_messages 0\n{more}", before)


def account_of(outbox: Path, reader: Reader, kills: int = 0, restarts: int = 0) -> Account:
    """What the device's disk says it has numbered and lost, and what the reader has of it."""
    with contextlib.closing(sqlite3.connect(outbox)) as db:
        counters = dict(db.execute("SELECT name, value FROM counters"))
        assert db.execute("SELECT count(*) FROM messages").fetchall() == [(0,)], "something was not sent"
    reader.wait_until(lambda: any(payload.seq == counters["seq"] for payload in reader.payloads()))
    found: dict[tuple[str, int], bytes] = {}
    sightings: dict[tuple[str, str], set[int]] = {}
    doubled = two_payloads = 0
    for topic, data, _ in list(reader.messages):
        if topic.endswith("/availability"):
            continue
        payload = wire.decode(data)
        if payload.seq is None:
            continue  # past the outbox: only the latest matters
        name = (payload.run, payload.seq)
        doubled += name in found
        two_payloads += found.setdefault(name, data) != data
        if isinstance(payload, wire.DetectionPayload):
            sightings.setdefault((payload.run, str(payload.presence)), set()).add(payload.seq)
    numbers = {seq for _, seq in found}
    assert len(numbers) == len(found), "a number was given twice"
    return Account(
        numbered=counters["seq"],
        arrived=len(found),
        doubled=doubled,
        lost=counters.get("lost", 0),
        two_payloads=two_payloads,
        two_names=sum(len(seqs) > 1 for seqs in sightings.values()),
        kills=kills,
        restarts=restarts,
    )
