from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.line import SHOWN, one_line, shown


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a note\nlevel=error logger=edge stopped", r"a note\nlevel=error logger=edge stopped"),
        ("\x1b[2Jgone", r"\x1b[2Jgone"),
        ("a\r\x00\x7f\x85\x9b", r"a\r\x00\x7f\x85\x9b"),
        ("two\u2028lines\u2029", r"two\u2028lines\u2029"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\udcff.jpg", r"\udcff.jpg"),
        ("\ufeffsecret", r"\ufeffsecret"),
    ],
)
def test_what_would_leave_the_line_is_escaped(text: str, line: str) -> None:
    assert one_line(text) == line


@pytest.mark.parametrize("text", ["", "plain", "500 रुपये का नोट", "می‌خواهم", "ü “x” \\n", "C:\\temp"])
def test_words_of_every_script_stay_as_they_are(text: str) -> None:
    assert one_line(text) == text


@settings(deadline=None)
@given(st.text())
def test_it_is_one_line_that_every_terminal_takes(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert not any(ord(sign) < 32 for sign in line)
    line.encode("utf-8")


def test_a_wrong_value_is_shown_as_far_as_a_sentence_bears() -> None:
    assert shown("mqtt://x\n") == r"'mqtt://x\n'"
    assert shown("x" * 10_000) == "'" + "x" * (SHOWN - 1) + "... (10002 characters)"
    assert shown(10**5000) == "(int)"
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    assert len(shown(nested)) < 100
