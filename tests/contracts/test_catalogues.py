"""What is spoken, in every language: found, translated, compiled, and read by espeak-ng in the language's own voice."""

from __future__ import annotations

import ast
import gettext
import re
import shutil
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from babel.messages import Catalog

from deploy import translations
from edge.core import speech
from edge.core.errors import Reason
from edge.core.messages import Decision, Fault, Guidance, Hint, Recovered, Verdict
from edge.core.speech import Speech
from edge.drivers.espeak import EspeakSynth, readable
from edge.settings import VoiceConfig

PROJECT = Path(__file__).parents[2]
TRANSLATED = ["ar", "bn", "de", "es", "fr", "hi", "pl", "pt", "ta"]
AMOUNTS = ("10", "20", "50", "100", "200", "500")
PARTS = ("0.25", "0.5", "1.5", "2.5", "2.05", "25", "250", "205")
TEXTS = translations.template()
SWITCH = re.compile(r"\([a-z]{2,3}(?:-[a-z]+)*\)")  # how espeak-ng marks words read by another language's voice


def catalogue(language: str) -> Catalog:
    return translations.read(translations.path_of(language))


def everything_said(said: Speech) -> Iterator[str]:
    """A text of each kind, the amounts first."""
    yield from said.fixed(AMOUNTS)
    yield from (text for verdict in Verdict if (text := said.decision(Decision(verdict, 1, 1.0, 1, "50"))))
    yield from (said.guidance(Guidance(hint, 0.0)) for hint in Hint)
    yield from (said.fault(Fault(device, reason.value)) for device, _ in speech.FAULTS for reason in Reason)
    yield from (text for device in speech.RECOVERED if (text := said.recovered(Recovered(device))))
    for number in (1, 2, 3, 5, 21, 22, 25, 1000):
        yield said.total(Decimal(number), number)
        yield said.repeated(said.amount(str(number)), 10 * number)
    for part in ("0.01", "0.02", "0.5", "2.5", "2.05", "21.25"):
        yield said.amount(part)


def everything_written(language: str) -> Iterator[str]:
    """Every text of the catalogue, in each of its forms."""
    for message in TEXTS if language == "en" else catalogue(language):
        forms = message.id if language == "en" else message.string
        for form in [forms] if isinstance(forms, str) else forms:
            yield re.sub(r"\{\w+\}", "500", form)


# Found


