"""From an event to a real broker through the real driver, with everything that can go wrong between them."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.core import wire
from edge.core.messages import Health
from tests.e2e.field import PATIENCE_S, TOPICS, Device, Reader, counts, start_broker
from tests.ports.standins import Mosquitto

pytestmark = pytest.mark.integration


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    if shutil.which("mosquitto") is None and not Path("/usr/sbin/mosquitto").exists():
        pytest.skip("install mosquitto to run this test")
    broker = start_broker(tmp_path)
    yield broker
    broker.stop()


@pytest.fixture
def reader(mosquitto: Mosquitto) -> Iterator[Reader]:
    found = Reader(mosquitto.port)
    yield found
    found.close()


def test_what_was_seen_without_a_broker_arrives_in_order_once_there_is_one(
    mosquitto: Mosquitto, reader: Reader, tmp_path: Path
) -> None:
    mosquitto.stop()
    device = Device(mosquitto.port, tmp_path)
    device.see(1, 200)
    device.wait_until_written(200)
    device.close()
    assert counts(tmp_path) == (200, 0)
    later = Device(mosquitto.port, tmp_path)
    later.see(201, 220)
    mosquitto.start()
    reader.wait_until(lambda: len(reader.payloads()) >= 220)
    later.close()
    assert reader.seqs() == list(range(1, 221))
    assert [type(report).__name__ for report in later.reports] in ([], ["Fault", "Recovered"])


def test_a_broker_that_restarts_in_the_middle_costs_nothing(
    mosquitto: Mosquitto, reader: Reader, tmp_path: Path
) -> None:
    device = Device(mosquitto.port, tmp_path)
    device.see(1, 50)
    reader.wait_until(lambda: len(reader.payloads()) >= 20)
    mosquitto.stop()
    device.see(51, 100)
    mosquitto.start()
    reader.wait_until(lambda: set(reader.seqs()) == set(range(1, 101)))
    device.close()
    firsts = list(dict.fromkeys(reader.seqs()))
    assert firsts == list(range(1, 101))
    assert counts(tmp_path)[1] == 0


KILLED_DEVICE = """
import sys, threading
from pathlib import Path
from tests.e2e.field import Device
device = Device(int(sys.argv[1]), Path(sys.argv[2]))
device.see(1, int(sys.argv[3]))
print("seen", flush=True)
threading.Event().wait()
"""


def run_and_kill(port: int, state: Path, seen: int, wait: Callable[[], None]) -> None:
    """A device in a process of its own, killed with signal 9 once `wait` returns."""
    command = [sys.executable, "-c", KILLED_DEVICE, str(port), str(state), str(seen)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"seen\n"
            wait()
        finally:
            process.kill()


def test_the_broker_says_offline_for_a_device_that_vanishes(
    mosquitto: Mosquitto, reader: Reader, tmp_path: Path
) -> None:
    run_and_kill(mosquitto.port, tmp_path, 1, lambda: reader.wait_until(lambda: len(reader.payloads()) == 1))
    reader.wait_until(lambda: reader.availability()[-1:] == [b"offline"])
    assert reader.availability()[0] == b"online"
    late = subprocess.run(
        ["mosquitto_sub", "-p", str(mosquitto.port), "-t", TOPICS.availability(), "-C", "1", "-F", "%r %p"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    assert late.stdout == "1 offline\n"


def test_a_device_that_is_killed_while_it_sends_loses_nothing_and_its_duplicates_can_be_told(
    mosquitto: Mosquitto, reader: Reader, tmp_path: Path
) -> None:
    run_and_kill(mosquitto.port, tmp_path, 200, lambda: reader.wait_until(lambda: len(reader.payloads()) >= 50))
    with contextlib.closing(sqlite3.connect(tmp_path / "outbox.db")) as db:
        [(last,)] = db.execute("SELECT value FROM counters WHERE name = 'seq'")
    second = Device(mosquitto.port, tmp_path)
    second.telemetry.offer(Health(1.0, 1, 1, 1, {}))
    reader.wait_until(lambda: any(isinstance(payload, wire.HealthPayload) for payload in reader.payloads()))
    second.close()
    found: dict[tuple[str, str, int], wire.AnyPayload] = {}
    for payload in reader.payloads():
        name = (payload.device, payload.run, payload.seq)
        assert found.setdefault(name, payload) == payload
    assert sorted({seq for _, _, seq in found}) == list(range(1, last + 2))


def test_health_is_kept_for_who_comes_late_and_amounts_are_not(
    mosquitto: Mosquitto, reader: Reader, tmp_path: Path
) -> None:
    device = Device(mosquitto.port, tmp_path)
    device.see(1, 3)
    device.telemetry.offer(Health(60.0, 900, 800, 3, {"classify": 20.0}, 51.0, False))
    reader.wait_until(lambda: len(reader.payloads()) == 4)
    device.close()
    reader.wait_until(lambda: reader.availability()[-1] == b"offline")
    late = subprocess.run(
        ["mosquitto_sub", "-p", str(mosquitto.port), "-t", "saynote/+/+", "-C", "2", "-F", "%t %p"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    kept = dict(line.split(" ", 1) for line in late.stdout.splitlines())
    assert set(kept) == {TOPICS.availability(), TOPICS.health()}
    assert json.loads(kept[TOPICS.health()])["announced"] == 3


def test_stopping_a_device_takes_less_than_a_second_with_or_without_a_broker(
    mosquitto: Mosquitto, reader: Reader, tmp_path: Path
) -> None:
    for there in (True, False):
        device = Device(mosquitto.port, tmp_path)
        if there:
            reader.wait_until(lambda: b"online" in reader.availability())
        device.see(1, 1)
        began_s = time.monotonic()
        device.telemetry.close()
        assert time.monotonic() - began_s < 1.0
        device.close()
        mosquitto.stop()
