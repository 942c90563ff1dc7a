"""Many devices at once: what is asked for, what is seen of it, and what one that fails does to the others."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import fleet, send, wheels
from deploy.reach import Device, ReachError
from deploy.table import Table, clean
from tests.deploy.sshd import Server, free_port, needs_sshd


@pytest.fixture
def two(server: Server, tmp_path: Path) -> Path:
    """A configuration of ssh in which `pi` answers and `gone` does not."""
    config = tmp_path / "two"
    config.write_text(server.config.read_text() + f"Host gone\n  HostName 127.0.0.1\n  Port {free_port()}\n")
    return config


@needs_sshd
@pytest.mark.integration
def test_one_that_fails_keeps_no_other_from_being_done_and_is_named_at_the_end(
    two: Path, tmp_path: Path, install_options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    inventory = tmp_path / "inventory"
    inventory.write_text("# ours\npi\n\ngone   # in the cellar\npi\n")
    options = ["--root", str(tmp_path / "pi"), "--no-systemd", *install_options]
    assert send.main(["--inventory", str(inventory), "--ssh-config", str(two), "--", *options]) == 1
    *_, first, second, summary = capsys.readouterr().out.splitlines()
    assert first.split()[:2] == ["pi", "done"]
    assert second.split()[:2] == ["gone", "failed"]
    assert "ssh is off" in second
    assert summary == "deploy: 1 of 2 devices are well; failed: gone"
    assert (tmp_path / "pi" / "opt" / "saynote" / "current").exists()


@needs_sshd
@pytest.mark.integration
def test_each_thing_that_can_be_done_is_done_over_there_and_leaves_nothing_in_the_home(
    server: Server, tmp_path: Path, install_options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "pi" / "opt" / "saynote"
    options = ["--", "--root", str(tmp_path / "pi"), "--no-systemd", *install_options]

    def do(action: str, *more: str) -> str:
        assert send.main(["pi", "--action", action, "--ssh-config", str(server.config), *more, *options]) == 0
        return capsys.readouterr().out

    assert "would install" in do("check")
    assert not home.exists()
    assert not (server.home / ".cache" / "saynote").exists()
    do("deploy")
    assert "is in use already" in do("check")
    do("undeploy", "--purge")
    assert not home.exists()
    assert not (server.home / ".cache" / "saynote").exists()


@needs_sshd
@pytest.mark.integration
def test_what_cannot_be_gone_back_to_is_said(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["pi", "--action", "rollback", "--ssh-config", str(server.config), "--", "--root", str(tmp_path / "pi")]
    assert send.main(call) == 1
    assert "there is no release before this one" in capsys.readouterr().out


def device(**values: str) -> Device:
    given = {"python": "3.11", "machine": "aarch64", "libc": "glibc 2.36", **values}
    return Device("pi", ("false",), "inbox", True, False, False, False, is_pi=True, **given)


def test_a_device_where_saynote_cannot_be_asked_is_not_well() -> None:
    with pytest.raises(fleet.SendError, match="cannot be asked there"):
        fleet.examine(device())


def test_a_device_that_went_while_its_doctor_was_asked_is_not_taken_for_one_without_saynote() -> None:
    gone = ("sh", "-c", "echo 'Connection to pi timed out' >&2; exit 255")
    with pytest.raises(ReachError, match="does not answer"):
        fleet.examine(Device("pi", gone, "inbox", True, False, False, False))


@pytest.mark.parametrize(("code", "state"), [(0, "ok"), (69, "fault")])
def test_the_doctor_of_a_device_becomes_one_line(tmp_path: Path, code: int, state: str) -> None:
    said = {
        "saynote": "9.9.9",
        "exit_code": code,
        "findings": [{"part": "camera", "state": state, "found": "the cable is out"}],
    }
    answer = tmp_path / "answer"
    answer.write_text(f"#!{sys.executable}\nprint({json.dumps(said)!r})\nraise SystemExit({code})\n")
    answer.chmod(0o755)
    asked = Device("pi", (str(answer),), "inbox", True, False, False, False)
    if code == 0:
        assert fleet.examine(asked) == "saynote 9.9.9; all is well"
    else:
        with pytest.raises(fleet.SendError, match="camera fault: the cable is out"):
            fleet.examine(asked)


def test_hosts_come_from_the_line_and_from_the_file_each_once(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory"
    inventory.write_text("pi@a # the first\n\n# pi@never\npi@c\n")
    assert send.hosts_of(send.parse(["pi@a,pi@b", "--inventory", str(inventory)])) == ["pi@a", "pi@b", "pi@c"]


def test_an_inventory_may_come_from_windows(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory"
    inventory.write_bytes(b"\xef\xbb\xbfpi@a\r\npi@b\r\n")
    assert send.hosts_of(send.parse(["--inventory", str(inventory)])) == ["pi@a", "pi@b"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"pi@a\n\npi @b\n", "line 3 of the inventory .*'pi @b' is no host"),
        (b"pi@a,pi@b\n", "line 1 of"),
        (b"\xff\xfe\x00", "no text in UTF-8"),
        (b"# nobody\n", "no device is named"),
    ],
)
def test_what_is_wrong_with_an_inventory_is_said_with_its_line(tmp_path: Path, text: bytes, why: str) -> None:
    inventory = tmp_path / "inventory"
    inventory.write_bytes(text)
    with pytest.raises(ReachError, match=why):
        send.hosts_of(send.parse(["--inventory", str(inventory)]))


@pytest.mark.parametrize("call", [[], ["pi@a,"], ["pi@a,-oProxyCommand=x"], ["--inventory", "/nonexistent"]])
def test_no_host_or_one_that_is_none_is_refused_before_anything_is_done(call: list[str]) -> None:
    with pytest.raises(ReachError):
        send.hosts_of(send.parse(call))


def test_what_a_device_says_cannot_move_the_cursor() -> None:
    assert "\x1b" not in clean("a\x1b[2Jb\nc\x07")
    out = io.StringIO()
    table = Table(["a", "b"], out)
    table.line("a", "one\x1b[1A")
    table.failed("b", "two\nlines")
    table.close("deploy")
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().splitlines()[-1] == "deploy: 1 of 2 devices are well; failed: b"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_each_device_has_one_line_that_changes() -> None:
    out = Terminal()
    table = Table(["a", "bb"], out)
    table.step("a", "looking")
    table.step("bb", "sending")
    table.done("a")
    table.close("deploy")
    last = out.getvalue().rpartition("\x1b[2A")[2]
    rows = [line.replace("\r\x1b[2K", "").split() for line in last.split("\n")[:2]]
    assert rows == [["a", "done"], ["bb", "sending"]]


def test_more_devices_than_a_terminal_has_lines_are_not_drawn_over_each_other() -> None:
    out = Terminal()
    table = Table([f"pi-{number}" for number in range(500)], out)
    table.step("pi-7", "looking")
    table.close("deploy")
    assert "\x1b" not in out.getvalue()
    assert "pi-7: looking" in out.getvalue()


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"machine": "armv7l"}, "no wheels"),
        ({"libc": "musl"}, "no wheels"),
        ({"libc": "glibc 2.5"}, "no wheels"),
        ({"python": "3.9"}, "3.11 to 3.13, and there it is 3.9"),
    ],
    ids=["32 bit", "musl", "old", "old Python"],
)
def test_a_device_without_wheels_is_named(values: dict[str, str], why: str) -> None:
    with pytest.raises(wheels.WheelsError, match=f"pi: .*{why}"):
        wheels.kind_of(device(**values))


def test_the_wheels_asked_for_are_no_newer_than_the_device() -> None:
    platforms = wheels.kind_of(device(libc="glibc 2.31")).platforms
    assert platforms[0] == "manylinux_2_31_aarch64"
    assert "manylinux_2_34_aarch64" not in platforms
    assert "manylinux2014_aarch64" in platforms


@pytest.mark.integration
@pytest.mark.parametrize(("python", "runtime"), [("3.11", "tflite_runtime"), ("3.13", "ai_edge_litert")])
def test_wheels_for_a_pi_are_fetched_whatever_this_computer_is(
    built_wheel: Path, tmp_path: Path, python: str, runtime: str
) -> None:
    kind = wheels.kind_of(device(python=python))
    folder = wheels.fetch(kind, built_wheel, tmp_path)
    names = {path.name for path in folder.glob("*.whl")}
    assert any(name.startswith(runtime) and "aarch64" in name for name in names)
    assert not [name for name in names if "x86_64" in name or name.startswith("saynote")]
    (numpy,) = (name for name in names if name.startswith("numpy-"))
    assert f"cp{python.replace('.', '')}" in numpy
    # Nothing is missing: what the device needs can be resolved from that folder alone.
    wanted = tmp_path / "wanted.in"
    wanted.write_text(f"saynote[pi] @ {built_wheel.as_uri()}\n")
    alone = ["--no-index", "--find-links", str(folder), "--only-binary", ":all:"]
    target = ["--python-version", python, "--python-platform", "aarch64-manylinux_2_36"]
    done = subprocess.run(
        [sys.executable, "-m", "uv", "pip", "compile", "--quiet", *alone, *target, str(wanted)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
