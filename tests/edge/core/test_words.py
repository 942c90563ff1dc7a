from __future__ import annotations

import contextlib
import socket

import pytest

from edge.core import words

CONTROL = ["\0", "\n", "a\nb", "\x1b[31m", "\x7f", "a\x85", "\u2028", "\ufeffa", "\u202e"]
TEXTS = [words.text, words.path, words.given_path, words.host, words.language, words.variant, words.topic]


@pytest.mark.parametrize("check", TEXTS)
@pytest.mark.parametrize("value", [*CONTROL, "x" * 10_000])
def test_no_text_holds_a_control_character_or_thousands_of_letters(check: words.Check, value: str) -> None:
    assert check(value)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "localhost",
            "broker",
            "broker.local",
            "broker.local.",
            "my_broker",
            "xn--mller-kva.de",
            "müller.de",
            "中文.com",
        ),
        *("192.168.1.5", "::1", "fe80::1%eth0", "0.0.0.0", "a" * 63 + ".de", ".".join(["a" * 49] * 5)),
    ],
)
def test_names_and_addresses_of_machines_are_taken(name: str) -> None:
    assert words.host(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            ".",
            "..",
            "example..com",
            ".local",
            "a..",
            "a" * 64,
            "a." * 200,
            " broker",
            "broker ",
            "bro ker",
            "-a",
            "a-",
        ),
        *("mqtt://broker", "broker:1883", "[::1]", "1.2.3.4/24", "user@broker", "a%b", "fe80::1%", "fe80::1%a b", "*"),
        *("1.2.3.4%eth0", "bücher..de", "\udcff"),
    ],
)
def test_what_nobody_could_look_up_is_refused(name: str) -> None:
    assert "name or an address" in words.host(name)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "no-such-name.invalid", "müller.invalid", "a" * 63])
def test_a_name_that_is_taken_is_at_worst_unknown_to_the_system(name: str) -> None:
    assert words.host(name) == ""
    with contextlib.suppress(socket.gaierror):  # anything else would end whoever asked
        socket.getaddrinfo(name, 1883)


@pytest.mark.parametrize("path", ["", "a", "/var/lib/saynote", "./x/../y", "~/नोट", "a b", "/" + "x" * 255, "می‌خواهم"])
def test_paths_that_the_system_takes_are_taken(path: str) -> None:
    assert words.path(path) == ""
    assert bool(words.given_path(path)) == (path == "")


@pytest.mark.parametrize("path", ["x" * 256, "ü" * 128, "x/" * 2048])
def test_paths_that_no_system_takes_are_refused(path: str) -> None:
    assert "no path is that long" in words.path(path)


@pytest.mark.parametrize(("code", "good"), [
    ("en", True), ("pt-BR", True), ("zh_Hant_TW", True), ("ast", True), ("", False), ("english", False), ("e", False),
    ("en-", False), ("../en", False), ("en US", False), ("en\n", False), ("-en", False), ("ენ", False),
])  # fmt: skip
def test_a_language_is_a_code(code: str, good: bool) -> None:
    assert (words.language(code) == "") == good


@pytest.mark.parametrize(("name", "good"), [
    ("", True), ("f3", True), ("Mr serious", True), ("anikaRobot", True), ("../f3", False), ("f3+m1", False),
    ("f3\n", False), ("-v", True), ("é", False), ("x" * 41, False),
])  # fmt: skip
def test_a_variant_is_a_name_as_the_synthesiser_has_them(name: str, good: bool) -> None:
    assert (words.variant(name) == "") == good


def test_a_topic_is_of_signs_that_a_broker_takes() -> None:
    assert words.topic("shop/till ३") == ""
    assert words.topic("a\uffff")
    assert words.topic("a\u200b")
