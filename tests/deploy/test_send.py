"""The whole way of a release, over a real ssh server on this machine that the test starts and stops."""

import dataclasses
import os
import re
import shlex
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy import deliver, reach, release, send, wheel
from deploy.reach import ReachError
from edge.core import bundle as bundle_files
from edge.core.errors import BundleError
from tests.deploy.sshd import Server, client_config, free_port, needs_sshd


@pytest.fixture
def options(tmp_path: Path, install_options: list[str]) -> list[str]:
    return ["--root", str(tmp_path / "pi"), "--no-systemd", *install_options]


@needs_sshd
@pytest.mark.integration
def test_a_release_arrives_is_installed_and_sent_again_changes_nothing(
    server: Server, tmp_path: Path, options: list[str], make_bundle: Callable[[str], Path]
) -> None:
    home = tmp_path / "pi" / "opt" / "saynote"
    call = ["pi", "--ssh-config", str(server.config)]
    assert send.main([*call, "--", *options]) == 0
    name = (home / "current").resolve().name
    assert (home / "current" / "venv" / "bin" / "saynote").exists()
    made_ns = (home / "current" / "complete").stat().st_mtime_ns

    assert send.main([*call, "--bundle", str(make_bundle("weights")), "--", *options]) == 0
    assert (home / "current" / "complete").stat().st_mtime_ns == made_ns
    assert [folder.name for folder in (home / "releases").iterdir()] == [name]
    assert (home / "bundles" / "crowns" / "model.tflite").read_text() == "weights"


@needs_sshd
@pytest.mark.integration
@pytest.mark.parametrize("has_rsync", [True, False], ids=["rsync", "tar"])
def test_what_arrives_is_what_was_sent_and_goes_in_the_end(server: Server, tmp_path: Path, has_rsync: bool) -> None:
    if has_rsync and shutil.which("rsync") is None:
        pytest.skip("rsync is not installed: sudo apt-get install rsync")
    device = reach.look("pi", server.ssh, at_terminal=False)
    device = dataclasses.replace(device, has_rsync=has_rsync)
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "a file").write_text("new")
    deliver.transfer(folder, device, print)
    inbox = server.home / device.inbox
    assert {str(path.relative_to(inbox)) for path in inbox.rglob("*")} == {"a file"}
    deliver.discard(device)
    assert not inbox.exists()


@needs_sshd
@pytest.mark.integration
def test_the_documented_command_for_a_device_without_a_network_installs(
    server: Server, tmp_path: Path, options: list[str], built_wheel: Path
) -> None:
    (tmp_path / "wheels").mkdir()
    shutil.copy2(built_wheel, tmp_path / "wheels")
    call = f"pi --wheels {tmp_path / 'wheels'} --ssh-config {server.config} -- --no-apt".split()
    assert send.main([*call, *options]) == 0
    assert (tmp_path / "pi" / "opt" / "saynote" / "current" / "venv" / "bin" / "saynote").exists()
    assert [path.name for path in (server.home / ".cache" / "saynote").iterdir()] in (["kept"], [])


@needs_sshd
@pytest.mark.integration
def test_each_transfer_has_a_folder_of_its_own(server: Server) -> None:
    one, other = (reach.look("pi", server.ssh, at_terminal=False) for _ in range(2))
    assert one.inbox != other.inbox
    assert (server.home / one.inbox).is_dir()
    assert (server.home / other.inbox).is_dir()


@needs_sshd
@pytest.mark.integration
def test_what_transfers_that_broke_off_left_behind_goes_and_what_comes_in_stays(server: Server) -> None:
    comes_in = server.home / reach.look("pi", server.ssh, at_terminal=False).inbox
    boot, began = comes_in.name.split(".")[1:3]
    cache = comes_in.parent
    left = [cache / "incoming.00000000.5.abc", cache / f"incoming.{boot}.{int(began) - 90_000}.abc", cache / "incoming"]
    for folder in left:
        folder.mkdir()
    # A clock that is years off must not make a transfer look old.
    os.utime(comes_in, (0, 0))
    reach.look("pi", server.ssh, at_terminal=False)
    assert comes_in.exists()
    assert [folder for folder in left if folder.exists()] == []


