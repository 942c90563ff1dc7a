"""Owns how a small file of our own is written: whole or not at all, whatever is full or pulled meanwhile."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write(path: Path, data: bytes, *, lasting: bool = False) -> None:
    """Put `data` in the place of what `path` holds; its folder is made. Raises OSError, and then nothing is left.

    `lasting`: it is on the disk, whatever is pulled, before this returns.
    """
    scratch = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(data)
        if lasting:
            to_disk(scratch)
        scratch.replace(path)
        if lasting:
            to_disk(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise


def to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
