"""Owns what is said on stderr while a command works: bars, and lines between them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from edge.core.line import one_line
from training.photos.folders import passed_over

console = Console(stderr=True)


def progress() -> Progress:
    """Room for bars; a context manager."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, refresh_per_second=2)


@contextlib.contextmanager
def counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for one task: how many are done, of how many."""
    with stages(what) as tick:
        yield lambda done, total: tick(what, done, total)


@contextlib.contextmanager
def stages(first: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for tasks one after the other: what is being done, how many are done, of how many."""
    with progress() as bar:
        task = bar.add_task(first, total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


@contextlib.contextmanager
def side_by_side() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each task: what is being done, how many are done, of how many."""
    with progress() as bar:
        tasks: dict[str, TaskID] = {}

        def tick(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        yield tick


def say_passed_over(*folders: Path | None) -> None:
    """How much of these folders is not read, because computers put it there by themselves."""
    if found := passed_over(*folders):
        names = ", ".join(sorted({path.name for path in found}))
        say(f"passed over: {len(found)} ({names})")


def say(line: str) -> None:
    """A line as it is, however long."""
    console.print(one_line(line), highlight=False, markup=False, soft_wrap=True)
