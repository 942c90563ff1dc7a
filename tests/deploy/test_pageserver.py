"""The dashboard's files as they are given out, and what they may not contain."""

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import pages
from deploy.pages import FOLDER, PageServer

OURS = [*FOLDER.glob("js/*.js")]
INDEX = (FOLDER / "index.html").read_text()


@pytest.fixture
def server() -> Iterator[PageServer]:
    started = PageServer({"url": "ws://127.0.0.1:1", "connect": True})
    yield started
    started.close()


def get(server: PageServer, path: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://").strip("/"), timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    found = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return found


def test_every_file_that_the_page_names_is_given_out_with_its_type(server: PageServer) -> None:
    named = [*re.findall(r'(?:src|href)="([a-z][^"]+)"', INDEX), "js/wire.js", "vendor/mqtt.esm.js"]
    assert len(named) > 5
    for path in named:
        code, headers, body = get(server, f"/{path}")
        assert (code, body) == (200, (FOLDER / path).read_bytes())
        assert headers["Content-Type"] == pages.TYPES[Path(path).suffix]


@pytest.mark.parametrize("path", ["/../demo.py", "/js/../../demo.py", "/%2e%2e/demo.py", "//etc/passwd", "/js/", "/x"])
def test_nothing_else_is_given_out(server: PageServer, path: str) -> None:
    assert get(server, path)[0] == 404


def test_what_the_page_is_told_is_what_the_server_was_told(server: PageServer) -> None:
    assert json.loads(get(server, "/config.json")[2]) == {"url": "ws://127.0.0.1:1", "connect": True}


def test_header_and_page_carry_the_same_policy_and_it_allows_nothing_but_the_page_and_a_broker(
    server: PageServer,
) -> None:
    header = get(server, "/")[1]["Content-Security-Policy"]
    in_page = re.search(r'Content-Security-Policy" content="([^"]+)"', INDEX)[1]
    assert header.replace(" frame-ancestors 'none';", "") == in_page  # which a page cannot say of itself
    assert "default-src 'none'" in header
    assert "unsafe" not in header
    assert "*" not in header
    assert re.findall(r"https?:", header) == []


def test_the_page_holds_no_script_and_no_style_of_its_own() -> None:
    assert re.findall(r"<style|style=|\son\w+=|javascript:|<script(?! src=)", INDEX) == []


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_no_text_from_the_wire_can_become_markup(file: Path) -> None:
    text = file.read_text()
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", text) == []
    assert re.match(r"// Owns ", text)


def test_the_shipped_settings_name_no_broker() -> None:
    assert json.loads((FOLDER / "config.json").read_text()) == {"url": "", "prefix": "saynote", "connect": False}
