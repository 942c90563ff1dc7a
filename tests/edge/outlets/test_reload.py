from __future__ import annotations

from collections.abc import Sequence

from edge.core.messages import Decision, Verdict
from edge.core.orders import Answered, Command, Done
from edge.drivers.fake import FakeClock
from edge.outlets.reload import ANSWER_S, HELD_S, LEAST_S, Reload

ASKED = Command("c1", "reload")


class Bench:
    """A device that has run for `age_s`; its thread is turned by hand."""

    def __init__(self, age_s: float = LEAST_S, mistakes: Sequence[str] = ()) -> None:
        self.clock = FakeClock(now_s=100.0)
        self.posted: list[Done] = []
        self.ends = 0
        self.mistakes = mistakes
        self.reload = Reload(lambda: self.mistakes, self._end, self.clock, post=self.posted.append)
        self.clock.advance(age_s)

    def _end(self) -> None:
        self.ends += 1

    def tell(self, item: Command | Answered | Decision) -> None:
        assert self.reload.offer(item)
        self.turn()

    def turn(self) -> None:
        self.reload.turn(self.reload._inbox.take(0))


def seen(verdict: Verdict) -> Decision:
    return Decision(verdict, 1, 0.0, 1)


def test_it_answers_first_and_ends_once_the_broker_has_the_answer() -> None:
    bench = Bench()
    bench.tell(ASKED)
    bench.tell(Answered("of another command"))
    assert (bench.posted, bench.ends) == ([Done("c1")], 0)
    bench.tell(Answered("c1"))
    bench.turn()
    assert (bench.posted, bench.ends) == ([Done("c1")], 1)


def test_a_broker_that_does_not_acknowledge_delays_the_end_and_no_more() -> None:
    bench = Bench()
    bench.tell(ASKED)
    bench.clock.advance(ANSWER_S - 0.1)
    bench.turn()
    assert bench.ends == 0
    bench.clock.advance(0.1)
    bench.turn()
    assert bench.ends == 1


def test_it_waits_until_nobody_holds_a_note_and_not_for_ever() -> None:
    bench = Bench()
    bench.tell(seen(Verdict.SEEN))
    bench.tell(ASKED)
    bench.tell(Answered("c1"))
    bench.tell(seen(Verdict.AMOUNT))
    assert bench.ends == 0
    bench.tell(seen(Verdict.GONE))
    assert bench.ends == 1
    patient = Bench()
    patient.tell(seen(Verdict.SEEN))
    patient.tell(ASKED)
    patient.tell(Answered("c1"))
    patient.clock.advance(HELD_S)
    patient.turn()
    assert patient.ends == 1


def test_settings_with_a_mistake_are_refused_with_its_sentence_and_this_run_goes_on() -> None:
    bench = Bench(mistakes=["web.port must be below 65536", "mqtt.host is empty"])
    bench.tell(ASKED)
    bench.clock.advance(1000.0)
    bench.turn()
    assert (bench.posted, bench.ends) == ([Done("c1", "web.port must be below 65536 (and 1 more)")], 0)
    bench.mistakes = ()
    bench.tell(Command("c2", "reload"))
    assert bench.posted[1:] == [Done("c2")]


def test_a_run_that_began_just_now_says_when_it_may_be_asked() -> None:
    bench = Bench(age_s=LEAST_S - 60.0)
    bench.tell(ASKED)
    assert bench.posted == [Done("c1", "it began 300 s ago, and a new start is on trial for 360 s: ask again in 60 s")]
    bench.clock.advance(60.0)
    bench.tell(Command("c2", "reload"))
    assert bench.posted[1:] == [Done("c2")]


def test_the_second_who_asks_is_told_that_it_ends_already() -> None:
    bench = Bench()
    bench.tell(ASKED)
    bench.tell(Command("c2", "reload"))
    bench.tell(Answered("c1"))
    assert bench.posted[1:] == [Done("c2", "it is about to begin anew already")]
    assert bench.ends == 1


def test_what_nobody_foresaw_about_the_settings_is_answered_too() -> None:
    def fail() -> list[str]:
        raise RuntimeError("the card is gone")

    posted: list[Done] = []
    clock = FakeClock()
    reload = Reload(fail, lambda: None, clock, post=posted.append)
    clock.advance(LEAST_S)
    reload.turn(ASKED)
    assert posted == [Done("c1", "the settings cannot be looked at: RuntimeError: the card is gone")]


def test_what_was_found_too_late_ends_nothing_since_somebody_was_told_that_it_was_not_done() -> None:
    bench = Bench()
    slow = Reload(lambda: bench.clock.advance(11.0) or (), bench._end, bench.clock, post=bench.posted.append)
    bench.clock.advance(LEAST_S)
    slow.turn(ASKED)
    bench.clock.advance(1000.0)
    slow.turn(None)
    assert (bench.posted, bench.ends) == (
        [Done("c1", "the disk is too slow: the settings could not be looked at in time")], 0,
    )  # fmt: skip


def test_other_commands_are_others_affair_and_the_thread_ends() -> None:
    bench = Bench()
    bench.reload.start()
    assert bench.reload.offer(Command("c1", "repeat"))
    bench.reload.close()
    bench.reload.close()
    assert (bench.posted, bench.ends) == ([], 0)
    assert not bench.reload._thread.is_alive()
