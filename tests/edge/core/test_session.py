from __future__ import annotations

import pickle
from decimal import Decimal

import pytest

from edge.core.messages import Press
from edge.core.session import CONFIRM_WITHIN_S, REMEMBERED, Repeat, Reply, Session, Total
from edge.core.speech import PHRASES


def counted(*labels: str) -> Session:
    session = Session()
    for number, label in enumerate(labels):
        session.count(label, float(number))
    return session


def test_the_last_amount_comes_back_with_its_age() -> None:
    assert Session().press(Press.SHORT, 1.0) is Reply.NOTHING_YET
    assert counted("10", "500").press(Press.SHORT, 21.0) == Repeat("500", 20.0)


def test_the_total_is_exact_whatever_the_amounts() -> None:
    assert counted("0.1", "0.2", "500").press(Press.LONG, 9.0) == Total(Decimal("500.3"), 3)
    assert Session().press(Press.LONG, 9.0) == Total(Decimal(0), 0)


def test_each_double_press_takes_one_note_back() -> None:
    session = counted("100", "500")
    answers = [session.press(Press.DOUBLE, 3.0) for _ in range(3)]
    assert answers == [Reply.UNDONE, Reply.UNDONE, Reply.NOTHING_TO_UNDO]
    assert session.total == Total(Decimal(0), 0)


def test_a_very_long_press_asks_and_a_short_one_is_yes() -> None:
    session = counted("100")
    assert [session.press(press, 3.0) for press in (Press.VERY_LONG, Press.SHORT)] == [Reply.ASK_CLEAR, Reply.CLEARED]
    assert session.total.notes == 0


@pytest.mark.parametrize("press", [Press.LONG, Press.DOUBLE, Press.VERY_LONG])
def test_any_other_press_is_no_and_does_nothing_else(press: Press) -> None:
    session = counted("100")
    session.press(Press.VERY_LONG, 3.0)
    assert session.press(press, 4.0) is Reply.KEPT
    assert session.total == Total(Decimal(100), 1)


def test_silence_is_no_and_is_told_once() -> None:
    session = counted("100")
    session.press(Press.VERY_LONG, 3.0)
    assert session.advance(3.0 + CONFIRM_WITHIN_S) is None
    assert session.advance(3.1 + CONFIRM_WITHIN_S) is Reply.KEPT
    assert session.advance(99.0) is None
    assert session.press(Press.SHORT, 99.0) == Repeat("100", 99.0)


def test_a_late_yes_is_no() -> None:
    session = counted("100")
    session.press(Press.VERY_LONG, 3.0)
    assert session.press(Press.SHORT, 3.1 + CONFIRM_WITHIN_S) is Reply.KEPT


def test_a_note_shown_meanwhile_takes_the_question_away() -> None:
    session = counted("100")
    session.press(Press.VERY_LONG, 3.0)
    session.count("500", 4.0)
    assert session.press(Press.SHORT, 5.0) == Repeat("500", 1.0)
    assert session.total.notes == 2


def test_every_reply_has_its_words() -> None:
    assert {reply.value for reply in Reply} <= set(PHRASES)


def test_each_currency_has_a_total_of_its_own_and_a_note_comes_back_in_its_own() -> None:
    session = Session()
    for label, currency in (("500", "INR"), ("50000", "VND"), ("20", "INR")):
        session.count(label, 1.0, currency)
    dong = Total(Decimal(50000), 1, "VND")
    assert session.total == Total(Decimal(520), 2, "INR", (dong,))
    assert session.press(Press.SHORT, 2.0) == Repeat("20", 1.0, "INR")
    for _ in range(3):
        session.press(Press.DOUBLE, 3.0)
    assert session.total == Total(Decimal(0), 0)


def test_years_of_notes_stay_in_the_total_and_the_last_of_them_can_be_taken_back() -> None:
    session = counted(*["10", "0.5"] * REMEMBERED)
    assert session.total == Total(Decimal("10.5") * REMEMBERED, 2 * REMEMBERED)
    taken_back = 0
    while session.press(Press.DOUBLE, 1.0) is Reply.UNDONE:
        taken_back += 1
    assert taken_back == REMEMBERED
    assert session.total == Total(Decimal("5.25") * REMEMBERED, REMEMBERED)


def test_a_session_grows_no_more_once_it_has_counted_what_it_remembers() -> None:
    def size(notes: int) -> int:
        return len(pickle.dumps(counted(*["500"] * notes)))

    assert size(5 * REMEMBERED) <= size(REMEMBERED) + 20  # digits of the sums
