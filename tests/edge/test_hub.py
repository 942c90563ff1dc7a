from __future__ import annotations

import threading

import pytest

from edge.core.messages import Decision, Fault, Guidance, Hint, Notice, Recovered, Turn, Verdict
from edge.core.session import Reply
from edge.hub import Hub

FAULT = Fault("camera", "missing")


class Taker:
    """Remembers what it is offered; scolds an offer of what it did not join for."""

    def __init__(self, *takes: type) -> None:
        self.takes = takes
        self.taken: list[object] = []

    def start(self) -> None:
        raise AssertionError("the hub starts nothing")

    def offer(self, message: object) -> bool:
        assert isinstance(message, self.takes), f"it did not join for {message}"
        self.taken.append(message)
        return True

    def close(self) -> None:
        raise AssertionError("the hub closes nothing")


def joined(hub: Hub, name: str, *takes: type) -> Taker:
    taker = Taker(*takes)
    hub.join(name, taker, takes)
    return taker


def test_a_message_reaches_everyone_who_takes_its_kind_and_nobody_else() -> None:
    hub = Hub()
    both, faults, hints = joined(hub, "a", Fault, Guidance), joined(hub, "b", Fault), joined(hub, "c", Guidance)
    hint = Guidance(Hint.CLOSER, 1.0)
    for message in (FAULT, hint, Notice("ready"), Reply.KEPT):
        hub.post(message)
    assert (both.taken, faults.taken, hints.taken) == ([FAULT, hint], [FAULT], [hint])


def test_who_posts_a_message_is_not_offered_it() -> None:
    hub = Hub()
    sender, other = joined(hub, "light", Fault, Recovered), joined(hub, "announcer", Fault, Recovered)
    way = hub.way_of("light")
    way(FAULT)
    way(Recovered("light"))
    assert (sender.taken, other.taken) == ([], [FAULT, Recovered("light")])
    hub.post(FAULT)
    assert sender.taken == [FAULT], "what others post it hears"


def test_who_has_left_is_offered_nothing_any_more() -> None:
    hub = Hub()
    gone, there = joined(hub, "web", Fault, Turn), joined(hub, "view", Fault)
    assert hub.taken(Turn)
    hub.leave("web")
    hub.post(FAULT)
    assert (gone.taken, there.taken) == ([], [FAULT])
    assert not hub.taken(Turn)
    assert not hub.taken(Notice), "nobody ever joined for it"


def test_an_outlet_that_breaks_stops_no_other_and_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Taker):
        """Has a mistake in it."""

        def offer(self, message: object) -> bool:
            raise RuntimeError("a mistake")

    hub = Hub()
    hub.join("capture", Broken(), (Fault,))
    after = joined(hub, "announcer", Fault)
    for _ in range(100):
        hub.post(FAULT)
    assert after.taken == [FAULT] * 100
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == ["capture broke"]


def test_threads_that_post_while_others_join_and_leave_lose_nothing() -> None:
    hub, count = Hub(), 2000
    there = joined(hub, "there", Decision)

    def post(thread: int) -> None:
        for seq in range(count):
            hub.post(Decision(Verdict.AMOUNT, seq, 0.0, thread))

    def come_and_go() -> None:
        for _ in range(count):
            joined(hub, "visitor", Decision)
            hub.leave("visitor")

    threads = [threading.Thread(target=post, args=(number,)) for number in range(4)]
    threads.append(threading.Thread(target=come_and_go))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for number in range(4):
        found = [message.seq for message in there.taken if isinstance(message, Decision) and message.presence == number]
        assert found == list(range(count)), "all of them, in the order of their thread"
