from __future__ import annotations

from pathlib import Path

import pytest

from deploy.rest.settings import Settings, parse
from edge.core.errors import ConfigError

KEY = "a-key-of-some-length-1"


def test_what_nobody_says_is_safe() -> None:
    found = parse([], {})
    assert found == Settings()
    assert (found.host, found.keys, found.collect) == ("127.0.0.1", (), None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_another_address_needs_a_key(host: str) -> None:
    with pytest.raises(ConfigError, match="without a key"):
        parse(["--host", host], {})
    assert parse(["--host", host], {"SAYNOTE_REST_KEY": KEY}).keys == (KEY,)


@pytest.mark.parametrize("content", ["", "\n \n", "short\n", f"{KEY}\nhunter2\n", f"{KEY}é\n"])
def test_a_file_that_gives_no_good_key_is_refused_and_not_shown(content: str, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(content)
    with pytest.raises(ConfigError, match="key") as refused:
        parse(["--key-file", str(tmp_path / "keys")], {"SAYNOTE_REST_KEY": KEY})
    assert not any(word in str(refused.value) for word in content.split())


@pytest.mark.parametrize("path", ["none", ".", "/dev/zero"])
def test_a_file_of_keys_that_is_none_opens_nothing(path: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        parse(["--key-file", str(tmp_path / path)], {})


def test_an_empty_variable_opens_nothing() -> None:
    with pytest.raises(ConfigError, match="there is no key in SAYNOTE_REST_KEY"):
        parse([], {"SAYNOTE_REST_KEY": ""})


def test_a_key_is_never_part_of_what_is_printed() -> None:
    assert KEY not in repr(parse([], {"SAYNOTE_REST_KEY": KEY}))


@pytest.mark.parametrize(
    "option",
    ["--workers=0", "--port=70000", "--most-pixels=-1", "--body-s=nan", "--pictures-per-s=-1", "--linger-s=nan"],
)
def test_a_number_that_makes_no_sense_is_refused(option: str) -> None:
    with pytest.raises(ConfigError, match=option[2:].split("=")[0].replace("-", "_")):
        parse([option], {})
