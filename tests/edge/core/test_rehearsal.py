"""Two bundles before the same notes: what counts as alike, as otherwise, as silence."""

from __future__ import annotations

import pytest

from edge.core.ledger import Tally
from edge.core.messages import Decision, Verdict
from edge.core.rehearsal import LEAST_SHOWN, Rehearsal, verdict

RATE = 10  # frames a second
NOTE, GAP = 20, 30  # frames


def rehearsed(
    notes: list[tuple[str, str]], *, every: int = 1, late: int = 0, begin: int = 0, currency: str = ""
) -> Tally:
    """A note for each pair: what the bundle in use says to it and what the shadow does, each in its fourth frame.

    `every`: so many frames the shadow is shown one; `late`: frames by which its answer comes later; `begin`: the frame
    at which the comparison begins.
    """
    rehearsal, answers = Rehearsal("XTS", Tally()), []
    for number in range((NOTE + GAP) * len(notes) + GAP):
        which, at = divmod(number, NOTE + GAP)
        said, heard = notes[which] if which < len(notes) else ("", "")
        found, t_s = [], number / RATE
        present = at < NOTE and bool(said or heard) and said != "nothing"
        if present and at == 1:
            found.append(Decision(Verdict.SEEN, number, t_s, which + 1))
        if present and at == 3 and said:
            found.append(Decision(Verdict.AMOUNT, number, t_s, which + 1, said, currency=currency))
        if at == NOTE and said != "nothing" and (said or heard):
            found.append(Decision(Verdict.GONE, number, t_s, which + 1, said))
        answers.append((number + late, t_s, [heard] if heard and at == 3 else []))
        if number < begin:
            continue
        rehearsal.live(t_s, found, present)
        while answers and answers[0][0] <= number:
            _, asked_s, amounts = answers.pop(0)
            if round(asked_s * RATE) % every == 0 and asked_s >= begin / RATE:
                rehearsal.shadow(asked_s, amounts)
    return rehearsal.tally


def counts(tally: Tally) -> tuple[int, int, int, int]:
    return tally.alike, tally.otherwise, tally.silent, tally.alone


def test_the_same_amounts_are_alike_and_time_is_counted() -> None:
    tally = rehearsed([("50", "50"), ("100", "100"), ("50", "50")])
    assert counts(tally) == (3, 0, 0, 0)
    assert tally.seconds == pytest.approx(17.9)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (("50", "500"), (1, 1, 0, 0)),
        (("50", ""), (1, 0, 1, 0)),
        (("", "50"), (1, 0, 0, 1)),
        (("nothing", "50"), (1, 1, 0, 0)),
        (("", ""), (1, 0, 0, 0)),
    ],
    ids=["another amount", "silence", "an amount to a doubt", "an amount to nothing", "no note"],
)
def test_each_note_counts_once(pair: tuple[str, str], expected: tuple[int, int, int, int]) -> None:
    assert counts(rehearsed([("20", "20"), pair])) == expected


def test_an_answer_that_comes_late_belongs_to_its_frame() -> None:
    assert counts(rehearsed([("50", "50"), ("100", "100")], late=4)) == (2, 0, 0, 0)


def test_a_note_in_view_when_it_begins_is_no_proof_of_anything() -> None:
    for begin in range(0, NOTE + 2):
        assert counts(rehearsed([("50", "50"), ("100", "100")], begin=begin))[1:] == (0, 0, 0), begin


@pytest.mark.parametrize(("every", "silent"), [(1, 1), (2, 1), (3, 0), (1000, 0)])
def test_silence_to_what_was_hardly_shown_is_none(every: int, silent: int) -> None:
    assert LEAST_SHOWN < NOTE / 2
    assert counts(rehearsed([("50", "")], every=every)) == (0, 0, silent, 0)


def test_a_note_of_another_currency_is_the_others_affair() -> None:
    assert counts(rehearsed([("50", "500")], currency="INR")) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("tally", "over", "why"),
    [
        (Tally(seconds=700, alike=5), True, ""),
        (Tally(seconds=700, alike=4), False, ""),
        (Tally(seconds=500, alike=50), False, ""),
        (Tally(seconds=9e6), False, ""),
        (Tally(seconds=10, alike=5, otherwise=1), True, "another amount"),
        (Tally(seconds=10, alike=2, silent=3), True, "silent to most notes"),
        (Tally(seconds=10, alike=1, silent=2), False, ""),
        (Tally(seconds=700, alike=5, silent=5, alone=9), True, ""),
    ],
)
def test_its_time_is_over_when_enough_was_compared_and_no_sooner(tally: Tally, over: bool, why: str) -> None:
    ended, reason = verdict(tally, least_s=600, least_alike=5, most_otherwise=0)
    assert ended is over
    assert (why in reason) if why else reason == ""
