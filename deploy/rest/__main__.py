"""Owns `python -m deploy.rest`: the command line, and what a refused start sounds like."""

from __future__ import annotations

import sys

from deploy.rest import journal, server, settings
from edge.core.errors import EdgeError
from edge.core.line import one_line


def main() -> int:
    """Serve until SIGTERM or Ctrl-C; the exit code."""
    try:
        wanted = settings.parse()
        journal.write_json()
        server.run(wanted)
    except EdgeError as error:
        sys.stderr.write(f"saynote: {one_line(str(error))}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
