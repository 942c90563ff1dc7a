"""Owns the process in which a bundle looks at frames in the shadow of the one in use: whatever it does, it does there.

    parent   a header and the frame's pixels, when the last one was answered
    child    one JSON line: which amounts it would have said, and how much processor time the frame took

It has one thread, the lowest priority and limits, so what is spoken does not wait for it. It ends with its parent.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import NoReturn

import msgspec
import numpy as np

from edge.core.errors import BundleError
from edge.core.line import brief
from edge.core.messages import Frame, Verdict
from edge.core.rehearsal import Answer

ROOT = Path(__file__).resolve().parents[1]
CHILD = "import sys; sys.path.insert(0, sys.argv[1]); from edge import companion; companion.serve(*sys.argv[2:])"
HEADER = struct.Struct("<qdII")  # seq, t_s, height, width
PATIENCE_S = 60.0  # a Pi that does much else may be slow; a child that hangs is no bundle for it
LINE_MOST_BYTES = 64 << 10
GRACE_S = 2.0


class Companion:
    """The other process, with one bundle; asked from one thread."""

    def __init__(self, folder: Path, runtime: str) -> None:
        """Raises BundleError where it cannot be started, or refuses the bundle."""
        quiet = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        quiet.pop("NOTIFY_SOCKET", None)  # it is not the service
        command = [sys.executable, "-c", CHILD, str(ROOT), str(folder), runtime]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=quiet, bufsize=0
            )
        except OSError as error:
            raise BundleError(f"its shadow cannot be started: {error.strerror}") from error
        try:
            self._answer()
        except BundleError:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Of the other process."""
        return self._process.pid

    def look(self, frame: Frame) -> Answer:
        """What it makes of `frame`; waits for it. Raises BundleError once it has broken down."""
        height, width = frame.pixels.shape[:2]
        assert self._process.stdin is not None
        try:
            for part in (HEADER.pack(frame.seq, frame.t_s, height, width), np.ascontiguousarray(frame.pixels).data):
                _write(self._process.stdin.fileno(), memoryview(part).cast("B"))
        except OSError:
            raise BundleError(self._end()) from None
        return self._answer()

    def _answer(self) -> Answer:
        assert self._process.stdout is not None
        line, until_s = b"", time.monotonic() + PATIENCE_S
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not waiting.select(max(0.0, until_s - time.monotonic())):
                    raise BundleError(f"in the shadow it did not answer within {PATIENCE_S:.0f} s")
                piece = os.read(self._process.stdout.fileno(), LINE_MOST_BYTES)
                line += piece
                if not piece or len(line) > LINE_MOST_BYTES:
                    raise BundleError(self._end())
        try:
            answer = msgspec.json.decode(line, type=Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BundleError("in the shadow it gave no answer that can be read") from error
        if answer.why:
            raise BundleError(answer.why)
        return answer

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


def _write(handle: int, data: memoryview) -> None:
    while data:
        data = data[os.write(handle, data) :]


def serve(folder: str, runtime: str) -> NoReturn:
    """In that other process: answer frames until there are no more."""
    from edge.confined import load_confined
    from edge.core.pocket import Pocket

    try:
        bundle, engine = load_confined(Path(folder), runtime, niceness=15)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the parent is told
        _say(Answer(why=brief(str(error), 300)))
        os._exit(1)
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
