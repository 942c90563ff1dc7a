"""A process in a machine whose /dev/shm cannot be used, as containers have it."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run_without_shared_memory(options: str, code: str, *arguments: str) -> str:
    """What the Python program `code` prints where /dev/shm is mounted with `options`, and full."""
    mount = f"mount -t tmpfs -o {options} tmpfs /dev/shm && (cat /dev/zero > /dev/shm/full;"
    inside = f'{mount} exec {sys.executable} -c "$@")'
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no name spaces of its own may be made here")
    command = ["unshare", "-rm", "sh", "-c", inside, "sh", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
