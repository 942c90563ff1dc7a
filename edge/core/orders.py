"""Owns what the owner may ask of a device from afar, and how what came for a command is read; knows no topic.

    repeat      say the last amount once more
    say         say a text: {"text": "..."}
    identify    sound a tone, so that a helper finds this one
    snapshot    keep the latest picture on the device
    bundle      take in a sealed bundle: {"url": "https://..."}, or the newest that was announced: {"newest": "INR"}
    reload      end, so that systemd starts it anew with the settings as they stand now

A wrong amount is the worst error, so no text may pass for one: none with a number in it is taken, none with the name of
a currency's unit, and what is said is framed as a message (`edge.core.speech`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from edge.core.line import brief

SPOKEN = ("repeat", "say", "identify")  # what can be heard
SNAPSHOT, RELOAD, BUNDLE = "snapshot", "reload", "bundle"
VERBS = (*SPOKEN, SNAPSHOT, RELOAD, BUNDLE)
MAX_BYTES = 2048  # of a command's payload
MAX_ID = 64
MAX_TEXT = 200  # characters to be said
SIGNS = frozenset(".,;:!?'\"()-\u2013\u2019\u0964\u060c\u061b\u061f\u00bf\u00a1")
JOINERS = frozenset("\u200c\u200d")


class OrderError(ValueError):
    """What came is no command, or none that may be done; the sentence says why. `id`: as far as it could be read."""

    def __init__(self, why: str, id_: str = "") -> None:
        super().__init__(why)
        self.id = id_


@dataclass(frozen=True, slots=True)
class Command:
    """What the owner asks for."""

    id: str
    verb: str  # one of VERBS
    text: str = ""  # of "say"; the address of "bundle"
    currency: str = ""  # of "bundle": the newest of it, in place of an address


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a command, from whoever does such."""

    id: str
    why: str = ""  # why not; empty when it was done
    result: str = ""  # what came of it


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered, once for each command."""

    id: str
    verb: str
    ok: bool
    why: str = ""
    result: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """The broker has acknowledged the answer to the command `id`."""

    id: str


class _Raw(msgspec.Struct):
    """A command's payload; what else is in it is ignored."""

    id: Annotated[str, Meta(min_length=1, max_length=MAX_ID)]
    text: str = ""
    url: str = ""
    newest: str = ""


class _Named(msgspec.Struct):
    id: Annotated[str, Meta(max_length=MAX_ID)] = ""


def read(verb: str, payload: bytes, units: Collection[str] = ()) -> Command:
    """The command in what came for `verb`; OrderError says why there is none. `units`: names that money goes by."""
    if len(payload) > MAX_BYTES:
        raise OrderError(f"it has {len(payload)} bytes, and {MAX_BYTES} are read")
    try:
        raw = msgspec.json.decode(payload, type=_Raw)
    except (ValueError, RecursionError) as error:  # msgspec's, and UnicodeDecodeError
        raise OrderError(brief(f"not understood: {error}", MAX_TEXT), _id_in(payload)) from error
    if not raw.id.isprintable():
        raise OrderError("its id holds characters that cannot be shown")
    if verb not in VERBS:
        raise OrderError(f"there is no command {brief(verb)}; known are {', '.join(VERBS)}", raw.id)
    if verb == BUNDLE:
        return _bundle(raw)
    if verb != "say":
        return Command(raw.id, verb)
    if why := _unspeakable(raw.text, units):
        raise OrderError(why, raw.id)
    return Command(raw.id, verb, " ".join(raw.text.split()))


def is_https(address: str) -> bool:
    """Whether it is an https address, as whoever is far may give: a path would let them read what lies here."""
    return address.startswith("https://") and all("!" <= sign <= "~" for sign in address)


def _bundle(raw: _Raw) -> Command:
    if raw.newest and raw.url:
        raise OrderError("it has a url and asks for the newest: one of the two is taken", raw.id)
    if raw.newest:
        if not re.fullmatch(r"[A-Z]{3}", raw.newest):
            raise OrderError(f"newest is {brief(ascii(raw.newest))}, and a currency such as INR is meant", raw.id)
        return Command(raw.id, BUNDLE, currency=raw.newest)
    if not is_https(raw.url):
        raise OrderError(f"its url {brief(ascii(raw.url))} is no https address", raw.id)
    return Command(raw.id, BUNDLE, raw.url)


def _id_in(payload: bytes) -> str:
    """The id of a payload in which something else is wrong."""
    try:
        found = msgspec.json.decode(payload, type=_Named).id
    except (ValueError, RecursionError):
        return ""
    return found if found.isprintable() else ""


def _unspeakable(text: str, units: Collection[str]) -> str:
    """Why a text is not said; "" where it may be."""
    if len(text) > MAX_TEXT:
        return f"the text has {len(text)} characters, and {MAX_TEXT} are said"
    if any(unicodedata.category(sign)[0] == "N" for sign in text):
        return "no number is said: somebody could take it for an amount"
    if not any(letter.isalpha() for letter in text):
        return "there is nothing to say in the text"
    strange = [sign for sign in text if not _is_speakable(sign)]
    if strange:
        return f"the text holds {brief(ascii(strange[0]))}: letters, spaces and marks of a sentence are said"
    plain = _folded(text)
    if named := next((unit for unit in units if _folded(unit) in plain), None):
        return f"the text names money ({brief(named)}): somebody could take it for an amount"
    return ""


def _is_speakable(sign: str) -> bool:
    # No line ends: they are of categories Zl, Zp and Cc.
    return unicodedata.category(sign) in ("Zs",) or unicodedata.category(sign)[0] in "LM" or sign in SIGNS | JOINERS


def _folded(text: str) -> str:
    """For comparing words as they are heard: without case, accents and joiners."""
    parted = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in parted if unicodedata.category(sign) not in ("Mn", "Cf"))
