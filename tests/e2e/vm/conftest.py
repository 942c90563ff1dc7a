"""What is slow and wants root runs only where it is asked for by its mark: `make e2e-arm`, `make e2e-device`.

One virtual device for all tests: each finds it ready, whatever the one before did to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge import app
from edge.commands.replay import transcribe
from edge.devices import open_engine
from edge.settings import Config, ModelConfig
from tests.e2e.field import KeepingMosquitto, Reader, start_broker
from tests.e2e.pi.rootfs import CACHE
from tests.e2e.pi.step import MORTAL
from tests.e2e.vm.cable import OURS, Cable
from tests.e2e.vm.image import image
from tests.e2e.vm.machine import Machine, Status
from tests.e2e.vm.senses import Person
from tests.e2e.vm.workshop import LackingError, scratch

MARKS = ("e2e_arm", "e2e_device")
OUTSIDE = Path("/dev/shm/saynote-device")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = str(config.getoption("markexpr"))
    unasked = [item for item in items for mark in MARKS if item.get_closest_marker(mark) and mark not in asked]
    if unasked:
        config.hook.pytest_deselected(items=unasked)
        items[:] = [item for item in items if item not in unasked]


@pytest.fixture(scope="session")
def notes() -> dict[str, Path]:
    """A picture of the shipped recording for each amount, from the middle of its time in view."""
    config = Config(model=ModelConfig(bundle="xts"))
    said = list(transcribe(config, app.REPLAY, lambda bundle: open_engine(config, bundle)))
    found = [re.fullmatch(r"(\d{4})\.jpg: (\d+) play crowns?", line) for line in said]
    return {match[2]: app.REPLAY / f"{match[1]}.jpg" for match in found if match}


@pytest.fixture(scope="session")
def cable() -> Iterator[Cable]:
    laid = Cable()
    yield laid
    laid.unplug()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory, cable: Cable) -> Iterator[KeepingMosquitto]:
    """On the other side of the cable."""
    running = start_broker(tmp_path_factory.mktemp("broker"), more=f"listener 1883 {OURS}\n", before=MORTAL)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def reader(broker: KeepingMosquitto) -> Iterator[Reader]:
    listening = Reader(broker.port)
    yield listening
    listening.close()


@pytest.fixture(scope="session")
def device(cable: Cable, broker: KeepingMosquitto) -> Iterator[Machine]:
    """Switched on by who needs it."""
    try:
        made = image()
    except LackingError as lacking:
        pytest.fail(str(lacking), pytrace=False)
    # In memory: the device waits for each write there.
    with scratch(CACHE / "device-scratch") as folder, scratch(OUTSIDE) as outside:
        machine = Machine(made, folder, outside, cable)
        try:
            yield machine
        finally:
            machine.cut_power()


@pytest.fixture
def person(device: Machine) -> Person:
    """Before a device that is ready and sees nothing."""
    device.to(Status.READY)
    somebody = Person(device)
    somebody.show(None)
    return somebody
