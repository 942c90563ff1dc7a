"""Owns how a command is run here: with a deadline, and with all that it said where it fails."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# Before a command that must not go on by itself: it is killed when the thread that started it has ended.
MORTAL = ("setpriv", "--pdeathsig", "KILL")
# Before a command that mounts: its mounts and processes end with it, however it ends. A folder in which this computer's
# own /dev still hangs is none to delete.
APART = (
    *MORTAL,
    *("unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child"),
)


class StepError(Exception):
    """A step did not come to a good end; `str()` holds its command and what it said."""


def run(
    command: Sequence[str | Path],
    deadline_s: float,
    *,
    check: bool = True,
    stdin: str = "",
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `command`; its standard output and error together stand in `stdout`. StepError past the deadline."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=deadline_s,
            check=False,
            cwd=cwd,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode(errors="replace") if isinstance(error.stdout, bytes) else error.stdout
        raise StepError(f"not done after {deadline_s:.0f} s: {' '.join(words)}\n{said or ''}") from None
    except OSError as error:
        raise StepError(f"{words[0]} cannot be run: {error}") from None
    if check and done.returncode != 0:
        raise StepError(f"exit code {done.returncode}: {' '.join(words)}\n{done.stdout}")
    return done
