"""Owns the way from the texts in `edge/core/speech.py` to the catalogues in `edge/locale`; knows no sound.

`python -m deploy.translations [NEW LANGUAGES]` finds every text to be spoken, brings each `saynote.po` up to date,
compiles it to `saynote.mo` and says what is still to be done. A text that is gone stays in the file as a comment (`#~`)
and finds its translation again when it comes back. The same texts give the same bytes, whoever runs it and when.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable
from gettext import c2py
from pathlib import Path

from babel import Locale, UnknownLocaleError
from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po, write_po

from edge.core import speech

SOURCE = Path(speech.__file__)
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "_pair": (1, 2), "_count": (1, 2)}
LASTING = ("Language", "Plural-Forms", "MIME-Version", "Content-Type", "Content-Transfer-Encoding")
UNHEARD = "Not yet heard by a native speaker."
HEADER = f"# What saynote says in {{language}}.\n# {UNHEARD}"
LINE = re.compile(r'(?:#.*|(?:msg\w+(?:\[\d+\])?[ \t]+)?"(?:[^"\\]|\\.)*")?\s*')
COUNTED = range(1001)  # as far as msgfmt looks for the numbers of a plural form


class TranslationError(Exception):
    """A catalogue cannot be made or read; `str()` is one sentence."""


class SteadyCatalog(Catalog):
    """A catalogue whose header names neither dates nor tools, which would change without a change of the texts."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        """What a program needs to read the file."""
        kept = [(name, value) for name, value in super().mime_headers if name in LASTING]
        return [*kept[:-1], (kept[-1][0], kept[-1][1] + "\n")]

    @mime_headers.setter
    def mime_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        super()._set_mime_headers(headers)


def template(source: Path = SOURCE) -> Catalog:
    """Every text that is marked in `source`, in its order."""
    found = SteadyCatalog()
    for _line, text, comments, _context in extract_from_file("python", source, KEYWORDS, ["Translators:"]):
        found.add(text, auto_comments=comments)
    return found


def path_of(language: str, folder: Path = speech.CATALOGUES) -> Path:
    """Where the catalogue of `language` stands."""
    return folder / language / "LC_MESSAGES" / f"{speech.DOMAIN}.po"


def read(path: Path) -> Catalog:
    """The catalogue in a .po file."""
    try:
        content = path.read_bytes()
        for number, line in enumerate(content.decode("utf-8").splitlines(), start=1):
            if not LINE.fullmatch(line):  # Babel takes a line without its last quote and cuts off a letter
                raise TranslationError(f"{path}, line {number}: a text stands in two quotation marks: {line}")
        parsed = read_po(io.BytesIO(content), locale=path.parent.parent.name, abort_invalid=True)
    except (OSError, PoFileError, ValueError) as error:
        raise TranslationError(f"{path}: {error}") from error
    catalog = SteadyCatalog(parsed.locale, header_comment=parsed.header_comment, fuzzy=False)
    catalog.mime_headers = parsed.mime_headers
    for message in parsed:
        if message.id:
            catalog[message.id] = message
    catalog.obsolete = parsed.obsolete
    return catalog


def begin(language: str, folder: Path = speech.CATALOGUES) -> Path:
    """An empty catalogue for another language; one that exists is left alone."""
    path = path_of(language, folder)
    if not path.exists():
        try:
            locale = Locale.parse(language)
        except (ValueError, UnknownLocaleError):
            raise TranslationError(f"{language!r} is no language code; it looks like 'it' or 'zh_Hant'") from None
        path.parent.mkdir(parents=True)
        header = HEADER.format(language=locale.english_name)
        path.write_bytes(as_po(SteadyCatalog(locale, header_comment=header, fuzzy=False)))
    return path


def updated(catalog: Catalog, texts: Catalog) -> Catalog:
    """`catalog` with exactly the entries of `texts`, in their order; what is not among them becomes a comment."""
    for message in catalog.obsolete.values():
        if message.id not in catalog:
            catalog[message.id] = message
    catalog.obsolete.clear()
    catalog.update(texts, no_fuzzy_matching=True)
    return catalog


def as_po(catalog: Catalog) -> bytes:
    """The text of the .po file."""
    file = io.BytesIO()
    write_po(file, catalog, width=0, no_location=True)
    return file.getvalue().rstrip(b"\n") + b"\n"


def as_mo(catalog: Catalog) -> bytes:
    """The content of the .mo file, which the device reads."""
    file = io.BytesIO()
    write_mo(file, catalog)
    return file.getvalue()


def mistakes(catalog: Catalog, texts: Catalog) -> list[str]:
    """What keeps `catalog` from saying all of `texts`, a sentence for each; empty where it is complete."""
    return [problem for text in texts if text.id for problem in _problems(catalog, text)]


def _problems(catalog: Catalog, text: Message) -> list[str]:
    name, *plural = _forms(text.id)
    found = catalog.get(text.id)
    if found is None or found.pluralizable != text.pluralizable:
        return [f"{name!r} is missing"]
    if found.fuzzy:
        return [f"{name!r} is marked fuzzy: read it again and remove the mark"]
    given = _forms(found.string)
    if not plural:
        return [f"{name!r} {problem}" for problem in _form_problems(given[0], fields(name), optional=False)]
    given += [""] * (catalog.num_plurals - len(given))
    return [
        f"{name!r} (form {index}) {problem}"
        for index, form in enumerate(given)
        for problem in _form_problems(form, fields(plural[0]), optional=len(numbers(catalog, index)) <= 1)
    ]


def _forms(text: str | list[str] | tuple[str, ...] | None) -> list[str]:
    return [text or ""] if isinstance(text, str) or text is None else list(text)


def _form_problems(translation: str, wanted: set[str], *, optional: bool) -> list[str]:
    """`optional` where the number may go unsaid, because the form is that of one number only: "one rupee"."""
    if not translation.strip():
        return ["waits for its translation"]
    given = fields(translation)
    if given - wanted:
        return [f"may not hold {_braces(given - wanted)}"]
    if wanted - given - ({"number"} if optional else set()):
        return [f"must hold {_braces(wanted - given)}"]
    return []


def _braces(names: set[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))


def fields(text: str) -> set[str]:
    """The names in braces."""
    return set(re.findall(r"\{([^{}]*)\}", text))


def numbers(catalog: Catalog, form: int) -> list[int]:
    """The counts that take the plural form `form`."""
    rule = c2py(catalog.plural_expr)
    return [number for number in COUNTED if int(rule(number)) == form]


def bring_up_to_date(path: Path, texts: Catalog) -> list[str]:
    """Write one catalogue's .po and .mo anew; what is still to be done in it."""
    catalog = updated(read(path), texts)
    path.write_bytes(as_po(catalog))
    path.with_suffix(".mo").write_bytes(as_mo(catalog))
    return mistakes(catalog, texts)


def main(arguments: list[str] | None = None) -> int:
    """Begin the languages that are named, bring all up to date; the exit code."""
    try:
        for language in sys.argv[1:] if arguments is None else arguments:
            begin(language)
        texts = template()
        for path in sorted(speech.CATALOGUES.glob(f"*/LC_MESSAGES/{speech.DOMAIN}.po")):
            problems = bring_up_to_date(path, texts)
            shown = path.relative_to(speech.CATALOGUES.parent.parent)
            sys.stdout.writelines(f"{shown}: {problem}\n" for problem in problems or ["complete"])
    except TranslationError as error:
        sys.stderr.write(f"translations: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
