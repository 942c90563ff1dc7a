"""From an event to a real broker through the real driver, with everything that can go wrong between them."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.core import wire
from edge.core.messages import Fault, Health, Recovered
from tests.e2e import soak, troubles
from tests.e2e.field import PATIENCE_S, TOPICS, Device, Line, Reader, counts, start_broker
from tests.ports.standins import Mosquitto, StubBroker, require_mosquitto

pytestmark = pytest.mark.integration


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    require_mosquitto()
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
        ["mosquitto_sub", "-p", str(mosquitto.port), "-t", "saynote/+/+", "-C", "4", "-F", "%t %p"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    kept = dict(line.split(" ", 1) for line in late.stdout.splitlines())
    assert set(kept) == {TOPICS.availability(), TOPICS.health(), TOPICS.state(), TOPICS.summary()}
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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with soak.small_disk(tmp_path / "disk") as disk:
        if disk is None:
            pytest.skip("only root may mount a small disk to fill")
        yield disk


def fill(disk: Path) -> None:
    with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.mark.parametrize("when", ["while running", "at the start"])
def test_on_a_full_disk_what_is_stored_is_sent_at_full_speed_and_once(
    mosquitto: Mosquitto, reader: Reader, small_disk: Path, when: str
) -> None:
    mosquitto.stop()
    device = Device(mosquitto.port, small_disk)
    for first in (1, 151):
        device.see(first, first + 149)
        device.wait_until_written(150)
    if when == "at the start":
        device.close()
    fill(small_disk)
    if when == "at the start":
        device = Device(mosquitto.port, small_disk)
    device.broker._patience_s = 30.0
    mosquitto.start()
    reader.wait_until(lambda: len(reader.payloads()) >= 300)
    device.see(301, 301)
    (small_disk / "filler").unlink()
    reader.wait_until(lambda: len(reader.payloads()) >= 301)
    device.close()
    assert reader.seqs() == list(range(1, 302))
    assert counts(small_disk) == (0, 0)


def test_a_day_without_a_broker_and_without_room_costs_health_only_and_every_loss_is_counted(tmp_path: Path) -> None:
    """`make soak` does it with a week."""
    account, amounts = soak.outage(tmp_path, days=1, rows=1000)
    assert account.clean, account
    assert (account.arrived, account.lost) == (1000, 24 * 60 + 144 - 1000)
    assert amounts == 144


def test_a_message_that_the_broker_finds_too_large_is_given_up_and_the_others_arrive(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker = start_broker(tmp_path, more="message_size_limit 450\n")
    reader = Reader(broker.port)
    device = Device(broker.port, tmp_path, protocol="5")  # under 3.1.1 this broker acknowledges it and throws it away
    try:
        device.see(1, 3)
        device.telemetry.offer(Fault("camera", "stopped", "x" * 200))
        device.telemetry.offer(Recovered("camera"))
        device.see(4, 6)
        reader.wait_until(lambda: len(reader.payloads()) >= 7)
        deadline_s = time.monotonic() + PATIENCE_S
        while device.outbox.lost() == 0 and time.monotonic() < deadline_s:
            time.sleep(0.05)
    finally:
        device.close()
        reader.close()
        broker.stop()
    assert set(reader.seqs()) == {1, 2, 3, 5, 6, 7, 8}
    assert counts(tmp_path) == (0, 1)
    assert "message 4 on saynote/pi-1/event is refused and given up" in caplog.text


def test_under_mqtt_5_a_broker_that_refuses_every_message_costs_none_that_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "acl").write_text("topic read #\n")
    (tmp_path / "acl").chmod(0o700)
    broker = start_broker(tmp_path, more=f"acl_file {tmp_path}/acl\n")
    device = Device(broker.port, tmp_path, protocol="5")
    try:
        device.see(1, 5)
        device.telemetry.offer(Health(60.0, 900, 800, 3, {}))
        deadline_s = time.monotonic() + PATIENCE_S
        while device.outbox.lost() < 6 and time.monotonic() < deadline_s:
            time.sleep(0.05)
    finally:
        device.close()
        broker.stop()
    assert counts(tmp_path) == (0, 6)


@pytest.mark.parametrize("how", ["closes after CONNECT", "acknowledges nothing", "wrong password"])
def test_a_broker_that_takes_nothing_costs_nothing(tmp_path: Path, how: str) -> None:
    stub = StubBroker()
    stub.connack = {"closes after CONNECT": None, "wrong password": b"\x20\x02\x00\x04"}.get(how, stub.connack)
    device = Device(stub.port, tmp_path)
    device.see(1, 20)
    device.wait_until_written(20)
    stub.wait_until(lambda: bool(device.reports))
    device.close()
    assert counts(tmp_path) == (20, 0)
    assert [report for report in device.reports if isinstance(report, Recovered)] == []
    stub.connack, stub.acknowledge = b"\x20\x02\x00\x00", True
    stub.received.clear()
    later = Device(stub.port, tmp_path)
    stub.wait_until(lambda: stub.topics().count(TOPICS.detection()) >= 20, PATIENCE_S)
    later.close()
    stub.close()
    assert counts(tmp_path) == (0, 0)


def test_a_line_that_swallows_everything_for_a_while_costs_nothing(
    mosquitto: Mosquitto, reader: Reader, tmp_path: Path
) -> None:
    line = Line(mosquitto.port)
    device = Device(line.port, tmp_path)
    device.see(1, 10)
    reader.wait_until(lambda: len(reader.payloads()) >= 10)
    for round_ in (1, 2, 3):
        line.stall()
        device.see(10 * round_ + 1, 10 * round_ + 10)
        if round_ == 3:
            line.cut()
        assert device.broker._thread.is_alive()
        line.flow()
        reader.wait_until(lambda round_=round_: set(reader.seqs()) >= set(range(1, 10 * round_ + 11)))  # type: ignore[misc]
    device.close()
    line.close()
    assert list(dict.fromkeys(reader.seqs())) == list(range(1, 41))
    assert counts(tmp_path) == (0, 0)


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_two_devices_of_one_name_give_way_to_each_other_and_lose_nothing(
    mosquitto: Mosquitto, reader: Reader, tmp_path: Path, protocol: str, caplog: pytest.LogCaptureFixture
) -> None:
    devices = [Device(mosquitto.port, tmp_path / name, protocol=protocol) for name in ("one", "two")]
    first, second = devices
    deadline_s = time.monotonic() + PATIENCE_S
    while not (first.broker.taken_over() or second.broker.taken_over()) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    for device in devices:
        device.see(1, 10)
        device.telemetry.offer(Health(60.0, 900, 800, 3, {}))
    reader.wait_until(lambda: len({(payload.run, payload.seq) for payload in reader.payloads()}) >= 22)
    for device in devices:
        device.close()
    assert "another device uses the same name at the broker" in caplog.text
    health = [payload for payload in reader.payloads() if isinstance(payload, wire.HealthPayload)]
    assert sum(payload.taken_over for payload in health) > 0
    assert [counts(tmp_path / name) for name in ("one", "two")] == [(0, 0), (0, 0)]


def test_a_broker_that_restarts_again_and_again_costs_nothing(
    mosquitto: Mosquitto, reader: Reader, tmp_path: Path
) -> None:
    device = Device(mosquitto.port, tmp_path)
    for restart in range(10):
        device.see(10 * restart + 1, 10 * restart + 10)
        mosquitto.stop()
        mosquitto.start()
    reader.wait_until(lambda: set(reader.seqs()) >= set(range(1, 101)), 180.0)
    device.close()
    assert list(dict.fromkeys(reader.seqs())) == list(range(1, 101))
    assert counts(tmp_path) == (0, 0)


def test_a_small_soak_of_kills_restarts_cuts_jumps_and_full_disks_leaves_nothing_uncounted(tmp_path: Path) -> None:
    require_mosquitto()
    account = soak.soak(tmp_path, kills=6, restarts=3)
    assert account.clean, account
    assert account.numbered > 20


@pytest.mark.parametrize("name", list(troubles.TROUBLES))
def test_no_trouble_with_a_broker_costs_a_message_that_is_not_counted(tmp_path: Path, name: str) -> None:
    require_mosquitto()
    account = troubles.suffer(name, tmp_path)
    assert account.clean, account
    assert account.numbered == troubles.EVENTS + troubles.LATER
    assert account.lost == 0 or "refuses" in name
