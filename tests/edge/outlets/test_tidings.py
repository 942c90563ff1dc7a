"""News of a bundle is told once it is verified; what is not believed changes nothing."""

from __future__ import annotations

import pytest

from edge.core.errors import BundleError
from edge.core.news import MOST_BYTES, Newest, News
from edge.core.seal import Claim
from edge.outlets.tidings import Tidings

NEWS = News(Claim("inr", "1.1.0", "INR", "41d07be3" * 8), "https://example.org/x")


def read(payload: bytes) -> News:
    if payload != b"signed":
        raise BundleError("its signature is wrong")
    return NEWS


class Bench:
    """Tidings whose thread is turned by hand."""

    def __init__(self) -> None:
        self.posted: list[Newest] = []
        self.tidings = Tidings(read, post=self.posted.append)

    def hear(self, payload: bytes, currency: str = "INR", *, retained: bool = True) -> None:
        self.tidings.of(currency)("a topic", payload, retained)
        self.tidings.turn(self.tidings._inbox.take(0))


@pytest.mark.parametrize("retained", [True, False])
def test_news_is_told_whether_it_was_kept_or_comes_just_now(retained: bool) -> None:
    bench = Bench()
    bench.hear(b"signed", retained=retained)
    assert bench.posted == [Newest("INR", NEWS)]


def test_a_topic_that_was_emptied_takes_it_back() -> None:
    bench = Bench()
    bench.hear(b"signed")
    bench.hear(b"")
    assert bench.posted == [Newest("INR", NEWS), Newest("INR", None)]


def test_what_is_not_believed_changes_nothing_and_stands_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.hear(b"signed by somebody else")
    bench.hear(b"signed", "VND")
    assert bench.posted == []
    assert [record.message for record in caplog.records] == [
        "what came as news of INR is not believed: its signature is wrong",
        "what came as news of VND is not believed: it is news of INR",
    ]


def test_a_flood_takes_a_bounded_room() -> None:
    bench = Bench()
    for _ in range(1000):
        bench.tidings.of("INR")("a topic", bytes(10 * MOST_BYTES), False)
    kept = [heard.payload for heard in bench.tidings._inbox._items]
    assert len(kept) < 10
    assert max(map(len, kept)) == MOST_BYTES + 1
