"""Owns the model bundle: the one contract between training and device, written and read through this file.

A bundle is a folder:

    model.tflite    full-integer model; outputs: logits (1, labels) and, optionally, box (1, 5)
    labels.txt      one label a line, in the order of the logits; denominations are decimal numbers
    selftest.npz    `pictures` (n, height, width, 3) uint8, `logits` (n, labels) float32
    manifest.json   everything else, see `Manifest`
    card.md         the model card, for people

Numbers that depend on the weights stand in the manifest and nowhere else. The device checks the hashes and
replays the self-test before it speaks. It must not know how a model is trained or who runs it.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edge.core.errors import BundleError

FORMAT = 1
BACKGROUND = "background"  # nothing, or nothing this bundle knows
SEVERAL = "several"  # two different notes in view
RESERVED = (BACKGROUND, SEVERAL)
MODEL, LABELS, SELFTEST, MANIFEST, CARD = "model.tflite", "labels.txt", "selftest.npz", "manifest.json", "card.md"

# What `np.load` makes of a cut-off, damaged or foreign .npz; TypeError comes of a file with a single array.
UNREADABLE_ARRAYS = (
    *(OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of the manifest. Defaults are left out, so that a key added later changes no older bundle's digest."""


class InputSpec(Record, frozen=True):
    """The picture the model wants, RGB 0..255."""

    height: Annotated[int, Meta(ge=32, le=1024)]
    width: Annotated[int, Meta(ge=32, le=1024)]
    fit: Literal["squash", "letterbox"]  # what happens to a picture of another shape
    # Degrees counter-clockwise by which one look after the other is turned: opinions that err apart (decisions/0004).
    turns: Annotated[tuple[Literal[0, 90, 180, 270], ...], Meta(min_length=1)] = (0,)


class DecisionSpec(Record, frozen=True):
    """What it takes to say an amount with these weights."""

    temperature: Positive  # logits are divided by it, Guo et al. 2017
    thresholds: dict[str, Share]  # denomination -> least fused probability
    window_s: Positive  # observations older than this are forgotten
    min_frames: Annotated[int, Meta(ge=1)]  # least observations in the window before an amount
    agree: Share  # least share of them whose own best label is the amount
    unsure_after_s: Positive  # a note in view for so long without an amount: "not sure"
    rearm_s: Positive  # nothing in view for so long: the note has gone
    span_s: NotNegative = 0.0  # so far apart the first and the last that say it must be, at any frame rate
    # Least share of the note that the model says it sees, mean of the window. 0: it was not taught what nothing is.
    least_visible: Share = 0.0

    @property
    def visible_known(self) -> bool:
        """Whether the visible share says something of a picture without a note, too."""
        return self.least_visible > 0


class Manifest(Record, frozen=True):
    """manifest.json."""

    format: int
    name: str
    version: str  # of the bundle, semantic
    currency: str  # ISO 4217
    input: InputSpec
    decision: DecisionSpec
    oldest_runtime: str  # oldest tflite-runtime that has the operators
    has_box: bool  # the second output says where the note is
    selftest_tolerance: Positive  # largest difference of a logit between runtimes
    files: dict[str, str]  # file name -> SHA-256, hexadecimal
    digest: str  # over model, labels, currency, input and decision numbers: the bundle's identity
    training: dict[str, str | int | float] = {}  # seed, data digest, versions: for people
    figures: dict[str, float] = {}  # measured on the int8 model through the edge path


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
        return tuple(sorted((label for label in self.labels if label not in RESERVED), key=float))


def digest(model: bytes, labels: tuple[str, ...], currency: str, input_: InputSpec, decision: DecisionSpec) -> str:
    """The bundle's identity, hexadecimal SHA-256: the same weights, labels, currency and decisions give the same."""
    total = hashlib.sha256()
    for part in (model, "\n".join(labels).encode(), currency.encode(), _canonical(input_), _canonical(decision)):
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()


def _canonical(record: Record) -> bytes:
    return msgspec.json.encode(record, order="deterministic")


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
    oldest_runtime: str = "2.14.0",
    training: dict[str, str | int | float] | None = None,
    figures: dict[str, float] | None = None,
) -> Manifest:
    """Write a bundle into `folder` (made if missing) and return its manifest; the manifest is written last.

    Raises BundleError, before anything is written, for labels, turns and times that `read` would refuse.
    """
    _check(labels, input_, decision)
    folder.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    np.savez_compressed(packed, pictures=selftest_pictures, logits=selftest_logits.astype(np.float32))
    contents = {MODEL: model, LABELS: ("\n".join(labels) + "\n").encode(), SELFTEST: packed.getvalue()}
    manifest = Manifest(
        format=FORMAT,
        name=name,
        version=version,
        currency=currency,
        input=input_,
        decision=decision,
        oldest_runtime=oldest_runtime,
        has_box=has_box,
        selftest_tolerance=selftest_tolerance,
        files={file: hashlib.sha256(data).hexdigest() for file, data in contents.items()},
        digest=digest(model, labels, currency, input_, decision),
        training=training or {},
        figures=figures or {},
    )
    for file, data in contents.items():
        (folder / file).write_bytes(data)
    (folder / CARD).write_text(card, encoding="utf-8")
    encoded = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (folder / MANIFEST).write_bytes(encoded + b"\n")
    return manifest


