from __future__ import annotations

import gc
import re
import subprocess
import sys
import weakref
from pathlib import Path

from edge import startup
from edge.cli import COMMANDS
from edge.startup import Startup

ROOT = Path(__file__).parents[2]


def test_the_stages_add_up_to_the_whole() -> None:
    start = Startup()
    start.lap("bundle")
    start.lap("voice")
    whole, *parts = map(int, re.findall(r"\d+", str(start)))
    assert list(start.ms) == ["imports", "bundle", "voice"]
    assert abs(whole - sum(parts)) <= len(parts)


def test_after_the_start_what_stays_is_looked_through_no_more_and_its_waste_is_gone() -> None:
    class Knot:
        def __init__(self) -> None:
            self.itself = self

    knot = weakref.ref(Knot())
    startup.settle()
    try:
        assert knot() is None
        frozen = gc.get_freeze_count()
        assert frozen > 1000
        left: list[object] = [Knot() for _ in range(100)]
        watched = weakref.ref(left[0])
        startup.settle()  # the process begins anew with other settings: what was frozen may be waste by now
        left.clear()
        startup.settle()
        assert watched() is None
    finally:
        gc.unfreeze()


def test_what_most_devices_do_without_is_not_imported_by_a_start() -> None:
    extras = [f"edge.outlets.{name}" for name in ("view", "web", "capture", "pulses", "light", "telemetry")]
    extras += [f"edge.core.{name}" for name in ("wire", "payloads", "discovery", "days", "pulsecode")]
    others = [f"edge.commands.{module}" for _, module, _ in COMMANDS if module != "run"]
    # Of these each takes milliseconds or megabytes; what numpy and msgspec import is not ours to choose.
    libraries = ["sqlite3", "paho", "babel", "statistics", "difflib", "wave", "asyncio", "email", "ssl", "http"]
    # OpenSSL, and what numpy has beside arrays.
    libraries += ["_hashlib", "hmac", "secrets", "numpy.random.mtrand", "numpy.ma.core", "numpy.polynomial.polynomial"]
    words = (
        "import sys; from edge import sparing; sparing.import_numpy()\n"
        "import edge.cli, edge.commands.run, edge.drivers.espeak, edge.drivers.tflite, edge.drivers.audio\n"
        "from edge.core.speech import Speech\n"
        "Speech('en', 'INR').fixed(('10', '2000')), Speech('hi', 'VND').fixed(('500000',))\n"
        f"print([name for name in {[*libraries, *extras, *others]} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
