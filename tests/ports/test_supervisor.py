from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.drivers.fake import FakeSupervisor
from edge.drivers.systemd import SystemdSupervisor, clock_synchronised, service_runs, watchdog_s
from edge.ports import Supervisor


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """systemd's end of the socket, and how systemd writes its name."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@saynote-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + name[1:] if name.startswith("@") else name)
        listener.settimeout(5.0)
        yield listener, name


@pytest.mark.parametrize(
    "supervisor", [FakeSupervisor(), SystemdSupervisor({}), SystemdSupervisor({"NOTIFY_SOCKET": "/nowhere/notify"})]
)
def test_whoever_listens_or_not_telling_is_no_error(supervisor: Supervisor) -> None:
    supervisor.ready()
    supervisor.alive()
    supervisor.status("looking")
    supervisor.stopping()


def test_systemd_hears_the_words_it_knows(systemd: tuple[socket.socket, str]) -> None:
    listener, name = systemd
    supervisor = SystemdSupervisor({"NOTIFY_SOCKET": name})
    supervisor.ready()
    supervisor.alive()
    supervisor.status("camera missing:\nlooking for it पाँच")
    supervisor.stopping()
    heard = [listener.recv(4096).decode() for _ in range(4)]
    assert heard == ["READY=1", "WATCHDOG=1", "STATUS=camera missing:\\nlooking for it पाँच", "STOPPING=1"]


def test_a_systemd_that_does_not_read_never_blocks_us(systemd: tuple[socket.socket, str]) -> None:
    supervisor = SystemdSupervisor({"NOTIFY_SOCKET": systemd[1]})
    for _ in range(2000):
        supervisor.alive()


@pytest.mark.parametrize(
    ("environment", "limit_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdogs_limit_is_ours_only_if_meant_for_us(environment: dict[str, str], limit_s: float | None) -> None:
    assert watchdog_s(environment) == limit_s


def test_the_fake_counts() -> None:
    supervisor = FakeSupervisor()
    supervisor.ready()
    supervisor.alive()
    supervisor.alive()
    supervisor.status("looking")
    assert (supervisor.readies, supervisor.alives, supervisor.statuses, supervisor.stoppings) == (1, 2, ["looking"], 0)


@pytest.mark.parametrize(("state", "runs"), [("active", True), ("inactive", False), ("failed", False)])
def test_whether_the_service_runs_is_asked_of_systemd(
    programs: Callable[[str, str], None], state: str, runs: bool
) -> None:
    programs("systemctl", state)
    assert service_runs() is runs


def test_where_there_is_no_systemd_nothing_runs_and_nobody_knows_the_time(
    programs: Callable[[str, str], None], tmp_path: Path
) -> None:
    assert service_runs() is False
    assert clock_synchronised(tmp_path) is None


@pytest.mark.parametrize(("says", "known"), [("yes", True), ("no", False), ("''", None)])
def test_a_time_server_is_told_by_a_file_or_by_timedatectl(
    programs: Callable[[str, str], None], tmp_path: Path, says: str, known: bool | None
) -> None:
    programs("timedatectl", says)
    assert clock_synchronised(tmp_path) is known
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    (tmp_path / "run/systemd/timesync/synchronized").touch()
    assert clock_synchronised(tmp_path) is True
