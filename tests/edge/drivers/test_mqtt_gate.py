from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.drivers.mqtt_gate import ANSWER_MAX_BYTES, Framer, Gate, TooLongError, UnaskedError

CONNECT, CONNACK = b"\x10\x00", b"\x20\x02\x00\x00"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def length(count: int) -> bytes:
    """As MQTT writes it."""
    digits = [count >> shift & 127 for shift in (0, 7, 14, 21) if count >> shift] or [0]
    return bytes([digit | 128 for digit in digits[:-1]] + digits[-1:])


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 40_000)), max_size=6), st.randoms())
def test_packets_are_found_however_the_stream_is_cut(packets: list[tuple[int, int]], generator: object) -> None:
    stream = b"".join(bytes([first]) + length(count) + b"\xff" * count for first, count in packets)
    found: list[tuple[int, int]] = []
    framer = Framer(lambda first, count: found.append((first, count)))
    at = 0
    while at < len(stream):
        step = generator.choice((1, 2, 3, 100, 10_000))  # type: ignore[attr-defined]
        framer.feed(stream[at : at + step])
        at += step
    assert found == packets


def through(gate: Gate, theirs: socket.socket, data: bytes) -> bytes:
    """What comes out of the gate, as paho reads it: byte by byte, then the body."""
    theirs.sendall(data)
    return b"".join(gate.recv(1) for _ in data)


def greeted(ours: socket.socket, theirs: socket.socket, publish_max_bytes: int = 0) -> Gate:
    gate = Gate(ours, publish_max_bytes)
    gate.send(CONNECT)
    assert through(gate, theirs, CONNACK) == CONNACK
    return gate


def test_answers_to_what_was_asked_pass(ends: tuple[socket.socket, socket.socket]) -> None:
    gate = greeted(*ends)
    gate.send(b"\x32\x05\x00\x01x\x00\x01" * 2 + b"\xc0\x00")
    for answer in (b"\x40\x02\x00\x01", b"\xd0\x00", b"\x40\x02\x00\x02"):
        assert through(gate, ends[1], answer) == answer
    assert through(gate, ends[1], b"\xe0\x02\x8e\x00") == b"\xe0\x02\x8e\x00"
    with pytest.raises(UnaskedError, match="PUBACK"):
        through(gate, ends[1], b"\x40\x02\x00\x03")
    assert isinstance(gate.error, UnaskedError)


def test_nothing_of_the_body_is_taken_of_what_was_not_asked_for(ends: tuple[socket.socket, socket.socket]) -> None:
    gate = greeted(*ends)
    ends[1].sendall(b"\x34\xff\xff\x03" + bytes(1000))
    for _ in range(3):
        gate.recv(1)
    with pytest.raises(UnaskedError, match=r"PUBLISH, 65535 bytes"):
        gate.recv(1)


def test_where_something_is_subscribed_to_messages_pass_up_to_their_bound(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    gate = greeted(*ends, publish_max_bytes=300)
    assert through(gate, ends[1], b"\x32\x05\x00\x01x\x00\x01") == b"\x32\x05\x00\x01x\x00\x01"
    with pytest.raises(TooLongError, match=r"a message of 301 bytes, and 300 are read"):
        through(gate, ends[1], b"\x30" + length(301))


def test_a_message_that_is_to_be_kept_for_later_never_passes(ends: tuple[socket.socket, socket.socket]) -> None:
    gate = greeted(*ends, publish_max_bytes=300)
    with pytest.raises(UnaskedError, match="PUBLISH"):
        through(gate, ends[1], b"\x34\x05")


def test_an_answer_may_not_be_of_any_length(ends: tuple[socket.socket, socket.socket]) -> None:
    gate = Gate(ends[0])
    gate.send(CONNECT)
    with pytest.raises(UnaskedError, match=f"{ANSWER_MAX_BYTES} are allowed"):
        through(gate, ends[1], b"\x20" + length(ANSWER_MAX_BYTES + 1))


def test_nothing_passes_until_it_is_allowed(ends: tuple[socket.socket, socket.socket]) -> None:
    message = b"\x32\x05\x00\x01x\x00\x01"
    closed = greeted(*ends)
    with pytest.raises(UnaskedError, match="PUBLISH"):
        through(closed, ends[1], message)


def test_what_is_allowed_later_passes_on_the_same_connection(ends: tuple[socket.socket, socket.socket]) -> None:
    message = b"\x32\x05\x00\x01x\x00\x01"
    gate = greeted(*ends)
    gate.allow(300)
    assert through(gate, ends[1], message) == message
    assert gate.error is None


def test_a_message_that_is_too_long_is_no_uncalled_for_one_and_ends_the_connection_all_the_same(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    gate = greeted(*ends)
    gate.allow(300)
    with pytest.raises(TooLongError, match="a message of 301 bytes, and 300 are read"):
        through(gate, ends[1], b"\x30" + length(301))
    assert isinstance(gate.error, TooLongError)
    assert not isinstance(gate.error, UnaskedError)
