"""The live view as a helper sees it: the real daemon over the replay, in a headless Chromium."""

from __future__ import annotations

import http.server
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge import app
from tests.e2e import chromium
from tests.e2e.chromium import until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60
TOKEN = "a-token-of-the-owner"


class Daemon:
    """`python -m edge run` over the play money, with the live view; its log is read as it comes."""

    def __init__(self, folder: Path, web: str, token: str | None = TOKEN) -> None:
        (folder / "edge.toml").write_text(
            f'[model]\nbundle = "xts"\n[voice]\ndriver = "wav"\npath = "{folder}/said.wav"\n'
            f'[button]\ndriver = "none"\n[camera]\ndriver = "files"\npath = "{app.REPLAY}"\nframes_per_s = 5\n'
            f"[health]\ninterval_s = 1\n[web]\nenabled = true\n{web}\n"
        )
        self.lines: list[str] = []
        self._changed = threading.Condition()
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)} | ({"SAYNOTE_WEB_TOKEN": token} if token else {})
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge", "run", "--config", str(folder / "edge.toml")], cwd=ROOT, text=True,
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()

    def until(self, pattern: str) -> str:
        """The part of the log that the pattern's group names, as soon as it is there."""

        def found() -> list[str]:
            return [match[1] for line in self.lines if (match := re.search(pattern, line))]

        with self._changed:
            assert self._changed.wait_for(found, PATIENCE_S), self.lines
            return found()[0]

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    started = chromium.start(tmp_path_factory.mktemp("chromium"))
    yield started
    started.quit()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    one = Daemon(tmp_path, "port = 0")
    yield one
    one.end()


SHOT = """(() => { const i = document.getElementById("picture"), c = document.createElement("canvas");
c.width = i.naturalWidth; c.height = i.naturalHeight; c.getContext("2d").drawImage(i, 0, 0);
return c.toDataURL() })()"""
BOX = """(() => { const b = document.getElementById("box").getBoundingClientRect(),
f = document.getElementById("frame").getBoundingClientRect();
return document.getElementById("box").hasAttribute("hidden") ? null
  : [(b.left - f.left) / f.width, (b.top - f.top) / f.height, b.width / f.width, b.height / f.height] })()"""
MOVED = "performance.getEntriesByType('resource').filter(e => !e.name.startsWith(location.origin)).length"


def test_a_helper_sees_what_the_device_sees_and_says(tmp_path: Path, browser: object, daemon: Daemon) -> None:
    url = daemon.until(r"live view: (\S+)")
    assert TOKEN not in " ".join(daemon.lines), "a token of the owner's is never logged"
    browser.get(f"{url}?token={TOKEN}")
    assert browser.current_url == url, "the token does not stay in the address"
    until(browser, "document.getElementById('said').textContent.includes('play crowns')")
    until(browser, "document.getElementById('decision').textContent.includes('amount')")
    before = until(browser, f"!document.getElementById('picture').hidden && {SHOT}")
    until(browser, f"{SHOT} !== {before!r}")
    left, top, width, height = until(browser, BOX)
    assert 0.1 < width < 1.2
    assert 0.1 < height < 1.2
    assert -0.5 < left < 0.9
    assert -0.5 < top < 0.9
    until(browser, "[...document.querySelectorAll('#scores progress')].some(bar => bar.value > 0.5)")
    labels = browser.execute_script("return [...document.querySelectorAll('#scores th')].map(e => e.textContent)")
    assert labels == ["5", "10", "20", "50", "100", "500", "background", "several"]
    until(browser, "document.getElementById('ms').textContent.includes('invoke')")
    until(browser, "document.getElementById('health').textContent.includes('frames')")
    assert browser.execute_script(f"return {MOVED}") == 0, "nothing comes from anywhere else"
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    keep_screenshots(browser, tmp_path)


