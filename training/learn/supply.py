"""Owns the way of composed samples from the processes that make them to those that train on them.

Batches lie in shared memory. Every reader gets every batch, in order: what a network learns from depends on the seed
and the size alone, however many processes compose and at whatever speed others read.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from training.errors import TrainingError
from training.synth.compose import Composer

# Pictures or what was made of them, targets, boxes, what of them is known.
Batch = tuple[NDArray[Any], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]

PLACE = 5  # numbers of a box
POLL_S = 0.005  # how often a process that waits looks; a batch takes longer to compose
END_S = 2.0  # for the processes to end by themselves
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
        self._lock, self._owner = _Lock(), os.getpid()
        self._processes = [
            context.Process(target=self._compose, args=(number,), daemon=True) for number in range(self.workers)
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
            process.join(END_S)
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
                while self._filled_with(slot) != number:
                    self._pause()
                pictures, targets, boxes, known = (array[slot].copy() for array in self._arrays)
                self._want(reader, number + 1)
                yield pictures, targets, boxes, known
                number += 1
        finally:
            self.leave(reader)

    def leave(self, reader: int) -> None:
        """Nobody waits for this reader any more."""
        self._want(reader, DONE)

    def notice(self) -> None:
        """Let all readers know if a composing process has ended early; the process that began the supply can see it."""
        if any(process.exitcode for process in self._processes):
            self._failed[0] = 1

    def _want(self, reader: int, number: int) -> None:
        with self._lock:
            self._wanted[reader] = number

    def _least_wanted(self) -> int:
        with self._lock:
            return int(self._wanted.min())

    def _filled_with(self, slot: int) -> int:
        with self._lock:
            return int(self._filled[slot])

    def _pause(self) -> None:
        """Raises TrainingError where there is nothing left to wait for."""
        time.sleep(POLL_S)
        self.notice()
        if self._failed[0] or self._owner not in (os.getpid(), os.getppid()):
            raise TrainingError("a process that composes samples has ended early: is there enough memory?")

    def _compose(self, worker: int) -> None:
        """Fill the slots of every `workers`-th batch once no reader needs them; runs in a process of its own."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner's business
        with contextlib.suppress(TrainingError):  # the readers say it
            while (first := self._least_wanted()) < 0:
                self._pause()
            number = first + (worker - first) % self.workers  # the same, however late this process comes
            while True:
                while (least := self._least_wanted()) <= number - self._slots:
                    self._pause()
                if least == DONE:
                    return
                batch = self._composer.batch(number * self._batch, self._batch)
                slot = number % self._slots
                for array, values in zip(self._arrays, batch, strict=True):
                    array[slot] = values
                with self._lock:
                    self._filled[slot] = number
                number += self.workers


class _Lock:
    """One process at a time; not for threads of one process. A process that is killed keeps nobody waiting.

    The kernel's lock on an open file without a name. multiprocessing's own needs a /dev/shm that can be written.
    """

    def __init__(self) -> None:
        nameless = hasattr(os, "memfd_create")
        # Open for as long as the lock is used.
        self._file = os.fdopen(os.memfd_create("turn"), "w+b") if nameless else tempfile.TemporaryFile()  # noqa: SIM115

    def __enter__(self) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)


def _shared(shape: tuple[int, ...], kind: type[Any]) -> NDArray[Any]:
    """Zeros that forks of this process share with it."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    return np.frombuffer(mmap.mmap(-1, size), kind).reshape(shape)
