"""Owns how a file that somebody else wrote is read: regular files only, and no more of one than it may hold.

A device, a pipe or an endless file in its place is refused before anything is read. It must not know what is in files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

PIECE_BYTES = 1 << 20


def read(path: Path, most_bytes: int, *, links: bool = True) -> bytes:
    """The content of a regular file. Raises OSError, whose `strerror` says what is wrong with it.

    `links`: whether `path` may be a symbolic link to one.
    """
    with opened(path, most_bytes, links=links) as handle:
        return rest(handle, most_bytes)


@contextlib.contextmanager
def opened(path: Path, most_bytes: int, *, links: bool = True) -> Iterator[int]:
    """A handle of the same file, for those who look at its beginning first. Raises OSError as `read` does."""
    try:
        # Before it is opened, too: to open a device may already do something.
        _check(path.stat(follow_symlinks=links), most_bytes)
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if links else os.O_NOFOLLOW)
        handle = os.open(path, flags)
    except ValueError:
        raise OSError(errno.EINVAL, "its name holds a zero byte") from None
    try:
        _check(os.fstat(handle), most_bytes)
        yield handle
    finally:
        os.close(handle)


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder that can be looked at; a name that the system does not take is none."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _check(found: os.stat_result, most_bytes: int) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, "it is a link")
    if stat.S_ISDIR(found.st_mode):
        raise OSError(errno.EISDIR, "it is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is a device or a pipe, not a file")
    if found.st_size > most_bytes:
        raise _too_large(most_bytes)


def rest(handle: int, most_bytes: int) -> bytes:
    """What follows in an opened file, in one piece if its size is right: it may grow, and one of /proc has no size."""
    pieces, left, wanted = [], most_bytes + 1, os.fstat(handle).st_size + 1
    while left > 0 and (piece := os.read(handle, min(left, wanted))):
        pieces.append(piece)
        left -= len(piece)
        wanted = PIECE_BYTES
    if left <= 0:
        raise _too_large(most_bytes)
    return b"".join(pieces)


def _too_large(most_bytes: int) -> OSError:
    size = f"{most_bytes >> 20} MB" if most_bytes >= 1 << 20 else f"{most_bytes >> 10} KB"
    return OSError(errno.EFBIG, f"it is larger than {size}")
