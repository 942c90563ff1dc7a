"""Owns the server of the live view: sockets, the token, limits, headers; knows nothing of what is shown.

    GET /?token=T     sets the cookie and sends on to /, so that the token stays neither in the address nor in history
    GET /, /app.js..  files of the page, from memory: no path of the request ever reaches the disk
    GET /events       Server-Sent Events, as long as the reader keeps up

One request a connection, and all of it within `HEAD_S`; so many connections and viewers at most; a reader who does not
read is let go. Whoever has no token is told so in one sentence and learns nothing else, not even which paths exist.
Standard library: what it offers is enough here, and a device's own page wants no framework.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import io
import ipaddress
import logging
import platform
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from edge.config import WebConfig
from edge.core.errors import HardwareError, Reason

log = logging.getLogger(__name__)

CONNECTIONS_MAX, VIEWERS_MAX = 16, 4
HEAD_S = 3.0  # to send a whole request
HEAD_MAX_BYTES = 16_384
SEND_S = 5.0  # to take what is sent
BEAT_S = 5.0  # an empty message so often shows who has gone
SHORTEST_TOKEN = 16  # characters
COOKIE = "saynote"
COOKIE_S = 7 * 86_400
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
    ) -> None:
        if len(token) < SHORTEST_TOKEN:
            raise HardwareError("web", Reason.DENIED, f"its token needs {SHORTEST_TOKEN} characters or more")
        self._server = _open(config, token, assets, watch, leave)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="http", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens, without the token."""
        host, port = self._server.server_address[:2]
        return f"http://{f'[{host!s}]' if ':' in str(host) else host!s}:{port}/"

    def close(self) -> None:
        """Let the port go; streams that are open end with their feeds. May be called twice."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


def is_loopback(address: str) -> bool:
    """Whether only this machine itself reaches what listens there."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _open(config: WebConfig, token: str, assets: Mapping[str, Asset], watch: Any, leave: Any) -> _Server:
    where = f"{config.address}, port {config.port}"
    try:
        family, *_, address = socket.getaddrinfo(config.address, config.port, type=socket.SOCK_STREAM)[0]
        return _Server(family, address, token, dict(assets), watch, leave)
    except PermissionError as error:
        raise HardwareError("web", Reason.DENIED, f"it may not listen at {where}: use a port above 1023") from error
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason, why = (Reason.BUSY, "another program has that port") if taken else (Reason.MISSING, str(error))
        raise HardwareError("web", reason, f"it cannot listen at {where}: {why}") from error


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Not http.server's: that asks the network for the machine's name before it listens."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128  # a flood is accepted and refused, not left to wait before everybody else

    def __init__(self, family: int, address: Any, token: str, assets: dict[str, Asset], watch: Any, leave: Any) -> None:
        self.address_family = family
        self.token, self.assets, self.watch, self.leave = token.encode(), assets, watch, leave
        # Not the token itself: what lies in a browser must not open another one.
        self.cookie = hmac.new(self.token, b"saynote live view", hashlib.sha256).hexdigest()
        self.connections = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self.viewers = threading.BoundedSemaphore(VIEWERS_MAX)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for it, or none where there are too many: the one who came last goes without an answer."""
        if not self.connections.acquire(blocking=False):
            log.debug("too many connections: one more from %s is refused", client_address[0])
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """In the thread: answer, and make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader who has gone is no error of ours; anything else is."""
        ours = not isinstance(sys.exception(), OSError)
        log.log(logging.ERROR if ours else logging.DEBUG, "a page was not served", exc_info=ours)


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = HEAD_S

    def handle(self) -> None:
        """Read the whole head against the clock, so that a drip of bytes holds nothing up; then answer, once."""
        try:
            self.rfile = io.BytesIO(self._read_head())
            self.connection.settimeout(SEND_S)
            self.handle_one_request()
        except OSError as error:
            log.debug("a reader has gone or is too slow: %s", error)
        self.close_connection = True

    def _read_head(self) -> bytes:
        until_s, head = time.monotonic() + HEAD_S, b""
        while b"\r\n\r\n" not in head and b"\n\n" not in head and len(head) < HEAD_MAX_BYTES:
            self.connection.settimeout(max(0.001, until_s - time.monotonic()))
            received = self.connection.recv(4096)
            if not received:
                break
            head += received
        return head

    def do_GET(self) -> None:
        """The page, its files and its events, for those who may."""
        address = urlsplit(self.path)
        if not self._host_is_ours():
            self._answer_text(HTTPStatus.MISDIRECTED_REQUEST, "This device is not known by that name.")
        elif self._brings_token(parse_qs(address.query)):
            self._answer(HTTPStatus.SEE_OTHER, more={"Location": "/", "Set-Cookie": self._cookie()})
        elif not self._may_see():
            self._answer_text(HTTPStatus.UNAUTHORIZED, NO_TOKEN, {"WWW-Authenticate": 'Bearer realm="saynote"'})
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

    def _brings_token(self, query: dict[str, list[str]]) -> bool:
        return any(self._is_token(given) for given in query.get("token", []))

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(errors="replace"), self.server.token)

    def _may_see(self) -> bool:
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(given.strip()):
            return True
        with contextlib.suppress(CookieError):
            cookies = SimpleCookie(self.headers.get("Cookie", ""))
            if COOKIE in cookies:
                return hmac.compare_digest(cookies[COOKIE].value.encode(errors="replace"), self.server.cookie.encode())
        return False

    def _cookie(self) -> str:
        # Lax, not Strict: a link to the page in a mail must open it. Nothing here can be changed by a request.
        return f"{COOKIE}={self.server.cookie}; Path=/; Max-Age={COOKIE_S}; HttpOnly; SameSite=Lax"

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
        feed: Feed = self.server.watch()
        try:
            self._begin(HTTPStatus.OK, {"Content-Type": "text/event-stream"})
            while not feed.ended:
                # Everything is to be taken within SEND_S: who reads more slowly is let go.
                self.wfile.write(feed.next(BEAT_S) or b":\n\n")
        finally:
            self.server.leave(feed)
            self.server.viewers.release()
