"""Owns what `training check` can find and which of it is a fault; knows neither how it is found nor how it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from training.photos.dataset import FEWEST_CLUSTERS

SOUND_CLUSTERS = 40  # both faces, by day and by lamp, in the hand and on a table, with some left to hold out
IMBALANCE = 3.0  # classes are drawn evenly: the smallest is then shown this many times as often as the largest
SMALL_NOTE = 1 / 6  # of the frame: below it the model sees less than 80 of its 192 pixels of the note's side
TINY_PX = 96  # half of what the model sees at 192
HUGE_PX, HUGE_BYTES = 4096, 4_000_000  # no model here looks closer than 320


@dataclass(frozen=True)
class Kind:
    """One kind of finding."""

    title: str
    fault: bool  # a fault makes training impossible or its figures untrue; all else is for you to judge
    why: str


KINDS = {
    "problem": Kind("cannot be trained on", True, "training stops at the first of these"),
    "broken": Kind("cannot be read", True, "broken, cut off, too large or in another format"),
    "labels": Kind("one picture under two labels", True, "one of the two labels is wrong"),
    "leak": Kind("also in the test folder", True, "a test on pictures that were trained on proves nothing"),
    "too_few": Kind(
        "class too small", True, f"below {FEWEST_CLUSTERS} different pictures its threshold rests on a single one"
    ),
    "few": Kind("small class", False, f"below {SOUND_CLUSTERS} different pictures much of what happens is not shown"),
    "imbalance": Kind("classes of unlike size", False, "the small ones are repeated until all are shown equally often"),
    "one_source": Kind("only one source", False, "it cannot be tried on another photographer's pictures"),
    "suspect": Kind("suspicious label", False, "the other pictures say another amount: look at it"),
    "copies": Kind("near-duplicates", False, "copies weigh one picture more than the others"),
    "sources": Kind("near-duplicates in two sources", False, "leaving one source out leaves its copies in"),
    "apart": Kind("near-duplicates in two clusters", False, "the manifest lets a split put them on both sides"),
    "missing": Kind("in a table, not in the folder", False, "the manifest or the table of series names no such file"),
    "format": Kind("named as another format", False, "saynote reads it; other programs may not"),
    "turned": Kind("turned by its EXIF mark", False, "it is read turned, so its box must be measured turned"),
    "tiny": Kind("tiny picture", False, f"a side is below {TINY_PX} pixels: small print is not there to be learnt"),
    "huge": Kind(
        "huge picture", False, f"over {HUGE_PX} pixels or {HUGE_BYTES // 10**6} MB: it costs time and adds nothing"
    ),
    "grey": Kind("grey picture", False, "colour is much of what tells notes apart"),
    "blank": Kind("nothing to see", False, "it is one colour all over"),
    "small_note": Kind("note under a sixth of the frame", False, "most of its print is lost to the model"),
}


@dataclass(frozen=True)
class Finding:
    """One thing found."""

    kind: str  # a key of KINDS
    sentence: str
    files: tuple[Path, ...] = ()

    @property
    def fault(self) -> bool:
        """Whether it must be mended."""
        return KINDS[self.kind].fault


@dataclass(frozen=True)
class Suspect:
    """A picture whose label the others do not confirm."""

    path: Path
    given: str
    suggested: str
    probability: float  # of the suggested label
    own: float  # of the given one


@dataclass
class Report:
    """All that was found in one folder."""

    data: Path
    pictures: int
    counts: dict[str, dict[str, dict[str, int]]]  # label, source, series ("" for unknown): pictures
    findings: list[Finding] = field(default_factory=list)
    suspects: list[Suspect] = field(default_factory=list)  # the most suspicious first
    passed_over: list[Path] = field(default_factory=list)  # what computers put there by themselves
    agreement: float | None = None  # share of labels that the others confirm; None where nobody looked

    @property
    def faults(self) -> int:
        """How many findings must be mended."""
        return sum(finding.fault for finding in self.findings)

    def by_kind(self) -> dict[str, list[Finding]]:
        """The findings of each kind that was found, in the order of KINDS."""
        grouped = {kind: [f for f in self.findings if f.kind == kind] for kind in KINDS}
        return {kind: found for kind, found in grouped.items() if found}
