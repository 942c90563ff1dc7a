"""Owns the way of composed samples from the processes that make them to those that train on them.

Batches lie in shared memory. Every reader gets every batch, in order: what a network learns from depends on the seed
alone, however many processes compose and whichever other networks learn from the same samples beside it.
"""

from __future__ import annotations

import mmap
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from training.compose import Composer
from training.errors import TrainingError

Batch = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]

PLACE = 5  # numbers of a box
LOOK_S = 2.0  # how often a process that waits looks whether the others are still there
DONE = np.iinfo(np.int64).max  # of a reader: it wants no more


class Supply:
    """Composes batches of `batch` samples ahead of `readers`; a context manager, whose processes end with it.

    Enter it before anything computes on a GPU or in TensorFlow: the processes are forks of this one.
    """

    def __init__(
        self, composer: Composer, batch: int, *, readers: int = 1, workers: int | None = None, ahead: int | None = None
    ) -> None:
        """`ahead`: batches kept in memory, for readers that do not go at the same speed."""
        self._composer, self._batch = composer, batch
        self.workers = workers or os.cpu_count() or 1
        self._slots = max(2 * self.workers, ahead or 0)
        shapes = (composer.size, composer.size, 3), (len(composer.labels),), (PLACE,), (PLACE,)
        kinds = np.uint8, np.float32, np.float32, np.float32
        self._arrays = [_shared((self._slots, batch, *shape), kind) for shape, kind in zip(shapes, kinds, strict=True)]
        self._filled = _shared((self._slots,), np.int64)  # number of the batch in each slot
        self._filled[:] = -1
        self._wanted = _shared((readers,), np.int64)  # number of the batch each reader waits for or reads
        self._wanted[:] = -1  # nothing is composed before all have said where they begin
        self._failed = _shared((1,), np.int64)
        context = multiprocessing.get_context("fork")
        self._changed = context.Condition()
        self._processes = [
            context.Process(target=self._compose, args=(number, os.getpid()), daemon=True)
            for number in range(self.workers)
        ]

    def __enter__(self) -> Supply:
        self.start()
        return self

    def start(self) -> None:
        """Begin the processes; they wait until every reader has begun."""
        # OpenCV's threads do not come along into a fork, which then waits for them for ever.
        self._threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        for process in self._processes:
            process.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        for reader in range(len(self._wanted)):
            self.leave(reader)
        for process in self._processes:
            process.join(LOOK_S)
            process.kill()
            process.join()
        cv2.setNumThreads(self._threads)

    def batches(self, first: int = 0, reader: int = 0) -> Iterator[Batch]:
        """Batches from number `first` on, without end. Raises TrainingError when a composing process has failed.

        Pictures uint8 (n, size, size, 3), targets (n, labels), boxes and what of them is known, 0 or 1, (n, 5) each.
        """
        try:
            number = first
            while True:
                slot = number % self._slots
                self._want(reader, number)
                self._wait(lambda number=number, slot=slot: self._filled[slot] == number)
                pictures, targets, boxes, known = (array[slot].copy() for array in self._arrays)
                self._want(reader, number + 1)
                yield pictures, targets, boxes, known
                number += 1
        finally:
            self.leave(reader)

    def leave(self, reader: int) -> None:
        """Nobody waits for this reader any more."""
        self._want(reader, DONE)

    def _want(self, reader: int, number: int) -> None:
        with self._changed:
            self._wanted[reader] = number
            self._changed.notify_all()

    def _wait(self, there: Callable[[], bool]) -> None:
        with self._changed:
            while not self._changed.wait_for(there, LOOK_S):
                self.look()
                if self._failed[0]:
                    raise TrainingError("a process that composes samples has ended early")

    def look(self) -> None:
        """Tell all readers if a composing process has ended early; the process that began the supply can see it."""
        if any(process.exitcode for process in self._processes):
            self._failed[0] = 1

    def _compose(self, worker: int, parent: int) -> None:
        """Fill every `workers`-th slot as soon as no reader needs it any more; runs in a process of its own."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's business
        with self._changed:
            while not self._changed.wait_for(lambda: (self._wanted >= 0).all(), LOOK_S):
                if os.getppid() != parent:
                    return
        number = int(self._wanted.min()) + worker
        while True:
            with self._changed:
                while not self._changed.wait_for(
                    lambda number=number: self._wanted.min() > number - self._slots, LOOK_S
                ):
                    if os.getppid() != parent:
                        return
                if self._wanted.min() == DONE:
                    return
            batch = self._composer.batch(number * self._batch, self._batch)
            slot = number % self._slots
            for array, values in zip(self._arrays, batch, strict=True):
                array[slot] = values
            with self._changed:
                self._filled[slot] = number
                self._changed.notify_all()
            number += self.workers


def _shared(shape: tuple[int, ...], kind: type[np.generic]) -> NDArray[np.generic]:
    """Zeros that forks of this process share with it."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    return np.frombuffer(mmap.mmap(-1, size), kind).reshape(shape)
