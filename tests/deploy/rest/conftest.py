from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.rest.service import Service

Start = Callable[..., Service]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts services; they end with the test."""
    begun: list[Service] = []

    def begin(*options: str, env: dict[str, str] | None = None) -> Service:
        folder = tmp_path / f"service-{len(begun)}"
        folder.mkdir()
        begun.append(Service(folder, *options, env=env))
        return begun[-1]

    yield begin
    for service in begun:
        service.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One with small limits, for all tests of a file."""
    found = Service(
        tmp_path_factory.mktemp("service"), "--picture-most-bytes", "4000000", "--body-most-bytes", "8000000",
        "--most-pixels", "4000000", "--head-s", "2", "--body-s", "2", "--answer-s", "2", "--pictures-per-s", "0",
    )  # fmt: skip
    yield found
    assert found.stop() == 0
