from __future__ import annotations

from edge.drivers.mqtt_link import Ending
from edge.drivers.mqtt_pace import Pace

NEVER_IN = Ending("refused")
HUNG_UP = Ending("the connection ended", up=True, lived_s=2.0, answered=True, hung_up=True)
TAKEN = Ending("taken over", up=True, lived_s=2.0, answered=True, taken_over=True)


def hung_up_on(message: bytes) -> Ending:
    return Ending("ended", up=True, lived_s=2.0, answered=True, hung_up=True, unanswered=("a", message, False))


def test_after_a_connection_that_was_of_use_it_is_tried_at_once_and_then_less_and_less() -> None:
    pace = Pace()
    assert pace.after(HUNG_UP) < 0.1
    pauses_s = [pace.after(NEVER_IN) for _ in range(12)]
    assert 0.5 <= pauses_s[0] <= 1.0
    assert all(10.0 <= pause_s <= 20.0 for pause_s in pauses_s[6:])
    assert pace.after(HUNG_UP) < 0.1
    assert pace.after(NEVER_IN) <= 1.0


def test_a_broker_that_lets_us_in_and_takes_nothing_is_not_tried_again_and_again() -> None:
    pace = Pace()
    deaf = Ending("it has acknowledged nothing", up=True, lived_s=60.0)
    assert [pace.after(deaf) for _ in range(8)][-1] >= 10.0


def test_three_hang_ups_in_a_row_are_another_device_of_our_name() -> None:
    pace = Pace()
    assert [pace.after(HUNG_UP) < 0.1 for _ in range(2)] == [True, True]
    assert not pace.disputed
    pauses_s = [pace.after(HUNG_UP) for _ in range(12)]
    assert pace.disputed
    assert not pace.certain
    assert pauses_s[0] >= 2.5
    assert 60.0 <= pauses_s[-1] <= 120.0
    assert pace.taken_over == 14


def test_a_broker_that_is_away_in_between_restarts_and_there_is_no_other_device() -> None:
    pace = Pace()
    for _ in range(50):
        assert pace.after(HUNG_UP) < 0.1
        assert pace.after(NEVER_IN) <= 1.0
    assert pace.taken_over == 0
    for _ in range(3):
        pace.after(HUNG_UP)
    assert pace.disputed
    pace.after(NEVER_IN)
    assert not pace.disputed


def test_a_message_that_the_broker_hangs_up_on_is_no_other_device() -> None:
    pace = Pace()
    for message in (b"1", b"1", b"1", b"2", b"2", b"2", b"3", b"3", b"3"):
        pace.after(hung_up_on(message))
    assert pace.taken_over == 0


def test_a_broker_that_hangs_up_after_a_refusal_is_no_other_device() -> None:
    pace = Pace()
    for _ in range(10):
        pace.after(Ending("ended", up=True, lived_s=2.0, answered=True, refused=True, hung_up=True))
    assert pace.taken_over == 0


def test_messages_that_happened_to_be_under_way_do_not_hide_another_device() -> None:
    pace = Pace()
    for message in (b"1", b"7", b"30", b"31"):
        pace.after(hung_up_on(message))
    assert (pace.disputed, pace.taken_over) == (True, 4)


def test_what_the_broker_says_itself_is_certain_and_waited_for_longest() -> None:
    pace = Pace()
    pauses_s = [pace.after(TAKEN) for _ in range(12)]
    assert (pace.disputed, pace.certain, pace.taken_over) == (True, True, 12)
    assert 2.5 <= pauses_s[0] <= 5.0
    assert 150.0 <= pauses_s[-1] <= 300.0
    assert pauses_s[1] > 3 * pauses_s[0] / 4


def test_a_connection_that_holds_ends_the_dispute() -> None:
    pace = Pace()
    for _ in range(6):
        pace.after(TAKEN)
    held = Ending("the connection ended", up=True, lived_s=3600.0, answered=True, hung_up=True)
    assert pace.after(held) < 0.1
    assert not pace.disputed
    assert pace.after(TAKEN) <= 5.0


def test_a_broker_that_sends_what_was_not_asked_for_is_left_for_minutes() -> None:
    pace = Pace()
    unasked = Ending("it sends what was never asked for", up=True, answered=True, unasked=True)
    pauses_s = [pace.after(unasked) for _ in range(12)]
    assert pauses_s[0] >= 30.0
    assert pauses_s[-1] >= 1800.0
    assert pace.taken_over == 0
