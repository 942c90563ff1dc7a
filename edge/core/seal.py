"""Owns the sealed bundle: one file in which a bundle travels to devices that are in use.

    line 1 to 4   a minisign signature of all that follows; its trusted comment says what bundle it is
    the rest      a plain tar of the bundle's files, and of nothing else

So `head -n 4` and `tail -n +5` part it for everybody's minisign. Whoever reads one verifies it first: this file splits,
and unpacks what was found right, and even then takes known names, regular files and bounded sizes alone. It must not
know how a signature is made or verified.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from edge.core.bundle import CARD, MOST_BYTES, Manifest, check_names
from edge.core.errors import BundleError
from edge.core.line import brief, shown

if TYPE_CHECKING:
    import tarfile

LINES = 4
SIGNATURE_MOST_BYTES = 4 << 10
SEALED_MOST_BYTES = sum(MOST_BYTES.values()) + (64 << 10)
VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}")  # what can be told to be older or newer
BEGINS = "saynote bundle"
CLAIMS = ("name", "version", "currency", "digest")
ENTRY = re.compile(r"[A-Z]{3}-[0-9.]{1,40}-[0-9a-f]{8}")


@dataclass(frozen=True)
class Claim:
    """What bundle a seal says that it holds."""

    name: str
    version: str
    currency: str
    digest: str

    @property
    def entry(self) -> str:
        """What it is called where it is kept."""
        return f"{self.currency}-{self.version}-{self.digest[:8]}"

    @classmethod
    def of(cls, manifest: Manifest) -> Claim:
        """Of a bundle that is to be sealed. Raises BundleError for a version that has no order."""
        claim = cls(manifest.name, manifest.version, manifest.currency, manifest.digest)
        claim.check()
        return claim

    def check(self) -> None:
        """Raises BundleError where it can be no bundle's."""
        check_names(self.name, self.version, self.currency)
        order(self.version)
        if not re.fullmatch(r"[0-9a-f]{64}", self.digest):
            raise BundleError(f"the digest {shown(self.digest)} is no SHA-256")


def order(version: str) -> tuple[int, ...]:
    """By which versions are compared. Raises BundleError for one that cannot be."""
    if not VERSION.fullmatch(version):
        raise BundleError(f"the version {shown(version)} is not one to four numbers with points between, as 1.2.0")
    numbers = [int(part) for part in version.split(".")]
    return tuple(numbers + [0] * (4 - len(numbers)))


def comment(claim: Claim, begins: str = BEGINS) -> str:
    """The trusted comment of a bundle's signature, or of what else begins so and is of it."""
    return " ".join([begins, *(f"{key}={getattr(claim, key)}" for key in CLAIMS)])


def read_comment(text: str, begins: str = BEGINS) -> Claim:
    """What a trusted comment claims. Raises BundleError where it begins otherwise, or is of no bundle."""
    words = text.removeprefix(f"{begins} ").split(" ")
    parts = [word.partition("=") for word in words]
    if not text.startswith(f"{begins} ") or tuple(key for key, _, _ in parts) != CLAIMS:
        raise BundleError(f"it is signed as something else than a {begins.split()[-1]}: {brief(text)}")
    claim = Claim(*(value for _, _, value in parts))
    claim.check()
    return claim


def pack(contents: Mapping[str, bytes]) -> bytes:
    """The archive of a bundle's files: the same files give the same bytes."""
    import tarfile  # heavy, and few starts need it; likewise below

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(contents):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(contents[name]), 0o644
            archive.addfile(member, io.BytesIO(contents[name]))
    return packed.getvalue()


def read_signature(sealed: BinaryIO) -> bytes:
    """The four lines that a sealed bundle begins with; what follows them is next to be read. Raises BundleError."""
    lines: list[bytes] = []
    left = SIGNATURE_MOST_BYTES
    while len(lines) < LINES:
        line = sealed.readline(left)
        left -= len(line)
        if not line.endswith(b"\n"):
            raise BundleError("it is no sealed bundle: it does not begin with a signature")
        lines.append(line)
    return b"".join(lines)


def unpack(archive: BinaryIO) -> dict[str, bytes]:
    """The files of an archive by their names, from where it is read next. Raises BundleError for all that is none."""
    import tarfile

    try:
        with tarfile.open(fileobj=archive, mode="r:") as opened:
            found = _members(opened)
    except (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"its archive cannot be read: {brief(str(error))}") from error
    if missing := [name for name in MOST_BYTES if name not in found and name != CARD]:
        raise BundleError(f"its archive holds no {' and no '.join(missing)}")
    return found


def _members(opened: tarfile.TarFile) -> dict[str, bytes]:
    from tarfile import AREGTYPE, REGTYPE

    found: dict[str, bytes] = {}
    while (member := opened.next()) is not None:
        if member.name not in MOST_BYTES:
            raise BundleError(f"its archive holds {shown(member.name)}, which is no file of a bundle")
        if member.type not in (REGTYPE, AREGTYPE) or member.issparse():
            raise BundleError(f"its archive holds {member.name} as something else than a file")
        if member.name in found:
            raise BundleError(f"its archive holds {member.name} twice")
        most = MOST_BYTES[member.name]
        if not 0 <= member.size <= most:
            raise BundleError(f"its archive holds {member.name} of {member.size} bytes, and {most} are allowed")
        data = opened.extractfile(member)
        content = b"" if data is None else data.read(most)
        if len(content) != member.size:
            raise BundleError(f"its archive ends within {member.name}")
        found[member.name] = content
    return found
