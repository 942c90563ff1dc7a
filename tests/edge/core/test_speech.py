from __future__ import annotations

import re
from decimal import Decimal

import numpy as np
import pytest
from babel import Locale
from babel.numbers import format_decimal

from edge.core.errors import ConfigError, HardwareError, Reason
from edge.core.messages import Decision, Fault, Guidance, Hint, Recovered, Verdict
from edge.core.session import Total
from edge.core.speech import PHRASES, Speech, languages

RUPEES = Speech("en", "INR")


@pytest.mark.parametrize(
    ("currency", "label", "words"),
    [
        ("INR", "500", "500 rupees"),
        ("INR", "1", "1 rupee"),
        ("INR", "2000", "2000 rupees"),  # no thousands separator: it would be read as two numbers
        ("XTS", "1", "1 play crown"),
        ("XTS", "100", "100 play crowns"),
        ("EUR", "1", "1 euro"),
        ("EUR", "20", "20 euros"),
        ("JPY", "10000", "10000 Japanese yen"),
        ("QQQ", "5", "5 QQQ"),
        ("EUR", "2.00", "2 euros"),
    ],
)
def test_an_amount_is_a_number_and_a_name(currency: str, label: str, words: str) -> None:
    assert Speech("en", currency).amount(label) == words


@pytest.mark.parametrize(
    ("currency", "label", "words"),
    [
        ("EUR", "2.50", "2 euros 50"),
        ("EUR", "2.5", "2 euros 50"),
        ("EUR", "1.10", "1 euro 10"),
        ("EUR", "0.5", "50 cents"),
        ("EUR", "0.01", "1 cent"),
        ("USD", "0.50", "50 cents"),
        ("GBP", "0.01", "1 penny"),
        ("INR", "1.25", "1 rupee 25"),
        ("INR", "0.25", "25 paisa"),
        ("XTS", "2.5", "2 play crowns 50"),
        ("XTS", "0.5", "50 play cents"),
        ("EUR", "2.05", "2 euros 5 cents"),  # "2 euros 5" could be 2.50
        ("KWD", "0.25", "250 fils"),  # a thousand of them make a dinar
        ("KWD", "1.5", "1 Kuwaiti dinar 500"),
        ("KWD", "1.05", "1 Kuwaiti dinar 50 fils"),
        ("KWD", "1.005", "1 Kuwaiti dinar 5 fils"),
        ("THB", "2.5", "2 Thai baht 50"),
        ("THB", "2.05", "2.05 Thai baht"),  # nothing here knows what its hundredth is called
        ("THB", "0.5", "0.5 Thai baht"),
        ("JPY", "2.5", "2.5 Japanese yen"),  # has no parts
        ("EUR", "0.005", "0.005 euros"),
        ("EUR", "2.505", "2.505 euros"),
    ],
)
def test_a_part_of_a_unit_is_said_as_people_say_it(currency: str, label: str, words: str) -> None:
    assert Speech("en", currency).amount(label) == words


@pytest.mark.parametrize(
    ("language", "half", "more", "little"),
    [
        ("en", "50 cents", "2 euros 50", "1 rupee 5 paisa"),
        ("es", "50 céntimos", "2 euros con 50", "una rupia con 5 paisas"),
        ("fr", "50 centimes", "2 euros 50", "1 roupie 5 païssas"),
        ("de", "50 Cent", "2 Euro 50", "eine Rupie 5 Paissa"),
        ("pt", "50 centavos", "2 Euros e 50", "uma rupia e 5 paissas"),
        ("pl", "50 centów", "2 euro 50", "jedna rupia 5 pajs"),
        ("hi", "50 सेंट", "2 यूरो 50 सेंट", "1 रुपया 5 पैसे"),
        ("bn", "50 সেন্ট্", "2 ইউরো 50 সেন্ট্", "1 টাকা 5 পয়সা"),
        ("ta", "50 சென்ட்", "2 யூரோக்கள் 50 சென்ட்", "ஒரு ரூபாய் 5 பைசா"),
        ("ar", "50 سِنْت", "2 يورو وَ 50 سِنْت", "رُوبِيَّةٌ وَاحِدَة وَ 5 بَيْسَات"),
    ],
)
def test_every_language_says_parts_in_its_own_way(language: str, half: str, more: str, little: str) -> None:
    euros = Speech(language, "EUR")
    assert [euros.amount("0.5"), euros.amount("2.50")] == [half, more]
    assert Speech(language, "INR").amount("1.05") == little


def test_every_language_has_its_parts_checked() -> None:
    (mark,) = test_every_language_says_parts_in_its_own_way.pytestmark  # type: ignore[attr-defined]
    assert {row[0] for row in mark.args[1]} == set(languages())


@pytest.mark.parametrize("language", ["en", "en-IN", "en_GB"])
def test_every_english_is_spoken(language: str) -> None:
    assert Speech(language, "INR").amount("500") == "500 rupees"


