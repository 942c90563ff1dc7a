"""Certificates for tests, made by openssl: an authority, and whoever it vouches for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def authority(folder: Path, name: str = "ca") -> Path:
    """A self-signed certificate with its key beside it: NAME.pem and NAME.key."""
    _openssl(folder, "req", "-x509", *_new(name), "-out", f"{name}.pem", "-subj", f"/CN=saynote test {name}")
    return folder / f"{name}.pem"


def vouched(folder: Path, name: str, by: str = "ca") -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that the authority has signed, and its key."""
    _openssl(folder, "req", *_new(name), "-out", f"{name}.csr", "-subj", f"/CN={name}")
    (folder / "names.cnf").write_text("subjectAltName=IP:127.0.0.1\n")
    signing = ["-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial", "-extfile", "names.cnf", "-days", "2"]
    _openssl(folder, "x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.pem")
    return folder / f"{name}.pem", folder / f"{name}.key"


def encrypted(key: Path) -> Path:
    """The same key, behind a password."""
    _openssl(key.parent, "pkey", "-in", key.name, "-aes256", "-passout", "pass:secret", "-out", "encrypted.key")
    return key.with_name("encrypted.key")


def _new(name: str) -> list[str]:
    return ["-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key"]


def _openssl(folder: Path, *arguments: str) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("install openssl to run this test")
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
