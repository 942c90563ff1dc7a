"""The command reload: the real daemon, a real broker, and a socket that hears what the daemon tells systemd."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import DEVICE, REPLAY
from edge.core.errors import EXIT_AGAIN
from edge.core.wire import decode
from edge.outlets.outbox import Outbox
from tests.e2e.test_shared import Ear
from tests.ports.standins import Mosquitto, require_mosquitto

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
END_S = 60.0
# The daemon as it is, but for the age that a run must have: nobody waits six minutes for a test.
YOUNG = """import sys
from edge.__main__ import main
from edge.outlets import reload
reload.LEAST_S = 0.0
sys.exit(main())
"""


class Service:
    """The daemon as systemd runs it, started again by hand."""

    def __init__(self, folder: Path, port: int) -> None:
        self.settings, self.state, self.log = folder / "edge.toml", folder / "state", folder / "log"
        self.state.mkdir()
        text = DEVICE.format(replay=REPLAY, port=port, name="t1", interval_s=5.0)
        self.settings.write_text(text.replace("[mqtt]", "[mqtt]\ncommands = true"), encoding="utf-8")
        self._address = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._address))
        self._socket.settimeout(END_S)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, supervised: bool = True, young: bool = True) -> None:
        command = [sys.executable, *(("-c", YOUNG) if young else ("-m", "edge")), "run", "--config", self.settings]
        environment = {**os.environ, "STATE_DIRECTORY": str(self.state)}
        environment.pop("NOTIFY_SOCKET", None)
        if supervised:
            environment["NOTIFY_SOCKET"] = str(self._address)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=Path(__file__).parents[2],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def change(self, old: str, new: str) -> None:
        text = self.settings.read_text(encoding="utf-8")
        assert old in text
        self.settings.write_text(text.replace(old, new), encoding="utf-8")

    def told_until(self, word: str) -> list[str]:
        """What systemd has heard, up to `word`."""
        told = [""]
        while told[-1] != word:
            told.append(self._socket.recv(4096).decode())
        return told[1:]

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(END_S)
        self._socket.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    require_mosquitto()
    found = Mosquitto(tmp_path)
    yield found
    found.stop()


@pytest.fixture
def service(tmp_path: Path, broker: Mosquitto) -> Iterator[Service]:
    folder = tmp_path / "device"
    folder.mkdir()
    with contextlib.closing(Service(folder, broker.port)) as found:
        yield found


@pytest.fixture
def ear(broker: Mosquitto) -> Iterator[Ear]:
    with contextlib.closing(Ear(broker.port)) as found:
        yield found


def answer(ear: Ear, id_: str) -> dict[str, Any]:
    """The only one to that command."""
    ear.ask("reload", {"id": id_})
    ear.until(lambda: any(one["id"] == id_ for one in ear.of("response/reload")))
    (found,) = [one for one in ear.of("response/reload") if one["id"] == id_]
    return found


def is_well(ear: Ear, runs: int = 1) -> None:
    ear.until(lambda: len({one["run"] for one in ear.of("health")}) == runs)


def test_a_mistake_is_refused_and_mended_settings_are_taken_by_the_run_that_systemd_starts(
    service: Service, ear: Ear
) -> None:
    service.start()
    is_well(ear)
    service.change("[mqtt]", "[web]\nport = 99999\n\n[mqtt]")
    refused = answer(ear, "c1")
    assert (refused["ok"], "web.port" in refused["why"]) == (False, True), refused
    service.change("port = 99999", "port = 8737")
    service.change('bundle = "xts"', 'bundle = "nowhere"')
    assert "there is no bundle" in answer(ear, "c2")["why"], "a run that would end at its start is not begun"
    assert service.process is not None
    assert service.process.poll() is None, "it goes on with the settings it has"
    service.change('bundle = "nowhere"', 'bundle = "xts"')
    unreachable = '[mqtt]\ntls = true\nca_file = "/nowhere.pem"'
    service.change("[mqtt]", unreachable)
    assert "mqtt.ca_file" in answer(ear, "c2b")["why"], "nor one that could not be asked any more"
    service.change(unreachable, "[mqtt]")
    service.change("[mqtt]", '[mqtt]\nshare = "counts"')
    done = answer(ear, "c3")
    assert (done["ok"], done["why"]) == (True, "")
    assert service.process.wait(END_S) == EXIT_AGAIN
    told = service.told_until("STOPPING=1")
    assert "READY=1" in told
    ear.until(lambda: ("saynote/t1/availability", b"offline") in ear.heard)
    assert b"Traceback" not in service.log.read_bytes()
    assert not any(one["kind"] == "fault" for one in ear.of("event"))
    service.start()
    is_well(ear, runs=2)
    ear.until(lambda: ear.of("state")[-1]["share"] == "counts")
    ear.until(lambda: [one for one in ear.heard if "avail" in one[0]][-1] == ("saynote/t1/availability", b"online"))
    assert [one["id"] for one in ear.of("response/reload")] == ["c1", "c2", "c2b", "c3"], "each is answered once"
    numbers = sorted(
        {one["seq"] for part in ("event", "detection", "health", "response/reload") for one in ear.of(part)}
    )
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), "nothing is lost on the way"


def test_an_answer_that_the_broker_does_not_take_goes_with_the_next_run(
    service: Service, ear: Ear, broker: Mosquitto
) -> None:
    service.start()
    is_well(ear)
    ear.ask("reload", {"id": "c1"})
    broker.stop()  # before or after it has acknowledged: either way it ends, and the answer is not lost
    assert service.process is not None
    assert service.process.wait(END_S) == EXIT_AGAIN
    outbox = Outbox(service.state / "outbox.sqlite3", 1000)
    waiting = [decode(row.payload) for row in outbox.oldest(1000)]
    outbox.close()
    arrived = [one["id"] for one in ear.of("response/reload")]
    assert "c1" in arrived + [getattr(one, "id", "") for one in waiting]


def test_a_run_of_a_moment_ago_does_not_end(service: Service, ear: Ear) -> None:
    service.start(young=False)
    is_well(ear)
    refused = answer(ear, "c1")
    assert not refused["ok"]
    assert "ask again in" in refused["why"]


def test_where_no_systemd_would_start_it_again_it_goes_on(service: Service, ear: Ear) -> None:
    service.start(supervised=False)
    is_well(ear)
    refused = answer(ear, "c1")
    assert (refused["ok"], refused["why"]) == (
        False, "nobody would start it again: it does not run as a service of systemd",
    )  # fmt: skip
