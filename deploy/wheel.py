"""Owns the building of the wheel from this checkout; knows nothing of where it goes.

`python -m deploy.wheel FOLDER` writes it there. Only what belongs into the wheel is laid before the builder, in a
folder of its own: what an earlier build left behind in the checkout cannot slip in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
INGREDIENTS = ("pyproject.toml", "README.md", "LICENSE", "edge")
EPOCH = "1704067200"  # the same files give the same wheel, whenever it is built


class BuildError(Exception):
    """The wheel could not be built; `str()` holds what the builder said."""


def build(out: Path, project: Path = PROJECT) -> Path:
    """Build the wheel into `out` (made if missing) and return its path."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="saynote-wheel-") as scratch:
        source, made = Path(scratch, "source"), Path(scratch, "made")
        source.mkdir()
        for name in INGREDIENTS:
            copy(project / name, source / name)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--quiet"]
        done = subprocess.run(
            [*pip, "--wheel-dir", str(made), str(source)],
            env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        wheels = list(made.glob("*.whl"))
        if done.returncode != 0 or len(wheels) != 1:
            raise BuildError(f"the wheel could not be built:\n{done.stdout}{done.stderr}".rstrip())
        return Path(shutil.copy2(wheels[0], out))


def copy(source: Path, target: Path) -> None:
    """Copy one ingredient, file or folder, without what Python left in it."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    else:
        shutil.copy2(source, target)


def main() -> int:
    """Build into the folder named on the command line; the exit code."""
    try:
        path = build(Path(sys.argv[1] if len(sys.argv) > 1 else "dist"))
    except BuildError as error:
        sys.stderr.write(f"wheel: {error}\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
