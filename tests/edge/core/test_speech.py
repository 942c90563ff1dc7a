from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from edge.core.errors import ConfigError, HardwareError, Reason
from edge.core.messages import Decision, Fault, Guidance, Hint, Recovered, Verdict
from edge.core.speech import PHRASES, Speech

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
        ("USD", "0.5", "0.5 US dollars"),
        ("QQQ", "5", "5 QQQ"),
    ],
)
def test_an_amount_is_a_number_and_a_name(currency: str, label: str, words: str) -> None:
    assert Speech("en", currency).amount(label) == words


@pytest.mark.parametrize("language", ["en", "en-IN", "en_GB"])
def test_every_english_is_spoken(language: str) -> None:
    assert Speech(language, "INR").amount("500") == "500 rupees"


@pytest.mark.parametrize("language", ["", "xx", "english", "hi", "../../etc", "en-"])
def test_a_language_that_cannot_be_spoken_is_a_mistake_in_the_configuration(language: str) -> None:
    with pytest.raises(ConfigError, match=r"voice\.language"):
        Speech(language, "INR")


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
    assert Speech("en", "EUR").total(Decimal("0.3"), 3) == "Total: 0.3 euros, 3 notes"


def test_what_may_be_said_without_warning_begins_with_the_amounts_and_holds_nothing_twice() -> None:
    fixed = RUPEES.fixed(("10", "20"))
    assert fixed[:2] == ["10 rupees", "20 rupees"]
    assert len(set(fixed)) == len(fixed)
    assert {RUPEES.phrase(key) for key in PHRASES} <= set(fixed)


def test_a_phrase_that_does_not_exist_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        RUPEES.phrase("hello")
