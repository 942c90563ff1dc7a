"""A device is killed at any moment of a bundle's way: there is always a good bundle, and it always speaks.

    make bundle-kills [KILLS=200]      other moments with SAYNOTE_SEED=18 before it

Each kill comes a random while after a step of an installation, of `use`, of `rollback`, or somewhere in the life of a
daemon that takes the bundle from the shadow into use. After it the store is looked at, and a daemon must say an amount.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edge import app
from edge import config as configuration
from edge.core import bundle as bundles
from edge.core.ledger import Line
from edge.core.shelf import Shelf
from edge.devices import open_engine
from edge.settings import Config
from tests.sealed import make, trusting

KILLS = int(os.environ.get("SAYNOTE_KILLS", "20"))
# Each waits for what it waits for within PATIENCE_S; a machine that others use takes minutes for one.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200 + 300 * KILLS)]

EVERY = 1 if KILLS > 50 else 10  # so many kills between two daemons that must speak
PATIENCE_S = 120.0
SEED = int(os.environ.get("SAYNOTE_SEED", "17"))
DAEMON_S = 15.0 if KILLS > 50 else 8.0  # from its start into its trial
STEPS = ("fetch", "verify", "stage", "check", "try", "keep", "kept", "use", "rollback", "daemon")
LONG = {"try": 1.0, "check": 0.1, "keep": 0.05}  # seconds that a step may take; others are short
INSTALL = """
import sys, time
from pathlib import Path
from edge import app, config, installer
from edge.core.shelf import Shelf
settings = config.load(Path(sys.argv[1]))
shelf, about = Shelf(Path(sys.argv[2]), time.time), app.configured(settings)
tell = lambda step: print(step, flush=True)
entry = installer.install(sys.argv[3], shelf, Path(settings.model.keys), about, step=tell)
tell("use")
shelf.promote("XTS", entry, about["XTS"])
tell("rollback")
shelf.roll_back("XTS", "asked for")
tell("done")
"""


class Device:
    """One state folder, and processes upon it."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.config = folder / "edge.toml"
        keys = trusting(folder / "keys")
        self.config.write_text(
            f'[model]\nbundle = "xts"\nkeys = "{keys}"\nshadow_s = 1\nshadow_notes = 1\n'
            f'[camera]\ndriver = "files"\npath = "{app.REPLAY}"\nrepeat = true\n'
            '[voice]\ndriver = "none"\n[button]\ndriver = "none"\n'
        )
        self.settings: Config = configuration.load(self.config)
        self.shelf = Shelf(self.state)

    def started(self, *words: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "STATE_DIRECTORY": str(self.state)}
        return subprocess.Popen(
            [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )

    def kill_an_installation(self, source: Path, step: str, wait_s: float) -> None:
        with self.started("-c", INSTALL, str(self.config), str(self.state), str(source)) as process:
            self._kill_after(process, lambda line: line.strip() in (step, "done"), wait_s)

    def kill_a_daemon(self, wait_s: float) -> None:
        with self.started("-m", "edge", "run", "--config", str(self.config)) as process:
            self._kill_after(process, lambda line: "ready after" in line, wait_s)

    def speaks(self) -> bool:
        """Whether a daemon that is started now says an amount."""
        with self.started("-m", "edge", "run", "--config", str(self.config)) as process:
            return self._kill_after(process, lambda line: "amount label=" in line, 0.0)

    @staticmethod
    def _kill_after(process: subprocess.Popen[str], awaited: Callable[[str], bool], wait_s: float) -> bool:
        """Kill it `wait_s` after the line that is awaited; whether that came."""
        assert process.stdout is not None
        guard = threading.Timer(PATIENCE_S, process.kill)
        guard.start()
        try:
            lines: list[str] = []
            for line in process.stdout:
                lines.append(line)
                if awaited(line):
                    # Its output is not read meanwhile: it is less than a pipe holds.
                    threading.Event().wait(wait_s)
                    return True
            print(*lines[-20:])  # noqa: T201 -- shown where the test fails
            return False
        finally:
            guard.cancel()
            process.send_signal(signal.SIGKILL)
            process.wait()

    def check(self) -> None:
        """What the store names is there and whole, and one of them is loaded."""
        line = self.shelf.read().lines.get("XTS", Line())
        for entry in {line.active, line.previous, line.candidate, *self.shelf.entries()} - {""}:
            assert bundles.read(self.shelf.path(entry)), entry
        loaded, faults = app.load_or_stand_in(
            self.settings, lambda bundle: open_engine(self.settings, bundle), self.state
        )
        for _, engine in loaded:
            engine.close()
        assert loaded[0][0].manifest.currency == "XTS"
        assert faults == []


def test_killed_at_any_moment_it_has_a_good_bundle_and_speaks(tmp_path: Path) -> None:
    chance, device = random.Random(SEED), Device(tmp_path)
    for number in range(KILLS):
        step = STEPS[number % len(STEPS)]
        if step == "daemon":
            device.kill_a_daemon(chance.random() * DAEMON_S)
        else:
            source = make(tmp_path, f"0.2.{number}")
            device.kill_an_installation(source, step, chance.random() * LONG.get(step, 0.02))
        device.check()
        if number % EVERY == EVERY - 1:
            assert device.speaks(), f"silent after kill {number}, within {step}"
            print(f"{number + 1} of {KILLS} kills, and it speaks", flush=True)  # noqa: T201 -- for who waits for hours
    with device.shelf.installing():
        left = [path.name for path in device.shelf.folder.glob(".staging*")]
    assert left == []
