"""Owns how other people's converters are called: whether they are there, and that their talk stays theirs.

Knows no network.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

from training.errors import TrainingError

FAILURES = (ValueError, RuntimeError, TypeError, KeyError, AttributeError, NotImplementedError)  # of theirs
INSTALL = "pip install -e '.[training,phone]'"


def require(option: str, *packages: str) -> None:
    """Raises TrainingError where one of the packages that `option` needs is not installed."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise TrainingError(f"{option} needs {' and '.join(missing)}, not installed here: {INSTALL}, or leave it out")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing of what is done within reaches the terminal, from Python or from C++; exceptions do."""
    before = logging.root.manager.disable
    with tempfile.TemporaryFile() as swallowed, contextlib.ExitStack() as undo:
        for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
            stream.flush()
            kept = os.dup(number)
            undo.callback(os.close, kept)
            undo.callback(os.dup2, kept, number)
            undo.callback(stream.flush)
            os.dup2(swallowed.fileno(), number)
        undo.callback(logging.disable, before)
        logging.disable(logging.WARNING)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            with contextlib.redirect_stderr(io.StringIO()):  # where somebody put another in its place
                yield


def first_line(error: Exception) -> str:
    """What an error says first: converters go on for pages."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
