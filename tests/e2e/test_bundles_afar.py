"""A bundle comes from afar over a real broker and a real https server: it is used, or nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy import demo
from deploy.sign import told
from edge.core.news import News
from edge.core.seal import Claim
from tests import sealed
from tests.certificates import authority
from tests.e2e.favour import favour_shadow_of
from tests.ports.standins import Mosquitto, require_mosquitto
from tests.site import ENDLESS, SHORT, Site

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

NAME = "hall-pi"
PATIENCE_S = 300.0


class Device:
    """The daemon on play money at a broker, all that it says there, and what lies in its store."""

    def __init__(self, folder: Path, port: int, trusted: Path) -> None:
        self._port, self.state, self._settings = port, folder / "state", folder / "edge.toml"
        self.state.mkdir(parents=True)
        text = demo.DEVICE.format(replay=demo.REPLAY, port=port, name=NAME, interval_s=5.0)
        model = f'[model]\nkeys = "{sealed.trusting(folder / "keys")}"\nshadow_s = 1\nshadow_notes = 1'
        text = text.replace("[model]", model).replace("[mqtt]", "[mqtt]\ncommands = true")
        self._settings.write_text(text, encoding="utf-8")
        self._trusted = trusted
        self._said: list[tuple[str, Any]] = []
        self._changed = threading.Condition()
        command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), "-t", f"saynote/{NAME}/#", "-q", "1"]
        self._listener = subprocess.Popen([*command, "-F", "%t %p"], stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._listen, daemon=True).start()
        self._daemon: subprocess.Popen[bytes] | None = None
        self._asked = 0

    def start(self) -> None:
        os.environ["SSL_CERT_FILE"] = str(self._trusted)
        try:
            self._daemon = demo.start_daemon(self._settings, self.state)
        finally:
            del os.environ["SSL_CERT_FILE"]
        self.until(lambda: self.of("state") != [])

    def _listen(self) -> None:
        assert self._listener.stdout is not None
        for line in self._listener.stdout:
            topic, _, payload = line.partition(" ")
            if payload.startswith("{"):
                with self._changed:
                    self._said.append((topic.removeprefix(f"saynote/{NAME}/"), json.loads(payload)))
                    self._changed.notify_all()

    def of(self, kind: str) -> list[Any]:
        """What was said of a kind, the oldest first."""
        return [payload for _, payload in self._said if payload.get("kind") == kind]

    def until(self, true: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        with self._changed:
            while not self._changed.wait_for(true, 1.0) and time.monotonic() < deadline_s:
                if self._daemon is not None:
                    favour_shadow_of(self._daemon.pid)
            if not true():
                log = (self.state / demo.LOG).read_text(errors="replace")[-3000:]
                raise AssertionError(f"{[payload for _, payload in self._said][-5:]}\n{log}")

    def publish(self, topic: str, payload: bytes, *options: str) -> None:
        command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self._port), "-q", "1", "-t", topic, "-s", *options]
        subprocess.run(command, input=payload, check=True, timeout=60)

    def ask(self, id_: str = "", **what: str) -> Any:
        """What is answered to `command/bundle`."""
        self._asked += 1
        id_ = id_ or f"c{self._asked}"
        before = len(self.of("response"))
        self.publish(f"saynote/{NAME}/command/bundle", json.dumps({"id": id_, **what}).encode())
        self.until(lambda: len(self.of("response")) > before)
        return self.of("response")[-1]

    def bundle(self) -> Any:
        """What stands of the play money's bundle."""
        return self.of("state")[-1]["bundles"][0]

    def store(self) -> dict[str, bytes]:
        """All that lies in the store, but for its locks."""
        files = [path for path in (self.state / "bundles").rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in files if path.name not in (".installing", ".changing")}

    def close(self) -> None:
        for process in (self._daemon, self._listener):
            if process is not None:
                process.send_signal(signal.SIGKILL)
                process.wait()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    authority(tmp_path)
    found = Site(tmp_path)
    yield found
    found.close()


