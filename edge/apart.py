"""Owns how a process of our own begins: the same Python, these very modules, and nothing that makes it the service.

What may take a process down, or must not be waited for, runs in one. It must not know what that is.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from edge import sparing

ROOT = Path(__file__).resolve().parents[1]
BEGIN = "import sys; sys.path.insert(0, sys.argv[1]); from edge import apart; apart.begin(*sys.argv[2:])"


def command(module: str, function: str, *words: str) -> list[str]:
    """The command line that calls `function` of `module` with `words`."""
    return [sys.executable, "-c", BEGIN, str(ROOT), module, function, *words]


def environment() -> dict[str, str]:
    """Ours, but it writes no compiled module, and systemd hears nothing of it."""
    ours = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    ours.pop("NOTIFY_SOCKET", None)
    return ours


def begin(module: str, function: str, *words: str) -> None:
    """In that other process: what it is for."""
    sparing.import_numpy()
    getattr(importlib.import_module(module), function)(*words)
