"""A run of these tests that is killed leaves nothing of the virtual device: no process, no network, no mount.

`make e2e-device`. Its device is switched on in a network of its own, so that it is not in the way of the others'.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.pi.rootfs import PROJECT
from tests.e2e.vm.image import image

pytestmark = [pytest.mark.e2e_device, pytest.mark.timeout(1800)]

BEGUN_S, GONE_S = 900.0, 60.0
PROCESSES = 12  # those of the kernel itself are six, the others are the device's own
SWITCH_ON = """
import sys
from pathlib import Path
from tests.e2e.field import start_broker
from tests.e2e.pi.step import MORTAL, run
from tests.e2e.vm.cable import Cable
from tests.e2e.vm.image import Image
from tests.e2e.vm.machine import Machine, Status
run(["ip", "link", "set", "lo", "up"], 30)
kernel, disk, key, folder = map(Path, sys.argv[1:])
machine = Machine(Image(kernel, disk, key), folder, folder, Cable())
broker = start_broker(folder, before=MORTAL)
machine.to(Status.ON)
machine.wait_for("off, which it never is", 3600, lambda: False)
"""


def living(word: str) -> list[str]:
    """The commands of all processes of this computer that name `word`."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in command:
            found.append(command)
    return found


def test_a_run_that_is_killed_leaves_no_process_and_no_mount(tmp_path: Path) -> None:
    made = image()
    mounts = Path("/proc/self/mountinfo").read_text()
    command = ["unshare", "--net", sys.executable, "-c", SWITCH_ON, made.kernel, made.disk, made.key, tmp_path]
    run = subprocess.Popen(command, cwd=PROJECT)
    end_s = time.monotonic() + BEGUN_S
    try:
        while len(living(f"hostfs={tmp_path}")) < PROCESSES:
            assert run.poll() is None
            assert time.monotonic() < end_s
            time.sleep(0.1)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
    end_s = time.monotonic() + GONE_S
    while living(str(tmp_path)) and time.monotonic() < end_s:
        time.sleep(0.1)
    assert living(str(tmp_path)) == []
    assert Path("/proc/self/mountinfo").read_text() == mounts
