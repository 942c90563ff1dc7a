"""Owns whether this computer can boot a device in a box, found out by trying; knows nothing of what runs in it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.e2e.pi.step import StepError, run

TOOLS = {"systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap", "ip": "iproute2", "ssh": "openssh-client"}


def is_root() -> bool:
    """Whether we may try at all."""
    return os.geteuid() == 0


def lacks() -> str:
    """What this computer itself cannot give to root, in a few words; empty where it can. No package would change it."""
    if not Path("/sys/fs/cgroup").is_dir() or not any(Path("/sys/fs/cgroup").iterdir()):
        return "control groups (/sys/fs/cgroup is empty)"
    network, cable = f"saynote-e2e-{os.getpid()}-probe", f"snp{os.getpid()}"  # another run may be trying the same
    tries = (
        ("the right to mount", ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]),
        ("the right to make namespaces", ["unshare", "--pid", "--fork", "--uts", "--ipc", "--cgroup", "true"]),
        ("the right to make a network", ["ip", "netns", "add", network]),
        (
            "network cables between namespaces (veth)",
            ["ip", "link", "add", cable, "type", "veth", "peer", f"{cable}b"],
        ),
    )
    try:
        for what, command in tries:
            try:
                run(command, 30)
            except StepError as error:
                return f"{what} ({str(error).strip().splitlines()[-1]})"
    finally:
        run(["ip", "netns", "delete", network], 30, check=False)
        run(["ip", "link", "delete", cable], 30, check=False)
    return ""


def packages_missing() -> list[str]:
    """Debian's packages that bring the tools which are not there."""
    return [package for tool, package in TOOLS.items() if shutil.which(tool) is None]


def refuses(root: Path) -> str:
    """Why systemd-nspawn cannot run anything in `root`, or nothing: seccomp and the like show only when it is tried."""
    command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", f"--directory={root}"]
    done = run([*command, "--volatile=overlay", "/bin/true"], 60, check=False)
    return "" if done.returncode == 0 else (done.stdout.strip().splitlines() or ["it says nothing"])[-1]
