"""The other process in which a bundle looks at frames unheard: what breaks there breaks there."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge import app
from edge.companion import Companion
from edge.core.errors import BundleError
from edge.core.messages import Frame
from edge.drivers.clock import SystemClock
from edge.drivers.files import FilesCamera
from tests.sealed import bundle

pytestmark = pytest.mark.integration


@pytest.fixture
def companion() -> Iterator[Companion]:
    found = Companion(app.BUNDLES / "xts", "auto")
    yield found
    found.close()


def test_it_says_what_the_device_would_say(companion: Companion) -> None:
    camera = FilesCamera(app.REPLAY, pace=False, clock=SystemClock(), frames_per_s=10)
    said = []
    while (frame := camera.read(1.0)) is not None:
        answer = companion.look(frame)
        assert answer.cpu_ms > 0
        said += answer.amounts
    camera.close()
    assert said == ["20", "5", "100", "10", "500", "50"]


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_one_that_is_killed_is_one_that_broke_down(companion: Companion, number: signal.Signals) -> None:
    os.kill(companion.pid, number)
    with pytest.raises(BundleError, match=f"signal {number.value}"):
        companion.look(Frame(1, 0.0, np.zeros((48, 64, 3), np.uint8)))
    companion.close()


def test_a_bundle_that_is_refused_says_why(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no bundle"):
        Companion(tmp_path / "nothing", "auto")
    folder = bundle(tmp_path / "b", "0.2.0")
    (folder / "model.tflite").write_bytes(b"")
    with pytest.raises(BundleError, match="is damaged"):
        Companion(folder, "auto")


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
