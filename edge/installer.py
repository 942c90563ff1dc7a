"""Owns the way of a sealed bundle onto this device: fetched, verified, staged, tried, named. Nothing of it is parsed
before its signature is found right, and nothing of it stays where any step refuses it.

The trial is a process of its own with limits: a model that takes a process down takes that one. It must not know who
uses the bundle afterwards; `edge.core.shelf` keeps what became of it.
"""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, NoReturn

from edge import apart
from edge.core import bundle as bundles
from edge.core import news, seal
from edge.core.bundle import Manifest
from edge.core.errors import EXIT_BUNDLE, EXIT_OK, BundleError, HardwareError
from edge.core.line import brief
from edge.core.news import News
from edge.core.seal import SEALED_MOST_BYTES, Claim
from edge.core.shelf import Shelf

SEAL = "seal.minisig"  # kept beside the files: whose signature it came with
TRIAL_S = 120.0  # a Pi that boots may be slow
TRIAL_CPU_S = 100

Step = Callable[[str], None]


def install(
    source: str | BinaryIO,
    shelf: Shelf,
    keys: Path,
    configured: Mapping[str, Manifest],
    *,
    expected: Claim | None = None,
    runtime: str = "auto",
    step: Step = lambda _name: None,
) -> str:
    """Take in the sealed bundle that `source` (a path, an address, an open file) leads to; its entry in `shelf`.

    `keys`: the folder of those that are trusted; `configured`: what the settings name, by currency; `expected`: which
    bundle it must be, if that is known. `step` is told the name of each step before it is done. Raises BundleError,
    TransientError and ConfigError, each one sentence, and then nothing is left of it.
    """
    try:
        with shelf.installing():
            if expected is not None:  # nothing is fetched that would be refused, or is here
                shelf.admit(expected, configured)
                if _is_here(shelf, expected):
                    return shelf.nominate(expected)
            return _install(source, shelf, keys, configured, expected, runtime, step)
    except OSError as error:
        if error.errno is None or isinstance(error, HardwareError):
            raise
        raise BundleError(f"the bundle cannot be kept: {_why(error, shelf.folder)}") from error


def _why(error: OSError, folder: Path) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk of {folder} is full"
    if error.errno == errno.EROFS:
        return f"{folder} cannot be written: its disk is mounted read-only"
    return f"{folder}: {error.strerror}"


def _install(
    source: str | BinaryIO,
    shelf: Shelf,
    keys: Path,
    configured: Mapping[str, Manifest],
    expected: Claim | None,
    runtime: str,
    step: Step,
) -> str:
    # Without a name on the disk: whatever happens, nothing is left of it.
    with tempfile.TemporaryFile(dir=shelf.folder) as sealed:
        step("fetch")
        _bring(source, sealed)
        step("verify")
        signature, claim = _verified(sealed, keys)
        if expected not in (None, claim):
            raise BundleError(f"it is {claim.entry}, and {expected.entry} was announced")
        shelf.admit(claim, configured)
        if _is_here(shelf, claim):
            return shelf.nominate(claim)
        with shelf.staging() as folder:
            step("stage")
            for name, data in {**seal.unpack(sealed), SEAL: signature}.items():
                (folder / name).write_bytes(data)
            step("check")
            _check(folder, claim)
            step("try")
            _try_apart(folder, runtime)
            step("keep")
            entry = shelf.keep(folder, claim)
            step("kept")
            return entry


def _bring(source: str | BinaryIO, sealed: BinaryIO) -> None:
    if isinstance(source, str):
        from edge.drivers.fetch import fetch

        fetch(source, sealed, SEALED_MOST_BYTES)
    else:
        sealed.write(_bounded(source))
    sealed.flush()
    sealed.seek(0)


def _bounded(source: BinaryIO) -> bytes:
    data = source.read(SEALED_MOST_BYTES + 1)
    if len(data) > SEALED_MOST_BYTES:
        raise BundleError(f"it is larger than {SEALED_MOST_BYTES >> 20} MB")
    return data


def _verified(sealed: BinaryIO, keys: Path) -> tuple[bytes, Claim]:
    """The signature and what it claims; the archive is next to be read."""
    from edge.drivers.signature import trusted, verify

    signature = seal.read_signature(sealed)
    comment, _ = verify(signature, sealed, trusted(keys))
    sealed.seek(len(signature))
    return signature, seal.read_comment(comment)


def read_news(payload: bytes, keys: Path) -> News:
    """What a bundle's owner says of it, verified. Raises BundleError and ConfigError."""
    from edge.drivers.signature import trusted, verify

    told = io.BytesIO(payload)
    signature = seal.read_signature(told)
    comment, _ = verify(signature, told, trusted(keys))
    return news.read(payload[len(signature) :], comment)


def _check(folder: Path, claim: Claim) -> None:
    try:
        found = bundles.read(folder).manifest
    except BundleError as error:
        raise BundleError(str(error).removeprefix(f"{folder}: ")) from error
    if Claim.of(found) != claim:
        raise BundleError("it holds another bundle than its signature says")


def _is_here(shelf: Shelf, claim: Claim) -> bool:
    """Whether it lies there, and whole."""
    if claim.entry not in shelf.entries():
        return False
    try:
        _check(shelf.path(claim.entry), claim)
    except BundleError:
        return False
    return True


def _try_apart(folder: Path, runtime: str) -> None:
    command, ours = apart.command(__name__, "try_here", str(folder), runtime), apart.environment()
    try:
        tried = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TRIAL_S, check=False, env=ours
        )
    except subprocess.TimeoutExpired:
        raise BundleError(f"its self-test takes over {TRIAL_S:.0f} s on this device") from None
    if tried.returncode < 0:
        raise BundleError(f"its self-test breaks down on this device (signal {-tried.returncode})")
    said = brief(tried.stdout.decode("utf-8", "replace").strip(), 300)
    if tried.returncode == EXIT_BUNDLE:
        raise BundleError(said.removeprefix(f"{folder}: "))
    if tried.returncode != EXIT_OK:
        last = (tried.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
        raise BundleError(f"its self-test cannot be run: {brief(last, 200)}")


def try_here(folder: str, runtime: str) -> NoReturn:
    """In that other process: load the bundle and replay its self-test, within limits."""
    import resource

    from edge.confined import load_confined

    try:
        load_confined(Path(folder), runtime, niceness=10, limits={resource.RLIMIT_CPU: TRIAL_CPU_S})
    except (BundleError, HardwareError) as error:
        sys.stdout.write(str(error))
        sys.stdout.flush()
        os._exit(EXIT_BUNDLE)
    os._exit(EXIT_OK)
