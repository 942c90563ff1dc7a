"""What is seen stays nowhere and goes nowhere: the real daemon over the replay, without a network, its traces watched.

Every socket it opens and every file it opens for writing is noted by an audit hook inside the interpreter; where the
machine allows it, the daemon runs in a network namespace of its own, in which there is nothing to be reached at all.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edge import app
from edge.outlets.album import CAPTURES

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM")
WATCHED = """
import json, os, runpy, socket, sys
notes = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
def note(event, arguments):
    kind = None
    if event in ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"):
        kind = arguments[0].family == socket.AF_UNIX and "unix" or "network"
    elif event == "socket.__new__":
        kind = arguments[1] == socket.AF_UNIX and "unix" or "network"
    elif event.startswith("socket.get"):
        kind = "lookup"
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING:
        kind = "write"
    elif event in ("sqlite3.connect", "subprocess.Popen", "os.exec"):
        kind = event
    if kind:
        os.write(notes, (json.dumps([kind, event, str(arguments[0])]) + "\\n").encode())
sys.addaudithook(note)
sys.argv[0] = "saynote"
runpy.run_module("edge", run_name="__main__", alter_sys=True)
"""


@dataclass
class Traces:
    """What a run has left behind."""

    folder: Path
    out: str
    notes: list[tuple[str, str, str]]  # kind, event, first argument

    def of(self, *kinds: str) -> list[str]:
        return [f"{event} {what}" for kind, event, what in self.notes if kind in kinds]

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


def alone() -> list[str]:
    """What comes before a command that is to have no network; nothing where the machine does not allow it."""
    unshare = shutil.which("unshare")
    for flags in (["--net"], ["--net", "--map-root-user"]):
        if unshare and subprocess.run([unshare, *flags, "true"], capture_output=True, check=False).returncode == 0:
            return [unshare, *flags]
    return []


def run(folder: Path, more: str = "", frames: int = 100) -> Traces:
    """Play the first `frames` of the recording to the daemon, in a folder of its own."""
    recording, home = folder / "recording", folder / "home"
    for made in (recording, home):
        made.mkdir()
    for name in ("recording.toml", *(f"{number:04}.jpg" for number in range(frames))):
        shutil.copy(app.REPLAY / name, recording)
    settings = folder / "edge.toml"
    settings.write_text(
        f'[model]\nbundle = "xts"\n[voice]\ndriver = "wav"\npath = "{home}/said.wav"\n[button]\ndriver = "none"\n'
        f'[camera]\ndriver = "files"\npath = "{recording}"\n{more}'
    )
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1", "NOTES": str(folder / "notes"), "STATE_DIRECTORY": str(home / "state"),
    }  # fmt: skip
    done = subprocess.run(
        [*alone(), sys.executable, "-c", WATCHED, "run", "--config", str(settings)], cwd=home, env=environment,
        text=True, capture_output=True, timeout=240, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    notes = [tuple(json.loads(line)) for line in (folder / "notes").read_text().splitlines()]
    return Traces(home, done.stdout + done.stderr, notes)


def holds_a_picture(path: Path) -> bool:
    """Whether a file is a picture, or holds one: by its first bytes, or as an array with a height and a width."""
    data = path.read_bytes()
    if path.suffix == ".npz":
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return any(arrays[name].ndim > 1 for name in arrays.files)
    return data.startswith(PICTURES) or b"\xff\xd8\xff\xe0\x00\x10JFIF" in data


def test_by_default_no_picture_is_stored_and_nothing_is_sent(tmp_path: Path) -> None:
    left = run(tmp_path)
    assert "amount label=20" in left.out, "it did read the notes"
    known = {"said.wav", "bundle.json", *(path.name for path in (left.folder / "state" / "phrases").glob("*.npz"))}
    assert {path.name for path in left.files} <= known
    assert [path.name for path in left.files if holds_a_picture(path)] == []
    assert left.of("network", "lookup", "sqlite3.connect") == []
    outside = [line for line in left.of("write") if str(left.folder) not in line and "/dev/" not in line]
    assert outside == [], "nothing is written anywhere else"


def test_the_same_look_finds_what_the_owner_has_switched_on(tmp_path: Path) -> None:
    left = run(tmp_path, "[capture]\nenabled = true\n[web]\nenabled = true\nport = 0\n")
    assert [path.suffix for path in left.files if holds_a_picture(path)].count(".jpg") >= 1
    assert any("socket.bind" in line for line in left.of("network"))
    network = left.of("network")
    assert not any(line.startswith(("socket.connect", "socket.send")) for line in network), "it answers, it never calls"


def test_a_disk_that_takes_no_picture_is_said_once_and_notes_are_still_read(tmp_path: Path) -> None:
    prlimit = shutil.which("prlimit")
    if prlimit is None:
        pytest.skip("prlimit is not installed: sudo apt-get install util-linux")
    settings = tmp_path / "edge.toml"
    settings.write_text(
        f'[model]\nbundle = "xts"\n[voice]\ndriver = "none"\n[button]\ndriver = "none"\n[capture]\nenabled = true\n'
        f'[camera]\ndriver = "files"\npath = "{app.REPLAY}"\n'
    )
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "STATE_DIRECTORY": str(tmp_path / "state")}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # what Python compiles would be cut off, too, and break later runs
    done = subprocess.run(  # no file may grow beyond 4 KB: the kernel refuses each write as a full disk does
        [prlimit, "--fsize=4096", sys.executable, "-m", "edge", "run", "--config", str(settings)], cwd=ROOT,
        env=environment, text=True, capture_output=True, timeout=240, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "amount label=20" in done.stderr
    assert done.stderr.count("pictures cannot be kept just now") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "state" / CAPTURES).glob("*.jp*g*")) == []
