"""Owns manifest.json of a model bundle: its keys, what each may be, its digest and the names it may use.

What cannot be used is refused here, at writing as at reading: `decode` is what both go through. It must not know the
other files of a bundle; `edge/core/bundle.py` does.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from edge.core.errors import BundleError
from edge.core.line import brief, shown
from edge.core.sums import hexadecimal, sha256

FORMAT = 1
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")  # becomes part of paths, settings and command lines
CURRENCY = re.compile(r"[A-Z]{3}")

Turn: TypeAlias = Literal[0, 90, 180, 270]  # degrees counter-clockwise
Share = Annotated[float, Meta(ge=0, le=1)]
# No number of a decision is larger than this: within it nothing overflows, and what is remembered stays small.
Seconds = Annotated[float, Meta(gt=0, le=3600)]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of the manifest. Defaults are left out, so that a key added later changes no older bundle's digest."""


class InputSpec(Record, frozen=True):
    """The picture the model wants, RGB 0..255."""

    height: Annotated[int, Meta(ge=32, le=1024)]
    width: Annotated[int, Meta(ge=32, le=1024)]
    fit: Literal["squash", "letterbox"]  # what happens to a picture of another shape
    # Degrees counter-clockwise by which one look after the other is turned: opinions that err apart (decisions/0004).
    turns: Annotated[tuple[Turn, ...], Meta(min_length=1, max_length=8)] = (0,)
    # Every other round of turns sees the note's own place alone, enlarged by this share (decisions/0010). 0: none does.
    near: Annotated[float, Meta(ge=0, le=1)] = 0.0

    @property
    def looks(self) -> int:
        """After so many looks they begin anew."""
        return len(self.turns) * (2 if self.near else 1)


class SoonSpec(Record, frozen=True):
    """What lets an amount be said before `DecisionSpec.span_s` has passed (decisions/0019, edge/core/evidence.py)."""

    evidence: Annotated[float, Meta(gt=0, le=1000)]  # nats for the amount against all else, at least
    most: Annotated[float, Meta(gt=0, le=1000)]  # nats that one look gives, at most


class DecisionSpec(Record, frozen=True):
    """What it takes to say an amount with these weights."""

    temperature: Annotated[float, Meta(ge=0.001, le=1000)]  # logits are divided by it, Guo et al. 2017
    thresholds: dict[str, Share]  # denomination -> least fused probability
    window_s: Annotated[float, Meta(gt=0, le=60)]  # observations older than this are forgotten
    min_frames: Annotated[int, Meta(ge=1, le=1000)]  # least observations in the window before an amount
    agree: Share  # least share of them whose own best label is the amount
    unsure_after_s: Seconds  # a note in view for so long without an amount: "not sure"
    rearm_s: Seconds  # nothing in view for so long: the note has gone
    span_s: Annotated[float, Meta(ge=0, le=60)] = 0.0  # so far apart the first and the last that say it must be
    # Least share of the note that the model says it sees, mean of the window. 0: it was not taught what nothing is.
    least_visible: Share = 0.0
    soon: SoonSpec | None = None  # None, as in older bundles: no amount before span_s has passed

    @property
    def visible_known(self) -> bool:
        """Whether the visible share says something of a picture without a note, too."""
        return self.least_visible > 0


class Manifest(Record, frozen=True):
    """manifest.json."""

    format: int
    name: str  # as NAME
    version: str  # of the bundle, semantic; as NAME
    currency: str  # ISO 4217
    input: InputSpec
    decision: DecisionSpec
    has_box: bool  # the second output says where the note is
    selftest_tolerance: Annotated[float, Meta(gt=0, le=100)]  # largest difference of a logit between runtimes
    files: dict[str, str]  # file name -> SHA-256, hexadecimal
    digest: str  # over model, labels, currency, input and decision numbers: the bundle's identity
    training: dict[str, str | int | float] = {}  # seed, data digest, versions: for people
    figures: dict[str, float] = {}  # measured on the int8 model through the edge path
    oldest_runtime: str = ""  # in older bundles; no longer written, and nothing goes by it (docs/bundle.md)


def digest(model: str, labels: tuple[str, ...], currency: str, input_: InputSpec, decision: DecisionSpec) -> str:
    """The bundle's identity, hexadecimal SHA-256: the same weights, labels, currency and decisions give the same.

    `model`: the SHA-256 of its file, hexadecimal.
    """
    parts = ("\n".join(labels).encode(), currency.encode(), _canonical(input_), _canonical(decision))
    return hexadecimal(bytes.fromhex(model) + b"".join(sha256(part).digest() for part in parts))


def _canonical(record: Record) -> bytes:
    return msgspec.json.encode(record, order="deterministic")


def encode(manifest: Manifest) -> bytes:
    """manifest.json, to be read by people too. Raises BundleError for what `decode` would refuse."""
    raw = msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    decode(raw)
    return raw


def decode(raw: bytes) -> Manifest:
    """The manifest in `raw`. Raises BundleError, one sentence without the file's name."""
    try:
        found = msgspec.json.decode(raw, type=dict)
        if found.get("format") != FORMAT:
            raise BundleError(f"format {shown(found.get('format'))}, this saynote reads format {FORMAT}")
        manifest = msgspec.convert(found, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError) as error:
        raise BundleError(brief(str(error).lower(), 200)) from error
    except RecursionError:
        raise BundleError("it holds lists within lists, too deep to be read") from None
    check_names(manifest.name, manifest.version, manifest.currency)
    _check_together(manifest)
    return manifest


def claimed_currency(raw: bytes) -> str:
    """The currency that a manifest claims which may be refused for anything else; "" for none."""
    try:
        found = msgspec.json.decode(raw, type=dict).get("currency")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    return found if isinstance(found, str) and CURRENCY.fullmatch(found) else ""


def check_names(name: str, version: str, currency: str) -> None:
    """Raises BundleError for what cannot stand in a path, a settings file or a sentence."""
    for what, value in (("name", name), ("version", version)):
        if not NAME.fullmatch(value):
            rule = "1 to 64 letters, digits and . _ -, and not begin with . or -"
            raise BundleError(f"the bundle's {what} {shown(value)} must be {rule}")
    if not CURRENCY.fullmatch(currency):
        raise BundleError(f"the bundle's currency {shown(currency)} must be three capital letters, as in ISO 4217")


def _check_together(manifest: Manifest) -> None:
    """What no key alone can get wrong."""
    input_, decision = manifest.input, manifest.decision
    if input_.near and not manifest.has_box:
        raise BundleError("it is to look near, and its model does not say where a note is")
    if input_.height != input_.width and set(input_.turns) & {90, 270}:
        raise BundleError(f"a picture of {input_.width} x {input_.height} cannot be turned by 90 degrees")
    if decision.span_s >= decision.window_s:
        raise BundleError(f"no frames of {decision.window_s:g} s are {decision.span_s:g} s apart: it would never speak")
