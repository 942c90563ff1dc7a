"""Owns the question whether a folder can take what a training will write, asked before it begins."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from training.errors import TrainingError


@contextlib.contextmanager
def room(folder: Path, needed_bytes: int) -> Iterator[Path]:
    """A new folder inside `folder` to try writing in; both are gone afterwards, but for what was there before.

    Raises TrainingError where there cannot be one, and where the disk has less than `needed_bytes` left.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free_bytes = shutil.disk_usage(folder).free
        if free_bytes < needed_bytes:
            left, needed = free_bytes // 10**6, needed_bytes // 10**6
            raise TrainingError(f"{folder} is on a disk with {left} MB left: a training needs {needed}")
        with tempfile.TemporaryDirectory(dir=folder, prefix=".try-") as beside:
            yield Path(beside)
    except OSError as error:
        raise TrainingError(f"{folder} cannot be written: {error.strerror}") from None
    finally:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()
