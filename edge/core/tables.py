"""Owns the way between TOML and frozen structs. Every mistake in a document is collected, and what is right is kept.

An unknown key names the nearest known one; a value that its library would refuse is refused by the check that its type
is marked with (`edge/core/words.py`). It knows no setting by name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin

import msgspec
from msgspec import Meta

from edge.core import words
from edge.core.line import brief, shown

MOST_TOLD = 50  # mistakes
MOST_DOTS = 200  # in a line: a key has two parts, and no value needs as many

W = TypeVar("W", bound=msgspec.Struct)


class Mistake(NamedTuple):
    """What is wrong in a document, and in which of its tables; "" where it is in none that is known."""

    table: str
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def parse(text: str) -> dict[str, Any]:
    """A TOML document. Raises ValueError, in one sentence."""
    # A key of many parts takes tomllib the square of them in memory: of 60 KB, gigabytes.
    if any(line.count(".") > MOST_DOTS for line in text.splitlines()):
        raise ValueError("it holds tables within tables, too deep to be read")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it holds lists within lists, too deep to be read") from None
    except ValueError as error:  # tomllib's own, and a number too long for int
        raise ValueError(brief(str(error), 200)) from error


def convert(raw: Mapping[str, Any], whole: type[W]) -> tuple[W, list[Mistake]]:
    """`raw` as `whole`, whose fields are structs with defaults, and each mistake in it.

    Where there are mistakes, the defaults stand in the place of what was wrong. Of very many the first are told.
    """
    mistakes: list[Mistake] = []
    groups = {field.name: field.type for field in msgspec.structs.fields(whole)}
    good = {}
    for name, table in raw.items():
        if name not in groups:
            mistakes.append(Mistake("", _unknown(name, list(groups), "table", guess=len(mistakes) < MOST_TOLD)))
        elif not isinstance(table, dict):
            mistakes.append(Mistake(name, f"{name} must be a table: write [{name}] on a line of its own"))
        else:
            good[name] = _group(groups[name], name, table, mistakes)
    if len(mistakes) > MOST_TOLD:
        mistakes[MOST_TOLD:] = [Mistake("", f"and {len(mistakes) - MOST_TOLD} more: is this the right file?")]
    return whole(**good), mistakes


def _group(kind: type[msgspec.Struct], name: str, table: Mapping[str, Any], mistakes: list[Mistake]) -> msgspec.Struct:
    types = {field.name: field.type for field in msgspec.structs.fields(kind)}
    good = {}
    for key, value in table.items():
        if key not in types:
            known = [f"{name}.{known}" for known in types]
            unknown = _unknown(f"{name}.{key}", known, "key", guess=len(mistakes) < MOST_TOLD)
            mistakes.append(Mistake(name, unknown))
            continue
        try:
            converted = msgspec.convert(value, type=types[key])
            wrong = _wording(types[key], converted)
        except (msgspec.ValidationError, OverflowError, RecursionError) as error:
            wrong = _expected(types[key], error)
        if wrong:
            mistakes.append(Mistake(name, f"{name}.{key} = {shown(value)}: {wrong}"))
        else:
            good[key] = converted
    return kind(**good)


def _wording(kind: Any, value: Any) -> str:
    """What is wrong with the texts in `value`; those of a type without a mark are lines."""
    check: Callable[[str], str] = words.text
    for mark in getattr(kind, "__metadata__", ()):
        check = mark.extra["check"] if isinstance(mark, Meta) and mark.extra else check
    texts = [value] if isinstance(value, str) else []
    if isinstance(value, dict):
        texts = [text for text in (*value, *value.values()) if isinstance(text, str)]
    if isinstance(value, tuple):
        texts = [text for text in value if isinstance(text, str)]
    return next(filter(None, map(check, texts)), "")


def _expected(kind: Any, error: Exception) -> str:
    if get_origin(kind) is Literal:
        return f"it must be one of {', '.join(map(str, get_args(kind)))}"
    if isinstance(error, OverflowError | RecursionError):
        return "it is beyond every measure"
    return brief(str(error).lower(), 200)


def _unknown(name: str, known: list[str], what: str, *, guess: bool) -> str:
    """`guess`: whether to look for the nearest known one, which takes its time."""
    import difflib  # only a mistake needs it

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4) if guess and len(name) <= words.LONGEST else []
    return f"unknown {what} {brief(name)}" + (
        f", did you mean {near[0]}?" if near else f"; known are {', '.join(known)}"
    )


def as_toml(whole: msgspec.Struct) -> str:
    """The tables in `whole`, as they could stand in a file."""
    lines = []
    for group, table in msgspec.to_builtins(whole).items():
        lines += [f"[{group}]", *(f"{key} = {_toml_value(value)}" for key, value in table.items()), ""]
    return "\n".join(lines)


def _toml_value(value: object) -> str:
    """A JSON scalar is a TOML one; a table within a table is written on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_value(key)} = {_toml_value(inner)}" for key, inner in value.items()) + "}"
    return msgspec.json.encode(value).decode()
