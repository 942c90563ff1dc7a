"""Owns what is written down of installed bundles: which is used, on trial, in the shadow, and how that changes.

One line for each currency; each change makes a new line of an old one. It must not know where that is kept, nor what
lies there (`edge.core.shelf`).
"""

from __future__ import annotations

import msgspec

from edge.core.bundle import Manifest
from edge.core.errors import BundleError
from edge.core.seal import Claim, order

MOST_STARTS = 2  # of a bundle on trial that did not get well
MOST_OUTCOMES = 20
MOST_WHY = 400  # characters
CONFIGURED = "configured"  # what the settings name, in place of an entry


class Tally(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the shadow has shown so far."""

    seconds: float = 0.0  # of frames that were looked at
    alike: int = 0  # notes to which both said the same amount
    otherwise: int = 0  # to which it said another one, or an amount to no note
    silent: int = 0  # to which only the bundle in use said one
    alone: int = 0  # to which only the one in the shadow did
    since_wall_s: float | None = None  # when it began, where that was known


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is used for one currency. Entries by their names; "" stands for what the settings name, or for none."""

    active: str = ""
    over: str = ""  # digest of the configured bundle whose place it took
    previous: str = ""  # active before it
    trial: bool = False  # the active one has not shown yet that it does well
    starts: int = 0  # of the active one on trial
    candidate: str = ""  # in the shadow, or about to be
    tally: Tally = Tally()
    newest: str = ""  # version of the newest that was ever taken in: none older follows

    def nominated(self, claim: Claim) -> Line:
        """With the bundle that `claim` names as the candidate, unless it is used; what it has shown stays counted."""
        newest = max((version for version in (self.newest, claim.version) if version), key=order)
        line = msgspec.structs.replace(self, newest=newest)
        if claim.entry in (self.active, self.candidate):
            return line
        return msgspec.structs.replace(line, candidate=claim.entry, tally=Tally())

    def started(self) -> Line:
        """With one more start of the one on trial."""
        return msgspec.structs.replace(self, starts=self.starts + 1)

    def promoted(self, entry: str, over: str) -> Line:
        """With `entry` in use, on trial, over the configured bundle of that digest; "" for the configured one."""
        ends = entry in ("", self.candidate)
        return msgspec.structs.replace(
            self,
            active=entry,
            over=over if entry else "",
            previous="" if entry == self.active else self.active,
            trial=bool(entry),
            starts=0,
            candidate="" if ends else self.candidate,
            tally=Tally() if ends else self.tally,
        )

    def settled(self, entry: str) -> Line:
        """With `entry` no longer on trial."""
        return msgspec.structs.replace(self, trial=False, starts=0) if self.active == entry else self

    def rolled_back(self) -> Line:
        """With what was before the active one in use again."""
        return msgspec.structs.replace(
            self,
            active=self.previous,
            over=self.over if self.previous else "",
            previous="",
            trial=False,
            starts=0,
            candidate="" if self.candidate == self.active else self.candidate,
        )

    def refused(self, entry: str) -> Line:
        """Without `entry` as its candidate."""
        return msgspec.structs.replace(self, candidate="", tally=Tally()) if self.candidate == entry else self

    def counted(self, entry: str, tally: Tally) -> Line:
        """With what the shadow of `entry` has shown by now."""
        return msgspec.structs.replace(self, tally=tally) if self.candidate == entry else self

    def stands_over(self, configured: Manifest | None) -> bool:
        """Whether the active one takes the place of the configured bundle, if that can be read.

        One that took the place of another configured bundle than today's does so only as long as it is newer: whoever
        deploys another bundle wants to use it.
        """
        if not self.active or configured is None or self.over == configured.digest:
            return bool(self.active)
        return not is_ordered(configured.version) or order(version_of(self.active)) > order(configured.version)


class Outcome(msgspec.Struct, frozen=True):
    """What became of a bundle."""

    entry: str
    what: str  # installed, refused, switched, stays, rolled back
    why: str = ""
    wall_s: float | None = None


class Record(msgspec.Struct, frozen=True):
    """All that is written down."""

    lines: dict[str, Line] = {}
    outcomes: tuple[Outcome, ...] = ()  # the oldest first

    def line(self, currency: str) -> Line:
        """What is used for one currency."""
        return self.lines.get(currency, Line())

    def changed(self, currency: str, line: Line, outcome: Outcome | None) -> Record:
        """With another line for `currency`, and what became of a bundle, if anything did."""
        outcomes = self.outcomes
        if outcome is not None:
            outcome = msgspec.structs.replace(outcome, why=outcome.why[:MOST_WHY])
            outcomes = (*outcomes, outcome)[-MOST_OUTCOMES:]
        return Record({**self.lines, currency: line}, outcomes)


def version_of(entry: str) -> str:
    """The version in an entry's name; "" where it holds none."""
    version = entry[4:-9]
    return version if is_ordered(version) else ""


def is_ordered(version: str) -> bool:
    """Whether it can be told to be older or newer."""
    try:
        return bool(order(version))
    except BundleError:
        return False
