from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import orders
from edge.core.orders import MAX_BYTES, MAX_TEXT, VERBS, Command, OrderError, read

UNITS = ("rupee", "rupees", "रुपये")


def asked(verb: str = "say", **fields: object) -> Command:
    return read(verb, json.dumps({"id": "c1"} | fields).encode(), UNITS)


def refused(verb: str = "say", **fields: object) -> str:
    with pytest.raises(OrderError) as caught:
        asked(verb, **fields)
    assert caught.value.id == "c1"
    return str(caught.value)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("say", "bundle")])
def test_a_command_needs_an_id_and_nothing_more(verb: str) -> None:
    assert asked(verb) == Command("c1", verb)
    assert asked(verb, text="12 whatever", mood="good") == Command("c1", verb), "what is not asked for is ignored"


@pytest.mark.parametrize(
    "text", ["Please come to the door", "Tea is ready!", "Komm bitte zur Tür", "दरवाज़े पर आइए।", "الرجاء الحضور، شكرا"]
)
def test_a_text_in_any_script_is_said(text: str) -> None:
    assert asked(text=text).text == text


def test_spaces_are_made_one() -> None:
    assert asked(text="  come   home ").text == "come home"


@pytest.mark.parametrize("text", ["500", "five hundred 500", "५०० लो", "٥٠٠", "Ⅴ", "½", "²", "page 1"])
def test_no_number_is_said_in_any_script(text: str) -> None:
    assert "no number is said" in refused(text=text)


@pytest.mark.parametrize(
    "text", ["five hundred rupees", "Five Hundred RUPEES", "five hundred rúpees", "five hundred ru\u200cpees",
             "five hundred ｒｕｐｅｅｓ", "पाँच सौ रुपये"]
)  # fmt: skip
def test_no_text_names_money(text: str) -> None:
    assert "names money" in refused(text=text)


@pytest.mark.parametrize(
    "text",
    ["a\nb", "a\u2028b", "[[h@'loU]]", "<speak>", "a\x00b", "a\u202eb", "price: €", "a/b", "😀 hi"],
)
def test_what_is_no_sentence_is_not_said(text: str) -> None:
    assert "the text holds" in refused(text=text)


def test_texts_are_bounded() -> None:
    assert asked(text="a" * MAX_TEXT).text == "a" * MAX_TEXT
    assert "201 characters" in refused(text="a" * (MAX_TEXT + 1))
    for empty in ("", "   ", "...", "-"):
        assert "nothing to say" in refused(text=empty)


@pytest.mark.parametrize("verb", ["", "shout", "say ", "x" * 500, "a/b", "a\u202eb"])
def test_an_unknown_verb_is_named_with_those_that_there_are(verb: str) -> None:
    why = refused(verb)
    assert "known are repeat, say" in why
    assert len(why) < 200


@pytest.mark.parametrize(
    "payload",
    [b"", b"{}", b"[]", b"null", b"say", b'{"id": 7}', b'{"id": ""}', b'{"id": "%s"}' % (b"x" * 65), b"\xff\xfe",
     b"{" * 2000, b"[" * 2000, b'{"id": "a\\u0000"}', b'{"id": "a\\ud800"}'],
)  # fmt: skip
def test_what_is_no_command_is_refused_without_an_id(payload: bytes) -> None:
    with pytest.raises(OrderError) as caught:
        read("repeat", payload)
    assert caught.value.id == ""
    assert len(str(caught.value)) < 400


def test_a_command_that_is_wrong_in_another_place_keeps_its_id() -> None:
    assert "not understood" in refused(text=7)


def test_a_payload_that_is_too_long_is_not_read() -> None:
    with pytest.raises(OrderError, match=f"{MAX_BYTES} are read"):
        read("say", b" " * (MAX_BYTES + 1))


@given(st.text(max_size=20), st.binary(max_size=300))
def test_any_bytes_give_a_command_or_an_error_of_ours(verb: str, payload: bytes) -> None:
    try:
        read(verb, payload, UNITS)
    except OrderError as error:
        assert str(error)  # noqa: PT017


@pytest.mark.parametrize(
    "url",
    ["", "http://x/y", "file:///etc/passwd", "/etc/passwd", "https://x y", "https://x\n", "HTTPS://x", "https://é"],
)
def test_a_bundle_is_fetched_from_an_https_address_and_nothing_else(url: str) -> None:
    with pytest.raises(orders.OrderError, match="is no https address") as found:
        orders.read("bundle", json.dumps({"id": "a", "url": url}).encode())
    assert found.value.id == "a"


@pytest.mark.parametrize("newest", ["inr", "INRX", "../x", "I R"])
def test_the_newest_bundle_is_asked_for_by_its_currency(newest: str) -> None:
    command = orders.read("bundle", b'{"id": "a", "newest": "INR"}')
    assert command == orders.Command("a", "bundle", currency="INR")
    with pytest.raises(orders.OrderError, match="a currency such as INR is meant"):
        orders.read("bundle", json.dumps({"id": "a", "newest": newest}).encode())
    with pytest.raises(orders.OrderError, match="one of the two"):
        orders.read("bundle", b'{"id": "a", "newest": "INR", "url": "https://x"}')


def test_the_address_of_a_bundle_goes_with_the_command() -> None:
    command = orders.read("bundle", b'{"id": "a", "url": "https://example.org/x.saynote"}')
    assert command == orders.Command("a", "bundle", "https://example.org/x.saynote")
