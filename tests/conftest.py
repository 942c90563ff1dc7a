"""What every test gets: the --hardware option, and a failure for each badly formatted log call."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

OURS = ("edge", "training", "deploy")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--hardware", action="store_true", help="run the tests that need a real device, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--hardware"):
        return
    for item in items:
        if item.get_closest_marker("hardware"):
            item.add_marker(pytest.mark.skip(reason="needs a real device: run pytest --hardware on it"))


class Formatter(logging.Handler):
    """Formats every record, wanted or not, and keeps what went wrong: logging itself would swallow it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.problems: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        try:
            record.getMessage()
        except Exception as error:  # noqa: BLE001 -- whatever it is, the call is wrong
            self.problems.append(f"{record.pathname}:{record.lineno}: {record.msg!r} with {record.args!r}: {error}")


@pytest.fixture(autouse=True)
def log_calls_are_well_formed() -> Iterator[None]:
    formatter = Formatter()
    loggers = [logging.getLogger(name) for name in OURS]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(formatter)
        logger.setLevel(logging.DEBUG)
    yield
    # A command sends the log to the stream of the test that called it: those after it have another.
    for logger, (handlers, level, propagate) in zip(loggers, before, strict=True):
        logger.handlers[:], logger.propagate = handlers, propagate
        logger.setLevel(level)
    assert not formatter.problems, "\n".join(formatter.problems)
