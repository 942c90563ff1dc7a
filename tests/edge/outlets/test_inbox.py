from __future__ import annotations

import threading
import time

import pytest

from edge.outlets.inbox import Inbox


def test_items_come_out_in_the_order_they_went_in() -> None:
    inbox: Inbox[int] = Inbox(4, drop="newest")
    assert all(inbox.offer(item) for item in (1, 2, 3))
    assert [inbox.take(0), inbox.take(0), inbox.take(0), inbox.take(0)] == [1, 2, 3, None]


def test_a_full_inbox_that_keeps_the_first_turns_the_new_one_away_and_says_so() -> None:
    inbox: Inbox[int] = Inbox(2, drop="newest")
    assert [inbox.offer(item) for item in (1, 2, 3)] == [True, True, False]
    assert (inbox.take(0), inbox.take(0), inbox.take(0)) == (1, 2, None)
    assert inbox.dropped == 1


def test_a_full_inbox_that_wants_the_newest_lets_the_oldest_go() -> None:
    inbox: Inbox[int] = Inbox(2, drop="oldest")
    assert [inbox.offer(item) for item in (1, 2, 3)] == [True, True, False]
    assert (inbox.take(0), inbox.take(0), inbox.take(0)) == (2, 3, None)
    assert inbox.dropped == 1


def test_whoever_waits_is_woken_by_an_item() -> None:
    inbox: Inbox[str] = Inbox(1, drop="newest")
    found: list[str | None] = []
    taker = threading.Thread(target=lambda: found.append(inbox.take(30)))
    taker.start()
    inbox.offer("now")
    taker.join(10)
    assert found == ["now"]


def test_whoever_waits_is_woken_by_the_end() -> None:
    inbox: Inbox[str] = Inbox(1, drop="newest")
    found: list[str | None] = []
    taker = threading.Thread(target=lambda: found.append(inbox.take(None)))
    taker.start()
    inbox.close()
    taker.join(10)
    assert found == [None]


def test_waiting_ends_when_the_time_has_come() -> None:
    inbox: Inbox[str] = Inbox(1, drop="newest")
    before_s = time.monotonic()
    assert inbox.take(0.02) is None
    assert 0.02 <= time.monotonic() - before_s < 5
    assert not inbox.ended


def test_what_was_offered_before_the_end_can_still_be_taken_and_nothing_after_it() -> None:
    inbox: Inbox[int] = Inbox(4, drop="oldest")
    inbox.offer(1)
    inbox.close()
    inbox.close()
    assert not inbox.offer(2)
    assert inbox.dropped == 1
    assert not inbox.ended
    assert (inbox.take(), inbox.take()) == (1, None)
    assert inbox.ended


def test_an_inbox_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Inbox(0, drop="oldest")


def test_many_threads_lose_nothing_that_is_not_counted() -> None:
    inbox: Inbox[int] = Inbox(8, drop="newest")
    kept: list[int] = []

    def offer(first: int) -> None:
        kept.extend(item for item in range(first, first + 500) if inbox.offer(item))

    givers = [threading.Thread(target=offer, args=(first,)) for first in (0, 1000, 2000)]
    for giver in givers:
        giver.start()
    taken: list[int] = []
    closer = threading.Thread(target=lambda: ([giver.join() for giver in givers], inbox.close()))
    closer.start()
    while not inbox.ended:
        item = inbox.take()
        if item is not None:
            taken.append(item)
    closer.join(10)
    assert sorted(taken) == sorted(kept)
    assert len(taken) + inbox.dropped == 1500