@needs_sshd
@pytest.mark.integration
def test_an_installer_that_fails_over_there_fails_here(
    server: Server, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert send.main(["pi", "--ssh-config", str(server.config), "--", *options, "--nonsense"]) == 1
    assert "the installer on pi failed: unknown option --nonsense" in capsys.readouterr().out


@needs_sshd
@pytest.mark.integration
def test_a_key_that_is_not_known_there_is_explained(server: Server) -> None:
    with pytest.raises(ReachError, match="ssh-copy-id pi"):
        reach.look("pi", reach.ssh_command(server.stranger), at_terminal=False)


@needs_sshd
@pytest.mark.integration
def test_a_computer_without_ssh_is_explained(tmp_path: Path) -> None:
    config = client_config(tmp_path / "client", free_port(), tmp_path / "no_key")
    with pytest.raises(ReachError, match="ssh is off"):
        reach.look("pi", reach.ssh_command(config), at_terminal=False)


@needs_sshd
@pytest.mark.integration
@pytest.mark.parametrize("action", ["deploy", "rollback", "undeploy"])
def test_where_nothing_can_be_written_nothing_is_sent(
    server: Server, action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (server.home / ".cache").write_text("no folder can be made here")
    assert send.main(["pi", "--action", action, "--ssh-config", str(server.config)]) == 1
    said = capsys.readouterr().out
    assert re.search(r"failed: nothing can be sent there: .*Not a directory\. Nothing was changed", said), said


@needs_sshd
@pytest.mark.integration
def test_a_device_that_greets_in_another_encoding_is_understood(server: Server) -> None:
    device = reach.look("pi", greeting(server), at_terminal=False)
    assert device.inbox


def greeting(server: Server) -> tuple[str, ...]:
    """The way to that server through a program that says hello in Latin-1 first, as a login script may."""
    hello = server.home.parent / "hello"
    hello.write_text(f"printf 'gr\\374\\337 dich\\n'; exec {shlex.join(server.ssh)} \"$@\"\n")
    return ("sh", str(hello))


def test_a_device_that_lets_us_in_and_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "LOOK_S", 0.2)
    with pytest.raises(ReachError, match="says nothing"):
        reach.look("pi", ("sh", "-c", "exec sleep 600"), at_terminal=False)


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("mktemp: failed to create directory: No space left on device", "its card is full"),
        ("mkdir: cannot create directory: Read-only file system", "it is mounted read-only"),
        ("touch: x: Input/output error", "its card is damaged"),
        ("sh: odd\n", "sh: odd"),
    ],
)
def test_what_a_card_says_becomes_what_it_means(said: str, means: str) -> None:
    assert means in reach.why(said)


def test_a_link_that_breaks_in_an_installation_is_not_taken_for_its_failure() -> None:
    gone = ("sh", "-c", "echo 'Timeout, server pi not responding.' >&2; exit 255")
    device = reach.Device("pi", gone, "inbox", True, False, False, False)
    with pytest.raises(deliver.SendError, match=r"broke off \(Timeout.*brings to its end.*make doctor PI=pi"):
        deliver.run_installer(device, [], print)


def test_an_installer_that_says_nothing_more_is_left_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "SILENCE_S", 0.1)
    silent = ("sh", "-c", "echo begun; exec sleep 600")
    device = reach.Device("pi", silent, "inbox", True, False, False, False)
    with pytest.raises(deliver.SendError, match=r"broke off \(nothing was heard for"):
        deliver.run_installer(device, [], print)


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("ssh: Could not resolve hostname pi: Name or service not known", "there is no computer of that name"),
        ("ssh: connect to host pi port 22: Connection timed out", "Is it switched on"),
        ("Host key verification failed.", "ssh-keygen -R pi.local"),
        ("me@pi.local: Permission denied (publickey,password).", "ssh-copy-id me@pi.local"),
        ("kex_exchange_identification: odd", "cannot be reached: kex_exchange_identification: odd"),
    ],
)
def test_what_ssh_says_becomes_what_to_do(said: str, advice: str) -> None:
    assert advice in reach.explain("me@pi.local", said)


@pytest.mark.parametrize(
    "host",
    [
        "-oProxyCommand=touch /tmp/x",
        "-v",
        "",
        "pi@-oProxyCommand=x",
        "a b",
        "pi;id",
        "$(id)",
        "pi@host/x",
        "-l@pi",
        "a\nb",
    ],
)
def test_what_ssh_would_take_for_an_option_or_a_shell_for_a_command_is_no_host(host: str) -> None:
    with pytest.raises(ReachError, match="is no host"):
        reach.check_host(host)


