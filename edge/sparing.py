"""Owns which parts of numpy wait until somebody asks for them, which for most devices is never.

numpy 1 imports all of itself at once; numpy 2 leaves these parts for later by itself, and then nothing is done here.
They take 5 MB and a fourth of numpy's time. It must not know what the parts are for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader

LATER = frozenset(f"numpy.{part}" for part in ("ctypeslib", "fft", "ma", "polynomial", "random"))


class _Later:
    """Finds the parts, and loads each when it is used first."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        """As `importlib` asks for it; None for all else."""
        found = PathFinder.find_spec(name, path) if name in LATER else None
        if found is not None and found.loader is not None:
            found.loader = LazyLoader(found.loader)
        return found


def import_numpy() -> None:
    """Import it, without those parts; for the first line of a program: whoever imports it before has all of it."""
    finder = _Later()
    sys.meta_path.insert(0, finder)
    try:
        import numpy  # noqa: F401
    finally:
        sys.meta_path.remove(finder)
