"""Owns the server of the live view: requests, limits, headers; knows nothing of what is shown.

    GET /?token=T     sets the cookie and sends on to /, so that the token stays neither in the address nor in history
    GET /, /app.js..  files of the page, from memory: no path of the request ever reaches the disk
    GET /events       Server-Sent Events, as long as the reader keeps up

One request a connection (`door`), from whoever may (`admission`); so many answers and viewers at a time; a reader who
does not read is let go. Whoever has no token is told so in one sentence and learns nothing else, not even which paths
exist. A page of somebody else's, on the same host too, gets nothing: neither a try at the token nor a viewer's place.
Standard library: what it offers is enough here, and a device's own page wants no framework.
"""

from __future__ import annotations

import contextlib
import errno
import io
import ipaddress
import logging
import math
import platform
import socket
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from edge.core.errors import HardwareError, Reason
from edge.drivers.admission import Admission
from edge.drivers.clock import SystemClock
from edge.drivers.door import Caller, Door
from edge.ports import Clock
from edge.settings import WebConfig

log = logging.getLogger(__name__)

CONNECTIONS_MAX, VIEWERS_MAX = 16, 4  # answers and viewers at a time
BACKLOG = 128  # a flood is taken and let go, not left to wait before everybody else
HEAD_S = 3.0  # to send a whole request
SEND_S = 5.0  # to take what is sent
BEAT_S = 5.0  # an empty message so often shows who has gone
GONE_MS = 10_000  # a viewer whose machine acknowledges nothing for so long has gone
SHORTEST_TOKEN = 16  # characters
COOKIE = "saynote"
COOKIE_S = 7 * 86_400
KEY_MARK = b"{{key}}"  # in the page, where its key is to stand
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
NO_TOKEN = "This page opens with its token only; whoever switched the live view on finds the address in its log."

FOREIGN = "This page opens by itself only, not from within another."

Asset = tuple[str, bytes]  # media type, content


class Feed(Protocol):
    """What one viewer is sent."""

    def next(self, timeout_s: float) -> bytes | None:
        """The next message; None when there was none in time, or never will be."""

    @property
    def ended(self) -> bool:
        """Whether no more will come."""


class PageServer:
    """Serves `assets` by path, and to each viewer of /events the feed that `watch` gives, until `leave`."""

    def __init__(
        self,
        config: WebConfig,
        token: str,
        assets: Mapping[str, Asset],
        watch: Callable[[], Any],
        leave: Callable[[Any], None],
        clock: Clock | None = None,
    ) -> None:
        if len(token) < SHORTEST_TOKEN:
            raise HardwareError("web", Reason.DENIED, f"its token needs {SHORTEST_TOKEN} characters or more")
        self._listener = _listen(config)
        self._address = self._listener.getsockname()
        self._server = _Server(Admission(token, clock or SystemClock()), assets, watch, leave)
        self._door = Door(self._listener, self._server.answer, self._server.connections, head_s=HEAD_S)

    @property
    def url(self) -> str:
        """Where it listens, without the token."""
        host, port = self._address[:2]
        return f"http://{f'[{host!s}]' if ':' in str(host) else host!s}:{port}/"

    def close(self) -> None:
        """Let the port go; streams that are open end with their feeds. May be called twice."""
        self._door.close()


