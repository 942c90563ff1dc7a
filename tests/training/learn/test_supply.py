from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import numpy as np
import pytest

from tests.training.sandbox import run_without_shared_memory
from training.errors import TrainingError
from training.learn.prepare import labels_for, play_material
from training.learn.supply import Supply
from training.synth.compose import Composer
from training.synth.recipe import GENTLE


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(play_material((5, 50), 1, 0.15), labels_for(["5", "50"]), 32, 1, GENTLE)


def same(one: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_come_in_order_and_are_what_the_composer_makes(composer: Composer, workers: int) -> None:
    with Supply(composer, 4, workers=workers) as supply:
        batches = supply.batches(5)
        for number in range(5, 5 + 4 * workers):  # the slots are used again
            assert same(next(batches), composer.batch(number * 4, 4))


def test_every_reader_gets_every_batch_at_its_own_speed(composer: Composer) -> None:
    context = multiprocessing.get_context("fork")
    read: multiprocessing.SimpleQueue = context.SimpleQueue()
    with Supply(composer, 2, readers=2, workers=2, ahead=6) as supply:

        def hurry() -> None:
            for batch in itertools.islice(supply.batches(0, 1), 20):
                read.put(batch)

        fast = context.Process(target=hurry)
        fast.start()  # nothing is composed before both have begun
        for number, batch in enumerate(itertools.islice(supply.batches(0, 0), 20)):
            assert same(batch, composer.batch(number * 2, 2))
            assert same(read.get(), batch)
        fast.join(10)
        assert fast.exitcode == 0


def test_a_process_that_comes_late_leaves_no_batch_out(composer: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = Supply._compose

    def late(self: Supply, worker: int) -> None:
        time.sleep(worker)
        prompt(self, worker)

    monkeypatch.setattr(Supply, "_compose", late)
    with Supply(composer, 2, workers=2) as supply:
        for number, batch in enumerate(itertools.islice(supply.batches(), 6)):
            assert same(batch, composer.batch(number * 2, 2))


def test_no_process_outlives_the_supply(composer: Composer) -> None:
    with Supply(composer, 2, workers=2) as supply:
        next(supply.batches())
        processes = list(supply._processes)
    assert [process.is_alive() for process in processes] == [False, False]


@pytest.mark.parametrize("asleep", [False, True])
def test_a_composing_process_that_dies_ends_the_training(composer: Composer, asleep: bool) -> None:
    with Supply(composer, 2, workers=1) as supply:
        batches = supply.batches()
        next(batches)
        time.sleep(0.5 if asleep else 0)  # all slots are full by then
        os.kill(supply._processes[0].pid, signal.SIGKILL)
        with pytest.raises(TrainingError, match="ended early"):
            deque(itertools.islice(batches, 10))


def test_a_reader_that_is_killed_keeps_nobody_waiting(composer: Composer) -> None:
    with Supply(composer, 2, readers=2, workers=1) as supply:
        other = multiprocessing.get_context("fork").Process(target=deque, args=(supply.batches(0, 1),))
        other.start()
        batches = supply.batches(0, 0)
        next(batches)
        other.kill()
        other.join()
        supply.leave(1)
        for number, batch in enumerate(itertools.islice(batches, 8), 1):
            assert same(batch, composer.batch(number * 2, 2))


ORPHANS = """
import os, sys
from training.synth.recipe import GENTLE
from training.synth.compose import Composer
from training.learn.prepare import labels_for, play_material
from training.learn.supply import Supply
composer = Composer(play_material((5, 50), 1, 0.15), labels_for(["5", "50"]), 32, 1, GENTLE)
supply = Supply(composer, 2, workers=2)
supply.start()
next(supply.batches())
print(*(process.pid for process in supply._processes), flush=True)
os.kill(os.getpid(), 9)
"""


def test_composing_ends_with_the_process_that_began_it() -> None:
    told = subprocess.run([sys.executable, "-c", ORPHANS], capture_output=True, text=True, check=False)
    pids = told.stdout.split()
    assert len(pids) == 2, told.stderr
    deadline = time.monotonic() + 10
    while alive := [pid for pid in pids if _runs(pid)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.1)


COMPOSES = ORPHANS.replace("os.kill(os.getpid(), 9)", "supply.close()")


@pytest.mark.parametrize("options", ["ro", "size=4k"])
def test_it_needs_no_shared_memory_file_system(options: str) -> None:
    """A container's /dev/shm may be read-only or full."""
    assert len(run_without_shared_memory(options, COMPOSES).split()) == 2


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
