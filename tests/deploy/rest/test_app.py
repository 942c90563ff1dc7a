"""The straight way of pictures beside the framework's own, which a root path still leads to: the same, to the byte."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from deploy.rest import app
from deploy.rest.pool import BusyError
from deploy.rest.reader import OtherFormatError, Reading
from deploy.rest.settings import Settings
from edge.app import BUNDLES
from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from tests.deploy.rest.service import form

READING = Reading("amount", "50", "XTS", 0.99, "50 units", {"50": 0.99}, None, np.zeros((1, 1, 3), np.uint8), 1.0, 2.0)
JPEG = (b"content-type", b"image/jpeg")


@dataclass
class Judge:
    """Says the same to every picture."""

    word: Reading | Exception

    def bundles(self) -> list[Bundle]:
        return [bundles.read(BUNDLES / "xts")]

    def waiting(self) -> int:
        return 0

    async def judge(self, pictures: Sequence[bytes]) -> list[Reading | Exception]:
        if isinstance(self.word, BusyError):
            raise self.word
        return [self.word for _ in pictures]

    async def close(self) -> None:
        pass


def asked(service: app.Service, headers: list[tuple[bytes, bytes]], body: bytes, root: str) -> list[dict[str, object]]:
    """The messages of an answer to a picture posted under `root`; the last is the error that goes into the log."""
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": f"{root}/v1/classify", "root_path": root,
        "query_string": b"", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "scheme": "http",
        "headers": [(b"host", b"localhost"), (b"x-request-id", b"mine"), *headers],
    }  # fmt: skip
    sent: list[dict[str, object]] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}] if body is not GONE else []

    async def receive() -> dict[str, object]:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def run() -> None:
        try:
            await service.gate(scope, receive, send)  # type: ignore[arg-type]
        except RuntimeError as error:
            sent.append({"raised": repr(error)})

    asyncio.run(run())
    return sent


GONE = b"<the client has gone>"
FORM_KIND, FORM = form([("a.jpg", b"x"), ("b.jpg", b"y")])
CASES: dict[str, tuple[Reading | Exception, list[tuple[bytes, bytes]], bytes, int]] = {
    "an amount": (READING, [JPEG], b"x", 200),
    "two": (READING, [(b"content-type", FORM_KIND.encode())], FORM, 200),
    "another format": (OtherFormatError("a GIF"), [JPEG], b"x", 415),
    "nothing": (READING, [JPEG], b"", 400),
    "no picture": (READING, [(b"content-type", b"text/plain")], b"x", 415),
    "too many wait": (BusyError(3), [JPEG], b"x", 503),
    "who goes": (READING, [JPEG], GONE, 400),
    "what nobody foresaw": (RuntimeError("broken"), [JPEG], b"x", 500),
}


@pytest.mark.parametrize("case", CASES)
def test_pictures_get_the_same_by_the_straight_way_as_by_the_frameworks(case: str) -> None:
    word, headers, body, status = CASES[case]
    service = app.build(Settings(bundles=("xts",)), Judge(word))
    straight, framework = (asked(service, headers, body, root) for root in ("", "/under"))
    assert straight == framework
    assert straight[0]["status"] == status
    page = service.metrics.page().decode()
    assert f'saynote_requests_total{{method="POST",route="/v1/classify",status="{status}"}} 2.0' in page