@pytest.fixture
def device(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    require_mosquitto()
    broker = Mosquitto(tmp_path)
    found = Device(tmp_path / "device", broker.port, tmp_path / "ca.pem")
    yield found
    found.close()
    broker.stop()


def offered(site: Site, file: Path) -> str:
    """The address of a sealed file."""
    site.files[f"/{file.name}"] = file.read_bytes()
    return f"{site.url}/{file.name}"


def news(url: str, version: str, which: str = "owner") -> bytes:
    """What its owner says of a bundle that `tests.sealed` makes."""
    manifest = sealed.CONFIGURED["XTS"]
    claim = Claim(manifest.name, version, "XTS", manifest.digest)
    return told(News(claim, url, "https://example.org/releases"), sealed.pair(which).secret_key)


def test_a_bundle_asked_for_from_afar_is_installed_compared_and_used(
    device: Device, site: Site, tmp_path: Path
) -> None:
    device.start()
    assert device.bundle()["version"] == "0.1.0"
    answer = device.ask(url=offered(site, sealed.make(tmp_path, "0.2.0")))
    assert (answer["ok"], answer["why"]) == (True, "")
    device.until(lambda: [one["what"] for one in device.of("bundle")][:2] == ["in the shadow", "switched"])
    assert {one["entry"] for one in device.of("bundle")} == {answer["result"]}
    device.until(lambda: device.bundle()["version"] == "0.2.0")
    arrived = device.bundle()["arrived"]
    assert (arrived["entry"], arrived["what"]) == (answer["result"], "switched")
    assert (arrived["alike"] >= 1, arrived["otherwise"], arrived["seconds"] >= 1) == (True, 0, True)
    device.until(lambda: device.of("detection")[-1]["bundle"].endswith("0.2.0"))


def test_what_is_wrong_is_answered_in_one_sentence_and_nothing_is_written(
    device: Device, site: Site, tmp_path: Path
) -> None:
    authority(tmp_path, "stranger")
    elsewhere = Site(tmp_path, "stranger")
    good = sealed.make(tmp_path, "0.2.0")
    cut = tmp_path / "cut.saynote"
    cut.write_bytes(good.read_bytes()[:-1000])
    site.onward["/onward"] = "http://127.0.0.1/x"
    wrong = {
        offered(site, sealed.make(tmp_path, "0.2.0", "stranger")): "is not trusted here",
        offered(site, sealed.make(tmp_path, "0.0.9")): "only a newer one is taken",
        offered(site, cut): "it was changed or cut off on the way",
        site.url + SHORT: "the connection broke off",
        site.url + ENDLESS: "it is larger than",
        f"{site.url}/onward": "is no https address",
        f"{site.url}/nothing": "answers 404",
        offered(elsewhere, good): "certificate",
        "http://127.0.0.1/x": "is no https address",
    }
    try:
        device.start()
        before = device.store()
        for url, why in wrong.items():
            answer = device.ask(url=url)
            assert (answer["ok"], answer["result"]) == (False, ""), url
            assert why in answer["why"], url
            assert "\n" not in answer["why"], url
            assert device.store() == before == {}, url
    finally:
        elsewhere.close()
    assert device.of("bundle") == []
    assert device.bundle()["version"] == "0.1.0"


def test_what_its_owner_announced_stands_in_state_and_is_taken_at_a_press(
    device: Device, site: Site, tmp_path: Path
) -> None:
    topic, other = "saynote/newest/bundle/XTS", sealed.make(tmp_path, "0.3.0")
    url = offered(site, sealed.make(tmp_path, "0.2.0"))
    device.publish(topic, news(url, "0.9.0", "stranger"), "-r")
    device.start()
    assert device.bundle()["newest"] is None, "it is not believed"
    assert device.ask("press", newest="XTS")["why"] == "no newest bundle of XTS is announced"
    device.publish(topic, news(url, "0.2.0"), "-r")
    device.until(lambda: device.bundle()["newest"] is not None)
    told = {"version": "0.2.0", "page": "https://example.org/releases", "installing": False, "why": ""}
    assert device.bundle()["newest"] == told
    assert site.asked == [], "nothing is fetched before it is asked for"
    site.files["/" + url.rpartition("/")[2]] = other.read_bytes()
    assert "was announced" in device.ask("press", newest="XTS")["why"]
    device.until(lambda: "was announced" in device.bundle()["newest"]["why"])
    site.files["/" + url.rpartition("/")[2]] = (tmp_path / url.rpartition("/")[2]).read_bytes()
    answer = device.ask("press", newest="XTS")
    assert (answer["ok"], answer["result"].startswith("XTS-0.2.0-")) == (True, True)
    device.until(lambda: device.bundle()["version"] == "0.2.0")
    assert device.bundle()["newest"] is None, "what is in use is not newer"
    assert device.ask("press", newest="XTS")["ok"], "once more changes nothing"
    assert len([path for path in site.asked if path.endswith(".saynote")]) == 2
