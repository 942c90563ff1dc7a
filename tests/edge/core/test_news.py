"""The news that there is a newer bundle: what is signed, and what is read of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import seal
from edge.core.errors import BundleError
from edge.core.news import BODY_MOST_BYTES, LONGEST, News, read, write

CLAIM = seal.Claim("inr", "1.1.0", "INR", "41d07be3" * 8)
URL = "https://example.org/INR-1.1.0-41d07be3.saynote"
COMMENT = seal.comment(CLAIM, "saynote news")


@pytest.mark.parametrize("page", ["", "https://example.org/releases/1.1.0"])
def test_what_is_signed_is_read_again(page: str) -> None:
    news = News(CLAIM, URL, page)
    assert read(*write(news)) == news


def test_fields_of_later_versions_are_passed_over() -> None:
    assert read(b'{"url": "%s", "until": 5}' % URL.encode(), COMMENT) == News(CLAIM, URL)


@pytest.mark.parametrize("url", ["", "http://x/y", "file:///etc/passwd", "https://x y", "https://" + "x" * LONGEST])
def test_only_https_addresses_are_signed_or_read(url: str) -> None:
    with pytest.raises(BundleError, match="is no https address"):
        write(News(CLAIM, url))
    with pytest.raises(BundleError, match="is no https address"):
        read(b'{"url": "%s"}' % url.encode(), COMMENT)
    with pytest.raises(BundleError, match="is no https address"):
        write(News(CLAIM, URL, url or "javascript:alert(1)"))


def test_what_is_signed_as_a_bundle_is_no_news_nor_the_other_way_about() -> None:
    body, comment = write(News(CLAIM, URL))
    with pytest.raises(BundleError, match="as something else than a news"):
        read(body, seal.comment(CLAIM))
    with pytest.raises(BundleError, match="as something else than a bundle"):
        seal.read_comment(comment)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"null", b"\xff", b"[" * 4000, b" " * (BODY_MOST_BYTES + 1)])
def test_rubbish_is_no_news(body: bytes) -> None:
    with pytest.raises(BundleError) as found:
        read(body, COMMENT)
    assert "\n" not in str(found.value)


@given(st.binary(max_size=200), st.text(max_size=100))
def test_any_bytes_give_news_or_an_error_of_ours(body: bytes, comment: str) -> None:
    try:
        read(body, comment)
    except BundleError as error:
        assert str(error)  # noqa: PT017
