"""Owns a crowd of simulated devices: a thousand that speak to a broker as devices do, over a connection each.

They are there to look at the dashboard with many devices and to measure it; no daemon runs. Some fail, fall silent or
vanish, by a fixed seed. It writes MQTT itself, as little as publishing takes (3.1.1, QoS 0), with the standard library.
"""

from __future__ import annotations

import heapq
import json
import random
import socket
import struct
import threading
import time
from typing import Any

from edge.core import observe

REPORT_S = 60.0
DAYS = 30
DENOMINATIONS = ("5", "10", "20", "50", "100", "500")
FAULTS = (
    ("camera", "stopped", "no new picture for 3.0 s"),
    ("speaker", "missing", ""),
    ("computer", "too hot", "85 C"),
)
MS = dict(zip(observe.STAGES, (0.4, 1.12, 21.7, 0.08), strict=True))
STAGES = {stage: {"p50": ms, "p95": round(1.3 * ms, 2)} for stage, ms in MS.items()}
DAY_S = 86_400.0


class Publisher:
    """One connection that only publishes; the broker says `will` on `will_topic` when it breaks."""

    def __init__(self, port: int, client_id: str, will_topic: str, will: bytes) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        flags, keepalive_s = 0x02 | 0x04 | 0x20, 0  # clean, with a will, which is retained; never pinged
        head = _text(b"MQTT") + struct.pack("!BBH", 4, flags, keepalive_s)
        self._send(0x10, head + _text(client_id.encode()) + _text(will_topic.encode()) + _text(will))
        if self._socket.recv(4)[3:] != b"\0":
            raise ConnectionError("the broker did not take the connection of a simulated device")

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Send one message, at most once."""
        self._send(0x30 | retain, _text(topic.encode()) + payload)

    def vanish(self) -> None:
        """End without saying goodbye, as a device does whose plug is pulled."""
        self._socket.close()

    def _send(self, kind: int, body: bytes) -> None:
        self._socket.sendall(bytes([kind]) + _length(len(body)) + body)


def _text(data: bytes) -> bytes:
    return struct.pack("!H", len(data)) + data


def _length(count: int) -> bytes:
    digits = bytearray()
    while True:
        count, digit = divmod(count, 128)
        digits.append(digit | (0x80 if count else 0))
        if not count:
            return bytes(digits)


class SimulatedDevice:
    """What one device says, by its number; `t_s` counts from its start."""

    def __init__(self, number: int, prefix: str, began_wall_s: float) -> None:
        self.name = f"device-{number:04}"
        self.random = random.Random(number)
        self._topic = f"{prefix}/{self.name}/"
        self._began_wall_s = began_wall_s
        self._run = f"{self.random.getrandbits(32):08x}"
        self._seq = 0
        self._frames = self._announced = 0
        self._last: dict[str, Any] | None = None
        self._total, self._count = 0, 0
        self.fault: tuple[str, str, str] | None = None
        self._heat_c = self.random.uniform(45, 62)

    def topic(self, part: str) -> str:
        """Where it says something."""
        return self._topic + part

    def payload(self, kind: str, t_s: float, **fields: Any) -> bytes:
        """A message of that kind with the head that all have."""
        numbered = kind not in ("state", "summary")
        self._seq += numbered
        head = {
            "kind": kind,
            "version": 1,
            "device": self.name,
            "run": self._run,
            "seq": self._seq if numbered else None,
            "t_s": round(t_s, 3),
            "wall_s": round(self._began_wall_s + t_s, 3),
            "daemon": "0.1.0",
            "bundle": "inr 1.0.0",
            "digest": "5e" * 32,
        }
        return json.dumps(head | fields).encode()

    def health(self, t_s: float) -> bytes:
        """How it does."""
        self._frames = int(t_s * 15)
        self._heat_c += self.random.uniform(-0.6, 0.6) + (53 - self._heat_c) * 0.02
        speech = self.random.uniform(300, 420)
        return self.payload(
            "health",
            t_s,
            uptime_s=round(t_s, 1),
            frames=self._frames,
            inferences=self._frames // 2,
            announced=self._announced,
            ms=MS | {"invoke": round(self.random.uniform(20, 26), 2)},
            temperature_c=round(self._heat_c, 1),
            throttled=False,
            waiting=0,
            lost=0,
            memory_bytes=148_000_000 + self.random.randrange(4_000_000),
            disk_free_bytes=11_200_000_000,
            frames_per_s=round(self.random.uniform(14.6, 15), 1),
            stages=STAGES,
            speech_ms={"p50": round(speech, 1), "p95": round(speech * 1.6, 1)},
            dropped=0,
            taken_over=0,
        )

    def state(self, t_s: float) -> bytes:
        """What stands."""
        faults = []
        if self.fault is not None:
            part, reason, detail = self.fault
            faults = [{"part": part, "reason": reason, "detail": detail, "since_t_s": round(t_s, 1)}]
        return self.payload(
            "state",
            t_s,
            currency="INR",
            last=self._last,
            total=str(self._total),
            count=self._count,
            uptime_s=round(t_s, 1),
            started_wall_s=self._began_wall_s,
            faults=faults,
            share="amounts",
            bundles=[{"currency": "INR", "version": "1.0.0", "newest": None, "arrived": None}],
        )

    def detection(self, t_s: float) -> bytes:
        """An amount."""
        amount = self.random.choice(DENOMINATIONS)
        self._announced += 1
        self._total += int(amount)
        self._count += 1
        self._last = {"amount": amount, "t_s": round(t_s, 3), "wall_s": round(self._began_wall_s + t_s, 3)}
        return self.payload(
            "detection",
            t_s,
            frames=6,
            presence=self._announced,
            ms=MS,
            amount=amount,
            currency="INR",
            confidence=0.99,
            today=self._announced,
        )

    def summary(self, t_s: float) -> bytes:
        """The last thirty days."""
        today_s = self._began_wall_s + t_s
        return self.payload("summary", t_s, days=[self._day(today_s - ago * DAY_S) for ago in range(DAYS - 1, -1, -1)])

    def _day(self, wall_s: float) -> dict[str, Any]:
        rolled = self.random
        detections, speech = rolled.randrange(4, 40), rolled.uniform(300, 420)
        return {
            "day": time.strftime("%Y-%m-%d", time.gmtime(wall_s)),
            "uptime_s": round(rolled.uniform(9, 16) * 3600),
            "frames": 600_000,
            "detections": detections,
            "unsure": rolled.randrange(0, 6),
            "several": rolled.randrange(0, 2),
            "hints": rolled.randrange(2, 30),
            "faults": int(rolled.random() < 0.1),
            "lost": 0,
            "temperature_max_c": round(rolled.uniform(58, 71), 1),
            "amounts": {"100": detections},
            "stages": STAGES,
            "speech_ms": {"p50": round(speech, 1), "p95": round(speech * rolled.uniform(1.4, 2), 1)},
        }


class Crowd:
    """So many devices at a broker on this machine, `speed` times as fast as life; 1 in 100 has a fault of some kind."""

    def __init__(self, port: int, count: int, *, prefix: str = "saynote", speed: float = 1.0) -> None:
        self._port, self._speed = port, speed
        self._began_s, self.messages = time.monotonic(), 0
        began_wall_s = time.time()
        self.devices = [SimulatedDevice(number, prefix, began_wall_s) for number in range(1, count + 1)]
        self.lines: dict[str, Publisher] = {}
        self._due: list[tuple[float, int]] = []
        for number, device in enumerate(self.devices):
            self.lines[device.name] = self._connect(device)
            self._begin(number, device)

    def now_s(self) -> float:
        """Simulated seconds since the crowd came together."""
        return (time.monotonic() - self._began_s) * self._speed

    def run(self, stop: threading.Event, until_s: float = float("inf")) -> None:
        """Let them speak until `stop`, or for so many simulated seconds."""
        while not stop.is_set() and self.now_s() < until_s:
            due_s, number = self._due[0] if self._due else (until_s, -1)
            wait_s = (min(due_s, until_s) - self.now_s()) / self._speed
            if wait_s > 0:
                stop.wait(min(wait_s, 1.0))
                continue
            heapq.heapreplace(self._due, (due_s + REPORT_S, number))
            self._report(self.devices[number])

    def close(self) -> None:
        """All vanish."""
        for line in self.lines.values():
            line.vanish()
        self.lines.clear()

    def say(self, device: SimulatedDevice, part: str, payload: bytes) -> None:
        """Publish for a device; health, state, summary and availability are retained."""
        self.lines[device.name].publish(device.topic(part), payload, retain=part not in ("event", "detection"))
        self.messages += 1

    def _connect(self, device: SimulatedDevice) -> Publisher:
        return Publisher(self._port, f"crowd-{device.name}", device.topic("availability"), b"offline")

    def _begin(self, number: int, device: SimulatedDevice) -> None:
        chance = device.random.random()
        if chance < 0.006:
            device.fault = device.random.choice(FAULTS)
        now_s = self.now_s()
        self.say(device, "availability", b"online")
        self.say(device, "health", device.health(now_s))
        self.say(device, "state", device.state(now_s))
        self.say(device, "summary", device.summary(now_s))
        if 0.006 <= chance < 0.010:
            self.lines.pop(device.name).vanish()
        elif chance >= 0.011:  # the one in a thousand between them stays connected and falls silent
            heapq.heappush(self._due, (now_s + device.random.uniform(0, REPORT_S), number))

    def _report(self, device: SimulatedDevice) -> None:
        now_s = self.now_s()
        self.say(device, "health", device.health(now_s))
        if device.random.random() < 0.2:
            self.say(device, "detection", device.detection(now_s))
            self.say(device, "state", device.state(now_s))
