"""What is used of each currency, and how each event changes it."""

from __future__ import annotations

import msgspec
import pytest

from edge.core.ledger import MOST_OUTCOMES, MOST_WHY, Line, Outcome, Record, Tally, is_ordered, version_of
from edge.core.seal import Claim
from tests.sealed import CONFIGURED

XTS = CONFIGURED["XTS"]  # 0.1.0
FIRST, SECOND = "XTS-0.2.0-a1a1a1a1", "XTS-0.3.0-b2b2b2b2"


def claim(version: str) -> Claim:
    return Claim("xts", version, "XTS", ("a1" if version == "0.2.0" else "b2") * 32)


def test_one_that_is_nominated_once_more_goes_on_with_what_it_has_shown() -> None:
    line = Line().nominated(claim("0.2.0")).counted(FIRST, Tally(alike=3))
    assert line.nominated(claim("0.2.0")) == line
    assert line.nominated(claim("0.3.0")).tally == Tally()


def test_the_newest_ever_is_remembered_whatever_is_nominated_after_it() -> None:
    line = Line().nominated(claim("0.3.0")).refused(SECOND).nominated(claim("0.2.0"))
    assert (line.newest, line.candidate) == ("0.3.0", FIRST)


def test_the_way_of_a_bundle_and_back() -> None:
    line = Line().nominated(claim("0.2.0")).promoted(FIRST, XTS.digest)
    assert (line.active, line.trial, line.candidate, line.previous) == (FIRST, True, "", "")
    assert line.started().started().starts == 2
    line = line.settled(FIRST).nominated(claim("0.3.0")).promoted(SECOND, XTS.digest).rolled_back()
    assert (line.active, line.trial, line.previous) == (FIRST, False, "")
    line = line.rolled_back()
    assert (line.active, line.over) == ("", "")


def test_what_is_said_of_another_entry_changes_nothing() -> None:
    line = Line().nominated(claim("0.2.0"))
    assert line == line.refused(SECOND) == line.counted(SECOND, Tally(alike=9)) == line.settled(SECOND)


@pytest.mark.parametrize(
    ("digest", "version", "stands"),
    [(XTS.digest, "9.0", True), ("ff" * 32, "0.1.9", True), ("ff" * 32, "0.2.0", False), ("ff" * 32, "mine", True)],
)
def test_it_stands_over_the_bundle_whose_place_it_took_and_over_older_ones(
    digest: str, version: str, stands: bool
) -> None:
    line = Line().promoted(FIRST, XTS.digest)
    assert line.stands_over(msgspec.structs.replace(XTS, digest=digest, version=version)) is stands
    assert line.stands_over(None)
    assert not Line().stands_over(XTS)


def test_what_became_of_bundles_takes_a_bounded_room() -> None:
    record = Record()
    for _ in range(3 * MOST_OUTCOMES):
        record = record.changed("XTS", Line(), Outcome(FIRST, "refused", "x" * 10_000))
    assert [len(outcome.why) for outcome in record.outcomes] == [MOST_WHY] * MOST_OUTCOMES
    assert record.changed("XTS", Line(), None).outcomes == record.outcomes


def test_a_version_that_has_no_order_is_none() -> None:
    assert (version_of(FIRST), version_of("XTS-1..2-a1a1a1a1"), version_of("")) == ("0.2.0", "", "")
    assert not is_ordered("v1")
