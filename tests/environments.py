"""Owns environments for what needs more than the tests do, made once and kept in runs/; standard library only."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
CACHE = PROJECT / "runs" / "environments"


def environment(extras: str) -> Path:
    """The folder of an environment with these extras of saynote: some minutes and some 100 MB the first time."""
    recipe = repr((sys.version_info[:2], (PROJECT / "pyproject.toml").read_text()))
    folder = CACHE / f"{extras.replace(',', '-')}-{hashlib.sha256(recipe.encode()).hexdigest()[:8]}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        uv, python = [sys.executable, "-m", "uv"], str(folder / "bin" / "python")
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        subprocess.run(
            [*uv, "pip", "install", "--quiet", "--python", python, "--editable", f"{PROJECT}[{extras}]"], check=True
        )
        (folder / "complete").touch()
    return folder
