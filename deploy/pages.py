"""Owns a small server for the dashboard's files on this machine; knows nothing of what the page does.

It listens on loopback only and gives out the files of one folder by name, each with the headers that a real server
should send, too (docs/dashboard.md). `config.json` is made from what it is told. For anything but this machine use
nginx, Caddy or any other server of static files.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "dashboard"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def files(folder: Path = FOLDER) -> dict[str, Path]:
    """What is given out, by path; nothing else is looked for on the disk."""
    found = {f"/{file.relative_to(folder).as_posix()}": file for file in folder.rglob("*") if file.suffix in TYPES}
    return {"/": folder / "index.html", **found}


class PageServer:
    """The dashboard on 127.0.0.1; `port` 0 takes any free one. OSError where it cannot listen."""

    def __init__(self, config: dict[str, object], port: int = 0, folder: Path = FOLDER) -> None:
        known, told = files(folder), json.dumps(config).encode()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_GET(self) -> None:
                path = self.path.split("?", 1)[0]
                if path == "/config.json":
                    self._answer(200, ".json", told)
                elif path in known:
                    self._answer(200, known[path].suffix, known[path].read_bytes())
                else:
                    self._answer(404, ".txt", b"There is nothing here.\n")

            def _answer(self, code: int, suffix: str, body: bytes) -> None:
                self.send_response(code)
                headers = {**HEADERS, "Content-Type": TYPES[suffix], "Content-Length": str(len(body))}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet: who looks at the page is nobody's business."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, name="pages", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let the port go."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
