"""Owns a terminal's Space and Enter keys as the one button; knows no gestures.

A terminal tells when a key goes down and repeats while it is held, never when it comes up. So a key is a press that
ends shortly after, and repeats that follow closely prolong it: holding the key is a long press.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import select
import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

from edge.core.errors import HardwareError, Reason
from edge.core.messages import Edge
from edge.drivers.clock import SystemClock
from edge.ports import Clock

log = logging.getLogger(__name__)

KEYS = b" \r\n"
UP_AFTER_S = 0.05  # a key without repeats comes up after so long
REPEAT_S = 0.1  # keyboards repeat about every 35 ms: a key sooner than this is a repeat


class KeyboardButton:
    """Reads a terminal, standard input by default, until closed, and gives the terminal back as it was."""

    def __init__(self, terminal: TextIO | None = None, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._fd = _terminal_fd(terminal or sys.stdin)
        self._callback: Callable[[Edge], None] | None = None
        self._termios: Any = importlib.import_module("termios")
        self._before = self._termios.tcgetattr(self._fd)
        importlib.import_module("tty").setcbreak(self._fd)
        # A terminal left in this mode echoes nothing, whatever way we ended.
        atexit.register(self._restore)
        self._wake_read, self._wake_write = os.pipe()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="keyboard", daemon=True)
        self._thread.start()

    def listen(self, callback: Callable[[Edge], None]) -> None:
        """Call `callback` on every press and its end."""
        self._callback = callback

    def close(self) -> None:
        """Stop reading and restore the terminal."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        os.write(self._wake_write, b"x")
        self._thread.join()
        atexit.unregister(self._restore)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _run(self) -> None:
        try:
            self._read_keys()
        except OSError as error:
            log.warning("keyboard gone error=%s", error)
        finally:
            self._restore()

    def _read_keys(self) -> None:
        up_at_s: float | None = None
        while True:
            left_s = None if up_at_s is None else max(0.0, up_at_s - self._clock.now_s())
            ready, _, _ = select.select([self._fd, self._wake_read], [], [], left_s)
            if self._wake_read in ready:
                return
            if not ready:
                self._tell(down=False)
                up_at_s = None
                continue
            keys = os.read(self._fd, 64)
            if not keys:
                return
            if any(key in KEYS for key in keys):
                up_at_s = self._key(up_at_s)

    def _key(self, up_at_s: float | None) -> float:
        """When the press that this key begins or prolongs will end."""
        if up_at_s is not None:
            return self._clock.now_s() + REPEAT_S
        self._tell(down=True)
        return self._clock.now_s() + UP_AFTER_S

    def _tell(self, *, down: bool) -> None:
        if self._callback is not None:
            self._callback(Edge(down, self._clock.now_s()))

    def _restore(self) -> None:
        try:
            self._termios.tcsetattr(self._fd, self._termios.TCSADRAIN, self._before)
        except (OSError, self._termios.error) as error:
            log.debug("terminal not restored error=%s", error)


def _terminal_fd(terminal: TextIO) -> int:
    hint = 'the keyboard serves as the button in a terminal only; elsewhere set button.driver = "none"'
    try:
        fd = terminal.fileno()
    except (OSError, ValueError, AttributeError) as error:
        raise HardwareError("button", Reason.MISSING, hint) from error
    if not os.isatty(fd) or _in_background(fd):
        raise HardwareError("button", Reason.MISSING, hint)
    return fd


def _in_background(fd: int) -> bool:
    """Whether another process group has the terminal: changing its mode would suspend us."""
    try:
        return os.tcgetpgrp(fd) != os.getpgrp()
    except OSError:
        return False
