"""A bundle that is asked for from afar comes in once, and is answered once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from edge.core.errors import BundleError
from edge.core.news import Newest, News, Taking
from edge.core.orders import Command, Done
from edge.core.seal import Claim
from edge.outlets.arrivals import Arrivals, Install

PATIENCE_S = 30.0
URL = "https://example.org/x.saynote"


class Asked:
    """An outlet with what was answered."""

    def __init__(self, install: Install) -> None:
        self.answers: queue.Queue[Done | Taking] = queue.Queue()
        self.outlet = Arrivals(install, post=self.answers.put)
        self.outlet.start()

    def ask(self, id_: str, verb: str = "bundle", currency: str = "") -> None:
        assert self.outlet.offer(Command(id_, verb, "" if currency else URL, currency))

    def answer(self) -> Any:
        return self.answers.get(timeout=PATIENCE_S)


@pytest.fixture
def asked() -> Iterator[Callable[[Install], Asked]]:
    made: list[Asked] = []

    def make(install: Install) -> Asked:
        made.append(Asked(install))
        return made[-1]

    yield make
    for one in made:
        one.outlet.close()


def test_what_was_taken_in_is_answered_with_its_name(asked: Callable[..., Asked]) -> None:
    device = asked(lambda url, _claim: f"entry of {url}")
    device.ask("a", "repeat")
    device.ask("b")
    assert device.answer() == Done("b", "", f"entry of {URL}")


def test_what_is_refused_is_answered_with_why(asked: Callable[..., Asked]) -> None:
    def refuse(_url: str, _claim: Claim | None) -> str:
        raise BundleError("it is signed with a key that is not trusted")

    device = asked(refuse)
    device.ask("a")
    assert device.answer() == Done("a", "it is signed with a key that is not trusted")


def test_while_one_comes_in_another_is_refused(asked: Callable[..., Asked]) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(_url: str, _claim: Claim | None) -> str:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        return "entry"

    device = asked(slow)
    device.ask("a")
    assert begun.wait(PATIENCE_S)
    device.ask("b")
    assert device.answer() == Done("b", "another bundle is being installed")
    go_on.set()
    assert device.answer() == Done("a", "", "entry")


def test_a_mistake_of_ours_costs_the_one_command(asked: Callable[..., Asked]) -> None:
    calls: list[str] = []

    def broken_once(url: str, _claim: Claim | None) -> str:
        calls.append(url)
        if len(calls) == 1:
            raise ValueError("something unforeseen")
        return "entry"

    device = asked(broken_once)
    device.ask("a")
    assert "a mistake in saynote itself" in device.answer().why
    while (device.ask("b"), device.answer())[1].why == "another bundle is being installed":
        pass
    assert len(calls) == 2


NEWS = News(Claim("inr", "1.1.0", "INR", "41d07be3" * 8), "https://example.org/newest")


def test_the_newest_is_what_was_announced_last_and_all_hear_while_it_comes_in(asked: Callable[..., Asked]) -> None:
    device = asked(lambda url, claim: f"{claim.version} of {url}")
    device.outlet.offer(Newest("VND", News(NEWS.claim, URL)))
    device.outlet.offer(Newest("INR", NEWS))
    device.ask("a", currency="INR")
    busy, over, done = (device.answer() for _ in range(3))
    assert (busy, over) == (Taking("INR", busy=True), Taking("INR", busy=False))
    assert done == Done("a", "", f"1.1.0 of {NEWS.url}")


def test_where_nothing_was_announced_or_it_was_taken_back_that_is_the_answer(asked: Callable[..., Asked]) -> None:
    device = asked(lambda _url, _claim: "entry")
    device.outlet.offer(Newest("INR", NEWS))
    device.outlet.offer(Newest("INR", None))
    device.ask("a", currency="INR")
    busy, over, done = (device.answer() for _ in range(3))
    assert (busy, over.busy) == (Taking("INR", busy=True), False)
    assert over.why == done.why == "no newest bundle of INR is announced"
