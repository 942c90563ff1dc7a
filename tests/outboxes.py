"""What the tests of the outbox and of its disk have in common: messages to put in, and how to look at what waits."""

from __future__ import annotations

from edge.core.wire import Entry
from edge.outlets.outbox import Outbox

TOPIC = "saynote/pi-1/detection"


def words(entry: Entry) -> bytes:
    """A payload that says what the outbox told of its row."""
    return f"{entry.seq} {entry.waiting} {entry.lost} {entry.today}".encode()


def fill(outbox: Outbox, count: int) -> list[int]:
    """The numbers of `count` new messages."""
    return [outbox.add(TOPIC, words) for _ in range(count)]


def seqs(outbox: Outbox) -> list[int]:
    """The numbers of those that wait, the next one first."""
    return [row.seq for row in outbox.oldest(1000)]
