"""The whole way of a release, over a real ssh server on this machine that the test starts and stops."""

import os
import shlex
import shutil
import socket
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy import release, send, wheel
from deploy.send import Device, SendError
from edge.core.errors import BundleError

SSHD = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")
needs_sshd = pytest.mark.skipif(SSHD is None, reason="no ssh server here: sudo apt-get install openssh-server")


@dataclass
class Server:
    """An ssh server and how to reach it."""

    config: Path  # for the client
    home: Path  # where a login lands
    stranger: Path  # a client configuration with a key that the server does not know

    @property
    def ssh(self) -> tuple[str, ...]:
        return (*send.SSH, "-F", str(self.config))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def client_config(path: Path, port: int, key: Path) -> Path:
    path.write_text(
        f"Host pi\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {key}\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {path.parent / 'known_hosts'}\n  GlobalKnownHostsFile /dev/null\n"
    )
    return path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    assert SSHD is not None
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists on it where it runs as root
    home = tmp_path / "home"
    home.mkdir()
    port = free_port()
    key = make_key(tmp_path / "key")
    command = f'cd {shlex.quote(str(home))} && HOME=$PWD exec bash -c "$SSH_ORIGINAL_COMMAND"'
    (tmp_path / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {make_key(tmp_path / 'host_key')}\nPidFile none\n"
        f"AuthorizedKeysFile {key}.pub\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        f"KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nForceCommand {command}\n"
    )
    process = subprocess.Popen(
        [SSHD, "-D", "-e", "-f", str(tmp_path / "sshd_config")], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        said = ""
        while "listening" not in said.lower():
            said = process.stderr.readline()
            assert said, "sshd ended before it listened"
        stranger = client_config(tmp_path / "stranger", port, make_key(tmp_path / "other_key"))
        yield Server(client_config(tmp_path / "client", port, key), home, stranger)
    finally:
        process.terminate()
        process.communicate()


@pytest.fixture
def options(tmp_path: Path, install_options: list[str]) -> list[str]:
    return ["--root", str(tmp_path / "pi"), "--no-systemd", *install_options]


@needs_sshd
@pytest.mark.integration
def test_a_release_arrives_is_installed_and_sent_again_changes_nothing(
    server: Server, tmp_path: Path, options: list[str], make_bundle: Callable[[str], Path]
) -> None:
    home = tmp_path / "pi" / "opt" / "saynote"
    name = send.send("pi", options, ssh_config=server.config)
    assert (home / "current").readlink() == Path("releases", name)
    assert (home / "current" / "venv" / "bin" / "saynote").exists()
    made_ns = (home / "current" / "complete").stat().st_mtime_ns

    assert send.send("pi", options, ssh_config=server.config, bundle=make_bundle("weights")) == name
    assert (home / "current" / "complete").stat().st_mtime_ns == made_ns
    assert [folder.name for folder in (home / "releases").iterdir()] == [name]
    assert (home / "bundles" / "crowns" / "model.tflite").read_text() == "weights"


@needs_sshd
@pytest.mark.integration
@pytest.mark.parametrize("has_rsync", [True, False], ids=["rsync", "tar"])
def test_what_arrives_is_what_was_sent_and_nothing_older(server: Server, tmp_path: Path, has_rsync: bool) -> None:
    if has_rsync and shutil.which("rsync") is None:
        pytest.skip("rsync is not installed: sudo apt-get install rsync")
    inbox = server.home / send.INBOX
    (inbox / "wheels").mkdir(parents=True)
    (inbox / "wheels" / "old.whl").touch()
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "a file").write_text("new")
    device = Device("pi", server.ssh, is_root=True, has_rsync=has_rsync, has_sudo=False, sudo_asks=True)
    send.transfer(folder, device)
    assert {str(path.relative_to(inbox)) for path in inbox.rglob("*")} == {"a file"}


@needs_sshd
@pytest.mark.integration
def test_an_installer_that_fails_over_there_fails_here(server: Server, options: list[str]) -> None:
    with pytest.raises(SendError, match="installer on pi failed"):
        send.send("pi", [*options, "--nonsense"], ssh_config=server.config)


@needs_sshd
@pytest.mark.integration
def test_a_key_that_is_not_known_there_is_explained(server: Server) -> None:
    with pytest.raises(SendError, match="ssh-copy-id pi"):
        send.send("pi", ssh_config=server.stranger)


@needs_sshd
@pytest.mark.integration
def test_a_computer_without_ssh_is_explained(tmp_path: Path) -> None:
    config = client_config(tmp_path / "client", free_port(), tmp_path / "no_key")
    with pytest.raises(SendError, match="ssh is off"):
        send.send("pi", ssh_config=config)


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
    assert advice in send.explain("me@pi.local", said)


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