class Asked(gettext.NullTranslations):
    """Remembers the texts that a catalogue was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: set[str] = set()

    def gettext(self, message: str) -> str:
        self.texts.add(message)
        return message

    def ngettext(self, one: str, many: str, number: int) -> str:
        self.texts.add(one)
        return super().ngettext(one, many, number)


def test_every_text_that_is_said_is_found_for_the_catalogues() -> None:
    asked = Asked()
    for currency in speech.CURRENCIES:
        said = Speech("en", currency)
        said._catalogue = asked
        list(everything_said(said))
    assert asked.texts - {"", *(text for text in asked.texts if text in TEXTS)} == set()
    assert len(asked.texts) > 30


def test_every_text_in_the_source_is_found_and_none_is_put_together() -> None:
    calls = [node for node in ast.walk(ast.parse(translations.SOURCE.read_text("utf-8"))) if isinstance(node, ast.Call)]
    marked = []
    for call in calls:
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        if name in translations.KEYWORDS:
            marked += call.args[: len(translations.KEYWORDS[name] or (1,))]
    assert not [ast.unparse(text) for text in marked if isinstance(text, ast.JoinedStr | ast.BinOp)]
    texts = {text.value for text in marked if isinstance(text, ast.Constant)}
    known = {form for text in TEXTS for form in ([text.id] if isinstance(text.id, str) else text.id)}
    assert texts == known - {""}


def test_every_text_of_every_table_is_found_for_the_catalogues() -> None:
    tables = [table for name, table in vars(speech).items() if name.isupper() and isinstance(table, dict)]
    texts = {text if isinstance(text, str) else text[0] for table in tables for text in table.values()}
    assert len(tables) >= 5
    assert {text for text in texts if text not in TEXTS} == set()


# Translated


def test_these_are_the_languages() -> None:
    assert speech.languages() == ["en", *TRANSLATED]


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_translated_in_every_plural_form_with_its_placeholders(language: str) -> None:
    assert translations.mistakes(catalogue(language), TEXTS) == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_make_translations_has_nothing_left_to_do(language: str) -> None:
    path = translations.path_of(language)
    now = translations.updated(catalogue(language), TEXTS)
    assert path.read_bytes() == translations.as_po(now), "call `make translations`"
    assert path.with_suffix(".mo").read_bytes() == translations.as_mo(now), "call `make translations`"


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_two_texts_are_the_same_and_none_is_english(language: str) -> None:
    english, texts = (Speech(code, "INR").fixed(AMOUNTS) for code in ("en", language))
    assert len(texts) == len(english)  # each stands in it once
    assert not set(texts) & set(english)


def test_contributing_says_of_each_language_whether_a_native_speaker_has_heard_it() -> None:
    rows = re.findall(r"^\| [^|]+ \| `(\w+)` \| ([^|]+) \|", (PROJECT / "CONTRIBUTING.md").read_text("utf-8"), re.M)
    assert {code for code, _ in rows} == {"en", *TRANSLATED}
    for code, heard in rows:
        if code != "en":
            assert (translations.UNHEARD in catalogue(code).header_comment) == ("not yet heard" in heard)


# The tool


def polish(entry: str) -> Catalog:
    """A Polish catalogue with one entry, as its file would hold it."""
    path = translations.path_of("pl")
    head = path.read_text("utf-8").split("\n\n")[0]
    return translations.read_po(f"{head}\n\n{entry}\n".encode().splitlines(keepends=True), locale="pl")


def one_text(text: str | tuple[str, str]) -> Catalog:
    texts = translations.SteadyCatalog()
    texts.add(text)
    return texts


GREETING = 'msgid "Hello {name}"\n'
NOTES = 'msgid "{number} note"\nmsgid_plural "{number} notes"\n'
MANY = 'msgstr[1] "{number} banknoty"\nmsgstr[2] "{number} banknotów"\n'


@pytest.mark.parametrize(
    ("text", "entry", "mistake"),
    [
        ("Hello {name}", "", "is missing"),
        ("Hello {name}", GREETING + 'msgstr ""', "waits for its translation"),
        ("Hello {name}", GREETING + 'msgstr "Witaj"', "must hold {name}"),
        ("Hello {name}", GREETING + 'msgstr "Witaj {name} {nazwa}"', "may not hold {nazwa}"),
        ("Hello {name}", "#, fuzzy\n" + GREETING + 'msgstr "Witaj {name}"', "is marked fuzzy"),
        ("Hello {name}", GREETING + 'msgstr "Witaj {name}"', None),
        (("{number} note", "{number} notes"), NOTES + 'msgstr[0] ""\n' + MANY, "(form 0) waits"),
        (("{number} note", "{number} notes"), NOTES + MANY.replace("[2]", "[0]"), "(form 2) waits"),
        (("{number} note", "{number} notes"), NOTES + 'msgstr[0] "jeden"\n' + MANY, None),
        (
            ("{number} note", "{number} notes"),
            NOTES + 'msgstr[0] "jeden"\n' + MANY.replace("{number} banknoty", "dwa"),
            "(form 1) must hold {number}",
        ),
        (("{number} note", "{number} notes"), 'msgid "{number} note"\nmsgstr "x {number}"', "is missing"),
    ],
)
def test_a_mistake_in_a_catalogue_is_named(text: str | tuple[str, str], entry: str, mistake: str | None) -> None:
    found = translations.mistakes(polish(entry), one_text(text))
    assert [mistake in sentence for sentence in found] == [True] if mistake else found == []


def test_only_a_form_of_one_number_may_leave_the_number_out() -> None:
    assert translations.numbers(catalogue("pl"), 0) == [1]
    assert translations.numbers(catalogue("ar"), 2) == [2]
    assert translations.numbers(catalogue("fr"), 0) == [0, 1]


def test_another_language_begins_empty_and_an_old_one_is_left_alone(tmp_path: Path) -> None:
    path = translations.begin("it", tmp_path)
    waiting = translations.bring_up_to_date(path, TEXTS)
    assert len(waiting) >= len(TEXTS)
    assert all("waits" in sentence for sentence in waiting)
    assert "Italian" in path.read_text("utf-8")
    assert "fuzzy" not in path.read_text("utf-8")
    before = path.read_bytes()
    assert translations.begin("it", tmp_path).read_bytes() == before
    assert path.with_suffix(".mo").is_file()


@pytest.mark.parametrize("code", ["", "xx", "../it", "klingonese"])
def test_what_is_no_language_is_refused(code: str, tmp_path: Path) -> None:
    with pytest.raises(translations.TranslationError, match="is no language code"):
        translations.begin(code, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_text_that_comes_back_finds_its_translation(tmp_path: Path) -> None:
    path = translations.begin("it", tmp_path)
    translations.bring_up_to_date(path, one_text("Ready"))
    path.write_text(path.read_text("utf-8").replace('msgid "Ready"\nmsgstr ""', 'msgid "Ready"\nmsgstr "Pronto"'))
    assert translations.bring_up_to_date(path, one_text("Ready")) == []
    assert translations.bring_up_to_date(path, one_text("Goodbye")) == ["'Goodbye' waits for its translation"]
    assert '#~ msgstr "Pronto"' in path.read_text("utf-8")
    assert translations.bring_up_to_date(path, one_text("Ready")) == []
    with path.with_suffix(".mo").open("rb") as file:
        assert gettext.GNUTranslations(file).gettext("Ready") == "Pronto"


def test_a_damaged_catalogue_is_named(tmp_path: Path) -> None:
    path = translations.begin("it", tmp_path)
    whole = path.read_bytes()
    for harm in (b'\nmsgid "Ready"\nmsgstr "Pronto\n', b"\nhello\n", b'msgid "\xff"', b'\nmsgid "a"\nmsgid "b"\n'):
        path.write_bytes(whole + harm)
        with pytest.raises(translations.TranslationError, match=re.escape(str(path))):
            translations.read(path)


# Read aloud


def traces(voice: str, texts: list[str]) -> list[str]:
    """The sounds that espeak-ng makes of `texts`, a line for each of their clauses."""
    lines = "\n".join(readable(text).strip() for text in texts)
    command = ["espeak-ng", "-q", "-x", "-b", "1", "-v", voice]
    done = subprocess.run(command, input=lines.encode(), capture_output=True, check=True, timeout=60)
    return [line.strip() for line in done.stdout.decode().splitlines() if line.strip()]


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
@pytest.mark.parametrize("language", ["en", *TRANSLATED, "pt-BR", "es-MX", "en-IN"])
def test_every_text_is_read_by_its_own_voice(language: str) -> None:
    voice = EspeakSynth(VoiceConfig(language=language)).voice(language)
    assert voice.split("-")[0] == language.split("-")[0]
    amounts = [Speech(language, currency).amount(label) for currency in ("INR", "XTS", "EUR") for label in AMOUNTS]
    amounts += [Speech(language, currency).amount(part) for currency in ("INR", "XTS", "EUR", "EGP") for part in PARTS]
    amounts = list(dict.fromkeys(amounts))
    others = [text for currency in speech.CURRENCIES for text in everything_said(Speech(language, currency))]
    others += [text for text in list(everything_written(language.split("-")[0])) if text and "\n" not in text]
    heard = traces(voice, [*amounts, *dict.fromkeys(others)])
    assert [line for line in heard if SWITCH.search(line)] == []
    assert len(heard) >= len(amounts) + len(set(others))
    assert len(set(heard[: len(amounts)])) == len(amounts), "two amounts sound the same"


@pytest.mark.integration
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_a_text_that_another_voice_must_read_would_be_noticed() -> None:
    assert SWITCH.search(traces("hi", ["500 XTS"])[0])
    assert SWITCH.search(traces("en", ["पाँच सौ"])[0])
    assert SWITCH.search(traces("de", ["das Update"])[0])
