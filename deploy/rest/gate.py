"""Owns what every request passes first and last: its id, who it is from, whether it may, what is logged and counted.

    no key set    only this machine, and no page of somebody else's in a browser on it
    a key set     `Authorization: Bearer KEY` or `X-API-Key: KEY` for all but /healthz and /readyz

A request that a proxy before it may have read in another way is refused, and its connection closed.
A client is its key's place in the list, else its address. A wrong key costs its address's pictures.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import re
import time
import uuid
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.rest.journal import FIELD
from deploy.rest.metrics import Metrics
from deploy.rest.problems import ProblemError, respond
from deploy.rest.rate import Rate
from edge.drivers.door import sender
from edge.drivers.http import is_loopback

log = logging.getLogger(__name__)

OPEN = ("/healthz", "/readyz")
ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
METHODS = ("GET", "HEAD", "POST")  # others are counted as one
HEADERS = [
    (b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer")
]  # fmt: skip
WRONG_KEY_COSTS = 10  # pictures
FIELDS_MAX = 100  # of a head
CLOSE = {"Connection": "close"}


class Gate:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, keys: Sequence[str], rate: Rate, metrics: Metrics) -> None:
        self._app, self._rate, self._metrics = app, rate, metrics
        self._keys = [_digest(key) for key in keys]
        self.draining = False  # new connections are not let in any more; those that are open end with their next answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the life of the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if ID.fullmatch(given) else uuid.uuid4().hex
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        passage = _Passage(send, request_id, self)
        try:
            _require_one_meaning(scope, headers)
            state["client"] = self._admit(scope, headers)
        except ProblemError as error:
            await respond(error, request_id)(scope, receive, passage.send)
        else:
            await self._app(scope, receive, passage.send)
        finally:
            self._tell(scope, passage)

    def charge(self, client: str, count: int) -> None:
        """Take so many pictures from a client's rate. Raises ProblemError."""
        if wait_s := self._rate.take(client, time.monotonic(), count):
            detail = f"so many pictures came from you already: try again in {math.ceil(wait_s)} s"
            raise ProblemError(HTTPStatus.TOO_MANY_REQUESTS, detail, {"Retry-After": str(math.ceil(wait_s))})

    def _admit(self, scope: Scope, headers: Headers) -> str:
        """Who it is. Raises ProblemError."""
        address = sender((scope.get("client") or ("",))[0])
        if scope["path"] in OPEN:
            return address
        if not self._keys:
            _require_local(headers)
            return address
        brought = _brought(headers)
        found = [place for place, key in enumerate(self._keys) if hmac.compare_digest(key, _digest(brought))]
        if found:
            return f"key {found[0] + 1}"
        self.charge(address, WRONG_KEY_COSTS)
        detail = "this service opens with its key only: Authorization: Bearer KEY, or X-API-Key: KEY"
        more = {"WWW-Authenticate": 'Bearer realm="saynote"', **CLOSE}
        raise ProblemError(HTTPStatus.UNAUTHORIZED, detail, more)

    def _tell(self, scope: Scope, passage: _Passage) -> None:
        route = scope["state"].get("route") or getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in METHODS else "other"
        took_s = time.perf_counter() - passage.started_s
        self._metrics.requests.labels(route, method, passage.status or "none").inc()
        self._metrics.seconds.labels(route).observe(took_s)
        fields = {
            "request_id": passage.request_id,
            "client": scope.get("state", {}).get("client", ""),
            "method": method,
            "route": route,
            "status": passage.status,
            "ms": round(took_s * 1e3, 1),
        }
        level = logging.DEBUG if scope["path"] in OPEN else logging.INFO
        log.log(level, "request", extra={FIELD: fields})


class _Passage:
    """One answer on its way out."""

    def __init__(self, send: Send, request_id: str, gate: Gate) -> None:
        self.request_id, self.status, self.started_s = request_id, 0, time.perf_counter()
        self._send, self._gate = send, gate

    async def send(self, message: Message) -> None:
        """Pass it on, with the headers that all have."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            raw = [*message.get("headers", []), (b"x-request-id", self.request_id.encode()), *HEADERS]
            message["headers"] = raw
            if self._gate.draining:
                MutableHeaders(raw=raw)["Connection"] = "close"
        await self._send(message)


def _require_one_meaning(scope: Scope, headers: Headers) -> None:
    """Against a request within a request: where two read its length in two ways (RFC 9112, 6.1)."""
    pieces = "transfer-encoding" in headers
    if pieces and ("content-length" in headers or scope["http_version"] < "1.1"):
        raise ProblemError(HTTPStatus.BAD_REQUEST, "the length of the request is told in two ways", CLOSE)
    if len(scope["headers"]) > FIELDS_MAX:
        detail = f"the head of the request has more than {FIELDS_MAX} fields"
        raise ProblemError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail, CLOSE)


def _digest(key: str) -> bytes:
    """Of one length, whatever was brought."""
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def _brought(headers: Headers) -> str:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


def _require_local(headers: Headers) -> None:
    """Against a page in a browser on this machine: under its own name (DNS rebinding), or from within itself."""
    host = re.sub(r":\d*$", "", headers.get("host", "")).strip("[]")
    if not is_loopback(host):
        raise ProblemError(HTTPStatus.MISDIRECTED_REQUEST, "this service is not known by that name")
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") or _is_foreign(headers.get("origin", "")):
        raise ProblemError(HTTPStatus.FORBIDDEN, "this service answers programs, not pages of somebody else's")


def _is_foreign(origin: str) -> bool:
    return bool(origin) and not is_loopback(re.sub(r"^https?://|:\d*$", "", origin).strip("[]"))


def context(scope: Scope) -> dict[str, Any]:
    """What is known of a request: `request_id` and `client`, and its `route` where the application does not tell."""
    state: dict[str, Any] = scope["state"]
    return state
