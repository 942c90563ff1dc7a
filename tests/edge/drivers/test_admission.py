"""What guessing at the token costs."""

from __future__ import annotations

import pytest

from edge.drivers.admission import ADDRESSES_MAX, FORGIVEN_AFTER_S, FREE_GUESSES, LONGEST_WAIT_S, Admission, Guesses
from edge.drivers.door import sender
from edge.drivers.fake import FakeClock

TOKEN = "a-token-of-the-owner"


def waits(guesses: Guesses, clock: FakeClock, address: str, count: int) -> list[float]:
    """How long `address` has to wait after each of so many wrong tokens, given as soon as it may."""
    found = []
    for _ in range(count):
        clock.advance(guesses.wait_s(address))
        guesses.wrong(address)
        found.append(guesses.wait_s(address))
    return found


def test_the_first_are_free_then_the_wait_doubles_up_to_a_minute() -> None:
    clock = FakeClock()
    found = waits(Guesses(clock), clock, "10.0.0.7", 20)
    assert found[: FREE_GUESSES - 1] == [0.0] * (FREE_GUESSES - 1)
    assert found[FREE_GUESSES - 1 :][:6] == [1, 2, 4, 8, 16, 32]
    assert set(found[FREE_GUESSES + 5 :]) == {LONGEST_WAIT_S}


def test_whoever_rests_is_forgiven() -> None:
    clock = FakeClock()
    guesses = Guesses(clock)
    waits(guesses, clock, "10.0.0.7", 20)
    clock.advance(FORGIVEN_AFTER_S + 1)
    assert waits(guesses, clock, "10.0.0.7", 1) == [0.0]


def test_the_addresses_that_one_sender_has_at_will_are_one() -> None:
    clock = FakeClock()
    guesses = Guesses(clock)
    for number in range(FREE_GUESSES):
        guesses.wrong(f"2001:db8::{number:x}")
    assert guesses.wait_s("2001:db8::ffff") > 0
    assert guesses.wait_s("2001:db8:0:1::1") == 0


@pytest.mark.parametrize(
    ("address", "who"),
    [
        ("192.168.1.7", "192.168.1.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("@a-socket", "@a-socket"),
    ],
)
def test_a_sender_is_an_address_or_a_network_of_ipv6(address: str, who: str) -> None:
    assert sender(address) == who


def test_however_many_guess_little_is_remembered() -> None:
    clock = FakeClock()
    guesses = Guesses(clock)
    for number in range(3 * ADDRESSES_MAX):
        guesses.wrong(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}")
    assert len(guesses._guessers) == ADDRESSES_MAX


def test_what_lies_in_a_browser_or_in_the_page_opens_no_other_and_is_not_the_token() -> None:
    one, other = Admission(TOKEN, FakeClock()), Admission(TOKEN + "2", FakeClock())
    assert len({one.cookie, one.key, other.cookie, other.key, TOKEN}) == 5
    assert one.is_cookie(one.cookie)
    assert not one.is_cookie(one.key)
    assert not one.is_cookie(other.cookie)
    assert one.is_key(one.key)
    assert not one.is_key(one.cookie)
    assert one.is_token(TOKEN, "10.0.0.7")
    assert not one.is_token("५००\udcff", "10.0.0.7")
