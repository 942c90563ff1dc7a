"""Sealing a bundle, and the keys for it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from deploy.sign import PASSWORD, main
from edge.core import seal
from edge.core.bundle import about, contents
from edge.core.news import News
from edge.drivers.signature import trusted, verify
from edge.installer import read_news
from tests.sealed import bundle


@pytest.fixture(autouse=True)
def no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD, "")


@pytest.mark.parametrize("password", ["", "secret"])
def test_what_is_sealed_is_verified_by_the_key_that_was_made(
    tmp_path: Path, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PASSWORD, password)
    folder = bundle(tmp_path / "b", "1.2.0")
    assert main(["--new-key", str(tmp_path / "key")]) == 0
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert main([str(folder), "--key", str(tmp_path / "key"), "--out", str(tmp_path / "out")]) == 0
    (made,) = (tmp_path / "out").iterdir()
    file = io.BytesIO(made.read_bytes())
    signature = seal.read_signature(file)
    comment, _ = verify(signature, file, trusted(tmp_path))
    claim = seal.read_comment(comment)
    assert made.name == f"{claim.entry}.saynote"
    assert claim.version == "1.2.0"
    file.seek(len(signature))
    assert seal.unpack(file) == contents(folder)


def test_the_news_of_a_bundle_are_signed_beside_it_and_say_where_it_is_to_be_had(tmp_path: Path) -> None:
    folder, url = bundle(tmp_path / "b", "1.2.0"), "https://example.org/x.saynote"
    assert main(["--new-key", str(tmp_path / "key")]) == 0
    words = [str(folder), "--key", str(tmp_path / "key"), "--out", str(tmp_path / "out"), "--url", url]
    assert main(words) == 0
    claim = seal.Claim.of(about(folder))
    told = (tmp_path / "out" / f"{claim.entry}.news").read_bytes()
    assert read_news(told, tmp_path) == News(claim, url)
    assert main([*words, "--page", "http://example.org"]) == 1, "no device would take it"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "a bundle is missing"),
        (["BUNDLE"], "--key is missing"),
        (["BUNDLE", "--key", "nowhere"], "cannot be read"),
        (["BUNDLE", "--key", "BUNDLE/labels.txt"], "is no secret key"),
        (["nowhere", "--key", "KEY"], "there is no bundle"),
        (["UNORDERED", "--key", "KEY"], "is not one to four numbers"),
        (["--new-key", "KEY"], "never written over"),
    ],
)
def test_what_cannot_be_sealed_is_said_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    bundle(tmp_path / "BUNDLE", "1.0.0")
    bundle(tmp_path / "UNORDERED", "1.0-beta")
    assert main(["--new-key", str(tmp_path / "KEY")]) == 0
    given = [word if word.startswith("-") else str(tmp_path / word) for word in words]
    assert main(given) == 1
    said = capsys.readouterr().err
    assert why in said
    assert said.count("\n") == 1


def test_a_wrong_password_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(PASSWORD, "secret")
    main(["--new-key", str(tmp_path / "key")])
    monkeypatch.setenv(PASSWORD, "another")
    assert main([str(bundle(tmp_path / "b", "1.0.0")), "--key", str(tmp_path / "key")]) == 1
    assert "the password is wrong" in capsys.readouterr().err
