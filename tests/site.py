"""A real https server for tests, with a certificate of an authority of its own, that also does what none should."""

from __future__ import annotations

import http.server
import ssl
import threading
from pathlib import Path

from tests.certificates import vouched

ENDLESS = "/endless"
SHORT = "/short"  # less than it promises


class _Answers(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if (onward := self.server.onward.get(self.path)) is not None:
            self.send_response(302)
            self.send_header("Location", onward)
            self.end_headers()
        elif (body := self.server.files.get(self.path)) is not None:
            self._send(body)
        else:
            self.send_error(404)

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        if self.path != ENDLESS:
            self.send_header("Content-Length", str(len(body) + (5 if self.path == SHORT else 0)))
        self.end_headers()
        try:
            self.wfile.write(body)
            while self.path == ENDLESS:
                self.wfile.write(body)
        except OSError:
            pass

    def log_message(self, *_: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    files: dict[str, bytes]
    onward: dict[str, str]
    asked: list[str]


class Site:
    """Serves `files` and `onward`, by their paths, until it is closed; `asked` for what."""

    def __init__(self, folder: Path, by: str = "ca") -> None:
        """`folder` holds the authority `by`: `tests.certificates.authority`."""
        certificate, key = vouched(folder, f"site-of-{by}", by)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server = _Server(("127.0.0.1", 0), _Answers)
        self.files, self.onward, self.asked = {ENDLESS: bytes(100_000), SHORT: b"data"}, {}, []
        self._server.files, self._server.onward, self._server.asked = self.files, self.onward, self.asked
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