@pytest.mark.parametrize("language", ["", "xx", "english", "ja", "hi_", "../../etc", "en-"])
def test_a_language_that_cannot_be_spoken_is_a_mistake_in_the_configuration(language: str) -> None:
    with pytest.raises(
        ConfigError, match=r"voice\.language: .* known are en \(English\), ar \(Arabic\), .*hi \(Hindi\)"
    ):
        Speech(language, "INR")


# What each language says for these amounts, checked by hand. A name alone stands for "{number} name".
COUNTS = ("1", "2", "3", "5", "21", "22", "25", "1000", "10", "20", "50", "100", "200", "500")
RUPEE_FORMS = {
    "en": ["rupee", *["rupees"] * 13],
    "hi": ["रुपया", *["रुपये"] * 13],
    "bn": ["টাকা"] * 14,
    "ta": ["ஒரு ரூபாய்", *["ரூபாய்"] * 13],
    "es": ["una rupia", *["rupias"] * 13],
    "fr": ["roupie", *["roupies"] * 13],
    "de": ["eine Rupie", *["Rupien"] * 13],
    "pt": ["uma rupia", *["rupias"] * 13],
    "pl": ["jedna rupia", "rupie", "rupie", "rupii", "rupii", "rupie", *["rupii"] * 8],
    "ar": ["رُوبِيَّةٌ وَاحِدَة", "رُوبِيَّتَان", "رُوبِيَّات", "رُوبِيَّات", *["روبية"] * 4, "رُوبِيَّات", *["روبية"] * 5],
}


@pytest.mark.parametrize("language", languages())
def test_every_amount_has_the_plural_form_of_its_language(language: str) -> None:
    said = [Speech(language, "INR").amount(count) for count in COUNTS]
    numberless = {"una rupia", "uma rupia", "eine Rupie", "jedna rupia", "ஒரு ரூபாய்", *RUPEE_FORMS["ar"][:2]}
    forms = RUPEE_FORMS[language]
    assert said == [
        form if form in numberless else f"{count} {form}" for count, form in zip(COUNTS, forms, strict=True)
    ]


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("currency", ["INR", "XTS"])
def test_a_part_is_never_said_without_its_number(language: str, currency: str) -> None:
    for part, number in (("0.5", "50"), ("1.5", "50"), ("2.5", "50"), ("2.05", "5"), ("0.005", "0")):
        said = Speech(language, currency).amount(part)
        assert number in re.findall(r"\d+", said), said


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("currency", ["EUR", "INR", "KWD", "JPY", "THB"])
def test_no_two_amounts_are_said_alike(language: str, currency: str) -> None:
    amounts = [Decimal(number) / 1000 for number in (*range(0, 3000, 5), *range(5000, 60_000, 500), 205_000, 250_000)]
    said = [Speech(language, currency).amount("", amount) for amount in amounts]
    assert len(set(said)) == len(amounts)


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("currency", ["INR", "XTS", "EUR", "USD", "GBP", "BDT"])
def test_numbers_are_in_the_digits_that_every_voice_reads(language: str, currency: str) -> None:
    digits = {c for count in COUNTS for c in Speech(language, currency).amount(count) if c.isdigit()}
    assert digits <= set("0123456789")


@pytest.mark.parametrize(("region", "language"), [("hi-IN", "hi"), ("pt_BR", "pt"), ("es-MX", "es"), ("ar-EG", "ar")])
def test_a_region_speaks_its_language(region: str, language: str) -> None:
    assert Speech(region, "INR").fixed(("20", "500")) == Speech(language, "INR").fixed(("20", "500"))


@pytest.mark.parametrize("language", languages()[1:])
def test_whole_sentences_are_in_the_language(language: str) -> None:
    said = Speech(language, "INR")
    total, repeated = said.total(Decimal(1200), 5), said.repeated(said.amount("500"), 30)
    assert "1200" in total
    assert "5" in total.replace("1200", "")
    assert repeated.startswith(said.amount("500"))
    assert "30" in repeated
    english = {"Total", "rupees", "notes", "seconds", "ago"}
    assert not english - ({"Total"} if language in ("es", "fr", "pt") else set()) & set(
        total.split() + repeated.split()
    )


def test_a_decision_is_an_amount_a_doubt_or_silence() -> None:
    said = {verdict: RUPEES.decision(Decision(verdict, 1, 1.0, 1, "50")) for verdict in Verdict}
    assert said == {
        Verdict.SEEN: None,
        Verdict.AMOUNT: "50 rupees",
        Verdict.UNSURE: "Not sure, turn the note",
        Verdict.SEVERAL: "One note at a time",
        Verdict.GONE: None,
    }


def test_only_an_amount_names_a_number() -> None:
    others = set(RUPEES.fixed(("500",))) - {"500 rupees"}
    assert not [text for text in others if any(character.isdigit() for character in text)]


def test_every_hint_has_its_words() -> None:
    assert len({RUPEES.guidance(Guidance(hint, 0.0)) for hint in Hint}) == len(Hint)


