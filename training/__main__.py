"""Owns `python -m training`: what libraries are told first, and that wrong input ends in one sentence and code 1."""

from __future__ import annotations

import os
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow greets on stderr otherwise

from edge.core.errors import EdgeError
from training.cli.app import app
from training.cli.progress import console
from training.errors import TrainingError


def main() -> None:
    """Run the command line; wrong input is one sentence."""
    try:
        app()
    except (TrainingError, EdgeError) as error:
        console.print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
