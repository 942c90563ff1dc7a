"""Owns the .deb: the release that `release.py` lays out, with maintainer scripts that call its `install.sh`.

`python -m deploy.deb [--for bookworm-arm64] [--revision N] [--out FOLDER]`. Without `--for` it is for every computer,
and pip fetches what saynote needs while it is installed; with it the wheels for that Debian and processor lie inside.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deploy import release, wheel, wheels
from deploy.release import ReleaseError
from deploy.wheel import PROJECT, BuildError
from deploy.wheels import Kind, WheelsError
from edge import __version__

# Debian's name for the processor -> the kernel's.
MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}
# Suite -> (number, Python, minor version of glibc).
SUITES = {"bookworm": ("12", "3.11", 36), "trixie": ("13", "3.13", 41)}
KINDS = tuple(f"{suite}-{machine}" for suite in SUITES for machine in MACHINES)
CACHE = PROJECT / "build" / "wheels"
HOME = Path("usr/lib/saynote/release")
CONTROL = """Package: saynote
Version: {version}
Architecture: {architecture}
Maintainer: {maintainer}
Section: misc
Priority: optional
Depends: {python}, python3-venv, espeak-ng, libportaudio2, passwd
Recommends: python3-picamera2, python3-lgpio
Description: says aloud what banknote is in your hand
 A camera looks, a small network decides, and a voice says the amount to a
 person who cannot see it. It needs no network and keeps every picture to
 itself. An update that does not come up, or stops being well within five
 minutes, is taken back by the device itself.
"""
POSTINST = """#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
target=debian
if grep -qs 'Raspberry Pi' /proc/device-tree/model; then target=pi; fi
set -- --no-apt --anyway --target "$target"
[ -d /run/systemd/system ] || set -- "$@" --no-systemd
bash /{home}/install.sh "$@" && exit 0
# The device speaks, with the release before. A package that fails would keep apt from every other update of it.
if [ -d /run/systemd/system ] && systemctl is-active --quiet saynote.service; then
    echo "saynote: {version} was not taken; the release before runs, and the lines above say why" >&2
    exit 0
fi
exit 1
"""
PRERM = """#!/bin/sh
set -e
[ "$1" = remove ] || exit 0
set -- --undeploy
[ -d /run/systemd/system ] || set -- "$@" --no-systemd
bash /{home}/install.sh "$@"
"""
# When this is called the package's files are gone: the script lies in it.
POSTRM = """#!/bin/bash
set -e
[ "$1" = purge ] || exit 0
set -- --undeploy --purge
[ -d /run/systemd/system ] || set -- "$@" --no-systemd
{script}
"""
COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: saynote

Files: *
Copyright: 2026 the authors of saynote
License: Apache-2.0
 On Debian systems the text of the licence is in
 /usr/share/common-licenses/Apache-2.0.
"""
CHANGELOG = """saynote ({version}) stable; urgency=medium

  * See CHANGELOG.md of saynote {upstream}.

 -- {maintainer}  Mon, 01 Jan 2024 00:00:00 +0000
"""


def kind_of(name: str) -> Kind:
    """The kind of computer that a name of KINDS stands for."""
    suite, machine = name.split("-")
    _, python, glibc = SUITES[suite]
    return Kind(python, MACHINES[machine], glibc, is_pi=machine == "arm64")


def build(out: Path, name: str = "", revision: str = "1") -> Path:
    """Build the package into `out`; `name`: one of KINDS, or for every computer. Its path."""
    with tempfile.TemporaryDirectory(prefix="saynote-deb-") as scratch:
        root = Path(scratch, "root")
        made = wheel.build(Path(scratch, "dist"))
        folder = root / HOME
        folder.mkdir(parents=True)
        release.lay_out(folder, made, wheels=wheels.fetch(kind_of(name), made, CACHE) if name else None)
        (folder / "install.sh").chmod(0o755)
        version = f"{__version__}-{revision}" + (f"+deb{SUITES[name.split('-')[0]][0]}" if name else "")
        architecture = name.split("-")[1] if name else "all"
        _describe(root, version, architecture, _python(name))
        out.mkdir(parents=True, exist_ok=True)
        return _pack(root, out / f"saynote_{version}_{architecture}.deb")


def _python(name: str) -> str:
    if not name:
        return "python3 (>= 3.11), python3 (<< 3.14)"
    major, minor = kind_of(name).python.split(".")
    return f"python3 (>= {major}.{minor}), python3 (<< {major}.{int(minor) + 1})"


def _describe(root: Path, version: str, architecture: str, python: str) -> None:
    maintainer = f"{os.environ.get('DEBFULLNAME', 'saynote')} <{os.environ.get('DEBEMAIL', 'saynote@example.org')}>"
    words = {"version": version, "upstream": __version__, "maintainer": maintainer, "home": str(HOME)}
    control, docs = root / "DEBIAN", root / "usr" / "share" / "doc" / "saynote"
    control.mkdir()
    docs.mkdir(parents=True)
    text = CONTROL.format(architecture=architecture, python=python, **words)
    (control / "control").write_text(text, encoding="utf-8")
    script = (PROJECT / "deploy" / "install.sh").read_text(encoding="utf-8").removeprefix("#!/usr/bin/env bash\n")
    scripts = {"postinst": POSTINST, "prerm": PRERM, "postrm": POSTRM.replace("{script}", "")}
    for name, body in scripts.items():
        for word, value in words.items():
            body = body.replace(f"{{{word}}}", value)
        (control / name).write_text(body + (script if name == "postrm" else ""), encoding="utf-8")
        (control / name).chmod(0o755)
    (docs / "copyright").write_text(COPYRIGHT, encoding="utf-8")
    with gzip.GzipFile(docs / "changelog.Debian.gz", "wb", compresslevel=9, mtime=0) as file:
        file.write(CHANGELOG.format(**words).encode())


def _pack(root: Path, package: Path) -> Path:
    for path in [root, *root.rglob("*")]:
        executable = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)
    program = shutil.which("dpkg-deb")
    if program is None:
        raise BuildError("a .deb is made with dpkg-deb, which Debian and its kin have")
    # gzip: a small board unpacks it in a third of the time that xz takes, and wheels are packed already.
    command = [program, "--root-owner-group", "-Zgzip", "--build", str(root), str(package)]
    done = subprocess.run(
        command,
        env={**os.environ, "SOURCE_DATE_EPOCH": wheel.EPOCH},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BuildError(f"the package could not be built:\n{done.stderr}".rstrip())
    return package


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(prog="deb", description="Build the .deb for those who run an apt repository.")
    parser.add_argument(
        "--for", dest="kind", choices=KINDS, default="", help="with the wheels for these [all, without]"
    )
    parser.add_argument("--revision", default="1", help="of the package, for the same version of saynote [1]")
    parser.add_argument("--out", type=Path, default=Path("dist"))
    given = parser.parse_args(arguments)
    try:
        path = build(given.out, given.kind, given.revision)
    except (BuildError, ReleaseError, WheelsError) as error:
        sys.stderr.write(f"deb: {error}\n")
        return 1
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
