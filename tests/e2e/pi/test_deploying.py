"""What a maker and a technician do, from the workstation over real ssh, and what the device then does."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.pi.checkout import Checkout
from tests.e2e.pi.conftest import Report, another
from tests.e2e.pi.device import ON_PLAY_MONEY, OPTIONS, QUIET, Broker, Device
from tests.e2e.pi.machine import Machine, machines
from training.playmoney.recording import SHOWN

AMOUNTS = [str(amount) for amount, _ in SHOWN]
# How many messages wait on the disk of the device.
WAITING = """/opt/saynote/current/venv/bin/python - <<'PYTHON'
import sqlite3
database = sqlite3.connect("file:/var/lib/saynote/outbox.sqlite3?mode=ro", uri=True)
print(database.execute("select count(*) from messages").fetchone()[0])
PYTHON"""
EVERYTHING = (
    "find /opt/saynote /etc/saynote /etc/systemd/system /etc/passwd /etc/group "
    "! -type d ! -name .lock ! -path '*/__pycache__/*' -printf '%p %l %T@ %s %m %u\\n' | sort"
)


def test_a_first_deployment_ends_with_a_device_that_has_said_ready(
    first_time: tuple[Path, Path, str, float], device: Device, report: Report
) -> None:
    _, wheels, said, took_s = first_time
    assert "target debian: board, camera and picamera2 are left out" in said
    assert "deploy: 1 of 1 devices are well" in said
    assert list(wheels.glob("numpy-*.whl"))
    device.machine.until(lambda: device.says("ready"), 60, "it says ready")
    assert not device.says("goodbye")
    report(f"first `make deploy`, wheels fetched and sent: {took_s:.0f} s")


def test_from_power_to_ready(device: Device, report: Report) -> None:
    device.machine.switch_off()
    device.machine.boot()
    device.wait_until_ready()
    ready_s = int(device.machine.asked("ActiveEnterTimestampMonotonic")["ActiveEnterTimestampMonotonic"]) / 1e6
    report(f"from power to ready: {ready_s - device.machine.began_s:.1f} s (no firmware, no kernel to start)")
    assert ready_s > device.machine.began_s


def test_what_it_reads_of_play_money_arrives_at_a_broker(device: Device, mosquitto: Broker) -> None:
    device.settle(QUIET, ON_PLAY_MONEY, mosquitto.settings)
    device.restart()
    mosquitto.reader.wait_until(lambda: len(mosquitto.detections()) >= len(AMOUNTS), 180)
    assert [amount for _, amount in mosquitto.detections()][: len(AMOUNTS)] == AMOUNTS
    assert device.says("demonstration")
    device.machine.until(lambda: device.status().endswith("pictures/s"), 60, "it tells systemd what it sees")
    assert not device.status().startswith("0.0 ")


def test_a_broker_that_was_gone_gets_what_was_seen_meanwhile(device: Device, mosquitto: Broker) -> None:
    device.settle(QUIET, ON_PLAY_MONEY, mosquitto.settings)
    device.restart()
    mosquitto.reader.wait_until(lambda: len(mosquitto.detections()) >= 1, 180)
    mosquitto.stop()
    device.machine.until(lambda: int(device.machine.says(WAITING)) >= 3, 120, "messages wait on the disk")
    before = len(mosquitto.detections())
    mosquitto.start()
    mosquitto.reader.wait_until(lambda: len(mosquitto.detections()) >= before + 2, 180)
    seen = sorted(set(mosquitto.detections()))  # what was on its way when the broker went may come again
    assert len({seq for seq, _ in seen}) == len(seen), "one number means two sightings"
    amounts = [amount for _, amount in seen]
    expected = (AMOUNTS * (len(amounts) // len(AMOUNTS) + 1))[: len(amounts)]
    assert amounts == expected, "one was lost"


def test_a_second_deployment_changes_nothing_and_interrupts_nobody(
    device: Device, checkout: Callable[[], Checkout]
) -> None:
    before, pid = device.machine.says(EVERYTHING), device.pid()
    code, said = device.deploy(checkout())
    assert code == 0, said
    assert "it is running already" in said
    assert device.machine.says(EVERYTHING) == before
    assert device.pid() == pid


def test_a_check_says_what_a_deployment_would_do_and_does_nothing(device: Device, newer: Checkout) -> None:
    before, pid = device.machine.says(EVERYTHING), device.pid()
    code, said = device.order("check", newer, *OPTIONS)
    assert code == 0, said
    assert f"would go from {device.machine.release} to " in said
    assert device.machine.says(EVERYTHING) == before
    assert device.pid() == pid


def test_an_update_runs_and_the_way_back_is_one_command(device: Device, newer: Checkout) -> None:
    old = device.machine.release
    code, said = device.deploy(newer)
    assert code == 0, said
    new = device.machine.release
    assert new != old
    assert device.is_ready()
    assert "trial" in device.machine.says("ls /opt/saynote/generation/")
    code, said = device.order("rollback", newer)
    assert code == 0, said
    assert device.machine.release == old
    assert device.is_ready()


def test_the_doctor_of_a_device_answers_in_one_line(device: Device, checkout: Callable[[], Checkout]) -> None:
    made = checkout()
    code, said = device.order("doctor", made)
    assert code == 0, said
    assert re.search(r"done saynote \d+\.\d+\.\d+; sound warning: speech goes into the file", said), said
    device.settle("[voice]\nvolume = 1000\n")
    code, said = device.order("doctor", made)
    assert code == 1, said
    assert re.search(r"failed: saynote .*configuration fault: .*voice\.volume", said), said


def test_undeploy_leaves_the_owner_s_things_and_with_purge_nothing(
    device: Device, checkout: Callable[[], Checkout]
) -> None:
    traces = (
        "find / -xdev -iname '*saynote*' -not -path '/proc/*' -not -path '/sys/*' -not -path '/var/log/*' "
        "-not -path '/tmp/systemd-private-*' -not -path '/var/tmp/systemd-private-*'; getent passwd saynote; "
        "getent group saynote; systemctl list-units --all --no-legend 'saynote*'"
    )
    made = checkout()
    code, said = device.order("undeploy", made)
    assert code == 0, said
    assert device.machine.says("ls /opt; ls /etc/saynote; ls -d /var/lib/saynote") == "edge.toml\n/var/lib/saynote"
    assert device.machine.says("systemctl is-active saynote || true") == "inactive"
    code, said = device.order("undeploy", made, "--purge")
    assert code == 0, said
    assert device.machine.says(traces + "; true") == ""


@pytest.fixture
def two(first_time: tuple[Path, Path, str, float], box: Path) -> Iterator[list[Machine]]:
    with machines(box / "two", first_time[0], ["pi-one", "pi-two"]) as both:
        yield both


def test_of_two_devices_at_once_one_fails_and_the_other_is_well(
    two: list[Machine], first_time: tuple[Path, Path, str, float], newer: Checkout
) -> None:
    well, broken = (Device(machine, first_time[1]) for machine in two)
    old = broken.machine.release
    broken.machine.sh("echo 'this is no TOML' >/etc/saynote/edge.toml")
    words = (*OPTIONS, "--wheels", str(first_time[1]), "--", "--no-apt")
    code, said = newer.send("pi-one,pi-two", well.ssh_config, *words)
    assert code != 0
    assert "deploy: 1 of 2 devices are well; failed: pi-two" in said, said
    assert "the new release does not understand /etc/saynote/edge.toml" in said
    assert well.machine.release != old
    assert well.is_ready()
    assert broken.machine.release == old
    assert broken.is_ready()


def test_two_deployments_to_one_device_wait_for_each_other(
    device: Device, checkout: Callable[[], Checkout], box: Path
) -> None:
    ends: list[tuple[int, str]] = []
    calls = [
        threading.Thread(target=lambda made=made: ends.append(device.deploy(made)))
        for made in (another(checkout()), checkout())
    ]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert [code for code, _ in ends] == [0, 0], ends
    assert device.is_ready()
