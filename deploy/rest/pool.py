"""Owns who judges a picture when: so many readers, a thread each, and so many pictures that wait, no more.

A request takes places for all its pictures or none. Called on the event loop alone, but for what its threads do.
"""

from __future__ import annotations

import asyncio
import math
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from deploy.rest.reader import Reader, Reading
from edge.core.bundle import Bundle

LEARNING = 0.1  # share of the newest picture in the time that one takes


class BusyError(Exception):
    """No more can wait; `retry_after_s` is about when there is room."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"so many pictures wait already: try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Judge(Protocol):
    """Whoever answers pictures, here or on other machines."""

    def bundles(self) -> list[Bundle]:
        """What it knows."""

    async def judge(self, pictures: Sequence[bytes]) -> list[Reading | Exception]:
        """An answer to each, or what stood in its way. Raises BusyError before any is begun."""

    def waiting(self) -> int:
        """Pictures that wait or are being judged."""

    async def close(self) -> None:
        """End, once all that was taken is answered."""


class Pool:
    """Readers in this process."""

    def __init__(self, open_reader: Callable[[], Reader], workers: int, most_waiting: int) -> None:
        """Raises what opening a reader raises."""
        self._readers = [open_reader() for _ in range(workers)]
        self._free: queue.SimpleQueue[Reader] = queue.SimpleQueue()
        for reader in self._readers:
            self._free.put(reader)
        self._threads = ThreadPoolExecutor(workers, "reader")
        self._workers, self._most = workers, workers + most_waiting
        self._taken = 0
        self._picture_s = 0.1

    def bundles(self) -> list[Bundle]:
        """What it knows."""
        return self._readers[0].bundles

    def waiting(self) -> int:
        """Pictures that wait or are being judged."""
        return self._taken

    async def judge(self, pictures: Sequence[bytes]) -> list[Reading | Exception]:
        """An answer to each, or what stood in its way. Raises BusyError before any is begun."""
        if self._taken + len(pictures) > self._most:
            raise BusyError(max(1, math.ceil(self._taken * self._picture_s / self._workers)))
        self._taken += len(pictures)
        loop = asyncio.get_running_loop()
        waiting = [loop.run_in_executor(self._threads, self._read, data) for data in pictures]
        for one in waiting:
            one.add_done_callback(self._leave)
        found = await asyncio.gather(*waiting, return_exceptions=True)
        return [one if isinstance(one, Reading | Exception) else RuntimeError(repr(one)) for one in found]

    async def close(self) -> None:
        """End, once all that was taken is answered."""
        await asyncio.to_thread(self._threads.shutdown)
        for reader in self._readers:
            reader.close()

    def _read(self, data: bytes) -> Reading:
        reader = self._free.get_nowait()  # there are as many as threads
        try:
            return reader.read(data)
        finally:
            self._free.put(reader)

    def _leave(self, done: asyncio.Future[Reading]) -> None:
        self._taken -= 1
        if not done.cancelled() and done.exception() is None:
            found = done.result()
            took_s = (found.decode_ms + found.judge_ms) / 1e3
            self._picture_s += LEARNING * (took_s - self._picture_s)
