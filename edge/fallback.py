"""Owns which bundle stands in for one that is refused: the last that passed on this device, else one that ships.

Never one of another currency: what currency was wanted is read from the refused bundle's manifest, or known from the
record where the same bundle passed before; where neither tells, there is no stand-in. The record is one small file in
the state folder. It knows no engine: whoever asks tries the candidates.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from edge.core import bundle as bundles
from edge.core import intake, whole
from edge.core.bundle import Bundle

log = logging.getLogger(__name__)

RECORD = "bundle.json"
RECORD_MOST_BYTES = 64 << 10


class Record(msgspec.Struct, frozen=True):
    """The last bundle that passed its self-test here."""

    wanted: str  # as the configuration called it
    path: str  # where it lies; a link that the installer moves on is followed first
    digest: str
    currency: str
    denominations: tuple[str, ...] = ()  # smallest first; none in records of before


def remember(state: Path, wanted: str, bundle: Bundle) -> None:
    """Write down that `bundle` passed; a disk that takes nothing costs the stand-in, not the start."""
    about = bundle.manifest
    record = Record(wanted, str(bundle.path.resolve()), about.digest, about.currency, bundle.denominations)
    if record == recall(state):
        return
    try:
        whole.write(state / RECORD, msgspec.json.encode(record))
    except OSError as error:
        log.warning("the bundle in use is not remembered: %s", error)


def recall(state: Path) -> Record | None:
    """The last bundle that passed, if one is known."""
    try:
        return msgspec.json.decode(intake.read(state / RECORD, RECORD_MOST_BYTES), type=Record)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def candidates(state: Path, wanted: str, refused: Path, shipped: Path) -> list[tuple[Path, str]]:
    """Folders to try in place of `refused`, best first, each with the digest it must have ("" for any)."""
    record = recall(state)
    currency = bundles.currency(refused) or (record.currency if record is not None and record.wanted == wanted else "")
    if not currency:
        return []
    found = []
    if record is not None and record.currency == currency:
        found.append((Path(record.path), record.digest))
    found += [(folder, "") for folder in sorted(shipped.glob("*")) if bundles.currency(folder) == currency]
    return [(folder, digest) for folder, digest in found if digest or not _same(folder, refused)]


def has_the_amounts_of(bundle: Bundle, state: Path, wanted: str, refused: Path) -> bool:
    """Whether a stand-in knows the same amounts as what is wanted, by what passed here or by its labels.

    Their places in the list are how they are felt.
    """
    record = recall(state)
    if record is not None and record.wanted == wanted and record.denominations:
        return record.denominations == bundle.denominations
    return bundles.claimed_denominations(refused) == bundle.denominations


def _same(folder: Path, other: Path) -> bool:
    try:
        return folder.samefile(other)
    except (OSError, ValueError):  # one of them is not there, or has a name that the system does not take
        return False
