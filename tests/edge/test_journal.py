from __future__ import annotations

import io
import logging

import pytest

from edge import journal

log = logging.getLogger("edge.test")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def written(request: pytest.FixtureRequest) -> io.StringIO:
    stream: io.StringIO = getattr(request, "param", io.StringIO)()
    journal.set_up(verbose=False, quiet=False, stream=stream)
    return stream


NASTY = "note\nlevel=error logger=edge \x1b[2Jthe camera is gone\r.jpg"


def test_an_event_is_one_line_whatever_a_file_is_called(written: io.StringIO) -> None:
    log.warning("picture skipped file=%s", NASTY)
    [line] = written.getvalue().splitlines()
    assert line == (
        "level=warning logger=edge.test picture skipped file="
        r"note\nlevel=error logger=edge \x1b[2Jthe camera is gone\r.jpg"
    )


def test_a_traceback_stays_within_its_event(written: io.StringIO) -> None:
    try:
        raise ValueError(NASTY)
    except ValueError:
        log.exception("a mistake")
    [line] = written.getvalue().splitlines()
    assert line.startswith(r"level=error logger=edge.test a mistake\nTraceback (most recent call last):\n")
    assert "\x1b" not in line


@pytest.mark.parametrize("written", [Terminal], indirect=True)
def test_on_a_terminal_a_traceback_is_readable_and_steers_nothing(written: io.StringIO) -> None:
    log.warning("%s", NASTY)
    assert len(written.getvalue().splitlines()) == 1
    try:
        raise ValueError(NASTY)
    except ValueError:
        log.exception("a mistake")
    assert "a mistake\nTraceback (most recent call last):\n" in written.getvalue()
    assert "\x1b" not in written.getvalue()


def test_only_what_ends_it_is_written_where_the_view_owns_the_terminal(written: io.StringIO) -> None:
    journal.set_up(verbose=False, quiet=True, stream=written)
    log.error("not now")
    log.critical("now")
    assert written.getvalue().count("\n") == 1
    journal.set_up(verbose=True, quiet=False, stream=written)
    log.debug("frame")
    assert "level=debug" in written.getvalue()
