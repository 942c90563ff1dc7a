"""Owns how a file is brought here from a path or from the web: https only, bounded in size and in time.

A redirect leads to https or nowhere. What arrives is written on as it comes and trusted in nothing.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from pathlib import Path
from typing import IO, BinaryIO

from edge.core import intake
from edge.core.errors import BundleError, TransientError
from edge.core.line import brief, shown

PIECE_BYTES = 64 << 10
SILENT_S = 20.0  # the other end says nothing for so long
WHOLE_S = 600.0
LONGEST = 2048  # characters of an address


def fetch(source: str, into: BinaryIO, most_bytes: int, *, whole_s: float = WHOLE_S) -> None:
    """Write what `source`, a path, a file: or an https: address, holds to `into`.

    Raises BundleError for what cannot be had at all, and TransientError for what may come another time.
    """
    scheme = urllib.parse.urlsplit(source).scheme if "://" in source else ""
    if scheme in ("", "file"):
        path = source if not scheme else urllib.parse.unquote(urllib.parse.urlsplit(source).path)
        _copy(Path(path), into, most_bytes)
    elif scheme == "https":
        _download(source, into, most_bytes, whole_s)
    else:
        raise BundleError(f"{shown(source)} is neither a file nor an https address")


def require_https(source: str) -> None:
    """Raises BundleError for anything but an https address."""
    if not source.startswith("https://") or len(source) > LONGEST or not source.isprintable() or " " in source:
        raise BundleError(f"{shown(source)} is no https address")


def _copy(path: Path, into: BinaryIO, most_bytes: int) -> None:
    try:
        data = intake.read(path, most_bytes)
    except FileNotFoundError:
        raise BundleError(f"there is no file {shown(str(path))}") from None
    except OSError as error:
        raise BundleError(f"{shown(str(path))} cannot be read: {error.strerror}") from error
    into.write(data)


class _StaysSafe(urllib.request.HTTPRedirectHandler):
    max_redirections = 5

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        if urllib.parse.urlsplit(newurl).scheme != "https":
            raise BundleError(f"it leads on to {shown(newurl)}, which is no https address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _download(address: str, into: BinaryIO, most_bytes: int, whole_s: float) -> None:
    require_https(address)
    until_s = time.monotonic() + whole_s
    # No other handlers: nothing but https is opened, whatever a redirect says. The system's proxies are asked.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _StaysSafe(),
    ):
        opener.add_handler(handler)
    try:
        with opener.open(
            urllib.request.Request(address, headers={"User-Agent": "saynote"}), timeout=SILENT_S
        ) as answer:
            left = most_bytes
            while piece := answer.read1(PIECE_BYTES):
                left -= len(piece)
                if left < 0:
                    raise BundleError(f"it is larger than {most_bytes >> 20} MB")
                if time.monotonic() > until_s:
                    raise TransientError(f"it did not arrive within {whole_s:.0f} s")
                into.write(piece)
            if answer.length:  # read1 does not mind a body that ends too early
                raise TransientError("the connection broke off before all of it was here")
    except urllib.error.HTTPError as error:
        raise BundleError(f"{shown(address)} answers {error.code} {brief(str(error.reason))}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ValueError) as error:
        if isinstance(error, BundleError | TransientError):
            raise
        why = getattr(error, "reason", None) or error
        raise TransientError(f"{shown(address)} does not answer: {brief(str(why), 200)}") from error
