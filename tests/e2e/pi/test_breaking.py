"""Releases that are broken, each in its own way, and a service that hangs: the device speaks again by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.pi.checkout import Checkout
from tests.e2e.pi.conftest import Report
from tests.e2e.pi.device import ON_PLAY_MONEY, QUIET, Device, is_in, is_settled

MakeCheckout = Callable[[], Checkout]
BACK_S = 150.0


@pytest.fixture
def old(device: Device) -> str:
    """The release that runs; the device looks at play money, so that it sees something."""
    device.settle(QUIET, ON_PLAY_MONEY)
    device.restart()
    device.machine.until(
        lambda: "pictures/s" in device.status() and not device.status().startswith("0.0"), 60, "it sees"
    )
    return device.machine.release


def comes_back_to(device: Device, old: str, why: str) -> float:
    """Wait until the watching script has gone back by itself; the seconds that it took."""
    journal = "journalctl -b -u saynote-trial --no-pager"
    took_s = device.machine.until(
        lambda: f"rolled back to {old}, which is running" in device.machine.says(journal), BACK_S, f"{old} runs again"
    )
    assert f"{why}: going back to {old}" in device.machine.says(journal)
    assert is_settled(device, old, 5)
    return took_s


def test_a_release_that_cannot_be_imported_is_not_switched_to(device: Device, old: str, checkout: MakeCheckout) -> None:
    pid = device.pid()
    broken = checkout().change("edge/app.py", "from edge.hub import Hub\n", "from edge.no_such_room import Hub\n")
    code, said = device.deploy(broken)
    assert code != 0
    assert "the new release cannot run here" in said, said
    assert (device.machine.release, device.pid()) == (old, pid)


def test_a_release_that_is_never_ready_is_left_by_the_installer(
    device: Device, old: str, checkout: MakeCheckout
) -> None:
    broken = checkout().change("edge/app.py", "        devices.supervisor.ready()\n", "        stop.wait()\n")
    code, said = device.deploy(broken, "--wait", "20")
    assert code != 0
    assert f"rolled back to {old}, which is running" in said, said
    assert is_settled(device, old, 5)


def test_a_release_that_dies_half_a_minute_after_ready_is_left_with_nobody_there(
    device: Device, old: str, checkout: MakeCheckout, report: Report
) -> None:
    die = "import os\n    threading.Timer(30.0, os._exit, [1]).start()\n"
    broken = checkout().change("edge/app.py", "    startup = Startup()\n", f"    startup = Startup()\n    {die}")
    code, said = device.deploy(broken)
    assert code == 0, said
    assert device.machine.release != old
    took_s = comes_back_to(device, old, "the service stopped being well")
    report(f"dies after 30 s: the release before runs again {took_s:.0f} s after the deployment's end")


def test_a_release_that_speaks_and_sees_nothing_is_left_with_nobody_there(
    device: Device, old: str, checkout: MakeCheckout, report: Report
) -> None:
    blind = 'raise HardwareError("camera", Reason.STOPPED, "it is blind")'
    broken = checkout().change(
        "edge/pipeline.py", "frame = camera.read(self._stalled_after_s)", f"frame = None; {blind}"
    )
    code, said = device.deploy(broken)
    assert code == 0, said
    assert device.machine.release != old
    took_s = comes_back_to(device, old, "the service sees nothing")
    report(f"sees nothing: the release before runs again {took_s:.0f} s after the deployment's end")


def test_a_release_with_a_damaged_bundle_is_not_switched_to(device: Device, old: str, checkout: MakeCheckout) -> None:
    pid, broken = device.pid(), checkout()
    model = broken.folder / "edge" / "bundles" / "xts" / "model.tflite"
    model.write_bytes(model.read_bytes()[:-1000])
    code, said = device.deploy(broken)
    assert code != 0
    assert "the bundle is refused by the new release" in said, said
    assert (device.machine.release, device.pid()) == (old, pid)


def test_a_release_that_is_damaged_on_its_way_is_not_installed(
    device: Device, old: str, checkout: MakeCheckout, tmp_path: Path
) -> None:
    pid = device.pid()
    cut = checkout().change(
        "deploy/deliver.py",
        "    if uses_rsync(device):\n        user",
        "    (folder / release.SUMS).write_text('0' * 64 + '  RELEASE\\n')\n    if uses_rsync(device):\n        user",
    )
    code, said = device.deploy(cut)
    assert code != 0
    assert "did not arrive whole" in said, said
    assert (device.machine.release, device.pid()) == (old, pid)


def test_a_service_that_hangs_is_started_again_by_the_watchdog(device: Device, old: str, report: Report) -> None:
    pid = device.pid()
    device.machine.sh(f"kill -STOP {pid}")
    took_s = device.machine.until(
        lambda: device.pid() not in (0, pid) and device.is_ready(), 90, "another process is ready"
    )
    report(f"stopped with SIGSTOP: ready again after {took_s:.0f} s")
    assert "Watchdog timeout" in device.machine.says("journalctl -b -u saynote --no-pager")
    assert device.machine.release == old


def test_a_device_that_sees_nothing_itself_may_be_updated(device: Device, newer: Checkout) -> None:
    """Without a camera (there is none in a box) the new release is not to blame."""
    device.machine.until(lambda: device.status().startswith("0.0"), 60, "it says that it sees nothing")
    code, said = device.deploy(newer)
    assert code == 0, said
    assert is_settled(device, device.machine.release, 60)


def test_the_ear_of_these_tests_hears_what_is_there_and_nothing_else() -> None:
    noise = np.random.default_rng(7).normal(0, 1000, 40_000)
    phrase = np.random.default_rng(8).normal(0, 1000, 8_000)
    assert is_in(np.concatenate([noise, phrase, noise]), phrase)
    assert not is_in(noise, phrase)
    assert not is_in(np.concatenate([noise, phrase[:4000], noise]), phrase)