@pytest.mark.parametrize("device", ["camera", "speaker", "button", "broker", "outbox", "config", "bundle", "engine"])
@pytest.mark.parametrize("reason", Reason)
def test_every_fault_names_its_device_whatever_the_reason(device: str, reason: Reason) -> None:
    text = RUPEES.fault(Fault(device, reason.value))
    assert text != PHRASES["stopped for good"]
    assert text == RUPEES.fault(Fault(HardwareError(device, reason, "").device, reason.value, "detail is not spoken"))


def test_a_fault_nobody_has_words_for_is_not_silent() -> None:
    assert RUPEES.fault(Fault("", "")) == "I cannot go on"


def test_a_repair_is_said_of_what_can_be_heard_or_seen_with() -> None:
    assert RUPEES.recovered(Recovered("camera")) == "The camera works again"
    assert RUPEES.recovered(Recovered("broker")) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "50 rupees"),
        (10, "50 rupees"),
        (10.5, "50 rupees, 10 seconds ago"),
        (28, "50 rupees, 30 seconds ago"),
        (70, "50 rupees, 1 minute ago"),
        (400, "50 rupees, 5 minutes ago"),
        (3600, "50 rupees, 1 hour ago"),
        (80_000, "50 rupees, 24 hours ago"),
        (200_000, "50 rupees, more than a day ago"),
    ],
)
def test_a_repetition_says_its_age_where_that_matters(seconds: float, words: str) -> None:
    assert RUPEES.repeated("50 rupees", seconds) == words


def test_every_age_is_one_of_the_few_that_are_prepared_and_nearly_right() -> None:
    prepared = RUPEES.ages()
    units = {"second": 1, "minute": 60, "hour": 3600}
    for seconds in np.geomspace(10.1, 129_000, 500):
        age = RUPEES.age(float(seconds))
        assert age in prepared
        number, unit, _ = age.split()
        assert 0.6 < int(number) * units[unit.rstrip("s")] / seconds < 1.6
    assert len(prepared) < 25


def test_the_total_says_how_many_notes_are_in_it() -> None:
    assert RUPEES.total(Decimal(0), 0) == "Total: nothing"
    assert RUPEES.total(Decimal(1), 1) == "Total: 1 rupee, 1 note"
    assert RUPEES.total(Decimal(12_345), 7) == "Total: 12345 rupees, 7 notes"
    assert Speech("en", "EUR").total(Decimal("0.3"), 3) == "Total: 30 cents, 3 notes"


def test_what_may_be_said_without_warning_begins_with_the_amounts_and_holds_nothing_twice() -> None:
    fixed = RUPEES.fixed(("10", "20"))
    assert fixed[:2] == ["10 rupees", "20 rupees"]
    assert len(set(fixed)) == len(fixed)
    assert {RUPEES.phrase(key) for key in PHRASES} <= set(fixed)


def test_a_phrase_that_does_not_exist_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        RUPEES.phrase("hello")


def test_amounts_of_another_currency_are_said_as_its_own() -> None:
    dong = Decision(Verdict.AMOUNT, 1, 1.0, 1, "50000", 0.99, 3, currency="VND")
    assert RUPEES.decision(dong) == "50000 dong"
    assert RUPEES.amount("50000", currency="VND") == "50000 dong"
    assert RUPEES.totals(Total(Decimal(30), 2, "INR")) == "Total: 30 rupees, 2 notes"
    both = Total(Decimal(30), 2, "INR", (Total(Decimal(60_000), 2, "VND"),))
    assert RUPEES.totals(both) == "Total: 30 rupees, 2 notes. Total: 60000 dong, 2 notes"
    fixed = RUPEES.fixed(("10",), {"INR": ("10",), "VND": ("50000",)})
    assert fixed[:2] == ["10 rupees", "50000 dong"]
    assert len(set(fixed)) == len(fixed)


@pytest.mark.parametrize(
    ("language", "expected"), [("en", {"rupee", "rupees"}), ("hi", {"rupee", "rupees"}), ("de", {"Rupien"})]
)
def test_the_words_that_money_goes_by_are_known_in_the_language_and_in_english(
    language: str, expected: set[str]
) -> None:
    found = Speech(language, "INR").units({"INR"})
    assert expected | {"rupees"} <= found
    assert not any(character.isdigit() for word in found for character in word)


def test_the_units_of_all_currencies_in_the_pocket_are_known() -> None:
    found = Speech("en", "INR").units({"INR", "EUR"})
    assert {"rupees", "euros", "cents"} <= found


@pytest.mark.parametrize("language", languages())
def test_a_whole_number_is_written_as_cldr_would(language: str) -> None:
    speech, locale = Speech(language, "INR"), Locale.parse(language)
    for number in (0, 1, 2, 3, 5, 11, 25, 100, 2000, 500_000, 12_345_678):
        for value in (Decimal(number), Decimal(f"{number}.00")):
            written = format_decimal(value, locale=locale, group_separator=False, numbering_system="latn")
            assert speech._number(value) == written
