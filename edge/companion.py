"""Owns the process in which a bundle looks at frames in the shadow of the one in use: whatever it does, it does there.

    parent   a header and the frame's pixels, when the last one was answered
    child    one JSON line: which amounts it would have said, and how much processor time the frame took

It has one thread and limits, and runs where a core has nothing else to do (SCHED_IDLE): with a low priority alone it
may finish its slice of milliseconds each time that a thread of the one in use wakes. It ends with its parent.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import struct
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import NoReturn

import msgspec
import numpy as np

from edge import apart, process
from edge.core.errors import BundleError
from edge.core.line import brief
from edge.core.messages import Frame, Verdict
from edge.core.rehearsal import Answer

HEADER = struct.Struct("<qdII")  # seq, t_s, height, width
# For each answer. A device that does much else lets it wait for long, and the bundle cannot help that.
PATIENCE_S = 1800.0
PATIENCE_CPU_S = 60.0
LINE_MOST_BYTES = 64 << 10
GRACE_S = 2.0
IDLE = getattr(os, "SCHED_IDLE", 0)  # Linux alone has it


class Companion:
    """The other process, with one bundle; for one thread, which never waits long for it."""

    def __init__(self, folder: Path, runtime: str, *, policy: int = IDLE) -> None:
        """`policy`: the scheduler's, by its number in `os`.

        Raises BundleError where it cannot be started; a bundle that it refuses is told by `answer`.
        """
        command = apart.command(__name__, "serve", str(folder), runtime, str(policy))
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=apart.environment(),
                bufsize=0,
            )
        except OSError as error:
            raise BundleError(f"its shadow cannot be started: {error.strerror}") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        self._greeted = False  # it has loaded the bundle
        self._unsent: deque[memoryview] = deque()
        self._line = b""  # of an answer, as far as it is here
        self._patience()

    @property
    def pid(self) -> int:
        """Of the other process."""
        return self._process.pid

    def lend(self, frame: Frame) -> None:
        """Have it look at `frame`, whose pixels must stay as they are until it has answered."""
        height, width = frame.pixels.shape[:2]
        header = HEADER.pack(frame.seq, frame.t_s, height, width)
        self._unsent.extend(memoryview(part).cast("B") for part in (header, np.ascontiguousarray(frame.pixels).data))
        if self._greeted:
            self._patience()

    def answer(self, within_s: float) -> Answer | None:
        """What it makes of the frame that it was lent; None: it is not done `within_s`.

        Raises BundleError once it has refused the bundle, or has broken down.
        """
        until_s = time.monotonic() + within_s
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._from, selectors.EVENT_READ)
            if self._unsent:
                waiting.register(self._to, selectors.EVENT_WRITE)
            while ready := waiting.select(max(0.0, until_s - time.monotonic())):
                for key, _ in ready:
                    if key.fd == self._from and (found := self._read()) is not None:
                        return found
                    if key.fd == self._to and not self._send():
                        waiting.unregister(self._to)
        if process.cpu_s(self.pid) > self._until_cpu_s:
            raise BundleError(f"in the shadow it gave no answer in {PATIENCE_CPU_S:.0f} s of computing")
        if time.monotonic() > self._until_s:
            raise BundleError(f"in the shadow it gave no answer in {PATIENCE_S:.0f} s")
        return None

    def _patience(self) -> None:
        self._until_s, self._until_cpu_s = time.monotonic() + PATIENCE_S, process.cpu_s(self.pid) + PATIENCE_CPU_S

    def _send(self) -> bool:
        """Whether there is more to be sent."""
        part = self._unsent.popleft()
        try:
            part = part[os.write(self._to, part) :]
        except BlockingIOError:
            pass
        except OSError:
            raise BundleError(self._end()) from None
        if part:
            self._unsent.appendleft(part)
        return bool(self._unsent)

    def _read(self) -> Answer | None:
        """An answer, once it is whole; the greeting may come in one piece with it."""
        piece = os.read(self._from, LINE_MOST_BYTES)
        self._line += piece
        if not piece or len(self._line) > LINE_MOST_BYTES:
            raise BundleError(self._end())
        while b"\n" in self._line:
            line, _, self._line = self._line.partition(b"\n")
            if (answer := self._understood(line)) is not None:
                return answer
        return None

    def _understood(self, line: bytes) -> Answer | None:
        """The answer in `line`; None for the greeting."""
        try:
            answer = msgspec.json.decode(line, type=Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BundleError("in the shadow it gave no answer that can be read") from error
        if answer.why:
            raise BundleError(answer.why)
        if self._greeted:
            return answer
        self._greeted = True
        self._patience()
        return None

    def _end(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE_S)
        code = self._process.poll()
        return f"in the shadow it broke down ({f'signal {-code}' if code is not None and code < 0 else f'exit {code}'})"

    def close(self) -> None:
        """End the other process; may be called twice."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def serve(folder: str, runtime: str, policy: str) -> NoReturn:
    """In that other process: answer frames until there are no more."""
    from edge.confined import load_confined
    from edge.core.pocket import Pocket

    try:
        bundle, engine = load_confined(Path(folder), runtime, niceness=15)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the parent is told
        _say(Answer(why=brief(str(error), 300)))
        os._exit(1)
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, int(policy), os.sched_param(0))
    _say(Answer())
    pocket = Pocket([(bundle, engine.invoke)], time.perf_counter)
    while header := sys.stdin.buffer.read(HEADER.size):
        seq, t_s, height, width = HEADER.unpack(header)
        pixels = np.frombuffer(sys.stdin.buffer.read(height * width * 3), np.uint8).reshape(height, width, 3)
        began_s = time.process_time()
        decisions = pocket.step(pocket.observe(Frame(seq, t_s, pixels)))
        cpu_ms = (time.process_time() - began_s) * 1e3
        _say(Answer(tuple(one.label for one in decisions if one.verdict is Verdict.AMOUNT), cpu_ms))
    os._exit(0)


def _say(answer: Answer) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.flush()
