"""Owns `python -m training`: what libraries are told first, and that wrong input ends in one sentence and code 1."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow greets on stderr otherwise

from edge.core.errors import EdgeError
from edge.core.line import one_line
from training.cli.app import app
from training.cli.progress import console
from training.errors import TrainingError


def main() -> None:
    """Run the command line; wrong input is one sentence."""
    try:
        app()
    except (TrainingError, EdgeError) as error:
        _end(str(error))
    except OSError as error:  # a full disk, a folder that was taken away
        _end(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))


def _end(sentence: str) -> NoReturn:
    console.print("error:", style="red", end=" ")
    console.print(one_line(sentence), highlight=False, markup=False, soft_wrap=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