def is_loopback(address: str) -> bool:
    """Whether only this machine itself reaches what listens there."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def listening(host: str, port: int, backlog: int) -> socket.socket:
    """A socket that listens there, IPv4 or IPv6. Raises OSError."""
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with contextlib.ExitStack() as closing:
        listener = closing.enter_context(socket.socket(family, socket.SOCK_STREAM))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(backlog)
        closing.pop_all()
        return listener


def _listen(config: WebConfig) -> socket.socket:
    where = f"{config.address}, port {config.port}"
    try:
        return listening(config.address, config.port, BACKLOG)
    except PermissionError as error:
        raise HardwareError("web", Reason.DENIED, f"it may not listen at {where}: use a port above 1023") from error
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason, why = (Reason.BUSY, "another program has that port") if taken else (Reason.MISSING, str(error))
        raise HardwareError("web", reason, f"it cannot listen at {where}: {why}") from error


class _Server:
    """What all requests share."""

    def __init__(self, admission: Admission, assets: Mapping[str, Asset], watch: Any, leave: Any) -> None:
        self.admission, self.watch, self.leave = admission, watch, leave
        key = admission.key.encode()
        self.assets = {path: (kind, content.replace(KEY_MARK, key)) for path, (kind, content) in assets.items()}
        self.connections = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self.viewers = threading.BoundedSemaphore(VIEWERS_MAX)

    def answer(self, caller: Caller) -> None:
        """One request; returns once it is answered, or its viewer has gone."""
        _Handler(caller, self)


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: _Server  # type: ignore[assignment] # http.server's has more than is wanted here
    protocol_version = "HTTP/1.1"
    timeout = SEND_S

    def __init__(self, caller: Caller, server: _Server) -> None:
        self._head, self._address = caller.head, caller.address
        super().__init__(caller.connection, (caller.address, 0), server)  # type: ignore[arg-type]

    def handle(self) -> None:
        """The head is here already, and there is one a connection."""
        self.rfile = io.BytesIO(self._head)
        self.connection.settimeout(SEND_S)
        self.handle_one_request()
        self.close_connection = True

    def do_GET(self) -> None:
        """The page, its files and its events, for those who may."""
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        tokens = [*query.get("token", []), *self._bearer()]
        if not self._host_is_ours():
            self._answer_text(HTTPStatus.MISDIRECTED_REQUEST, "This device is not known by that name.")
        elif self._is_foreign():
            self._answer_text(HTTPStatus.FORBIDDEN, FOREIGN)
        elif tokens and (wait_s := self.server.admission.guesses.wait_s(self._address)):
            self._answer_later(wait_s)
        elif any(self.server.admission.is_token(given, self._address) for given in query.get("token", [])):
            self._answer(HTTPStatus.SEE_OTHER, more={"Location": "/", "Set-Cookie": self._cookie()})
        elif not (bearer := self._brings_token()) and not self._has_cookie():
            self._answer_text(HTTPStatus.UNAUTHORIZED, NO_TOKEN, {"WWW-Authenticate": 'Bearer realm="saynote"'})
        elif address.path == "/events" and not bearer and not self._is_our_page(query):
            self._answer_text(HTTPStatus.FORBIDDEN, FOREIGN)
        elif address.path == "/events":
            self._stream()
        elif (asset := self.server.assets.get(address.path)) is not None:
            self._answer(HTTPStatus.OK, *asset)
        else:
            self._answer_text(HTTPStatus.NOT_FOUND, "There is no such page.")

    do_HEAD = do_GET  # noqa: N815 -- the name is http.server's

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """One sentence for what http.server itself refuses: broken requests, methods other than GET and HEAD."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            text = "This page can only be looked at."
            self._answer_text(HTTPStatus.METHOD_NOT_ALLOWED, text, {"Allow": "GET, HEAD"})
        else:
            self._answer_text(HTTPStatus(code), "That is no request this page understands.")

    def version_string(self) -> str:
        """Which Python serves it is nobody's business."""
        return "saynote"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the first address holds the token."""

    def _host_is_ours(self) -> bool:
        """Against DNS rebinding: a foreign page reaches us under its own name only, never by number or our name."""
        with contextlib.suppress(ValueError):
            name = (urlsplit(f"//{self.headers.get('Host', '')}").hostname or "").rstrip(".")
            with contextlib.suppress(ValueError):
                ipaddress.ip_address(name)
                return True
            own = platform.node().lower()
            return bool(name) and name in ("localhost", own, f"{own}.local")
        return False

    def _is_foreign(self) -> bool:
        """Whether another page asks from within itself, as far as the browser says; a link to us is none of that."""
        site, mode = self.headers.get("Sec-Fetch-Site", ""), self.headers.get("Sec-Fetch-Mode", "")
        return site in ("cross-site", "same-site") and mode != "navigate"

    def _is_our_page(self, query: Mapping[str, list[str]]) -> bool:
        """Whether our own page asks: the browser says so, or it knows the key. A cookie comes from any page."""
        if site := self.headers.get("Sec-Fetch-Site", ""):
            return site in ("same-origin", "none")
        # Browsers tell it to this very machine only, not over a network that is not encrypted.
        return self.command == "HEAD" or any(map(self.server.admission.is_key, query.get("key", [])))

    def _bearer(self) -> list[str]:
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        return [given.strip()] if scheme.lower() == "bearer" and given.strip() else []

    def _brings_token(self) -> bool:
        return any(self.server.admission.is_token(given, self._address) for given in self._bearer())

    def _has_cookie(self) -> bool:
        with contextlib.suppress(CookieError):
            cookies = SimpleCookie(self.headers.get("Cookie", ""))
            return COOKIE in cookies and self.server.admission.is_cookie(cookies[COOKIE].value)
        return False

    def _cookie(self) -> str:
        # Lax, not Strict: a link to the page in a mail must open it. Nothing here can be changed by a request.
        return f"{COOKIE}={self.server.admission.cookie}; Path=/; Max-Age={COOKIE_S}; HttpOnly; SameSite=Lax"

    def _answer_later(self, wait_s: float) -> None:
        seconds = math.ceil(wait_s)
        text = f"Too many wrong tokens came from your address; try again in {seconds} s."
        self._answer_text(HTTPStatus.TOO_MANY_REQUESTS, text, {"Retry-After": str(seconds)})

    def _answer_text(self, status: HTTPStatus, text: str, more: Mapping[str, str] | None = None) -> None:
        self._answer(status, "text/plain; charset=utf-8", f"{text}\n".encode(), more or {})

    def _answer(
        self, status: HTTPStatus, kind: str = "", body: bytes = b"", more: Mapping[str, str] | None = None
    ) -> None:
        self._begin(
            status, {**({"Content-Type": kind} if kind else {}), "Content-Length": str(len(body)), **(more or {})}
        )
        if self.command != "HEAD":
            self.wfile.write(body)

    def _begin(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, **headers, "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self) -> None:
        if self.command == "HEAD":
            self._begin(HTTPStatus.OK, {"Content-Type": "text/event-stream"})
            return
        if not self.server.viewers.acquire(blocking=False):
            text = f"{VIEWERS_MAX} are watching already; one of them must go first."
            self._answer_text(HTTPStatus.SERVICE_UNAVAILABLE, text)
            return
        self._notice_silence()
        feed: Feed = self.server.watch()
        try:
            self._begin(HTTPStatus.OK, {"Content-Type": "text/event-stream"})
            while not feed.ended:
                # Everything is to be taken within SEND_S: who reads more slowly is let go.
                self.wfile.write(feed.next(BEAT_S) or b":\n\n")
        finally:
            self.server.leave(feed)
            self.server.viewers.release()

    def _notice_silence(self) -> None:
        """A viewer whose machine has vanished sends no farewell, and must not keep a place for a quarter of an hour."""
        with contextlib.suppress(AttributeError, OSError):  # Linux alone has it
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_MS)
