"""Owns signatures of bundles and the keys that are trusted, over py-minisign; knows no bundle.

A trusted key is a file `ID.pub` in one folder, as minisign writes its public keys. The folder is the system's: whoever
may write there decides whose bundles are taken, and the service itself may not.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import minisign

from edge.core import intake, whole
from edge.core.errors import BundleError, ConfigError
from edge.core.line import one_line, shown

KEY_MOST_BYTES = 4 << 10
MOST_KEYS = 64


@dataclass(frozen=True)
class TrustedKey:
    """A public key, and where it stands."""

    id: str  # 16 hexadecimal digits, as minisign shows it
    fingerprint: str  # of the key itself: the id can be forged, this cannot
    comment: str
    path: Path
    key: minisign.PublicKey


def trusted(folder: Path) -> list[TrustedKey]:
    """The keys in `folder`, by their names. Raises ConfigError for a file that holds none."""
    return [_read(path) for path in sorted(folder.glob("*.pub"))[:MOST_KEYS]]


def verify(signature: bytes, body: BinaryIO, keys: list[TrustedKey]) -> tuple[str, TrustedKey]:
    """The trusted comment and whose it is, when `signature` is that of one of `keys` over all that follows in `body`.

    Raises BundleError otherwise. `body` stands at its end then.
    """
    try:
        found = minisign.Signature.from_bytes(signature)
        made_by = _id(base64.b64decode(signature.splitlines()[1]))
    except (minisign.Error, ValueError) as error:
        raise BundleError(f"its signature cannot be read: {error}") from error
    if not found.is_prehashed():
        raise BundleError("its signature is of minisign's old form: sign it with a newer minisign")
    key = next((key for key in keys if key.id == made_by), None)
    if key is None:
        trusted_ = ", ".join(key.id for key in keys) or "none"
        raise BundleError(f"it is signed with the key {made_by}, which is not trusted here; trusted are {trusted_}")
    try:
        key.key.verify(body, found)
    except minisign.Error as error:
        raise BundleError("its signature is wrong: it was changed or cut off on the way") from error
    return found.trusted_comment, key


def trust(folder: Path, given: str) -> TrustedKey:
    """Trust a key, or the one in a file, from now on. Raises ConfigError, and OSError where it cannot be kept."""
    try:
        content = intake.read(Path(given), KEY_MOST_BYTES) if os.path.exists(given) else given.encode()  # noqa: PTH110
        lines = content.strip().splitlines()
        key = minisign.PublicKey.from_base64(lines[-1])
        if len(lines) == 2:
            key = minisign.PublicKey.from_bytes(content.strip())
    except (minisign.Error, ValueError, IndexError) as error:
        raise ConfigError([f"{shown(given)} is no public key of minisign, and no file of one"]) from error
    place = folder / f"{_id(base64.b64decode(key.to_base64()))}.pub"
    folder.mkdir(parents=True, exist_ok=True)
    whole.write(place, bytes(key) + b"\n", lasting=True)
    place.chmod(0o644)
    return _read(place)


def distrust(folder: Path, id_: str) -> TrustedKey:
    """Trust a key no more. Raises ConfigError where it is not among them, and OSError."""
    found = [key for key in trusted(folder) if key.id == id_.upper()]
    if not found:
        known = ", ".join(key.id for key in trusted(folder)) or "none"
        raise ConfigError([f"there is no key {shown(id_)}; trusted are {known}"])
    for key in found:
        key.path.unlink()
    return found[0]


def _read(path: Path) -> TrustedKey:
    try:
        key = minisign.PublicKey.from_bytes(intake.read(path, KEY_MOST_BYTES).strip())
    except (minisign.Error, ValueError, OSError) as error:
        why = getattr(error, "strerror", None) or "it is no public key of minisign"
        raise ConfigError([f"the key {path} cannot be used: {why}"]) from error
    raw = base64.b64decode(key.to_base64())
    return TrustedKey(
        _id(raw), hashlib.sha256(raw[10:]).hexdigest()[:32], one_line(key.untrusted_comment or ""), path, key
    )


def _id(raw: bytes) -> str:
    """The key's number in a signature or a key, as minisign shows it."""
    return raw[2:10][::-1].hex().upper()
