"""Requests that two may read in two ways, heads that are odd, clients that ask and do not listen."""

from __future__ import annotations

import contextlib
import json
import socket

import pytest

from edge import app
from tests.deploy.rest.service import HEAD, Service, form, request, status

pytestmark = pytest.mark.integration

NOTE = sorted(app.REPLAY.glob("*.jpg"))[15].read_bytes()
OPEN_HEAD = HEAD.replace(b"Connection: close\r\n", b"")
SECOND = b"GET /v1/bundles HTTP/1.1\r\nHost: localhost\r\n\r\n"


def answers(told: bytes) -> int:
    return told.count(b"HTTP/1.1 ")


SMUGGLED = {
    "a length, and pieces": OPEN_HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "pieces, and a length": OPEN_HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 999\r\n\r\n0\r\n\r\n" + SECOND,
    "pieces in HTTP/1.0": OPEN_HEAD.replace(b"/1.1", b"/1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "two lengths": OPEN_HEAD + b"Content-Length: 0\r\nContent-Length: 62\r\n\r\n" + SECOND,
    "two lengths in one": OPEN_HEAD + b"Content-Length: 0, 62\r\n\r\n" + SECOND,
    "a length of letters": OPEN_HEAD + b"Content-Length: 0x10\r\n\r\n" + SECOND,
    "a length with a sign": OPEN_HEAD + b"Content-Length: +0\r\n\r\n" + SECOND,
    "pieces that are coded twice": OPEN_HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + SECOND,
    "pieces under another name": OPEN_HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SECOND,
    "a space before the colon": OPEN_HEAD + b"Content-Length : 62\r\n\r\n" + SECOND,
    "a piece of no number": OPEN_HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\nA\r\n0\r\n\r\n" + SECOND,
    "two hosts": OPEN_HEAD + b"Host: localhost\r\nContent-Length: 0\r\n\r\n" + SECOND,
    "no host": OPEN_HEAD.replace(b"Host: localhost\r\n", b"") + b"Content-Length: 0\r\n\r\n" + SECOND,
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_a_request_that_may_hold_another_is_refused_and_the_other_never_answered(name: str, service: Service) -> None:
    told = request(service, SMUGGLED[name], patience_s=60)
    assert status(told) in (400, 501), told[:300]
    assert answers(told) == 1
    assert b"answers" not in told


def test_requests_that_are_sent_ahead_are_answered_in_their_order(service: Service) -> None:
    one = OPEN_HEAD + b"X-Request-ID: %d\r\nContent-Length: %d\r\n\r\n"
    ahead = b"".join(one % (number, len(NOTE)) + NOTE for number in range(12))
    told = request(service, ahead + SECOND.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), patience_s=120)
    ids = [line.partition(b": ")[2] for line in told.lower().split(b"\r\n") if line.startswith(b"x-request-id")]
    assert ids[:12] == [b"%d" % number for number in range(12)]
    assert (answers(told), told.count(b'"verdict":'), told.count(b'"digest":')) == (13, 12, 1)


def sent(connection: socket.socket, data: bytes) -> bool:
    try:
        connection.sendall(data)
    except ConnectionError:
        return False
    return True


def test_who_asks_and_never_reads_is_let_go(service: Service) -> None:
    many = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500
    with socket.create_connection(("127.0.0.1", service.port), timeout=120) as connection:
        while sent(connection, many):  # until no buffer takes more, and the other side has lost its patience
            pass
    assert service.classify(NOTE).status == 200


def test_a_head_of_a_thousand_fields_is_refused(service: Service) -> None:
    fields = b"".join(b"X-%d: y\r\n" % number for number in range(1000))
    told = request(service, OPEN_HEAD + fields + b"Content-Length: 0\r\n\r\n" + SECOND, patience_s=60)
    assert (status(told), answers(told)) == (431, 1)
    assert b"application/problem+json" in told


def test_a_head_of_a_megabyte_is_refused(service: Service) -> None:
    told = b""
    with contextlib.suppress(ConnectionError):
        told = request(service, OPEN_HEAD + b"X-Long: " + b"y" * (1 << 20) + b"\r\n\r\n", patience_s=60)
    assert told == b"" or status(told) == 400
    assert service.classify(NOTE).status == 200


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "zstd"])
def test_a_body_that_is_packed_is_refused_with_what_is_taken(coding: str, service: Service) -> None:
    told = service.classify(NOTE, content_encoding=coding)
    assert (told.status, told.headers["accept-encoding"]) == (415, "identity")
    assert told.json["detail"] == "the request is compressed: send it as it is"
    assert service.classify(NOTE, content_encoding="identity").status == 200


NAMES = {
    "letters of other scripts": ("१०० रुपये.jpg".encode(), "१०० रुपये.jpg"),
    "no UTF-8": (b"\xff\xfe.jpg", "ÿþ.jpg"),
    "half a pair, in UTF-7": (b"+2AA-.jpg", "+2AA-.jpg"),
    "half a pair, escaped": (b"\\ud800.jpg", "\\ud800.jpg"),
    "half a pair, in UTF-8": (b"\xed\xa0\x80.jpg", "í\xa0\x80.jpg"),
    "a zero": (b"a\0b.jpg", "a\0b.jpg"),
    "letters that turn the line": ("\u202egpj.a".encode(), "\u202egpj.a"),
    "very many letters": (b"x" * 3000, "x" * 200),
}


@pytest.mark.parametrize("charset", ["", "utf-7", "unicode_escape", "idna", "punycode", "zlib", "nonsense"])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_whatever_letters_is_told_back(name: str, charset: str, service: Service) -> None:
    sent, wanted = NAMES[name]
    kind, body = form([("NAME", b"x"), ("NAME", NOTE)])
    told = service.ask(
        "POST",
        "/v1/classify",
        body.replace(b"NAME", sent),
        content_type=f"{kind}; charset={charset}" if charset else kind,
    )
    assert told.status == 200, told.body
    assert [one["name"] for one in json.loads(told.body)["answers"]] == [wanted] * 2