def keep_screenshots(browser: object, folder: Path) -> None:
    """For people to look at, in $SAYNOTE_SCREENSHOTS where it is set: light, dark, and as wide as a phone."""
    kept = Path(os.environ.get("SAYNOTE_SCREENSHOTS", folder))
    for scheme in ("light", "dark"):
        feature = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", feature)
        grounds = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", grounds))) < 380) is (scheme == "dark")
        for name, width in (("wide", 1200), ("phone", 390)):
            size = {"width": width, "height": 1100 if name == "wide" else 1850}
            device = {**size, "deviceScaleFactor": 1, "mobile": name == "phone"}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
            until(browser, f"document.documentElement.scrollWidth <= {width}")
            until(browser, "!document.getElementById('box').hasAttribute('hidden')")
            kept.mkdir(parents=True, exist_ok=True)
            (kept / f"{scheme}-{name}.png").write_bytes(browser.get_screenshot_as_png())
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_pictures_that_come_at_once_tell_no_rate(browser: object, daemon: Daemon) -> None:
    url = daemon.until(r"live view: (\S+)")
    still = {"source": "performance.now = () => 1;"}
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", still)
    try:
        browser.get(f"{url}?token={TOKEN}")
        until(browser, "document.getElementById('ms').textContent.includes('shown a second')")
        before = until(browser, f"!document.getElementById('picture').hidden && {SHOT}")
        until(browser, f"{SHOT} !== {before!r}")
        shown = browser.execute_script("return document.getElementById('ms').textContent")
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    assert "shown a second…" in shown
    assert not re.search("Infinity|NaN", shown)


def test_a_page_of_another_port_on_the_same_host_takes_no_place_and_reads_nothing(
    browser: object, daemon: Daemon
) -> None:
    url = daemon.until(r"live view: (\S+)")
    browser.get(f"{url}?token={TOKEN}")
    until(browser, "document.getElementById('link').textContent.includes('bundle xts')")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        browser.get(f"http://127.0.0.1:{other.server_address[1]}/")
        fetches = f"""return Promise.all(["events", "", "?token={TOKEN}"].map(path =>
        fetch("{url}" + path, {{mode: "no-cors", credentials: "include"}}).then(() => "read", () => "refused")))"""
        assert browser.execute_script(fetches) == ["refused"] * 3
        images = f"""const all = [...Array(8)].map(() => new Promise(done => {{
        const image = new Image(); image.onload = image.onerror = () => done(1); image.src = "{url}events"; }}));
        return Promise.all(all).then(done => done.length)"""
        assert browser.execute_script(images) == 8, "each has its answer: none is being streamed to"
        other.shutdown()
    browser.get(url)
    until(browser, "document.getElementById('link').textContent.includes('bundle xts')")


class Other(http.server.BaseHTTPRequestHandler):
    """Any other program's page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>other</title>")

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_the_page_says_when_the_device_has_gone(browser: object, daemon: Daemon) -> None:
    url = daemon.until(r"live view: (\S+)")
    browser.get(f"{url}?token={TOKEN}")
    until(browser, "document.getElementById('link').textContent.includes('bundle xts')")
    assert daemon.end() == 0, "somebody who watches does not keep it from ending"
    until(browser, "/lost|let this page in/.test(document.getElementById('link').textContent)")


def test_a_token_made_at_start_is_logged_once_and_opens_the_page(tmp_path: Path) -> None:
    one = Daemon(tmp_path, "port = 0", token=None)
    try:
        token = one.until(r"live view: http\S+\?token=(\S+)")
        one.until("(amount label=20)")
        assert sum(token in line for line in one.lines) == 1
    finally:
        assert one.end() == 0


def test_a_port_that_is_taken_is_said_in_one_sentence_and_notes_are_still_read(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        one = Daemon(tmp_path, f"port = {port}")
        try:
            assert "another program has that port" in one.until("(.*cannot listen.*)")
            one.until("(amount label=20)")
        finally:
            assert one.end() == 0
    assert not any("Traceback" in line for line in one.lines)
    assert sum("cannot listen" in line for line in one.lines) == 1
