"""Owns the entrance: numpy comes in sparingly, before anything else asks for it; then the command line is taken up."""

from __future__ import annotations

import sys

from edge import sparing


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code."""
    sparing.import_numpy()
    from edge import cli

    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
