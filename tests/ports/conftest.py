"""Fixtures over the stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.ports.standins import FakePicamera2, Mosquitto, StubBroker, require_mosquitto


@pytest.fixture
def picamera2() -> Any:
    """A module with its own class, so that tests may set its habits."""
    return SimpleNamespace(Picamera2=type("Picamera2", (FakePicamera2,), {"opened": []}))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put a program of that name, which prints that, in the place of the system's."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(name: str, prints: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\necho {prints}\n")
        (tmp_path / name).chmod(0o755)

    return put


@pytest.fixture
def start_mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    require_mosquitto()
    started: list[Mosquitto] = []

    def start(settings: str = "allow_anonymous true\n") -> Mosquitto:
        started.append(Mosquitto(tmp_path, settings))
        return started[-1]

    yield start
    for mosquitto in started:
        mosquitto.stop()


@pytest.fixture
def stub_broker() -> Iterator[StubBroker]:
    broker = StubBroker()
    yield broker
    broker.close()
