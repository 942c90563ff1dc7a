"""The command line; what needs a process of its own is marked so."""

from __future__ import annotations

import datetime
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
import tomllib
import wave
from pathlib import Path

import pytest

from edge import __main__ as program
from edge import app, cli
from edge.commands import captures, say
from edge.config import parse
from edge.core.errors import EXIT_BUNDLE, EXIT_CONFIG, EXIT_HARDWARE, EXIT_TRANSIENT, EXIT_USAGE
from edge.outlets.album import Album
from edge.settings import Config

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (EXIT_CONFIG, "The settings file has a mistake"),
        (EXIT_BUNDLE, "The model is damaged, I cannot read notes"),
        (EXIT_HARDWARE, "I cannot go on"),
        (EXIT_TRANSIENT, "I cannot go on"),
        (EXIT_USAGE, "I cannot go on"),
        ("ABRT", "I cannot go on"),
        ("", "I cannot go on"),
    ],
)
def test_the_reason_of_the_end_has_its_words(status: int | str, words: str) -> None:
    assert say.fault_sentence(Config(), str(status)) == words


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["run", "--camra"], ["bench", "--frames", "0"], ["run", "--camera", "x"], ["snapshot", "x.gif"]],
)
def test_a_wrong_call_ends_with_the_code_that_systemd_does_not_repeat(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        program.main(arguments)
    assert caught.value.code == EXIT_USAGE
    assert "saynote" in capsys.readouterr().err


def test_every_command_is_a_module_and_tells_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(program.__file__).parent / "commands"
    served = {"__init__", "shell", "examination", "measurement", "choosing"}
    modules = {path.stem for path in folder.glob("*.py")} - served
    assert modules == {module for _, module, _ in cli.COMMANDS}
    for name, _, about in cli.COMMANDS:
        with pytest.raises(SystemExit) as caught:
            program.main([name, "--help"])
        assert caught.value.code == 0
        told = capsys.readouterr().out
        assert " ".join(about.split()) in " ".join(told.split())
        assert "--config" in told


def start(folder: Path, *arguments: str, **changes: object) -> subprocess.Popen[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    options: dict[str, object] = {
        "cwd": ROOT,
        "env": environment,
        "text": True,
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }
    return subprocess.Popen([sys.executable, "-m", "edge", *arguments], **(options | changes))  # type: ignore[call-overload,no-any-return]


def edge(folder: Path, *arguments: str) -> tuple[int, str, str]:
    process = start(folder, *arguments)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def settings(folder: Path, frames: int = 40) -> str:
    """A settings file: the first frames of the recording, with one note in them, and speech into a file."""
    recording = folder / "recording"
    recording.mkdir()
    for file in ("recording.toml", *(f"{number:04}.jpg" for number in range(frames))):
        (recording / file).write_bytes((app.REPLAY / file).read_bytes())
    (folder / "edge.toml").write_text(
        f'[model]\nbundle = "xts"\n[voice]\ndriver = "wav"\npath = "{folder}/said.wav"\n'
        f'[camera]\ndriver = "files"\npath = "{recording}"\nstalled_after_s = 0.2\n[button]\ndriver = "none"\n'
    )
    return str(folder / "edge.toml")


def sentences(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith("saynote: ")]


@pytest.mark.integration
def test_help_comes_without_anything_heavy() -> None:
    blocked = ("tensorflow", "keras", "training", "deploy", "jax", "tflite_runtime", "ai_edge_litert", "paho", "babel")
    words = (
        f"import sys\nfor name in {blocked!r}: sys.modules[name] = None\n"
        "from edge.__main__ import main\nmain(['--help'])"
    )
    began_s = time.monotonic()
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in ("run", "replay", "check", "doctor", "say", "bench"))
    assert time.monotonic() - began_s < 10


@pytest.mark.integration
def test_check_shows_the_configuration_or_its_mistakes_and_opens_nothing(tmp_path: Path) -> None:
    path = settings(tmp_path)
    code, out, err = edge(tmp_path, "check", "--config", path)
    assert (code, sentences(err)) == (0, [])
    assert parse(tomllib.loads(out)).camera.path == str(tmp_path / "recording")
    assert not (tmp_path / "said.wav").exists()
    Path(path).write_text("[camera]\nfps = 3\n[voice]\nvolume = 900\n")
    code, _, err = edge(tmp_path, "check", "--config", path)
    assert code == EXIT_CONFIG
    assert len(sentences(err)) == 2, "all mistakes at once"


@pytest.mark.integration
def test_a_mistake_is_one_line_whatever_stands_in_it(tmp_path: Path) -> None:
    file = tmp_path / "edge.toml"
    file.write_text('"a\\nlevel=error" = 1\n[mqtt]\n"\\u001b[2J" = 1\nenabled = true\nhost = "a\\nb"\n')
    code, _, err = edge(tmp_path, "check", "--config", str(file))
    assert code == EXIT_CONFIG
    assert [line for line in err.splitlines() if not line.startswith("saynote: configuration: ")] == []
    assert len(err.splitlines()) == 3
    assert "\x1b" not in err


@pytest.mark.integration
def test_a_picture_may_be_called_anything(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    names = ("a\nlevel=error.jpg", "\x1b[2Jb.jpg", os.fsdecode(b"c\xff.jpg"), "d\n.jpg")
    for name in names[:3]:
        (folder / name).write_bytes((app.REPLAY / "0000.jpg").read_bytes())
    (folder / names[3]).write_bytes(b"no picture")
    code, out, err = edge(tmp_path, "replay", str(folder), "--bundle", "xts")
    assert code == 0
    lines = (out + err).splitlines()
    assert sorted(line.split(":")[0] for line in out.splitlines()) == [
        *(r"\x1b[2Jb.jpg", r"a\nlevel=error.jpg", r"c\udcff.jpg", r"d\n.jpg"),
    ]
    assert not any(line.startswith("level=error") for line in lines)
    assert "\x1b" not in out + err


@pytest.mark.integration
def test_an_empty_settings_file_is_said_and_settings_are_shown(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text(" \n")
    code, out, err = edge(tmp_path, "check", "--config", str(tmp_path / "edge.toml"))
    assert code == 0
    assert parse(tomllib.loads(out)) == Config()
    assert "edge.toml is empty: every setting has its default" in err


@pytest.mark.integration
@pytest.mark.parametrize("mistake", ['language = "ja"', 'language = "hindi"', 'variant = "f33"', ""])
def test_the_reason_of_the_end_is_heard_even_where_the_voice_is_the_mistake(tmp_path: Path, mistake: str) -> None:
    file = tmp_path / "edge.toml"
    file.write_text(f'[voice]\ndriver = "wav"\npath = "{tmp_path}/said.wav"\n{mistake}\n')
    code, _, err = edge(tmp_path, "say", "--fault", "--config", str(file))
    assert (code, sentences(err)) == (0, [])
    with wave.open(str(tmp_path / "said.wav")) as said:
        assert said.getnframes() > 0.5 * said.getframerate()


@pytest.mark.integration
def test_a_variant_that_does_not_exist_is_a_mistake_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text('[voice]\nvariant = "f33"\n')
    code, _, err = edge(tmp_path, "say", "hello", "--config", str(tmp_path / "edge.toml"))
    assert code == EXIT_CONFIG
    [told] = sentences(err)
    assert "voice.variant: espeak-ng has no variant 'f33'; did you mean f3?" in told


@pytest.mark.integration
def test_the_doctor_examines_the_real_drivers_and_speaks_the_summary(tmp_path: Path) -> None:
    code, out, err = edge(tmp_path, "doctor", "--config", settings(tmp_path))
    assert (code, sentences(err)) == (0, [])
    states = {line.split()[0]: line.split()[1] for line in out.splitlines() if line and not line.startswith(" ")}
    assert {part: states[part] for part in ("bundle", "speech", "disk", "button")} == {
        **{"bundle": "ok", "speech": "ok", "disk": "ok"},
        "button": "skipped",
    }
    assert out.splitlines()[-1] == "2 problems found"  # a recording for a camera, a file for a sound card
    assert (tmp_path / "said.wav").stat().st_size > 20_000


@pytest.mark.integration
def test_the_doctor_goes_on_past_what_is_broken_and_machines_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(
        f'[model]\nbundle = "gold"\n[voice]\ndriver = "wav"\npath = "{tmp_path}/no/such/said.wav"\n'
        f'[camera]\ndriver = "files"\npath = "{tmp_path}/nowhere"\n[button]\ndriver = "none"\n'
        '[mqtt]\nenabled = true\nhost = "127.0.0.1"\nport = 9\n'
    )
    code, out, _ = edge(tmp_path, "doctor", "--quiet", "--json", "--config", str(path))
    data = json.loads(out)
    assert code == data["exit_code"] == EXIT_BUNDLE, "that of the first fault"
    found = {finding["part"]: finding for finding in data["findings"]}
    faults = {part: finding["found"] for part, finding in found.items() if finding["state"] == "fault"}
    assert faults.keys() == {"bundle", "sound", "camera", "broker"}
    assert "said.wav cannot be written" in faults["sound"]
    assert "nowhere does not exist" in faults["camera"]
    assert "refused" in faults["broker"]
    assert all(found[part]["to_do"] for part in faults)


@pytest.mark.integration
def test_a_settings_file_that_cannot_be_used_does_not_stop_the_doctor(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text("[camera]\ndrivr = 3\n")
    code, out, _ = edge(tmp_path, "doctor", "--quiet", "--config", str(tmp_path / "edge.toml"))
    assert code == EXIT_CONFIG
    assert "did you mean camera.driver?" in out
    assert out.splitlines()[-1].endswith("The settings file has a mistake")


@pytest.mark.integration
def test_a_snapshot_is_one_picture_and_what_is_in_it(tmp_path: Path) -> None:
    code, out, _ = edge(tmp_path, "snapshot", str(tmp_path / "one.jpg"), "--config", settings(tmp_path))
    assert code == 0
    assert (tmp_path / "one.jpg").read_bytes()[:3] == b"\xff\xd8\xff"
    assert "look       clear" in out.splitlines()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["say"], EXIT_USAGE, "say needs a text"),
        (["listen-test", "--bundle", "gold"], EXIT_BUNDLE, "there is no bundle 'gold'"),
        (["run", "--config", "/nowhere.toml"], EXIT_CONFIG, "there is no configuration file /nowhere.toml"),
        (["bench", "--bundle", "gold"], EXIT_BUNDLE, "there is no bundle 'gold'"),
        (["run", "--camera", "replay", "--view", "--wav", "/no/such/said.wav"], EXIT_HARDWARE, "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(
    tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    found, _, err = edge(tmp_path, *arguments)
    assert found == code
    [told] = sentences(err)
    assert words in told


@pytest.mark.integration
def test_without_a_sound_card_say_tells_so(tmp_path: Path) -> None:
    if Path("/proc/asound/cards").exists():
        pytest.skip("there may be a sound card here")
    code, _, err = edge(tmp_path, "say", "hello")
    assert code == EXIT_HARDWARE
    assert sentences(err) == ["saynote: speaker missing: there is no sound card"]


@pytest.mark.integration
def test_a_configured_recording_is_announced_as_a_demonstration_and_leaves_only_sounds_behind(tmp_path: Path) -> None:
    code, out, _ = edge(tmp_path, "run", "--view", "--config", settings(tmp_path))
    assert code == 0
    assert re.findall(r"^spoken +“(.*)”", out, re.MULTILINE) == ["Demonstration, play money", "20 play crowns"]
    shutil.rmtree(tmp_path / "recording")
    left = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    kept = {path for path in left if path.parent == Path(".local/state/saynote/phrases") and path.suffix == ".npz"}
    assert left - kept == {Path("edge.toml"), Path("said.wav"), Path(".local/state/saynote/bundle.json")}
    assert 20 < len(kept) < 100


@pytest.mark.integration
def test_with_a_mistake_in_the_settings_of_telemetry_notes_are_read_and_the_mistake_is_told(tmp_path: Path) -> None:
    path = Path(settings(tmp_path))
    path.write_text(path.read_text() + "[mqtt]\nenabled = true\nport = 70000\n")
    code, out, err = edge(tmp_path, "run", "--view", "--config", str(path))
    assert code == 0
    spoken = re.findall(r"^spoken +“(.*)”", out, re.MULTILINE)
    assert "20 play crowns" in spoken
    assert "The settings file has a mistake" in spoken
    assert "mqtt.port = 70000: " in err
    assert edge(tmp_path, "check", "--config", str(path))[0] == EXIT_CONFIG


@pytest.mark.integration
def test_a_camera_that_stops_is_said_and_looked_for_again(tmp_path: Path) -> None:
    path = settings(tmp_path, frames=2)
    (tmp_path / "recording" / "recording.toml").write_text("frames_per_s = 0.1\n")
    process = start(tmp_path, "run", "--view", "--config", path, env=unbuffered(tmp_path))
    assert process.stdout is not None
    spoken = []
    for line in process.stdout:
        spoken += re.findall(r"^spoken +“(.*)”", line)
        if "The camera works again" in spoken:
            break
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Traceback" not in err
    assert spoken == ["Demonstration, play money", "The camera has stopped, I keep trying", "The camera works again"]


def unbuffered(folder: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONUNBUFFERED": "1", "TERM": "xterm"}


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_two_seconds(tmp_path: Path, number: signal.Signals) -> None:
    arguments = ("run", "--camera", "replay", "--view", "--wav", str(tmp_path / "said.wav"))
    process = start(tmp_path, *arguments, env=unbuffered(tmp_path))
    assert process.stdout is not None
    for line in process.stdout:
        if "spoken" in line:
            break
    process.send_signal(number)
    began_s = time.monotonic()
    assert process.wait(timeout=20) == 0
    assert time.monotonic() - began_s < 2
    process.communicate()


def expect_a_good_end_unread(process: subprocess.Popen[str]) -> None:
    """Stop reading what it prints: it ends by itself with 0 and does not complain."""
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    assert process.wait(timeout=60) == 0
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


@pytest.mark.integration
@pytest.mark.parametrize("arguments", [["replay", str(app.REPLAY), "--bundle", "xts"], ["check"]])
def test_a_reader_who_leaves_after_one_line_is_no_error(tmp_path: Path, arguments: list[str]) -> None:
    process = start(tmp_path, *arguments)
    assert process.stdout is not None
    assert process.stdout.readline()
    expect_a_good_end_unread(process)


@pytest.mark.integration
def test_an_onlooker_who_leaves_the_view_does_not_stop_the_daemon(tmp_path: Path) -> None:
    process = start(tmp_path, "run", "--view", "--config", settings(tmp_path), env=unbuffered(tmp_path))
    assert process.stdout is not None
    for line in process.stdout:
        if "spoken" in line:
            break
    said = (tmp_path / "said.wav").stat().st_size
    expect_a_good_end_unread(process)
    assert (tmp_path / "said.wav").stat().st_size > said, "the amount was spoken"


class Terminal:
    """A terminal with `python -m edge` in it."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.text = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execve(sys.executable, [sys.executable, "-m", "edge", *arguments], unbuffered(folder))

    def until(self, pattern: str, within_s: float = 60) -> str:
        """Read on until `pattern` stands in what was written."""
        end_s = time.monotonic() + within_s
        while not re.search(pattern, self.text):
            left_s = end_s - time.monotonic()
            assert left_s > 0, f"never came: {pattern!r} in {self.text[-2000:]!r}"
            if select.select([self.fd], [], [], left_s)[0]:
                self.text += os.read(self.fd, 65536).decode("utf-8", "replace")
        return self.text

    def type(self, keys: bytes) -> None:
        os.write(self.fd, keys)

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def end(self) -> int:
        """The exit code, once it has ended."""
        while select.select([self.fd], [], [], 20)[0]:
            try:
                if not (data := os.read(self.fd, 65536)):
                    break
            except OSError:  # Linux says so when the last writer has gone
                break
            self.text += data.decode("utf-8", "replace")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.integration
def test_in_a_terminal_space_is_the_button_and_control_c_the_end(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "run", "--camera", "replay", "--view", "--wav", str(tmp_path / "said.wav"))
    try:
        terminal.until("spoken    “Demonstration, play money”")
        assert not terminal.echoes()
        terminal.type(b" ")
        terminal.until("spoken    “No note yet”")
        terminal.until("spoken    “20 play crowns”")
        terminal.type(b"\x03")
        assert terminal.end() == 0
    finally:
        os.close(terminal.fd)
    assert "Traceback" not in terminal.text
    assert "level=" not in terminal.text, "no log line tears the block"


@pytest.mark.integration
def test_the_terminal_is_given_back_as_it_was(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "run", "--camera", "replay", "--view", "--wav", str(tmp_path / "said.wav"))
    try:
        terminal.until("spoken    “Demonstration")
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.end() == 0
        assert terminal.echoes()
    finally:
        os.close(terminal.fd)


def keep(folder: Path, count: int) -> None:
    for _ in range(count):
        Album(folder, max_bytes=1_000_000, keep_days=30).add(b"p" * 150_000, b"{}\n", datetime.date(2026, 11, 25))


def test_kept_pictures_are_counted_and_deleted_in_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(captures, "folders_of_pictures", lambda: [tmp_path / "mine", tmp_path / "service"])
    keep(tmp_path / "service", 2)
    assert program.main(["captures"]) == 0
    about = f"2 pictures, 0.3 MB, 2026-11-25, in {tmp_path}/service\n"
    assert capsys.readouterr().out == about
    assert program.main(["captures", "--delete"]) == 0
    assert capsys.readouterr().out == f"deleted: {about}"
    assert list(tmp_path.iterdir()) == []
    assert program.main(["captures"]) == 0
    assert capsys.readouterr().out == "no pictures are kept\n"


def test_kept_pictures_that_may_not_be_deleted_are_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "service").write_text("not a folder")
    monkeypatch.setattr(captures, "folders_of_pictures", lambda: [tmp_path / "service", tmp_path / "mine"])
    keep(tmp_path / "mine", 1)
    assert program.main(["captures", "--delete"]) == EXIT_USAGE
    read = capsys.readouterr()
    assert read.out.startswith("deleted: 1 pictures"), "the other folder is emptied all the same"
    assert f"{tmp_path}/service cannot be read or emptied" in read.err
    assert "sudo" in read.err
