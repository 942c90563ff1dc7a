"""The other process in which a bundle looks at frames unheard: what breaks there breaks there."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge import apart, app
from edge.companion import HEADER, Companion
from edge.core.errors import BundleError
from edge.core.messages import Frame
from edge.core.rehearsal import Answer
from edge.drivers.clock import SystemClock
from edge.drivers.files import FilesCamera
from tests.sealed import bundle

pytestmark = pytest.mark.integration


PATIENCE_S = 250.0


def look(companion: Companion, frame: Frame) -> Answer:
    companion.lend(frame)
    return answered(companion)


def answered(companion: Companion) -> Answer:
    deadline_s = time.monotonic() + PATIENCE_S
    while (found := companion.answer(1.0)) is None:
        assert time.monotonic() < deadline_s
    return found


@pytest.fixture
def companion() -> Iterator[Companion]:
    # Not as the device has it: on a machine that others use it might get nothing of the processor.
    found = Companion(app.BUNDLES / "xts", "auto", policy=os.SCHED_OTHER)
    yield found
    found.close()


def test_a_greeting_that_comes_in_one_piece_with_the_answer_is_taken_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    late = (
        f"import sys; sys.stdin.buffer.read({HEADER.size} + 4 * 6 * 3)\n"
        'sys.stdout.write(\'{}\\n\' + \'{"amounts": ["10"], "cpu_ms": 2.5}\\n\'); sys.stdout.flush()\n'
        "sys.stdin.buffer.read()"
    )
    monkeypatch.setattr(apart, "BEGIN", late)
    with contextlib.closing(Companion(app.BUNDLES / "xts", "auto")) as companion:
        assert look(companion, Frame(1, 0.0, np.zeros((4, 6, 3), np.uint8))) == Answer(("10",), 2.5)


def test_it_says_what_the_device_would_say(companion: Companion) -> None:
    camera = FilesCamera(app.REPLAY, pace=False, clock=SystemClock(), frames_per_s=10)
    said = []
    while (frame := camera.read(1.0)) is not None:
        answer = look(companion, frame)
        assert answer.cpu_ms > 0
        said += answer.amounts
    camera.close()
    assert said == ["20", "5", "100", "10", "500", "50"]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_one_that_is_killed_is_one_that_broke_down(companion: Companion, number: signal.Signals) -> None:
    os.kill(companion.pid, number)
    with pytest.raises(BundleError, match=f"signal {number.value}"):
        look(companion, Frame(1, 0.0, np.zeros((48, 64, 3), np.uint8)))
    companion.close()


def test_a_bundle_that_is_refused_says_why(tmp_path: Path) -> None:
    with contextlib.closing(Companion(tmp_path / "nothing", "auto")) as found:  # noqa: SIM117
        with pytest.raises(BundleError, match="there is no bundle"):
            answered(found)
    folder = bundle(tmp_path / "b", "0.2.0")
    (folder / "model.tflite").write_bytes(b"")
    with contextlib.closing(Companion(folder, "auto")) as found, pytest.raises(BundleError, match="is damaged"):
        answered(found)


def test_one_that_is_stopped_is_waited_for_and_keeps_nobody(companion: Companion) -> None:
    frame = Frame(1, 0.0, np.zeros((1080, 1920, 3), np.uint8))
    assert look(companion, frame)
    os.kill(companion.pid, signal.SIGSTOP)
    companion.lend(frame)  # far more than a pipe holds
    for _ in range(3):
        assert companion.answer(0.01) is None
    os.kill(companion.pid, signal.SIGCONT)
    assert answered(companion).amounts == ()


def test_one_that_computes_without_end_is_given_up(companion: Companion, monkeypatch: pytest.MonkeyPatch) -> None:
    look(companion, Frame(1, 0.0, np.zeros((48, 64, 3), np.uint8)))
    monkeypatch.setattr("edge.companion.PATIENCE_CPU_S", -1.0)
    os.kill(companion.pid, signal.SIGSTOP)
    companion.lend(Frame(2, 0.1, np.zeros((48, 64, 3), np.uint8)))
    with pytest.raises(BundleError, match="s of computing"):
        companion.answer(0.01)


def test_it_runs_where_a_core_has_nothing_else_to_do() -> None:
    with contextlib.closing(Companion(app.BUNDLES / "xts", "auto")) as companion:
        deadline_s = time.monotonic() + PATIENCE_S
        while os.sched_getscheduler(companion.pid) != os.SCHED_IDLE:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)


def test_it_ends_with_its_parent_and_once(companion: Companion) -> None:
    pid = companion.pid
    assert companion._process.stdin is not None
    companion._process.stdin.close()  # as when the parent is killed
    deadline_s = time.monotonic() + 60
    while companion._process.poll() is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    companion.close()
    companion.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
