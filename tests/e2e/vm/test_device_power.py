"""A virtual device with a wrong clock, short of memory, without power: it speaks again and has lost nothing.

`make e2e-device`. CUTS says how often power is cut: half of it during an update, half while messages drain.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.field import KeepingMosquitto, Reader, account_of
from tests.e2e.vm.image import update
from tests.e2e.vm.machine import Machine, Status
from tests.e2e.vm.senses import Person
from tests.e2e.vm.test_device import BACK_S, NOTICED_S, TEXT, detections, journal

pytestmark = [pytest.mark.e2e_device, pytest.mark.timeout(4 * 3600)]

CUTS = int(os.environ.get("SAYNOTE_CUTS", "20"))
UPDATE_S = 900.0
INSTALL = "bash /root/{}/install.sh --target debian --no-apt"
SEED = 15
GROUP = "/sys/fs/cgroup/system.slice/saynote.service"
LIMIT_BYTES = 320 << 20  # MemoryMax of the unit
GREEDY = "held = []\nwhile True:\n    held.append(bytearray(b'x' * 1048576))\n"
OUTBOX = "/var/lib/saynote/outbox.sqlite3"
WAITING = f"import sqlite3; print(*sqlite3.connect('{OUTBOX}').execute('SELECT count(*) FROM messages').fetchone())"
WAITED_FOR = ("5", "100", "10", "50")  # while the broker is away


def test_a_device_switched_on_in_the_past_speaks_and_delivers_and_names_no_moment_until_its_clock_is_set(
    device: Machine, notes: dict[str, Path], reader: Reader
) -> None:
    device.to(Status.OFF)
    device.moment = "2023-01-01T00:00:00"
    before = len(reader.messages)
    try:
        device.to(Status.READY)
        assert int(device.run("date +%s")) < time.time() - 86_400, "its clock is right"
        assert says(device, notes["50"], "50")
        reader.wait_until(lambda: bool(detections(reader, before)), BACK_S)
        assert [payload.wall_s for payload in detections(reader, before)] == [None]
        device.run(f"python3 /usr/local/bin/device_clock.py {time.time():.0f}")
        device.wait_for("sure of its clock", NOTICED_S, lambda: "the clock is set" in journal(device))
        assert says(device, notes["10"], "10")
        reader.wait_until(lambda: len(detections(reader, before)) == 2, BACK_S)
        [_, after] = detections(reader, before)
        assert after.wall_s is not None
        assert abs(after.wall_s - time.time()) < 3600
    finally:
        device.moment = ""


def test_a_service_that_takes_more_memory_than_its_unit_allows_is_ended_alone_and_comes_back(
    device: Machine, person: Person, notes: dict[str, Path]
) -> None:
    assert int(device.run(f"cat {GROUP}/memory.max")) == LIMIT_BYTES
    before = device.run("systemctl show --property=MainPID --value saynote ssh dbus devices").split()
    device.run("cat >/root/greedy.py", stdin=GREEDY)
    # A leak of the daemon would be counted there, too.
    device.run(f"sh -c 'echo $$ >{GROUP}/cgroup.procs && exec python3 /root/greedy.py'", check=False)
    device.wait_for("ended for its memory", NOTICED_S, lambda: "oom-kill" in journal(device))
    device.wait_for("up again", BACK_S, device.is_ready)
    after = device.run("systemctl show --property=MainPID --value saynote ssh dbus devices").split()
    assert before[0] != after[0], "the daemon was not ended"
    assert before[1:] == after[1:], "others were ended"
    assert says(device, notes["100"], "100")


def test_power_cuts_leave_a_device_that_speaks_and_lose_no_message(
    device: Machine, broker: KeepingMosquitto, notes: dict[str, Path], reader: Reader, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    device.to(Status.READY)
    for name in ("one", "other"):
        device.send(update(tmp_path / name, name), f"/root/{name}")
    whole_s = timed(lambda: device.run(INSTALL.format("one"), UPDATE_S))
    print(f"an update takes {whole_s:.0f} s")  # noqa: T201
    for cut in range(CUTS):
        if cut % 2 == 0:
            installing = device.begin(INSTALL.format("other" if cut % 4 == 0 else "one"))
            time.sleep(chance.uniform(0.0, whole_s))  # a moment like any other
            device.cut_power()
            installing.wait(60)
        else:
            gather(device, broker, notes)
            time.sleep(chance.uniform(0.0, 2.0))
            device.cut_power()
        back_s = timed(lambda: device.to(Status.READY))
        assert says(device, notes["20"], "20")
        print(f"cut {cut + 1} of {CUTS}: ready after {back_s:.0f} s")  # noqa: T201
    account = account_of(settled(device, tmp_path), reader)
    print(account)  # noqa: T201
    assert account.clean, account


def gather(device: Machine, broker: KeepingMosquitto, notes: dict[str, Path]) -> None:
    """Let messages wait for a broker that is away, and bring it back."""
    broker.stop()
    try:
        for amount in WAITED_FOR:
            assert says(device, notes[amount], amount)
    finally:
        broker.start()


def says(device: Machine, note: Path, amount: str) -> bool:
    """A person shows a note, hears its amount and takes it away; StepError where it is not said."""
    person = Person(device)
    person.show(note)
    person.hears(TEXT.amount(amount), BACK_S, lambda: person.show_again(note))
    person.show(None)
    return True


def settled(device: Machine, folder: Path) -> Path:
    """The outbox of the device, once nothing waits in it and the daemon has ended."""
    device.wait_for("rid of its messages", BACK_S, lambda: device.run(f'python3 -c "{WAITING}"').strip() == "0")
    device.run("systemctl stop saynote")
    for name in device.run(f"ls -d {OUTBOX}*").split():
        device.fetch(name, folder / Path(name).name)
    return folder / Path(OUTBOX).name


def timed(do: Callable[[], object]) -> float:
    began_s = time.monotonic()
    do()
    return time.monotonic() - began_s
