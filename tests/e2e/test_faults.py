"""Bad input and faults, on the real program: one clear sentence, an exit code or a retry, never a traceback."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge import app
from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from edge.core.errors import EXIT_BUNDLE, EXIT_CONFIG, EXIT_HARDWARE, BundleError, HardwareError, Reason
from edge.core.messages import Frame, Pixels
from edge.core.speech import PHRASES, Speech
from edge.drivers.clock import SystemClock
from edge.drivers.fake import (
    FakeBoard,
    FakeCamera,
    FakeClock,
    FakeEngine,
    FakeSpeaker,
    FakeSupervisor,
    FakeSynth,
)
from edge.settings import Config, ModelConfig, MqttConfig
from tests.devices import fake_engine, fake_parts

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]


class Daemon:
    """A running `python -m edge`, read line by line."""

    def __init__(
        self, folder: Path, *arguments: str, path: str = "/usr/bin:/bin", more: dict[str, str] | None = None
    ) -> None:
        environment = {"PATH": path, "HOME": str(folder), "PYTHONUNBUFFERED": "1"} | (more or {})
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
    assert "0060b.jpg: left out, as it is broken: it is cut off" in done.stdout


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


# The daemon as app.run puts it together, over the shipped fakes


def scene(seed: int) -> Pixels:
    """What a sensor with noise sees: no two are the same."""
    shades = np.tile(np.arange(0, 192, 2, dtype=np.uint8), (72, 1))[..., None].repeat(3, axis=2)
    return shades + np.random.default_rng(seed).integers(0, 3, shades.shape, dtype=np.uint8)


def film(first: int, count: int, *, frozen: bool = False) -> list[Frame | Exception]:
    return [Frame(n, n / 10, scene(first if frozen else n)) for n in range(first, first + count)]


class Cameras:
    """Opens one camera after another; the last one goes on until the daemon has said `until`, and then ends."""

    def __init__(self, scripts: list[list[Frame | Exception]], said: Callable[[], list[str]], until: str) -> None:
        self.scripts, self.said, self.until = scripts, said, until
        self.clock = FakeClock()  # of what sounds: it passes with the pictures
        self.opened = 0

    def __call__(self) -> FakeCamera:
        self.opened += 1
        return FakeCamera(self.scripts.pop(0) if self.scripts else self.endless())

    def endless(self) -> Iterator[Frame]:
        pause = threading.Event()
        for n in range(10_000, 14_000):
            if self.until in self.said():
                return
            pause.wait(0.01)
            self.clock.advance(0.1)
            yield Frame(n, n / 10, scene(n))


@functools.cache
def fixed_texts() -> dict[bytes, str]:
    """Every text that is said without a note, by its sound."""
    texts = Speech("en", "XTS").fixed(())
    return {FakeSynth().render(text, "en").samples.tobytes(): text for text in texts}


class Living:
    """The daemon over fakes with a real clock, so that its threads work as they do on a device."""

    def __init__(self, folder: Path, until: str, *scripts: list[Frame | Exception], config: Config, **changes: object):
        self.cameras = Cameras(list(scripts), self.heard, until)
        self.speakers: list[FakeSpeaker] = []
        values: dict[str, object] = {
            "camera": self.cameras,
            "engine": answers_background,
            "speaker": self.card,
            "clock": SystemClock(),
            "sensor": True,
        }
        self.parts = fake_parts(**(values | changes))
        self.config, self.folder = config, folder

    def card(self) -> FakeSpeaker:
        self.speakers.append(FakeSpeaker(self.cameras.clock))
        return self.speakers[-1]

    def heard(self) -> list[str]:
        """The texts that were played, in order, told by their sound."""
        sounds = [heard.pcm.samples.tobytes() for speaker in self.speakers for heard in list(speaker.heard)]
        return [fixed_texts().get(sound, "?") for sound in sounds]

    def run(self, **options: object) -> list[str]:
        """Live until the last recording has ended; what was heard, but for what a new device says once."""
        app.run(self.config, self.parts, threading.Event(), state=self.folder, **options)  # type: ignore[arg-type]
        return [text for text in self.heard() if text != PHRASES["not genuine"]]


def answers_background(bundle: Bundle) -> FakeEngine:
    return fake_engine(bundle, [[9.0 if label == "background" else 0.0 for label in bundle.labels], [0.5] * 5])


XTS = Config(model=ModelConfig(bundle="xts"))


def test_a_frozen_camera_is_said_and_opened_anew(tmp_path: Path) -> None:
    stuck = [*film(0, 5), *film(5, 100, frozen=True)]
    device = Living(tmp_path, "The camera works again", stuck, config=XTS)
    said = device.run()
    assert said == ["Ready", "The camera gives the same picture again and again", "The camera works again"]
    assert device.cameras.opened == 2


def test_a_camera_unplugged_and_plugged_in_again_is_said_twice(tmp_path: Path) -> None:
    gone = HardwareError("camera", Reason.STOPPED, "unplugged")
    device = Living(tmp_path, "The camera works again", [*film(0, 5), gone], config=XTS)
    assert device.run() == ["Ready", "The camera has stopped, I keep trying", "The camera works again"]


def test_a_sound_card_that_comes_back_says_what_waited(tmp_path: Path) -> None:
    """The card is missing at the start: what was to be said is said by the next one."""
    cards = [HardwareError("speaker", Reason.MISSING, "unplugged")]
    device = Living(tmp_path, "Ready", config=XTS)

    def card() -> FakeSpeaker:
        if cards:
            raise cards.pop()
        return device.card()

    device.parts = dataclasses.replace(device.parts, speaker=card)
    said = device.run()
    assert said[:2] == ["The sound works again", "Ready"]


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        ({"is_hot": True}, "The computer is too hot and slows down"),
        ({"is_weak": True}, "The power supply is too weak"),
        ({"free": 1000}, "The disk is full"),
    ],
)
def test_what_is_wrong_with_the_computer_is_said_once(tmp_path: Path, harm: dict[str, object], sentence: str) -> None:
    board = FakeBoard()
    vars(board).update(harm)
    said = Living(tmp_path, sentence, config=XTS, board=board).run()
    assert sorted(said) == sorted(["Ready", sentence])


def test_a_clock_that_was_never_set_is_said_where_telemetry_needs_it(tmp_path: Path) -> None:
    class Unset(SystemClock):
        """Runs on from its last shutdown, and no time server was met; it is minutes since the start."""

        def __init__(self) -> None:
            super().__init__(ask=lambda: False)
            self._calls = 0

        def now_s(self) -> float:
            self._calls += 1
            return super().now_s() + (0.0 if self._calls < 4 else 500.0)

    config = Config(model=ModelConfig(bundle="xts"), mqtt=MqttConfig(enabled=True, device_id="t1"))
    said = Living(tmp_path, "The clock is not set", config=config, clock=Unset()).run()
    assert "The clock is not set" in said


def test_a_refused_bundle_is_replaced_by_the_one_before_of_the_same_currency_and_it_says_so(tmp_path: Path) -> None:
    old, new, link = tmp_path / "mine-1", tmp_path / "mine-2", tmp_path / "mine"
    shutil.copytree(app.BUNDLES / "xts", old)
    link.symlink_to(old.name)
    config = Config(model=ModelConfig(bundle=str(link)))
    assert Living(tmp_path / "state", "Ready", config=config).run(stand_in=True) == ["Ready"]
    shutil.copytree(old, new)
    (new / bundles.MODEL).write_bytes(b"torn")
    link.unlink()
    link.symlink_to(new.name)
    engines: list[Path] = []

    def opened(bundle: Bundle) -> FakeEngine:
        engines.append(bundle.path)
        return answers_background(bundle)

    device = Living(tmp_path / "state", "Ready", config=config, engine=opened)
    assert device.run(stand_in=True) == ["The model is damaged, I use the one before", "Ready"]
    assert engines == [old]
    supervisor = device.parts.supervisor
    assert isinstance(supervisor, FakeSupervisor)
    assert "model.tflite is damaged" in supervisor.statuses[0]


def test_a_bundle_of_another_currency_never_takes_the_place_of_a_refused_one(tmp_path: Path) -> None:
    assert Living(tmp_path / "state", "Ready", config=XTS).run(stand_in=True) == ["Ready"]
    foreign = tmp_path / "euro"
    shutil.copytree(app.BUNDLES / "xts", foreign)
    manifest = json.loads((foreign / bundles.MANIFEST).read_text())
    (foreign / bundles.MANIFEST).write_text(json.dumps(manifest | {"currency": "EUR"}))
    device = Living(tmp_path / "state", "Ready", config=Config(model=ModelConfig(bundle=str(foreign))))
    with pytest.raises(BundleError, match="currency"):
        device.run(stand_in=True)
    assert device.heard() == []


def test_the_service_goes_on_with_the_bundle_before_and_tells_telemetry(tmp_path: Path, daemons: list[Daemon]) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(app.BUNDLES / "xts", folder)
    (folder / bundles.LABELS).write_text("5\n")
    path = config(tmp_path, f'driver = "files"\npath = "{app.REPLAY}"', "[mqtt]\nenabled = true\nport = 9\n")
    settings = Path(path)
    settings.write_text(settings.read_text().replace('bundle = "xts"', f'bundle = "{folder}"'))
    one = Daemon(tmp_path, "run", "--view", "--config", path)
    daemons.append(one)
    one.until("spoken .*The model is damaged, I use the one before")
    one.until("spoken .*20 play crowns")
    one.end()
    rows = sqlite3.connect(tmp_path / ".local/state/saynote/outbox.sqlite3").execute("SELECT payload FROM messages")
    told = [json.loads(payload) for (payload,) in rows]
    [fault] = [message for message in told if message["kind"] == "fault" and message["part"] == "bundle"]
    assert fault["reason"] == "refused"
    assert "labels.txt is damaged" in fault["detail"]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KB, full to the last byte."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("only root may mount a tiny disk")
    (folder / "saynote").mkdir()
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"x" * 4096)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("mqtt", [False, True])
def test_a_full_disk_is_said_and_notes_are_read_all_the_same(
    tmp_path: Path, tiny_disk: Path, daemons: list[Daemon], mqtt: bool
) -> None:
    more = "[mqtt]\nenabled = true\nport = 9\n" if mqtt else ""
    path = config(tmp_path, f'driver = "files"\npath = "{app.REPLAY}"', more)
    one = Daemon(tmp_path, "run", "--view", "--config", path, more={"XDG_STATE_HOME": str(tiny_disk)})
    daemons.append(one)
    one.until("spoken .*The disk is full")
    one.until("spoken .*20 play crowns")
    assert one.end() == 0
    assert not any("Traceback" in line for line in one.read)
    assert sum("spoken" in line and "disk is full" in line for line in one.read) == 1
