"""Owns the arithmetic of docs/scale.md: messages, bytes and connections of a fleet, from payloads as devices send them.

    python -m deploy.scale            print the tables
    python -m deploy.scale --write    put them into the page

It knows the sizes of packets and how often a device speaks; what breaks where is the page's own to say.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.crowd import MS, SimulatedDevice
from edge.core import wire
from edge.settings import HealthConfig

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scale.md"
FLEETS = (1, 1_000, 1_000_000)
HOUR_S, DAY_S = 3600.0, 86_400.0
INTERVAL_S = HealthConfig().interval_s
KEEPALIVE_S = 30.0
# A device that is always on, in the hands of somebody who pays often.
AMOUNTS_A_DAY, UNSURE_A_DAY, HINTS_A_DAY, FAULTS_A_DAY = 40, 10, 60, 1
KINDS = ("health", "state", "summary", "fault", "unsure", "hint", "detection")
SHARES: dict[str, tuple[str, ...]] = {
    share: tuple(kind for kind in KINDS if wire.tells(share, wire.LEVEL_OF[kind])) for share in wire.LEVELS
}
ACKNOWLEDGED_BYTES, PING_BYTES = 4, 2  # PUBACK; PINGREQ or PINGRESP
IP_BYTES, RECORD_BYTES = 40, 22  # headers of TCP and IP; what TLS 1.3 adds to a record
BEGAN_WALL_S = 1_790_000_000.0
MARK = re.compile(r"(<!-- computed: (\w+) -->\n).*?(<!-- end -->)", re.S)


@dataclass(frozen=True)
class Kind:
    """One kind of message."""

    name: str
    topic: str
    payload_bytes: int
    a_day: float

    @property
    def packet_bytes(self) -> int:
        """The PUBLISH with its header, topic and number."""
        body = 2 + len(self.topic) + 2 + self.payload_bytes
        return 1 + (1 if body < 128 else 2 if body < 16_384 else 3) + body

    @property
    def line_bytes(self) -> int:
        """All that passes the line for one: message and acknowledgement, over TLS, and the acknowledgement of TCP."""
        return self.packet_bytes + ACKNOWLEDGED_BYTES + 2 * RECORD_BYTES + 3 * IP_BYTES


def kinds(interval_s: float = INTERVAL_S) -> dict[str, Kind]:
    """What a device of many says, by the kind of message."""
    device = SimulatedDevice(1, "saynote", BEGAN_WALL_S)
    reports = DAY_S / interval_s
    fault = {"part": "camera", "reason": "stopped", "detail": "no new picture for 3.0 s"}
    unsure = {"frames": 14, "presence": 4, "ms": MS}
    said = {
        "health": ("health", device.health(DAY_S), reports),
        "state": ("state", device.state(DAY_S), reports + AMOUNTS_A_DAY + 2 * FAULTS_A_DAY),
        "summary": ("summary", device.summary(DAY_S), DAY_S / HOUR_S),
        "fault": ("event", device.payload("fault", DAY_S, **fault), 2 * FAULTS_A_DAY),  # and its end
        "unsure": ("event", device.payload("unsure", DAY_S, reason="unsure", **unsure), UNSURE_A_DAY),
        "hint": ("event", device.payload("hint", DAY_S, hint="closer"), HINTS_A_DAY),
        "detection": ("detection", device.detection(DAY_S), AMOUNTS_A_DAY),
    }
    return {
        name: Kind(name, device.topic(topic), len(as_sent(payload)), a_day)
        for name, (topic, payload, a_day) in said.items()
    }


def as_sent(payload: bytes) -> bytes:
    """The same message as the daemon writes it; ValueError where a device could not say it."""
    return wire.encode(wire.decode(payload))


def messages_a_day(share: str, interval_s: float = INTERVAL_S) -> float:
    """Of one device at that level."""
    return sum(kinds(interval_s)[name].a_day for name in SHARES[share])


def line_bytes_a_day(share: str, interval_s: float = INTERVAL_S) -> float:
    """Of one device, signs of life included."""
    said = kinds(interval_s)
    pings = DAY_S / KEEPALIVE_S * 2 * (PING_BYTES + RECORD_BYTES + IP_BYTES)
    return pings + sum(said[name].line_bytes * said[name].a_day for name in SHARES[share])


def payload_bytes_a_day(share: str, interval_s: float = INTERVAL_S) -> float:
    """What a database that keeps everything takes in of one device."""
    said = kinds(interval_s)
    return sum(said[name].payload_bytes * said[name].a_day for name in SHARES[share])


def number(value: float) -> str:
    """With its thousands apart, and no more digits than mean something."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def size(value: float) -> str:
    """Bytes, for people."""
    for unit in ("bytes", "KB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{number(value)} {unit}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """As Markdown."""
    lines = [list(head), ["---"] * len(head), *map(list, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("| --- ", "|---").replace("|--- |", "|---|")


def sizes() -> str:
    """Every kind of message: its size and how often it comes."""
    rows = [
        (
            f"`{kind.name}`",
            number(kind.payload_bytes),
            number(kind.packet_bytes),
            number(kind.line_bytes),
            number(kind.a_day),
        )
        for kind in kinds().values()
    ]
    return table(("kind", "payload, bytes", "packet, bytes", "on the line, bytes", "a day"), rows)


def fleets() -> str:
    """Each level for each number of devices."""
    rows = []
    for devices in FLEETS:
        for share in SHARES:
            messages = devices * messages_a_day(share)
            bits_s = devices * line_bytes_a_day(share) * 8 / DAY_S
            kept = devices * payload_bytes_a_day(share)
            line = f"{number(bits_s / 1e6)} Mbit/s"
            counted = map(number, (messages, messages / DAY_S))
            rows.append((number(devices), f"`{share}`", *counted, line, size(kept), number(devices)))
    head = ("devices", "`mqtt.share`", "messages a day", "a second", "on the line", "payload kept a day", "connections")
    return table(head, rows)


def relief() -> str:
    """What reporting less often saves one device in a month."""
    rows = [
        (
            f"{interval_s:.0f}",
            number(messages_a_day("amounts", interval_s)),
            size(30 * line_bytes_a_day("amounts", interval_s)),
        )
        for interval_s in (10.0, INTERVAL_S, 600.0, 3600.0)
    ]
    return table(("`health.interval_s`", "messages a day", "on the line in a month"), rows)


def newcomer() -> str:
    """What the broker has kept for a reader who has just come."""
    said = kinds()
    kept = [said[name].packet_bytes for name in ("health", "state", "summary")]
    online = len(f"saynote/device-0001/availability{wire.ONLINE.decode()}") + 4
    rows = [(number(n), number(n * (len(kept) + 1)), size(n * (sum(kept) + online))) for n in FLEETS]
    return table(("devices", "messages at once to who subscribes to all", "bytes"), rows)


TABLES = {"sizes": sizes, "fleets": fleets, "relief": relief, "newcomer": newcomer}


def written(page: str) -> str:
    """The page with its tables computed anew."""
    return MARK.sub(lambda found: found[1] + TABLES[found[2]]() + found[3], page)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables, or write them; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.scale", description="What a fleet sends, by arithmetic.")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scale.md")
    if parser.parse_args(arguments).write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write("\n".join(f"{name}\n{make()}" for name, make in TABLES.items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
