"""Owns which texts a setting may hold, by kind: what a library would refuse at run time is refused here, in words.

Each function says what is wrong with a value, "" for nothing. It knows no setting by name and looks at nothing outside
the text: whether a file or a machine of that name exists, others find out.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated

from msgspec import Meta

from edge.core.line import STEERING, shown

Check = Callable[[str], str]

LONGEST = 255  # characters of a text; bytes of one name in a path
LONGEST_PATH_BYTES = 4095
LONGEST_HOST = 253
LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
SCOPE = re.compile(r"[A-Za-z0-9._-]{1,64}")  # the interface after an address: fe80::1%eth0
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8}){0,3}")
VARIANT = re.compile(r"[A-Za-z0-9 _-]{0,40}")


def text(value: str) -> str:
    """One line of a sane length."""
    if STEERING.search(value):
        return "it must be one line, without control characters"
    return f"it is longer than {LONGEST} characters" if len(value) > LONGEST else ""


def path(value: str) -> str:
    """Where a file or folder may lie."""
    if STEERING.search(value):
        return "it must be one line, without control characters"
    raw = value.encode("utf-8", "replace")
    if len(raw) > LONGEST_PATH_BYTES or any(len(name) > LONGEST for name in raw.split(b"/")):
        return f"no path is that long: {LONGEST} bytes for a name, {LONGEST_PATH_BYTES} in all"
    return ""


def given_path(value: str) -> str:
    """A path that cannot be left out."""
    return path(value) if value else "it must not be empty"


def host(value: str) -> str:
    """The name or the address of a machine, as the system's own look-up takes it."""
    return "" if not STEERING.search(value) and (_is_address(value) or _is_host_name(value)) else (
        'it must be a name or an address, such as "broker.local" or "192.168.1.5", without mqtt://, port and spaces'
    )  # fmt: skip


def unusable_host(key: str, value: str) -> str:
    """The sentence about a setting that names no machine."""
    why = host(value)
    return f"{key} = {shown(value)}: {why}" if why else ""


def language(value: str) -> str:
    """A language's code, with a script or a region behind it where that matters."""
    return "" if LANGUAGE.fullmatch(value) else 'it must be the code of a language, such as "en", "hi" or "pt-BR"'


def variant(value: str) -> str:
    """A speaker of espeak-ng."""
    return "" if VARIANT.fullmatch(value) else "it must be a name as espeak-ng --voices=variant shows it"


def topic(value: str) -> str:
    """Part of a topic: what a broker takes for text."""
    return text(value) or ("" if value.isprintable() else "it must be of letters, digits and signs that can be seen")


def _is_address(value: str) -> bool:
    address, marked, scope = value.partition("%")
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not marked or (found.version == 6 and SCOPE.fullmatch(scope) is not None)


def _is_host_name(value: str) -> bool:
    if len(value) > LONGEST_HOST:
        return False
    try:
        labels = value.encode("idna").decode("ascii").removesuffix(".").split(".")  # as Python's sockets do
    except UnicodeError:
        return False
    return len(".".join(labels)) <= LONGEST_HOST and all(LABEL.fullmatch(label) for label in labels)


def kind(check: Check) -> Meta:
    """What marks a setting's type with the check of its text."""
    return Meta(extra={"check": check})


Line = Annotated[str, kind(text)]
FilePath = Annotated[str, kind(path)]
GivenPath = Annotated[str, kind(given_path)]
Language = Annotated[str, kind(language)]
Variant = Annotated[str, kind(variant)]
Topic = Annotated[str, kind(topic)]