def read(folder: Path) -> Bundle:
    """The bundle in `folder`; BundleError says what is wrong with it."""
    manifest = _read_manifest(folder)
    contents = {file: _read_checked(folder, file, manifest) for file in (MODEL, LABELS, SELFTEST)}
    labels = _read_labels(folder, contents[LABELS])
    _check(labels, manifest.input, manifest.decision)
    if digest(contents[MODEL], labels, manifest.currency, manifest.input, manifest.decision) != manifest.digest:
        raise BundleError(f"{folder}: the currency or decision numbers in {MANIFEST} were changed after it was made")
    pictures, logits = _read_selftest(folder, contents[SELFTEST], manifest, len(labels))
    return Bundle(folder, manifest, labels, contents[MODEL], pictures, logits)


def _read_labels(folder: Path, data: bytes) -> tuple[str, ...]:
    try:
        return tuple(data.decode("utf-8").splitlines())
    except UnicodeDecodeError as error:
        raise BundleError(f"{folder}: {LABELS} is not UTF-8") from error


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if not folder.is_dir():
        raise BundleError(f"there is no bundle {folder}")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{folder} has no readable {MANIFEST}: {error.strerror}") from error
    try:
        found = msgspec.json.decode(raw, type=dict)
        if found.get("format") != FORMAT:
            raise BundleError(f"{folder}: format {found.get('format')!r}, this saynote reads format {FORMAT}")
        return msgspec.convert(found, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: {str(error).lower()}") from error


def _read_checked(folder: Path, file: str, manifest: Manifest) -> bytes:
    if file not in manifest.files:
        raise BundleError(f"{folder}: {MANIFEST} has no hash for {file}")
    try:
        data = (folder / file).read_bytes()
    except OSError as error:
        raise BundleError(f"{folder}: {file} cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != manifest.files[file]:
        raise BundleError(f"{folder}: {file} is damaged, its hash differs from {MANIFEST}")
    return data


def _read_selftest(
    folder: Path, data: bytes, manifest: Manifest, labels: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            pictures, logits = arrays["pictures"], arrays["logits"]
    except UNREADABLE_ARRAYS as error:
        raise BundleError(f"{folder}: {SELFTEST} cannot be read: {error}") from error
    expected = (manifest.input.height, manifest.input.width, 3)
    if pictures.dtype != np.uint8 or pictures.shape[1:] != expected or len(pictures) == 0:
        raise BundleError(f"{folder}: {SELFTEST} holds no pictures of shape {expected}")
    if logits.shape != (len(pictures), labels) or logits.dtype.kind != "f" or not np.isfinite(logits).all():
        raise BundleError(f"{folder}: {SELFTEST} does not fit {LABELS}")
    return pictures, logits.astype(np.float32)


def _check(labels: tuple[str, ...], input_: InputSpec, decision: DecisionSpec) -> None:
    _check_labels(labels, decision)
    if input_.height != input_.width and set(input_.turns) & {90, 270}:
        raise BundleError(f"a picture of {input_.width} x {input_.height} cannot be turned by 90 degrees")
    if decision.span_s >= decision.window_s:
        raise BundleError(f"no frames of {decision.window_s:g} s are {decision.span_s:g} s apart: it would never speak")


def _check_labels(labels: tuple[str, ...], decision: DecisionSpec) -> None:
    denominations = [label for label in labels if label not in RESERVED]
    for label in denominations:
        if not label.replace(".", "", 1).isdigit() or not label.isascii() or float(label) <= 0:
            raise BundleError(f"{LABELS}: {label!r} is neither an amount nor one of {', '.join(RESERVED)}")
    if len({Decimal(label) for label in denominations}) != len(denominations) or len(set(labels)) != len(labels):
        raise BundleError(f"{LABELS} names a label twice")
    if not denominations or BACKGROUND not in labels:
        raise BundleError(f"{LABELS} needs at least one denomination and {BACKGROUND}")
    if set(decision.thresholds) != set(denominations):
        raise BundleError("every denomination needs its threshold in the manifest, and nothing else does")


def selftest(bundle: Bundle, invoke: Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]) -> float:
    """Replay the self-test pictures through `invoke`; the largest difference of a logit found.

    Raises BundleError when the runtime does not compute what the trainer's did.
    """
    worst = 0.0
    tolerance = bundle.manifest.selftest_tolerance
    for picture, expected in zip(bundle.selftest_pictures, bundle.selftest_logits, strict=True):
        outputs = invoke(picture[None])
        if not outputs or outputs[0].shape != (1, len(bundle.labels)):
            raise BundleError(f"{bundle.path}: the model's output does not fit {LABELS}")
        if bundle.manifest.has_box and (len(outputs) < 2 or outputs[1].shape != (1, 5)):
            raise BundleError(f"{bundle.path}: the model has no second output (1, 5) for the note's place")
        off = float(np.abs(outputs[0][0] - expected).max())
        if not off <= tolerance:  # also refuses NaN, which `max` would let pass
            raise BundleError(f"{bundle.path}: self-test failed, a logit is off by {off:.3f} (allowed {tolerance:.3f})")
        worst = max(worst, off)
    return worst