@pytest.mark.parametrize("host", ["pi", "pi@raspberrypi.local", "10.0.0.2", "a_b@x-1", "pi@fe80::1%eth0", "me.x@::1"])
def test_a_host_may_be_a_name_or_an_address(host: str) -> None:
    assert reach.check_host(host) == host


@pytest.mark.parametrize(
    "call",
    [
        ["pi", "--wheels", "w", "--", "--no-apt", "--wait", "9"],
        ["--wheels", "w", "pi", "--", "--no-apt", "--wait", "9"],
        ["--wheels=w", "pi", "--", "--no-apt", "--wait", "9"],
    ],
)
def test_options_may_stand_before_the_host_or_after_it(call: list[str]) -> None:
    given = send.parse(call)
    assert (given.host, given.wheels, given.install) == ("pi", "w", ["--no-apt", "--wait", "9"])


def test_a_mistake_is_one_sentence_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert send.main(["pi;id"]) == 1
    assert capsys.readouterr().err.startswith("deploy: 'pi;id' is no host")


def test_of_a_bundle_five_files_travel_and_nothing_else(make_bundle: Callable[[str], Path], tmp_path: Path) -> None:
    bundle = make_bundle("weights")
    (bundle / "secret").symlink_to("/etc/passwd")
    (bundle / "notes.txt").write_text("mine")
    (bundle / "folder").mkdir()
    release.add_bundle(tmp_path / "sent", bundle)
    (sent,) = (tmp_path / "sent").iterdir()
    assert {path.name for path in sent.iterdir()} == set(bundle_files.MOST_BYTES)


@pytest.mark.parametrize("name", bundle_files.MOST_BYTES)
def test_a_link_in_a_bundle_is_not_followed(make_bundle: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    bundle = make_bundle("weights")
    (bundle / name).rename(tmp_path / "elsewhere")
    (bundle / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError):
        release.add_bundle(tmp_path / "sent", bundle)


def test_a_wheel_that_is_a_link_is_refused_and_so_is_a_folder_without_wheels(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    with pytest.raises(release.ReleaseError, match="no wheels"):
        release.add_wheels(tmp_path / "a", tmp_path / "wheels")
    with pytest.raises(release.ReleaseError, match="no wheels"):
        release.add_wheels(tmp_path / "a", tmp_path / "missing")
    (tmp_path / "wheels" / "x-1-py3-none-any.whl").symlink_to("/etc/passwd")
    with pytest.raises(release.ReleaseError, match="is a link"):
        release.add_wheels(tmp_path / "b", tmp_path / "wheels")


def test_a_damaged_bundle_is_not_sent(make_bundle: Callable[[str], Path], tmp_path: Path) -> None:
    bundle = make_bundle("weights")
    (bundle / "model.tflite").write_text("other")
    (tmp_path / "release").mkdir()
    with pytest.raises(BundleError, match="damaged"):
        release.lay_out(tmp_path / "release", tmp_path / "saynote-1.0.0-py3-none-any.whl", bundle=bundle)


@pytest.mark.integration
def test_the_wheel_holds_the_daemon_and_nothing_else(built_wheel: Path) -> None:
    with zipfile.ZipFile(built_wheel) as archive:
        folders = {name.partition("/")[0] for name in archive.namelist()}
        shipped = {
            "edge/core/bundle.py",
            "edge/locale/hi/LC_MESSAGES/saynote.mo",
            "edge/web/index.html",
            "edge/web/app.js",
        }
        assert shipped <= set(archive.namelist())
    assert folders == {"edge", f"{'-'.join(built_wheel.name.split('-')[:2])}.dist-info"}


@pytest.mark.integration
def test_the_same_files_make_the_same_release(tmp_path: Path) -> None:
    project = tmp_path / "project"  # a copy, so that nobody changes it between the two builds
    project.mkdir()
    for name in wheel.INGREDIENTS:
        wheel.copy(wheel.PROJECT / name, project / name)
    names = []
    for number in ("1", "2"):
        folder = tmp_path / number
        folder.mkdir()
        names.append(release.lay_out(folder, wheel.build(tmp_path / f"dist{number}", project)))
    assert names[0] == names[1]
