"""The installer is killed at random moments, with all it has started: always one complete release that starts.

Ten times by default, `make e2e KILLS=100` for a hundred.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy import release, wheel
from tests.e2e.pi.checkout import Checkout
from tests.e2e.pi.conftest import Report, another
from tests.e2e.pi.device import ON_PLAY_MONEY, QUIET, Device
from tests.e2e.pi.step import run

# What must hold after each kill, asked of the device itself: the link leads to a release that is whole by its own
# inventory, and the service comes up with it, as it would after the next switching on.
LOOK = """
set -eu
release=$(readlink -f /opt/saynote/current)
test -s "$release/complete"
cd "$release"
sum=$(find . -name __pycache__ -prune -o -type f ! -name complete -printf '%P %s\\n' | LC_ALL=C.UTF-8 sort | sha256sum)
test "$sum" = "$(cat "$release/complete")"
systemctl daemon-reload
systemctl reset-failed saynote 2>/dev/null || true
systemctl restart saynote
test "$(readlink -f /proc/$(systemctl show -P MainPID saynote)/exe)" != ""
tr '\\0' ' ' </proc/$(systemctl show -P MainPID saynote)/cmdline | grep -q /opt/saynote/
basename "$release"
"""


def lay_out(made: Checkout, folder: Path) -> Path:
    folder.mkdir()
    built = wheel.build(folder.parent / f"dist-{folder.name}", made.folder)
    release.lay_out(folder, built)
    return folder


@pytest.mark.timeout(14400)
def test_a_kill_at_any_moment_leaves_one_complete_release_that_starts(
    device: Device, checkout: Callable[[], Checkout], tmp_path: Path, report: Report, request: pytest.FixtureRequest
) -> None:
    device.settle(QUIET, ON_PLAY_MONEY)
    device.restart()
    machine, chance = device.machine, random.Random(seed := random.SystemRandom().randrange(1 << 30))
    folders = [lay_out(another(checkout()), tmp_path / "one"), lay_out(checkout(), tmp_path / "two")]
    for folder in (*folders, device.wheels):
        run(["rsync", "--archive", "--rsh", f"ssh -F {device.ssh_config}", f"{folder}", f"{machine.name}:"], 120)
    for folder in folders:
        machine.sh(f"ln -s /home/pi/{device.wheels.name} /home/pi/{folder.name}/wheels")
    install = "bash /home/pi/{}/install.sh --target debian --no-apt --settle 1"
    spans_s = {}
    for kind, name in (("made anew", "one"), ("switched to", "two"), ("switched to", "one")):
        began_s = time.monotonic()
        machine.sh(install.format(name), deadline_s=300)
        spans_s[kind] = time.monotonic() - began_s
    kills, names = request.config.getoption("--kills"), {machine.release}
    report(f"installer alone {spans_s}; killing it {kills} times, seed {seed}")
    ended = 0
    for number in range(kills):
        # The one that is not in use: a kill in the switch may have left either.
        name = "one" if machine.release == (folders[1] / release.NAME).read_text().strip() else "two"
        kind = chance.choice(list(spans_s))
        at_s = chance.uniform(0.0, spans_s[kind])
        machine.sh("systemctl stop saynote-trial; rm -rf /opt/saynote/generation/trial")
        if kind == "made anew":
            machine.sh(f"rm -rf /opt/saynote/releases/$(cat /home/pi/{name}/RELEASE)")
        left = machine.says(
            f"setsid {install.format(name)} </dev/null >/tmp/install.log 2>&1 & session=$!; sleep {at_s:.3f}; "
            "if pkill -KILL --session $session; then echo killed; else echo over; fi"
        )
        ended += left.endswith("over")
        try:
            names.add(machine.says(LOOK))
        except Exception as error:
            story = f"kill {number} of {kills}, {kind}, after {at_s:.3f} s, seed {seed}: {machine.story()}"
            raise AssertionError(story) from error
        if number % 10 == 9:
            report(f"{number + 1} kills, {ended} of them after its end: {len(names)} different releases")
    report(f"{kills} kills, {ended} of them after its end: always a release that starts, {len(names)} different ones")
    machine.sh(install.format("two"), deadline_s=300)
    assert "".join(machine.says("for r in /opt/saynote/releases/*; do test -s $r/complete || echo $r; done")) == ""
    assert kills < 10 or ended < kills / 2
