from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
from collections import deque

import numpy as np
import pytest

from training.compose import GENTLE, Composer
from training.errors import TrainingError
from training.prepare import labels_for, play_material
from training.supply import Supply


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
    with Supply(composer, 2, readers=2, workers=2, ahead=6) as supply:
        slow, fast = supply.batches(0, 0), supply.batches(0, 1)
        first = multiprocessing.get_context("fork").Process(target=next, args=(fast,))
        first.start()  # nothing is composed before both have begun
        begun = next(slow)
        first.join()
        supply.leave(1)
        assert same(begun, composer.batch(0, 2))
        for number in range(1, 20):
            assert same(next(slow), composer.batch(number * 2, 2))


def test_no_process_outlives_the_supply(composer: Composer) -> None:
    with Supply(composer, 2, workers=2) as supply:
        next(supply.batches())
        processes = list(supply._processes)
    assert [process.is_alive() for process in processes] == [False, False]


def test_a_composing_process_that_dies_ends_the_training(composer: Composer) -> None:
    with Supply(composer, 2, workers=1) as supply:
        batches = supply.batches()
        next(batches)
        os.kill(supply._processes[0].pid, signal.SIGKILL)
        with pytest.raises(TrainingError, match="ended early"):
            deque(itertools.islice(batches, 10))
