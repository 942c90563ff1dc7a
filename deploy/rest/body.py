"""Owns how the pictures come out of a request: within its limits in bytes, time and number, in memory alone.

Nothing of a request is written to disk, and no name that a client gives becomes a path.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from http import HTTPStatus

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from deploy.rest.problems import ProblemError
from deploy.rest.settings import MIB, Settings

RAW_TYPES = ("image/jpeg", "image/png", "image/webp", "application/octet-stream")
MULTIPART = "multipart/form-data"
LEFT_OVER_S = 2.0  # for what a client still sends after it was refused, so that it reads why
LEFT_OVER_BYTES = 64 * MIB
SHOWN_NAME = 200  # characters of a file's name that are told back
CLOSE = {"Connection": "close"}


class Budget:
    """How many bytes of bodies there are, over all requests; on the event loop alone."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._taken = most_bytes, 0

    @property
    def taken(self) -> int:
        """Bytes that are held now."""
        return self._taken

    @contextlib.contextmanager
    def share(self) -> Iterator[Share]:
        """What one request takes of it, given back at the end."""
        share = Share()
        share.budget = self
        try:
            yield share
        finally:
            self._taken -= share.taken

    def take(self, count: int) -> None:
        """Raises ProblemError where there is no room."""
        if self._taken + count > self._most:
            why = "so many pictures are being sent already: try again in a second"
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, why, {"Retry-After": "1", **CLOSE})
        self._taken += count


class Share:
    """Of a budget."""

    budget: Budget
    taken = 0

    def take(self, count: int) -> None:
        """As `Budget.take`."""
        self.budget.take(count)
        self.taken += count


async def pictures(request: Request, settings: Settings, share: Share) -> list[tuple[str, bytes]]:
    """The pictures with the names their client gave them, "" for none. Raises ProblemError, ClientDisconnect."""
    _require_as_it_is(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == MULTIPART:
        return await _parts(request, settings, await _body(request, settings, settings.body_most_bytes, share))
    if kind and kind not in RAW_TYPES:
        told = f"send {MULTIPART} or one of {', '.join(RAW_TYPES)}"
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, told, {"Accept": f"{MULTIPART}, {', '.join(RAW_TYPES)}"})
    data = await _body(request, settings, settings.picture_most_bytes, share)
    if not data:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "there is no picture in the request")
    return [("", data)]


def _require_as_it_is(request: Request) -> None:
    """Nothing is unpacked: how large it would become is known only then."""
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        why = "the request is compressed: send it as it is"
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, why, {"Accept-Encoding": "identity", **CLOSE})


async def _body(request: Request, settings: Settings, most_bytes: int, share: Share) -> bytes:
    found = bytearray()
    try:
        length = int(request.headers.get("content-length", "0"))
        async with asyncio.timeout(settings.body_s):
            if length > most_bytes:
                raise _too_large(most_bytes)
            async for piece in request.stream():
                share.take(len(piece))
                if len(found) + len(piece) > most_bytes:
                    raise _too_large(most_bytes)
                found += piece
    except TimeoutError:
        late = f"the request was not sent within {settings.body_s:g} s"
        raise ProblemError(HTTPStatus.REQUEST_TIMEOUT, late, CLOSE) from None
    except ProblemError:
        await _read_on(request)
        raise
    return bytes(found)


def _too_large(most_bytes: int) -> ProblemError:
    detail = f"the request holds more than {most_bytes} bytes"
    return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, CLOSE)


async def _read_on(request: Request) -> None:
    """Past what is refused: whoever is cut off while sending does not read the answer."""
    if request.headers.get("expect", "").lower() == "100-continue":
        return
    left = LEFT_OVER_BYTES
    with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(LEFT_OVER_S):
            while left > 0:
                message = await request.receive()
                left -= len(message.get("body", b"")) or 1
                if message["type"] != "http.request" or not message.get("more_body"):
                    return


class _InMemory(MultiPartParser):
    """Never on the disk: what it parses lies in memory already. Names are UTF-8, else taken byte by byte."""

    spool_max_size = 1 << 40  # from which it would become a file

    @property
    def _charset(self) -> str:
        return "utf-8"

    @_charset.setter
    def _charset(self, named: str) -> None:
        """A client could name one whose letters no answer can hold, or which takes its time: UTF-7, Punycode."""


async def _parts(request: Request, settings: Settings, data: bytes) -> list[tuple[str, bytes]]:
    async def once() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(data), MIB):
            yield data[start : start + MIB]

    parser = _InMemory(request.headers, once(), max_files=settings.most_pictures, max_fields=0)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, _sentence(error, settings)) from None
    found = []
    for _, part in form.multi_items():
        assert isinstance(part, UploadFile)  # other fields were refused
        content = await part.read()
        found.append(((part.filename or "")[:SHOWN_NAME], content))
    await form.close()
    if not found:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "there is no picture in the request")
    if any(len(content) > settings.picture_most_bytes for _, content in found):
        raise ProblemError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a picture holds more than {settings.picture_most_bytes} bytes"
        )
    return found


def _sentence(error: MultiPartException, settings: Settings) -> str:
    if error.message.startswith("Too many files"):
        return f"there are more than {settings.most_pictures} pictures in the request"
    if error.message.startswith("Too many fields"):
        return "there is a field without a file name in the request: send pictures as files"
    return f"the request is no {MULTIPART} that can be read: {error.message.rstrip('.')}"
