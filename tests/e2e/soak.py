"""The soak of telemetry: a device that is killed at random moments, amid everything that can go wrong, and an account.

    make soak                 200 kills, 50 restarts of the broker
    make soak KILLS=20 RESTARTS=5

Meanwhile the broker restarts, the line to it is cut or swallows everything, the clock jumps both ways and the disk is
full for moments (as root: a small one is mounted for it). Then one device is left in peace until all is sent. A reader
that drops names it knows must have seen every message that got a number, but for those that `lost` counts. Afterwards
come a week without a broker, each trouble of `troubles` by itself, and what telemetry costs a frame.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edge import app
from edge.core import bundle as bundles
from edge.core import wire
from edge.core.decide import Decider
from edge.core.messages import Decision, Event, Fault, Frame, Health, Verdict
from edge.core.observe import Observer
from edge.drivers.clock import SystemClock
from edge.drivers.fake import FakeClock
from edge.drivers.tflite import TfliteEngine
from tests.e2e import troubles
from tests.e2e.field import Account, Device, KeepingMosquitto, Line, Reader, account_of, start_broker

DISK_MB = 8
DAY_S = 86_400.0
DRAIN_S = 600.0
ROWS = (40, 10_000)  # that an outbox may hold
TURN = 60  # frames with telemetry and an amount, then as many without: an amount in four seconds of them
FRAMES = 12_000  # that are timed
MOST_PERCENT = 5.0  # by which telemetry may slow the 95th percentile of a frame
LAST = 20  # events of the device that is left in peace


class JumpingClock(SystemClock):
    """Wall time that jumps by days in both directions."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    def wall_s(self) -> float:
        return time.time() + self._random.choice((0.0, 0.0, -DAY_S, DAY_S, -20 * 365 * DAY_S, 400 * DAY_S))


def run_device(port: int, state: Path, seed: int, events: int) -> None:
    """A device that sees something all the time; `events` of it, or until it is killed."""
    generator = random.Random(seed)
    device = Device(port, state, JumpingClock(seed), rows=10_000 if events == LAST else generator.choice(ROWS))
    print("up", flush=True)  # noqa: T201 -- the soak waits for it
    for number in range(1, events + 1):
        device.telemetry.offer(_event(number))
        time.sleep(generator.random() * 0.02)
    deadline_s = time.monotonic() + DRAIN_S
    while device.outbox.waiting() and time.monotonic() < deadline_s:
        time.sleep(0.1)
    device.close()


def _event(number: int) -> Event:
    if number % 10 == 0:
        return Health(float(number), number, number, number, {})
    if number % 10 == 5:
        return Fault("camera", "stopped", str(number))
    return Decision(Verdict.AMOUNT, number, number / 15, number, "500", 0.99, 6)


@contextlib.contextmanager
def started(port: int, state: Path, seed: int, events: int) -> Iterator[subprocess.Popen[str]]:
    """A device in a process of its own."""
    code = (
        "import sys; from pathlib import Path; from tests.e2e.soak import run_device; port, state, *rest = sys.argv[1:]"
    )
    code += "; run_device(int(port), Path(state), *map(int, rest))"
    command = [sys.executable, "-c", code, str(port), str(state), str(seed), str(events)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n", "the device did not start"
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A disk that can be filled, where we may mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Trouble:
    """Makes it, on a thread of its own."""

    def __init__(self, broker: KeepingMosquitto, line: Line, disk: Path | None, restarts: int, seed: int) -> None:
        self.restarts = 0
        self._broker, self._line, self._disk, self._most = broker, line, disk, restarts
        self._random = random.Random(seed)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        """Make no more, and leave everything in order; the restarts that are still owed are made."""
        self._stopping.set()
        self._thread.join()
        while self.restarts < self._most:
            self._restart()

    def _run(self) -> None:
        while not self._stopping.wait(self._random.random() * 1.5):
            self._random.choice((self._restart, self._line.cut, self._stall, self._fill))()

    def _restart(self) -> None:
        if self.restarts >= self._most:
            return
        self.restarts += 1
        self._broker.stop()
        time.sleep(self._random.random() * 0.5)
        self._broker.start()

    def _stall(self) -> None:
        self._line.stall()
        self._stopping.wait(self._random.random() * 2)
        self._line.flow()

    def _fill(self) -> None:
        if self._disk is None:
            return
        filler = self._disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(65_536))
        self._stopping.wait(self._random.random())
        filler.unlink()


