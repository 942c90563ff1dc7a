"""Owns how work that falls into parts is divided among processes: what comes of it is the same, however many there are.

Each part must depend on nothing but itself. Results come in the order of the parts, whoever did them and whenever.
The processes are forks of this one: what they need lies in memory already, and only results are sent back.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import cv2

from training.errors import TrainingError

Part = TypeVar("Part")
Result = TypeVar("Result")
Opened = Callable[[], AbstractContextManager[Callable[[Part], Result]]]

AHEAD = 4  # parts a process that are given out before they are asked for: results may be large

_work: list[Any] = []  # in a fork: the parts, and how one of them is done


def each(
    opened: Opened[Part, Result],
    parts: Sequence[Part],
    workers: int = 1,
    here: Callable[[Part], Result] | None = None,
) -> Iterator[Result]:
    """What is done of each part, in order. `opened` gives what does one; it is opened once in each process.

    `here`: what does one in this process, where that is to do all of it. Raises what doing a part raises, and
    TrainingError where a process ends early.
    """
    if workers <= 1 or len(parts) <= 1:
        with contextlib.nullcontext(here) if here else opened() as do:
            yield from map(do, parts)
        return
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # OpenCV's threads do not come along into a fork, which then waits for them for ever
    pool = concurrent.futures.ProcessPoolExecutor(
        min(workers, len(parts)), multiprocessing.get_context("fork"), _begin, (opened, parts)
    )
    try:
        yield from _in_order(pool, len(parts), AHEAD * workers)
    except BrokenProcessPool as error:
        raise TrainingError("a process that shared the work has ended early: is there enough memory?") from error
    finally:
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(threads)


def _in_order(pool: concurrent.futures.Executor, count: int, ahead: int) -> Iterator[Any]:
    waiting = [pool.submit(_do, number) for number in range(min(ahead, count))]
    for number in range(count):
        if number + ahead < count:
            waiting.append(pool.submit(_do, number + ahead))
        yield waiting[number].result()
        waiting[number] = concurrent.futures.Future()  # a result that was given is not kept


def _begin(opened: Opened[Any, Any], parts: Sequence[Any]) -> None:
    """In a fork, once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner's business
    stack = contextlib.ExitStack()  # it ends with the process
    _work[:] = [parts, stack.enter_context(opened()), stack]


def _do(number: int) -> Any:
    return _work[1](_work[0][number])
