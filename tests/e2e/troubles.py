"""Each way in which a broker or the line to it can fail, with a device that speaks meanwhile, and an account of each.

A case lasts until the device has felt its trouble; then the line leads to a broker that is well, the device speaks on,
and all that it has numbered must have arrived there or be counted. `make soak` prints the table.
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.core.messages import Fault, Health
from tests.e2e.field import Account, Device, KeepingMosquitto, Line, Reader, account_of, start_broker
from tests.ports.standins import StubBroker

EVENTS, LATER = 50, 10
PATIENCE_S = 300.0  # a device rests for a minute after a broker that sends rubbish
RUBBISH_BYTES = 10_000_000


@dataclass
class Case:
    """What a trouble is made with."""

    folder: Path
    line: Line
    device: Device | None = None  # once it runs

    def felt(self) -> bool:
        """The device has said that its broker does not answer."""
        assert self.device is not None
        return any(isinstance(report, Fault) and report.device == "broker" for report in self.device.reports)


Felt = Callable[[], bool]
Trouble = Callable[[Case], "contextlib.AbstractContextManager[Felt]"]  # gives how to tell that it was felt


@contextlib.contextmanager
def stub(case: Case, **habits: Any) -> Iterator[StubBroker]:
    """A broker with bad habits at the end of the line."""
    found = StubBroker()
    for name, value in habits.items():
        setattr(found, name, value)
    case.line.lead_to(found.port)
    try:
        yield found
    finally:
        found.close()


@contextlib.contextmanager
def other_mosquitto(case: Case, settings: str) -> Iterator[None]:
    """A real broker that is set up to our harm."""
    folder = case.folder / "other"
    folder.mkdir()
    broker = KeepingMosquitto(folder, f"user {folder.owner()}\n{settings}")
    case.line.lead_to(broker.port)
    try:
        yield
    finally:
        broker.stop()


@contextlib.contextmanager
def never_acknowledges(case: Case) -> Iterator[Felt]:
    """It takes the connection and every message, and says nothing more."""
    with stub(case) as found:
        yield lambda: case.felt() and bool(found.received)


@contextlib.contextmanager
def closes_after_connect(case: Case) -> Iterator[Felt]:
    """It hangs up on whoever comes."""
    with stub(case, connack=None) as found:
        yield lambda: case.felt() and found.connects > 2


@contextlib.contextmanager
def sends_rubbish(case: Case) -> Iterator[Felt]:
    """Ten megabytes of it, to whoever comes."""
    with stub(case, greeting=random.Random(1).randbytes(RUBBISH_BYTES)) as found:
        yield lambda: case.felt() and found.connects > 0


@contextlib.contextmanager
def half_open(case: Case) -> Iterator[Felt]:
    """The connection stands and nothing passes it."""
    case.line.stall()
    try:
        yield case.felt
    finally:
        case.line.cut()
        case.line.flow()


@contextlib.contextmanager
def wrong_password(case: Case) -> Iterator[Felt]:
    """The broker knows nobody of that password."""
    command = ["mosquitto_passwd", "-b", "-c", str(case.folder / "passwords"), "me", "right"]
    subprocess.run(command, check=True, capture_output=True)
    with other_mosquitto(case, f"allow_anonymous false\npassword_file {case.folder}/passwords\n"):
        yield case.felt


@contextlib.contextmanager
def refuses_every_publish(case: Case) -> Iterator[Felt]:
    """Under MQTT 5 it says so, and what was tried three times is given up and counted."""
    rights = case.folder / "rights"
    rights.write_text("topic read #\n")
    rights.chmod(0o700)
    with other_mosquitto(case, f"allow_anonymous true\nacl_file {rights}\n"):
        yield lambda: case.device is not None and case.device.outbox.lost() >= 5


TROUBLES: dict[str, tuple[Trouble, dict[str, str]]] = {
    "takes everything and acknowledges nothing": (never_acknowledges, {}),
    "refuses every message (MQTT 5)": (refuses_every_publish, {"protocol": "5"}),
    "hangs up after CONNECT": (closes_after_connect, {}),
    "half-open line": (half_open, {}),
    "wrong password": (wrong_password, {"password": "wrong", "username": "me"}),
    "10 MB of rubbish": (sends_rubbish, {}),
}


def suffer(name: str, folder: Path) -> Account:
    """One of `TROUBLES`, from its beginning to the account."""
    trouble, settings = TROUBLES[name]
    broker = start_broker(folder)
    reader, line = Reader(broker.port), Line(broker.port)
    try:
        case = Case(folder, line)
        with trouble(case) as felt:
            device = case.device = Device(line.port, folder, **settings)  # type: ignore[arg-type]
            speak(device, 1, EVENTS)
            wait_until(felt, f"{name}: felt")
        line.lead_to(broker.port)
        line.cut()
        speak(device, EVENTS + 1, EVENTS + LATER)
        wait_until(lambda: device.outbox.waiting() == 0, f"{name}: all is sent")
        device.close()
        return account_of(folder / "outbox.db", reader)
    finally:
        reader.close()
        line.close()
        broker.stop()


def speak(device: Device, first: int, last: int) -> None:
    """Amounts, and now and then something else."""
    for number in range(first, last + 1):
        if number % 10 == 0:
            device.telemetry.offer(Health(float(number), number, number, number, {}))
        else:
            device.see(number, number)
    device.wait_until_written(last - first + 1)


def wait_until(true: Callable[[], bool], what: str) -> None:
    """Look again and again."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline_s, f"never: {what}"
        time.sleep(0.05)
