from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge import credentials
from edge.credentials import PASSWORD, TOKEN, look_up, secret

WORD = "correct horse battery"


def given(folder: Path, content: bytes) -> tuple[str | None, list[str]]:
    (folder / PASSWORD).write_bytes(content)
    return look_up(PASSWORD, {"CREDENTIALS_DIRECTORY": str(folder)})


def test_the_credential_comes_before_the_variable_and_an_empty_line_is_none(tmp_path: Path) -> None:
    environment = {"SAYNOTE_WEB_TOKEN": "from the environment"}
    assert secret(TOKEN, environment) == "from the environment"
    environment["CREDENTIALS_DIRECTORY"] = str(tmp_path)
    assert secret(TOKEN, environment) == "from the environment"
    (tmp_path / TOKEN).write_text("from the credential\n")
    assert secret(TOKEN, environment) == "from the credential"
    (tmp_path / TOKEN).write_text("\n")
    assert secret(TOKEN, environment) is None
    assert secret(TOKEN, {}) is None


@pytest.mark.parametrize(
    ("content", "used", "words"),
    [
        (WORD.encode() + b"\r\n", WORD, ""),
        (b"\xef\xbb\xbf" + WORD.encode() + b"\n", f"\ufeff{WORD}", "begins with a byte-order mark"),
        (WORD.encode() + b" \n", f"{WORD} ", "begins or ends with a space"),
        (b"\t" + WORD.encode(), f"\t{WORD}", "begins or ends with a space"),
        (WORD.encode() + b"\nsecond\n", f"{WORD}\nsecond", "is of several lines"),
        (WORD.encode() + b"\0", f"{WORD}\0", "holds a zero byte"),
        (WORD.encode("utf-16"), None, "is not used: it is not UTF-8"),
        (b"x" * 100_000, None, "is not used: it is larger than 4 KB"),
    ],
)
def test_what_is_odd_about_a_secret_is_said_and_the_secret_never(
    tmp_path: Path, content: bytes, used: str | None, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    value, remarks = given(tmp_path, content)
    assert value == used
    assert [words in remark and remark.startswith(f"the credential {PASSWORD}") for remark in remarks] == [True] * bool(
        words
    )
    secret(PASSWORD, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert "horse" not in caplog.text
    assert words in caplog.text


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_no_secret(tmp_path: Path, make: object) -> None:
    make(tmp_path / PASSWORD)  # type: ignore[operator]
    value, [remark] = look_up(PASSWORD, {"CREDENTIALS_DIRECTORY": str(tmp_path), "SAYNOTE_MQTT_PASSWORD": WORD})
    assert value is None
    assert "is not used" in remark


def test_a_variable_that_is_no_text_is_no_secret() -> None:
    value, [remark] = look_up(PASSWORD, {"SAYNOTE_MQTT_PASSWORD": os.fsdecode(b"\xff" + WORD.encode())})
    assert value is None
    assert remark == "the variable SAYNOTE_MQTT_PASSWORD is not used: it is not UTF-8"


def test_the_doctor_is_told_of_all_that_it_may_read(tmp_path: Path) -> None:
    (tmp_path / TOKEN).write_text(f"{WORD} \n")
    found = credentials.remarks({"SAYNOTE_MQTT_PASSWORD": f" {WORD}"}, owners=tmp_path)
    assert found == [
        "the variable SAYNOTE_MQTT_PASSWORD begins or ends with a space, which is taken for part of it",
        "the credential web-token begins or ends with a space, which is taken for part of it",
    ]
