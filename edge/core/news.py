"""Owns the news that there is a newer bundle: its owner's word, which travels apart from the bundle.

    line 1 to 4   a minisign signature of all that follows; its trusted comment says what bundle it is of
    the rest      a JSON object: where the sealed bundle is to be had, and a page about it

What is signed as news is no bundle, nor the other way about. It must not know who brings it, nor how it is verified.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from edge.core.errors import BundleError
from edge.core.line import brief
from edge.core.orders import is_https
from edge.core.seal import SIGNATURE_MOST_BYTES, Claim, comment, read_comment

BEGINS = "saynote news"
BODY_MOST_BYTES = 4 << 10
MOST_BYTES = SIGNATURE_MOST_BYTES + BODY_MOST_BYTES
LONGEST = 1024  # characters of an address


@dataclass(frozen=True, slots=True)
class News:
    """A bundle that is to be had."""

    claim: Claim  # what it is
    url: str  # of the sealed file, https
    page: str = ""  # about it, for people, https; "" for none


@dataclass(frozen=True, slots=True)
class Newest:
    """What is the newest bundle of a currency, as its owner says; None: nothing is said any more."""

    currency: str
    news: News | None


@dataclass(frozen=True, slots=True)
class Taking:
    """The newest bundle of a currency is being taken in, or was not: then why."""

    currency: str
    busy: bool
    why: str = ""


class _Body(msgspec.Struct, frozen=True, omit_defaults=True):
    url: str
    page: str = ""


def write(news: News) -> tuple[bytes, str]:
    """What is to be signed, and the trusted comment. Raises BundleError for what no device would take."""
    body = msgspec.json.encode(_Body(news.url, news.page))
    _checked(body)
    return body, comment(news.claim, BEGINS)


def read(body: bytes, trusted_comment: str) -> News:
    """The news in a body whose signature is right. Raises BundleError where it is none."""
    found = _checked(body)
    return News(read_comment(trusted_comment, BEGINS), found.url, found.page)


def _checked(body: bytes) -> _Body:
    if len(body) > BODY_MOST_BYTES:
        raise BundleError(f"it has {len(body)} bytes, and {BODY_MOST_BYTES} are read")
    try:
        found = msgspec.json.decode(body, type=_Body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"it is no news of a bundle: {brief(str(error))}") from error
    for address in (found.url, found.page) if found.page else (found.url,):
        if not is_https(address) or len(address) > LONGEST:
            raise BundleError(f"{brief(ascii(address))} is no https address")
    return found
