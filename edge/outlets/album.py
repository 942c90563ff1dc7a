"""Owns the folder of kept pictures: names, rights, size, age, deletion; knows nothing of why a picture is kept.

    2026-11-25-0007.jpg    the picture; its name and its times tell the day and nothing more
    2026-11-25-0007.json   one line: why it was kept and what the device made of it
    undated-0001.jpg       from a device whose clock was not set; counted from the day on which it is

An album may have shelves, sub-folders: then a picture lies on one and its line on another, and all count together.

Nothing is remembered between two calls, so the folder may be emptied by hand while the daemon runs. Each write first
removes what is too old and then, oldest first, as much as the new picture needs. Folder 0700, files 0600.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CAPTURES = "captures"  # the folder's name within the state folder
FOLDER_MODE, FILE_MODE = 0o700, 0o600
UNDATED = "undated"
NAME = re.compile(r"(\d{4}-\d\d-\d\d|undated)-(\d+)\.(jpg|json)(\.part)?")


@dataclass(frozen=True, slots=True)
class Kept:
    """One picture with what belongs to it."""

    day: str  # ISO date, or UNDATED
    number: int  # counts up within the day
    files: tuple[Path, ...]
    size: int  # bytes of all of them

    @property
    def order(self) -> tuple[bool, str, int]:
        """Oldest first; of those without a date nobody knows, so they go first."""
        return (self.day != UNDATED, self.day, self.number)


@dataclass(frozen=True, slots=True)
class Contents:
    """What the folder holds."""

    pictures: int
    size: int  # bytes
    first_day: str  # "" when there is none
    last_day: str


class Album:
    """Keeps pictures in `folder`, which is made with the first of them. Methods raise OSError as the disk does."""

    def __init__(self, folder: Path, *, max_bytes: int, keep_days: int, shelves: Sequence[str] = ()) -> None:
        self._folder, self._max_bytes, self._keep_days = folder, max_bytes, keep_days
        self._folders = (folder, *(folder / shelf for shelf in shelves))

    def add(self, jpeg: bytes, line: bytes, today: datetime.date | None, shelf: str = "", line_shelf: str = "") -> str:
        """Keep a picture and its line of JSON; the picture's name, "" when it alone is larger than all may be.

        `today` is None where the clock was never set; the shelves are two of those it was made with, or the folder.
        """
        self.tidy(today)
        if len(jpeg) + len(line) > self._max_bytes:
            return ""
        self._make_room(len(jpeg) + len(line))
        day = UNDATED if today is None else today.isoformat()
        number = 1 + max((kept.number for kept in _read(*self._folders) if kept.day == day), default=0)
        # The line first: a picture is never without it.
        for on, suffix, data in ((line_shelf, ".json", line), (shelf, ".jpg", jpeg)):
            _write(self._folder / on / f"{day}-{number:04}{suffix}", data, today)
        return f"{day}-{number:04}.jpg"

    def tidy(self, today: datetime.date | None) -> None:
        """Make the folder, if need be, and remove from it what is too old, too much, or was cut off in writing."""
        for folder in self._folders:
            folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            folder.chmod(FOLDER_MODE)
            for torn in folder.glob("*.part"):
                torn.unlink(missing_ok=True)
        if today is not None:
            self._date_the_undated(today)
            oldest = (today - datetime.timedelta(days=self._keep_days)).isoformat()
            for kept in _read(*self._folders):
                if kept.day < oldest:
                    _remove(kept)
        self._make_room(0)

    def _make_room(self, size: int) -> None:
        kept = _read(*self._folders)
        total = sum(one.size for one in kept)
        for one in kept:
            if total + size <= self._max_bytes:
                return
            _remove(one)
            total -= one.size

    def _date_the_undated(self, today: datetime.date) -> None:
        number = max((kept.number for kept in _read(*self._folders) if kept.day == today.isoformat()), default=0)
        for kept in _read(*self._folders):
            if kept.day == UNDATED:
                number += 1
                for path in kept.files:
                    path.rename(path.with_name(f"{today.isoformat()}-{number:04}{path.suffix}"))


def contents(folder: Path) -> Contents:
    """What is kept in `folder`; nothing where there is none."""
    kept = _read(folder)
    pictures = sum(any(path.suffix == ".jpg" for path in one.files) for one in kept)
    first, last = (kept[0].day, kept[-1].day) if kept else ("", "")
    return Contents(pictures, sum(one.size for one in kept), first, last)


def delete(folder: Path) -> int:
    """Delete all that is kept in `folder`, and the folder unless others have files in it; how many there were."""
    found = contents(folder).pictures
    for kept in _read(folder, torn=True):
        _remove(kept)
    with contextlib.suppress(FileNotFoundError):
        if not any(folder.iterdir()):
            folder.rmdir()
    return found


def _read(*folders: Path, torn: bool = False) -> list[Kept]:
    """All that is kept, oldest first; files that are not ours are left alone."""
    found: dict[tuple[str, int], list[Path]] = {}
    for folder in folders:
        with contextlib.suppress(FileNotFoundError):
            for path in folder.iterdir():
                match = NAME.fullmatch(path.name)
                if match and (torn or not match[4]):
                    found.setdefault((match[1], int(match[2])), []).append(path)
    kept = [Kept(day, number, tuple(paths), sum(map(_size, paths))) for (day, number), paths in found.items()]
    return sorted(kept, key=lambda one: one.order)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # deleted meanwhile
        return 0


def _remove(kept: Kept) -> None:
    for path in kept.files:
        path.unlink(missing_ok=True)


def _write(path: Path, data: bytes, today: datetime.date | None) -> None:
    """Whole or not at all."""
    scratch = path.with_name(path.name + ".part")
    try:
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as file:
            file.write(data)
        # The time of day is nobody's business either.
        midnight_s = 0.0 if today is None else datetime.datetime.combine(today, datetime.time()).timestamp()
        os.utime(scratch, (midnight_s, midnight_s))
        scratch.replace(path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise
