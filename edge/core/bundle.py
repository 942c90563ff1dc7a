"""Owns the model bundle: the one contract between training and device, written and read through this file.

A bundle is a folder:

    model.tflite    full-integer model; outputs: logits (1, labels) and, optionally, box (1, 5)
    labels.txt      one label a line, in the order of the logits; denominations are decimal numbers
    selftest.npz    `pictures` (n, height, width, 3) uint8, `logits` (n, labels) float32
    manifest.json   everything else, see `edge/core/manifest.py`
    card.md         the model card, for people

Numbers that depend on the weights stand in the manifest and nowhere else. The device checks the hashes and
replays the self-test before it speaks. Whatever is wrong with a bundle is a BundleError: each file is a regular one, no
larger than `MOST_BYTES`, read once and into memory, and nothing is unpacked before its size and shape are known.
It must not know how a model is trained or who runs it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.core import arrays, intake
from edge.core.errors import BundleError, HardwareError
from edge.core.line import shown
from edge.core.manifest import (
    FORMAT,
    DecisionSpec,
    InputSpec,
    Manifest,
    check_names,
    claimed_currency,
    decode,
    digest,
    encode,
)
from edge.core.sums import hexadecimal

__all__ = [
    "BACKGROUND", "CARD", "FORMAT", "LABELS", "MANIFEST", "MODEL", "MOST_BYTES", "RESERVED", "SELFTEST", "SEVERAL",
    "Bundle", "DecisionSpec", "InputSpec", "Manifest", "about", "check_labels", "check_names", "claimed_denominations",
    "contents", "currency", "digest", "encode", "read", "selftest", "write",
]  # fmt: skip

BACKGROUND = "background"  # nothing, or nothing this bundle knows
SEVERAL = "several"  # two different notes in view
RESERVED = (BACKGROUND, SEVERAL)
MODEL, LABELS, SELFTEST, MANIFEST, CARD = "model.tflite", "labels.txt", "selftest.npz", "manifest.json", "card.md"

# Everything that belongs to a bundle, and the most that each file may hold: about ten times what one of today does.
MOST_BYTES = {MODEL: 32 << 20, LABELS: 16 << 10, SELFTEST: 16 << 20, MANIFEST: 256 << 10, CARD: 1 << 20}
SELFTEST_MOST_BYTES = 32 << 20  # unpacked
MOST_LABELS = 64
LONGEST_LABEL = 16  # characters: numbers of so many digits are told apart, and can be said


@dataclass(frozen=True)
class Bundle:
    """A bundle that has been read and found whole."""

    path: Path
    manifest: Manifest
    labels: tuple[str, ...]
    model: bytes
    selftest_pictures: NDArray[np.uint8]  # (n, height, width, 3)
    selftest_logits: NDArray[np.float32]  # (n, labels)

    @property
    def denominations(self) -> tuple[str, ...]:
        """The labels that are amounts, smallest first."""
        return _amounts(self.labels)

    def without_selftest(self) -> Bundle:
        """The same once its self-test has passed: with no pictures, which only that needs."""
        none = (self.selftest_pictures[:0].copy(), self.selftest_logits[:0].copy())  # a copy holds no whole one
        return replace(self, selftest_pictures=none[0], selftest_logits=none[1])


def write(
    folder: Path,
    *,
    name: str,
    version: str,
    currency: str,
    model: bytes,
    labels: tuple[str, ...],
    input_: InputSpec,
    decision: DecisionSpec,
    selftest_pictures: NDArray[np.uint8],
    selftest_logits: NDArray[np.float32],
    selftest_tolerance: float,
    has_box: bool,
    card: str,
    training: dict[str, str | int | float] | None = None,
    figures: dict[str, float] | None = None,
) -> Manifest:
    """Write a bundle into `folder` (made if missing) and return its manifest; the manifest is written last.

    Raises BundleError, before anything is written, for all that `read` would refuse.
    """
    packed = io.BytesIO()
    np.savez_compressed(packed, pictures=selftest_pictures, logits=selftest_logits.astype(np.float32))
    made = {MODEL: model, LABELS: ("\n".join(labels) + "\n").encode(), SELFTEST: packed.getvalue()}
    sums = {file: hexadecimal(data) for file, data in made.items()}
    manifest = Manifest(
        format=FORMAT,
        name=name,
        version=version,
        currency=currency,
        input=input_,
        decision=decision,
        has_box=has_box,
        selftest_tolerance=selftest_tolerance,
        files=sums,
        digest=digest(sums[MODEL], labels, currency, input_, decision),
        training=training or {},
        figures=figures or {},
    )
    made |= {CARD: card.encode(), MANIFEST: encode(manifest)}
    for file, data in made.items():
        if len(data) > MOST_BYTES[file]:
            raise BundleError(
                f"{folder}: {file} would hold {len(data)} bytes, more than the {MOST_BYTES[file]} allowed"
            )
    _open(folder, made)
    folder.mkdir(parents=True, exist_ok=True)
    for file, data in made.items():
        (folder / file).write_bytes(data)
    return manifest


def read(folder: Path) -> Bundle:
    """The bundle in `folder`; BundleError says what is wrong with it."""
    return _open(folder, {file: _fetch(folder, file) for file in (MANIFEST, MODEL, LABELS, SELFTEST)})


def about(folder: Path) -> Manifest:
    """The manifest of the bundle in `folder`, whatever else is wrong with it. Raises BundleError."""
    try:
        return decode(_fetch(folder, MANIFEST))
    except BundleError as error:
        raise BundleError(f"{folder}: {MANIFEST}: {error}") from error


def contents(folder: Path) -> dict[str, bytes]:
    """What travels of the bundle in `folder`, by the files' names, after it was found whole.

    These files and nothing else, and regular files only: a link could take along what its owner never meant to send.
    A bundle without a card travels without one. Raises BundleError.
    """
    there = [file for file in MOST_BYTES if file != CARD or (folder / CARD).is_symlink() or (folder / CARD).exists()]
    found = {file: _fetch(folder, file, links=False) for file in there}
    _open(folder, found)
    return found


def currency(folder: Path) -> str:
    """What currency the bundle in `folder` claims to be of, whatever else is wrong with it; "" where it does not."""
    try:
        return claimed_currency(_fetch(folder, MANIFEST))
    except BundleError:
        return ""


def claimed_denominations(folder: Path) -> tuple[str, ...]:
    """What amounts the bundle in `folder` claims to know, whatever else is wrong with it; none where it does not."""
    try:
        labels = _read_labels(folder, _fetch(folder, LABELS))
    except BundleError:
        return ()
    return _amounts(labels) if all(label in RESERVED or _is_amount(label) for label in labels) else ()


def _amounts(labels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted((label for label in labels if label not in RESERVED), key=float))


def _fetch(folder: Path, file: str, *, links: bool = True) -> bytes:
    try:
        return intake.read(folder / file, MOST_BYTES[file], links=links)
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and not intake.is_folder(folder):
            raise BundleError(f"there is no bundle {folder}") from error
        raise BundleError(f"{folder}: {file} cannot be read: {error.strerror}") from error


def _open(folder: Path, found: dict[str, bytes]) -> Bundle:
    """The bundle that these files make; `folder` is where they are from, or will be."""
    try:
        manifest = decode(found[MANIFEST])
    except BundleError as error:
        raise BundleError(f"{folder}: {MANIFEST}: {error}") from error
    for file in (MODEL, LABELS, SELFTEST):
        _check_hash(folder, file, found[file], manifest)
    labels = _read_labels(folder, found[LABELS])
    check_labels(labels)
    _check_thresholds(labels, manifest.decision)
    if digest(manifest.files[MODEL], labels, manifest.currency, manifest.input, manifest.decision) != manifest.digest:
        raise BundleError(f"{folder}: the currency or decision numbers in {MANIFEST} were changed after it was made")
    pictures, logits = _read_selftest(folder, found[SELFTEST], manifest, len(labels))
    return Bundle(folder, manifest, labels, found[MODEL], pictures, logits)


def _check_hash(folder: Path, file: str, data: bytes, manifest: Manifest) -> None:
    if file not in manifest.files:
        raise BundleError(f"{folder}: {MANIFEST} has no hash for {file}")
    if hexadecimal(data) != manifest.files[file]:
        raise BundleError(f"{folder}: {file} is damaged, its hash differs from {MANIFEST}")


def _read_labels(folder: Path, data: bytes) -> tuple[str, ...]:
    try:
        return tuple(data.decode("utf-8").splitlines())
    except UnicodeDecodeError as error:
        raise BundleError(f"{folder}: {LABELS} is not UTF-8") from error


def _read_selftest(
    folder: Path, data: bytes, manifest: Manifest, labels: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    try:
        found = arrays.unpack(data, ("pictures", "logits"), SELFTEST_MOST_BYTES)
    except ValueError as error:
        raise BundleError(f"{folder}: {SELFTEST} cannot be read: {error}") from error
    pictures, logits = found["pictures"], found["logits"]
    expected = (manifest.input.height, manifest.input.width, 3)
    if pictures.dtype != np.uint8 or pictures.shape[1:] != expected or len(pictures) == 0:
        raise BundleError(f"{folder}: {SELFTEST} holds no pictures of shape {expected}")
    if logits.shape != (len(pictures), labels) or logits.dtype.kind != "f" or not np.isfinite(logits).all():
        raise BundleError(f"{folder}: {SELFTEST} does not fit {LABELS}")
    return pictures, logits.astype(np.float32)


def check_labels(labels: tuple[str, ...]) -> None:
    """Raises BundleError for labels that no bundle can have: the reader's own look at them, for the trainer too."""
    if len(labels) > MOST_LABELS:
        raise BundleError(f"{LABELS} names {len(labels)} labels, more than the {MOST_LABELS} allowed")
    denominations = [label for label in labels if label not in RESERVED]
    for label in denominations:
        if not _is_amount(label):
            raise BundleError(f"{LABELS}: {shown(label)} is neither an amount nor one of {', '.join(RESERVED)}")
    if len({Decimal(label) for label in denominations}) != len(denominations) or len(set(labels)) != len(labels):
        raise BundleError(f"{LABELS} names a label twice")
    if not denominations or BACKGROUND not in labels:
        raise BundleError(f"{LABELS} needs at least one denomination and {BACKGROUND}")


def _check_thresholds(labels: tuple[str, ...], decision: DecisionSpec) -> None:
    if set(decision.thresholds) != set(labels) - set(RESERVED):
        raise BundleError("every denomination needs its threshold in the manifest, and nothing else does")


def _is_amount(label: str) -> bool:
    digits = label.replace(".", "", 1)
    return digits.isdigit() and label.isascii() and len(label) <= LONGEST_LABEL and float(label) > 0


def selftest(bundle: Bundle, invoke: Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]) -> float:
    """Replay the self-test pictures through `invoke`; the largest difference of a logit found.

    Raises BundleError when the runtime does not compute what the trainer's did, or nothing at all.
    """
    worst = 0.0
    tolerance = bundle.manifest.selftest_tolerance
    for picture, expected in zip(bundle.selftest_pictures, bundle.selftest_logits, strict=True):
        outputs = _answer(bundle, invoke, picture[None])
        if not outputs or outputs[0].shape != (1, len(bundle.labels)):
            raise BundleError(f"{bundle.path}: the model's output does not fit {LABELS}")
        if bundle.manifest.has_box and (len(outputs) < 2 or outputs[1].shape != (1, 5)):
            raise BundleError(f"{bundle.path}: the model has no second output (1, 5) for the note's place")
        off = float(np.abs(outputs[0][0] - expected).max())
        if not off <= tolerance:  # also refuses NaN, which `max` would let pass
            raise BundleError(f"{bundle.path}: self-test failed, a logit is off by {off:.3f} (allowed {tolerance:.3f})")
        worst = max(worst, off)
    return worst


def _answer(
    bundle: Bundle, invoke: Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]], picture: NDArray[np.uint8]
) -> list[NDArray[np.float32]]:
    try:
        return invoke(picture)
    except HardwareError as error:
        # Before it has ever run it is the model that is at fault, not the computer.
        raise BundleError(f"{bundle.path}: {error.detail}") from error