def soak(folder: Path, kills: int, restarts: int, seed: int = 1) -> Account:
    """Do it all, below `folder`."""
    generator = random.Random(seed)
    broker = start_broker(folder)
    reader, line = Reader(broker.port), Line(broker.port)
    try:
        with small_disk(folder / "disk") as disk:
            state = disk or folder / "disk"
            trouble = Trouble(broker, line, disk, restarts, seed)
            try:
                for kill in range(kills):
                    with started(line.port, state, seed + kill, 1_000_000) as device:
                        time.sleep(generator.random() * 1.5)
                        device.send_signal(signal.SIGKILL)
            finally:
                trouble.end()
            with started(line.port, state, seed + kills, LAST) as device:
                assert device.wait(DRAIN_S + 60) == 0
            return account_of(state / "outbox.db", reader, kills, trouble.restarts)
    finally:
        reader.close()
        line.close()
        broker.stop()


def outage(folder: Path, days: int, rows: int) -> tuple[Account, int]:
    """Days without a broker, health each minute, an amount each ten, an outbox of `rows`; how many amounts arrived."""
    broker = start_broker(folder)
    reader = Reader(broker.port)
    clock = FakeClock(wall_s=1_750_000_000.0)
    broker.stop()
    try:
        device = Device(broker.port, folder, clock, rows=rows)
        for minute in range(days * 24 * 60):
            clock.advance(60.0)
            device.telemetry.offer(Health(minute * 60.0, minute, minute, minute // 10, {"classify": 20.0}))
            if minute % 10 == 0:
                device.see(minute, minute)
            device.wait_until_written(2 if minute % 10 == 0 else 1)
        broker.start()
        reader.wait_until(lambda: len(reader.payloads()) >= rows, DRAIN_S)
        deadline_s = time.monotonic() + DRAIN_S
        while device.outbox.waiting() and time.monotonic() < deadline_s:
            time.sleep(0.1)
        device.close()
        account = account_of(folder / "outbox.db", reader, 0, 1)
        return account, sum(isinstance(payload, wire.DetectionPayload) for payload in reader.payloads())
    finally:
        reader.close()
        broker.stop()


def frame_ms(folder: Path, frames: int) -> tuple[float, float]:
    """The 95th percentile of a frame's milliseconds without telemetry, and with it and no broker; they take turns."""
    bundle = bundles.read(app.find_bundle("xts"))
    engine = TfliteEngine(bundle.model, threads=1, runtime="auto")
    observer, decider = (
        Observer(bundle, engine.invoke, time.perf_counter),
        Decider(bundle.labels, bundle.manifest.decision),
    )
    pixels = np.ascontiguousarray(np.resize(bundle.selftest_pictures[0], (480, 640, 3)))
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        device = Device(nobody.getsockname()[1], folder)
        took_ms: dict[bool, list[float]] = {True: [], False: []}
        for number in range(frames):
            telling = number // TURN % 2 == 1
            began_s = time.perf_counter()
            decider.step(observer.observe(Frame(number, number / 15, pixels)))
            if telling and number % TURN == 0:
                device.see(number, number)
            took_ms[telling].append((time.perf_counter() - began_s) * 1e3)
        device.close()
    without, with_ = (float(np.percentile(took_ms[telling][TURN:], 95)) for telling in (False, True))
    return without, with_


def main() -> int:
    """Soak as the command line asks, and say what came of it."""
    parser = argparse.ArgumentParser(description="kill a device at random moments and account for its telemetry")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--restarts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    rows: list[tuple[str, Account]] = []
    with tempfile.TemporaryDirectory(prefix="saynote-soak-") as folder:
        account = soak(Path(folder), given.kills, given.restarts, given.seed)
    rows.append(
        (f"killed {account.kills} times, broker restarted {account.restarts} times, seed {given.seed}", account)
    )
    say(*rows[-1])
    with tempfile.TemporaryDirectory(prefix="saynote-soak-") as folder:
        week, amounts = outage(Path(folder), 7, 10_000)
    rows.append((f"a week without a broker ({amounts} amounts of 1008 arrived)", week))
    say(*rows[-1])
    for name in troubles.TROUBLES:
        with tempfile.TemporaryDirectory(prefix="saynote-soak-") as folder:
            rows.append((name, troubles.suffer(name, Path(folder))))
        say(*rows[-1])
    with tempfile.TemporaryDirectory(prefix="saynote-soak-") as folder:
        without_ms, with_ms = frame_ms(Path(folder), FRAMES)
    more = 100 * (with_ms / without_ms - 1)
    print(  # noqa: T201
        f"a frame, 95th percentile: {without_ms:.2f} ms, with telemetry and no broker {with_ms:.2f} ms ({more:+.1f} %)"
    )
    return 0 if all(account.clean for _, account in rows) and amounts == 1008 and more <= MOST_PERCENT else 1


def say(what: str, account: Account) -> None:
    """One row of the table in docs/telemetry.md."""
    said = (account.numbered, account.arrived, account.doubled, account.lost, account.uncounted)
    mixed_up = account.two_payloads + account.two_names
    print(f"| {what} | {' | '.join(map(str, said))} | {mixed_up} |", flush=True)  # noqa: T201 -- this is what it is for


if __name__ == "__main__":
    sys.exit(main())
