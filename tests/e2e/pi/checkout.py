"""Owns a copy of this project from which a release is deployed, so that a test can break one in its own way."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.e2e.pi.rootfs import PROJECT
from tests.e2e.pi.step import run

INGREDIENTS = ("edge", "deploy", "systemd", "pyproject.toml", "README.md", "LICENSE")
LEFT_BEHIND = ("__pycache__", "*.pyc", "dashboard", "node_modules")
DEPLOY_S = 1800.0


class Checkout:
    """A folder with all that a release is made of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        for name in INGREDIENTS:
            if (PROJECT / name).is_dir():
                shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
            else:
                shutil.copy2(PROJECT / name, folder)

    def change(self, name: str, old: str, new: str) -> Checkout:
        """Write `new` for `old` in a file; what is not there cannot be changed."""
        file = self.folder / name
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name} has {old!r} {text.count(old)} times"
        file.write_text(text.replace(old, new), encoding="utf-8")
        return self

    def send(self, hosts: str, ssh_config: Path, *words: str, deadline_s: float = DEPLOY_S) -> tuple[int, str]:
        """Call `deploy.send` in this copy; its exit code and all that it said."""
        command = [sys.executable, "-m", "deploy.send", hosts, "--ssh-config", str(ssh_config), *words]
        done = run(command, deadline_s, check=False, cwd=self.folder)
        return done.returncode, done.stdout
