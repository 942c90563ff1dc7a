"""Owns how the log is written: one event, one line, whatever stands in it. It knows no event."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from edge.core.line import one_line


class OneLine(logging.Formatter):
    """logfmt for a machine, a traceback within the line; on a terminal plain words, and tracebacks as usual."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__("%(message)s")
        self._terminal = terminal

    def format(self, record: logging.LogRecord) -> str:
        """One line, but for a traceback on a terminal."""
        text = super().format(record)
        if not self._terminal:
            return f"level={record.levelname.lower()} logger={record.name} {one_line(text)}"
        message = record.getMessage()
        return "\n".join([one_line(message), *map(one_line, text.removeprefix(message).split("\n")[1:])])


def set_up(*, verbose: bool, quiet: bool, stream: TextIO | None = None) -> None:
    """Send the daemon's own log to `stream`, by default the error stream; `quiet`: only what ends it."""
    log, stream = logging.getLogger("edge"), stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(OneLine(terminal=stream.isatty()))
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel(logging.DEBUG if verbose else logging.CRITICAL if quiet else logging.INFO)
