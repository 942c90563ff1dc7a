from __future__ import annotations

import json

import pytest

from edge.core.orders import Command, Done, Response
from edge.core.topics import Topics
from edge.outlets import orders
from edge.outlets.orders import Orders

TOPICS = Topics("saynote", "pi-1")


class Bench:
    """Orders whose thread is turned by hand."""

    def __init__(self, **options: object) -> None:
        self.posted: list[object] = []
        self.orders = Orders(TOPICS, self.posted.append, **options)  # type: ignore[arg-type]

    def ask(self, verb: str, payload: object, *, retained: bool = False) -> None:
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.orders.heard(TOPICS.command(verb), data, retained)
        self.turn()

    def turn(self) -> None:
        self.orders.turn(self.orders._inbox.take(0))


def test_a_command_is_posted_and_answered_once_it_was_done() -> None:
    bench = Bench()
    bench.ask("say", {"id": "c1", "text": "Tea is ready"})
    assert bench.posted == [Command("c1", "say", "Tea is ready")]
    bench.orders.offer(Done("c1"))
    bench.turn()
    bench.orders.offer(Done("c1", "again"))
    bench.turn()
    assert bench.posted[1:] == [Response("c1", "say", ok=True)]


def test_one_that_is_delivered_again_is_done_and_answered_once() -> None:
    bench = Bench()
    for _ in range(3):
        bench.ask("repeat", {"id": "c1"})
    bench.orders.offer(Done("c1"))
    bench.turn()
    bench.ask("repeat", {"id": "c1"})
    assert bench.posted == [Command("c1", "repeat"), Response("c1", "repeat", ok=True)]
    for _ in range(2):
        bench.ask("shout", {"id": "c2"})
    assert len(bench.posted) == 3, "one that is refused too"


def test_a_button_that_always_gives_the_same_id_works_again_once_it_was_answered() -> None:
    bench, press = Bench(), {"id": "home-assistant", "newest": "INR"}
    for _ in range(2):
        bench.ask("bundle", press)
    assert len(bench.posted) == 1, "it is under way"
    bench.orders.offer(Done("home-assistant", "no route"))
    bench.turn()
    bench.ask("bundle", press)
    asked = Command("home-assistant", "bundle", currency="INR")
    assert bench.posted == [asked, Response("home-assistant", "bundle", ok=False, why="no route"), asked]
    for _ in range(3):
        bench.ask("bundle", {"id": "c2", "url": "https://example.org"})
        bench.orders.offer(Done("c2"))
        bench.turn()
    assert len(bench.posted) == 5, "with an address it is one command"


def test_what_is_no_command_is_answered_with_why() -> None:
    bench = Bench(units=["rupees"])
    bench.ask("say", b"rubbish")
    bench.ask("say", {"id": "c1", "text": "five hundred rupees"})
    bench.ask("shout", {"id": "c2"})
    assert [(one.id, one.verb, one.ok) for one in bench.posted if isinstance(one, Response)] == [
        ("", "say", False),
        ("c1", "say", False),
        ("c2", "shout", False),
    ]
    assert all(one.why for one in bench.posted if isinstance(one, Response))


def test_a_retained_command_is_ignored() -> None:
    bench = Bench()
    bench.ask("say", {"id": "c1", "text": "Boo"}, retained=True)
    assert bench.posted == []


def test_what_this_device_cannot_do_is_answered_so() -> None:
    bench = Bench(barred=lambda verb: "this device does not speak" if verb == "say" else "")
    bench.ask("say", {"id": "c1", "text": "Tea"})
    assert bench.posted == [Response("c1", "say", ok=False, why="this device does not speak")]


def test_what_nobody_does_is_answered_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "PATIENCE_S", 0.0)
    bench = Bench()
    bench.ask("identify", {"id": "c1"})
    assert bench.posted == [
        Command("c1", "identify"),
        Response("c1", "identify", ok=False, why="it was not done in time"),
    ]


def test_a_flood_takes_a_bounded_room() -> None:
    bench = Bench()
    for number in range(1000):
        bench.orders.heard(TOPICS.command("repeat"), json.dumps({"id": str(number)}).encode(), False)
    assert len(bench.orders._inbox) == orders.INBOX_SIZE
    for number in range(1000):
        bench.ask("repeat", {"id": f"x{number}"})
    assert len(bench.orders._known) <= orders.REMEMBERED
