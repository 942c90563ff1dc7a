"""A root folder to install into, with a stand-in for systemctl that can be told to fail, or not to answer ("deaf")."""

import os
import subprocess
from pathlib import Path

SYSTEMCTL = """#!/bin/sh
# The service runs unless the release it would run is named in the file "broken".
echo "$*" >> "{folder}/calls"
runs() {{ ! grep -qsx "$(basename "$(realpath "{root}/opt/saynote/current")")" "{folder}/broken"; }}
case "$1" in
    restart) runs && touch "{folder}/up" || {{ rm -f "{folder}/up"; exit 1; }} ;;
    is-active) test -e "{folder}/up" ;;
    show) test ! -e "{folder}/deaf" || exit 1
          case "$2" in *ActiveState) cat "{folder}/state" 2>/dev/null || echo active ;;
          *StatusText) cat "{folder}/status" 2>/dev/null || true ;;
          *) cat "{folder}/restarts" 2>/dev/null || echo 0 ;; esac ;;
esac
"""


class Pi:
    """A root folder with a systemctl of its own."""

    def __init__(self, folder: Path, options: list[str]) -> None:
        self.folder, self.root, self.options = folder, folder / "root", options
        self.home = self.root / "opt" / "saynote"
        program = folder / "bin" / "systemctl"
        program.parent.mkdir(parents=True)
        program.write_text(SYSTEMCTL.format(folder=folder, root=self.root))
        program.chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}

    def command(self, release: Path, *more: str) -> list[str]:
        return ["bash", str(release / "install.sh"), "--root", str(self.root), "--settle", "0", *self.options, *more]

    def install(self, release: Path, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(release, *more),
            capture_output=True,
            text=True,
            check=False,
            env={**self.environment, **environment},
        )

    def proves(self) -> subprocess.CompletedProcess[str]:
        """The release on trial does well for as long as it must."""
        return self.install(self.home / "generation" / "trial", "--watch", "--trial", "0")

    def breaks_with(self, name: str) -> None:
        (self.folder / "broken").write_text(name + "\n")

    @property
    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def points_to(self, link: str) -> str:
        return (self.home / link).resolve().name

    @property
    def config(self) -> Path:
        return self.root / "etc" / "saynote" / "edge.toml"
