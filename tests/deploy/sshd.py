"""A real ssh server on this machine, that a test starts and stops, and how to reach it."""

import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy import reach

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
        return (*reach.SSH, "-F", str(self.config))


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


@contextmanager
def serve(tmp_path: Path) -> Iterator[Server]:
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
