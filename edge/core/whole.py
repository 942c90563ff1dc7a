"""Owns how a small file of our own is written: whole or not at all, whatever is full or pulled meanwhile."""

from __future__ import annotations

import contextlib
from pathlib import Path


def write(path: Path, data: bytes) -> None:
    """Put `data` in the place of what `path` holds; its folder is made. Raises OSError, and then nothing is left."""
    scratch = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(data)
        scratch.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise
