"""Owns how other people's files come into the dashboard: from npm, as the lock says, with their licences.

What it writes is committed, so that nobody needs npm to use the page; a test compares it with the lock. It imports
the standard library only and must not know what the page does with the files.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
PAGE = PROJECT / "deploy" / "dashboard"
LOCK = PAGE / "package-lock.json"
RECORD = "deploy/dashboard/vendor/vendor.json"
# From a package's file to where it is kept. Two are for tests and never served: axe-core, which looks at the page, and
# AsyncAPI's schema, which docs/asyncapi.json must fit.
FILES = {
    "mqtt/dist/mqtt.esm.js": "deploy/dashboard/vendor/mqtt.esm.js",
    "uplot/dist/uPlot.esm.js": "deploy/dashboard/vendor/uPlot.esm.js",
    "uplot/dist/uPlot.min.css": "deploy/dashboard/vendor/uPlot.min.css",
    "axe-core/axe.min.js": "tests/e2e/vendor/axe.min.js",
    "axe-core/LICENSE": "tests/e2e/vendor/LICENSE-axe-core",
    "@asyncapi/specs/schemas/3.0.0.json": "tests/contracts/vendor/asyncapi-3.0.0.json",
    "@asyncapi/specs/LICENSE": "tests/contracts/vendor/LICENSE-asyncapi-specs",
}
LICENCES = "deploy/dashboard/vendor/LICENSES.txt"


def main(project: Path = PROJECT) -> int:
    """Bring the files into `project` anew; the exit code."""
    npm = shutil.which("npm")
    if npm is None:
        sys.stderr.write("saynote: npm is missing. The files are committed; only to renew them: apt-get install npm\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", LOCK.name):
            shutil.copy(PAGE / name, folder)
        done = subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=False)
        if done.returncode != 0:
            sys.stderr.write("saynote: npm could not bring what package-lock.json names; see above\n")
            return 1
        bring(Path(folder) / "node_modules", project)
    return 0


def bring(modules: Path, project: Path) -> None:
    """Copy the files and licences out of an installed `node_modules`, and write down what came from where."""
    packages = locked()
    record = []
    for source, target in FILES.items():
        data = (modules / source).read_bytes()
        (project / target).parent.mkdir(parents=True, exist_ok=True)
        (project / target).write_bytes(data)
        package = package_of(source)
        record.append({"file": target, "from": source, **origin(package, packages), "sha256": sha256(data)})
    text = licences(modules, packages)
    (project / LICENCES).write_text(text, encoding="utf-8")
    (project / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def package_of(source: str) -> str:
    """Whose file it is; a package's name may have a scope before it."""
    return "/".join(source.split("/")[: 2 if source.startswith("@") else 1])


def locked() -> dict[str, Any]:
    """The lock's packages by their folder in `node_modules`."""
    packages: dict[str, Any] = json.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    return {path.removeprefix("node_modules/"): told for path, told in packages.items() if path}


def origin(package: str, packages: dict[str, Any]) -> dict[str, str]:
    """Version of a package and the hash of its archive, as the lock has them."""
    return {"version": packages[package]["version"], "integrity": packages[package]["integrity"]}


def sha256(data: bytes) -> str:
    """As hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def licences(modules: Path, packages: dict[str, Any]) -> str:
    """The licence of each package that the served files are made of, those inside the MQTT client included."""
    parts = []
    for name, told in sorted(packages.items()):
        if told.get("dev") or name.startswith("@types/"):
            continue
        texts = [
            file for file in sorted((modules / name).iterdir()) if file.name.lower().startswith(("licen", "copying"))
        ]
        text = "\n".join(file.read_text(encoding="utf-8", errors="replace").strip() for file in texts if file.is_file())
        parts.append(
            f"{name} {told['version']} ({told.get('license', 'see below')})\n\n{text or '(no text of its own)'}\n"
        )
    return f"\n{'-' * 80}\n\n".join(parts)


if __name__ == "__main__":
    raise SystemExit(main())
