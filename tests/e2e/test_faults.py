"""Bad input and faults, on the real program: one clear sentence, an exit code or a retry, never a traceback."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge import app
from edge.core import bundle as bundles
from edge.core.errors import EXIT_BUNDLE, EXIT_CONFIG, EXIT_HARDWARE

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


class Daemon:
    """A running `python -m edge`, read line by line."""

    def __init__(self, folder: Path, *arguments: str, path: str = "/usr/bin:/bin") -> None:
        environment = {"PATH": path, "HOME": str(folder), "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "edge", *arguments]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.read: list[str] = []

    def until(self, pattern: str) -> str:
        """Read on until a line matches."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.read.append(line.rstrip("\n"))
            if re.search(pattern, line):
                return line
        raise AssertionError(f"ended without {pattern!r}: {self.read}")

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        out, _ = self.process.communicate(timeout=20)
        self.read += out.splitlines()
        return self.process.returncode


@pytest.fixture
def daemons() -> Iterator[list[Daemon]]:
    started: list[Daemon] = []
    yield started
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.communicate()


def config(folder: Path, camera: str = "", more: str = "") -> str:
    """A settings file: play money, speech into a WAV file, no button."""
    text = (
        f'[model]\nbundle = "xts"\n[voice]\ndriver = "wav"\npath = "{folder}/said.wav"\n'
        f'[button]\ndriver = "none"\n[camera]\n{camera}\n{more}'
    )
    path = folder / "edge.toml"
    path.write_text(text)
    return str(path)


def edge(folder: Path, *arguments: str, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge", *arguments], cwd=ROOT, text=True, capture_output=True, timeout=60, check=False,
        env={"PATH": path, "HOME": str(folder)}, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """What it complained of: no traceback, and not without a word."""
    assert "Traceback" not in done.stderr, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("saynote: ")]
    assert lines, done.stderr
    return " ".join(lines)


@pytest.mark.skipif(Path("/dev/video0").exists(), reason="there is a camera here")
@pytest.mark.parametrize("driver", ["webcam", "picamera"])
def test_without_a_camera_it_says_so_and_goes_on_looking(tmp_path: Path, daemons: list[Daemon], driver: str) -> None:
    one = Daemon(tmp_path, "run", "--view", "--config", config(tmp_path, f'driver = "{driver}"'))
    daemons.append(one)
    one.until(r"spoken .*(No camera|camera software is not installed)")
    assert one.process.poll() is None
    assert one.end() == 0
    assert sum("spoken" in line and "amera" in line for line in one.read) == 1
    assert not any("Traceback" in line for line in one.read)
    assert not any("play crowns" in line for line in one.read), "the service never falls back to recorded frames"


def test_a_wanted_end_by_either_signal_is_exit_code_0(tmp_path: Path, daemons: list[Daemon]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        one = Daemon(tmp_path, "run", "--camera", "replay", "--view", "--wav", str(tmp_path / "said.wav"))
        daemons.append(one)
        one.until("spoken .*Demonstration")
        assert one.end(number) == 0
        assert not any("Traceback" in line for line in one.read)


def test_without_espeak_the_service_ends_with_one_sentence(tmp_path: Path) -> None:
    done = edge(tmp_path, "run", "--config", config(tmp_path, 'driver = "webcam"'), path=str(tmp_path))
    assert done.returncode == EXIT_HARDWARE
    assert "espeak-ng" in sentence(done)


def test_without_espeak_the_demonstration_shows_what_it_cannot_speak(tmp_path: Path) -> None:
    done = edge(tmp_path, "run", "--camera", "replay", "--view", path=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "speech: shown, not spoken" in done.stdout
    assert "20 play crowns" in done.stdout


def test_a_missing_broker_is_said_once_and_nothing_stops(tmp_path: Path, daemons: list[Daemon]) -> None:
    camera = f'driver = "files"\npath = "{app.REPLAY}"'
    mqtt = '[mqtt]\nenabled = true\nhost = "127.0.0.1"\nport = 9\n'
    one = Daemon(tmp_path, "run", "--view", "--config", config(tmp_path, camera, mqtt))
    daemons.append(one)
    one.until("spoken .*20 play crowns")
    one.until("spoken .*broker does not answer")
    one.until("spoken .*50 play crowns")
    one.process.communicate(timeout=30)
    assert one.process.returncode == 0
    assert sum("spoken" in line and "broker" in line for line in one.read) == 1


def test_a_misspelt_key_names_the_nearest_good_one(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text('[camera]\ndrivr = "webcam"\n[voise]\nvolume = 3\n[button]\npin = 99\n')
    done = edge(tmp_path, "run", "--config", str(path))
    assert done.returncode == EXIT_CONFIG
    said = sentence(done)
    assert "did you mean camera.driver?" in said
    assert "did you mean voice?" in said
    assert "button.pin = 99" in said, "all mistakes are shown together"


@pytest.mark.parametrize("harm", ["no hash", "truncated", "missing file", "foreign"])
def test_a_bundle_that_must_not_be_used_is_refused_with_the_reason(tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(app.BUNDLES / "xts", folder)
    manifest = json.loads((folder / bundles.MANIFEST).read_text())
    if harm == "no hash":
        del manifest["files"][bundles.MODEL]
    elif harm == "foreign":
        manifest["format"] = 7
    (folder / bundles.MANIFEST).write_text(json.dumps(manifest))
    if harm == "truncated":
        model = (folder / bundles.MODEL).read_bytes()
        (folder / bundles.MODEL).write_bytes(model[: len(model) // 2])
    elif harm == "missing file":
        (folder / bundles.LABELS).unlink()
    reason = {"no hash": "no hash", "truncated": "damaged", "missing file": "cannot be read", "foreign": "format 7"}
    done = edge(tmp_path, "run", "--bundle", str(folder), "--config", config(tmp_path, 'driver = "webcam"'))
    assert done.returncode == EXIT_BUNDLE
    assert reason[harm] in sentence(done)
    assert (tmp_path / "said.wav").stat().st_size > 20_000, "it is spoken too"


def test_an_unknown_bundle_is_named_with_those_that_ship(tmp_path: Path) -> None:
    done = edge(tmp_path, "replay", str(app.REPLAY), "--bundle", "gold")
    assert done.returncode == EXIT_BUNDLE
    assert "xts" in sentence(done)


def test_a_corrupt_picture_in_a_replay_is_named_and_left_out(tmp_path: Path) -> None:
    for number in (60, 61):
        shutil.copy(app.REPLAY / f"00{number}.jpg", tmp_path)
    (tmp_path / "0060b.jpg").write_bytes(b"\xff\xd8 torn")
    done = edge(tmp_path, "replay", str(tmp_path), "--bundle", "xts")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "0060b.jpg: cannot be opened" in done.stdout


@pytest.mark.parametrize("name", ["empty", "nowhere"])
def test_a_replay_without_pictures_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    done = edge(tmp_path, "replay", str(tmp_path / name), "--bundle", "xts")
    assert done.returncode == EXIT_HARDWARE
    assert name in sentence(done)


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m edge replay {app.REPLAY} --bundle xts | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert "20 play crowns" in done.stdout
    assert "Traceback" not in done.stderr
