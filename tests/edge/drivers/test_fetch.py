"""A file from a path or the web: https only, bounded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.core.errors import BundleError, EdgeError, TransientError
from edge.drivers.fetch import fetch, require_https
from tests.certificates import authority
from tests.site import Site


def fetched(source: str, most_bytes: int = 1000, whole_s: float = 60.0) -> bytes:
    into = io.BytesIO()
    fetch(source, into, most_bytes, whole_s=whole_s)
    return into.getvalue()


def test_a_file_is_read_by_its_path_and_by_its_address(tmp_path: Path) -> None:
    (tmp_path / "a file").write_bytes(b"data")
    assert fetched(str(tmp_path / "a file")) == b"data"
    assert fetched((tmp_path / "a file").as_uri()) == b"data"


@pytest.mark.parametrize(
    "source", ["http://127.0.0.1/x", "ftp://127.0.0.1/x", "data://x", "HTTP://x/y", "javascript://x", "gopher://x"]
)
def test_nothing_but_https_is_fetched(source: str) -> None:
    with pytest.raises(BundleError, match="neither a file nor an https address"):
        fetched(source)


@pytest.mark.parametrize(
    "given", ["/etc/passwd", "file:///etc/passwd", "http://x", "https://x y", "https://" + "x" * 3000]
)
def test_from_afar_only_an_https_address_is_taken(given: str) -> None:
    with pytest.raises(BundleError, match="is no https address"):
        require_https(given)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority(tmp_path)))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    found = Site(tmp_path)
    found.files |= {"/data": b"data", "/large": bytes(100_000)}
    found.onward |= {"/on": "/data", "/out": "http://127.0.0.1/data", "/file": "file:///etc/passwd", "/round": "/round"}
    yield found.url
    found.close()


@pytest.mark.integration
def test_what_is_fetched_is_bounded_and_stays_on_https(site: str) -> None:
    assert fetched(f"{site}/data") == fetched(f"{site}/on") == b"data"
    for path, why in {
        "/out": "no https address",
        "/file": "not allow",
        "/round": "redirect",
        "/missing": "404",
        "/large": "larger than",
        "/endless": "larger than",
        "/short": "broke off",
    }.items():
        with pytest.raises(EdgeError, match=why) as found:
            fetched(site + path)
        assert "\n" not in str(found.value), path


@pytest.mark.integration
def test_what_takes_too_long_is_given_up(site: str) -> None:
    with pytest.raises(TransientError, match="did not arrive within"):
        fetched(f"{site}/endless", 1 << 40, whole_s=0.2)


@pytest.mark.integration
def test_a_site_that_nobody_vouches_for_is_not_trusted(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(TransientError, match="certificate"):
        fetched(f"{site}/data")


def test_nobody_at_the_other_end_is_something_to_try_again() -> None:
    with pytest.raises(TransientError, match="does not answer"):
        fetched("https://127.0.0.1:1/data")
