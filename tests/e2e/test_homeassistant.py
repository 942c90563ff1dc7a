"""What an owner of Home Assistant sees: the real one, the real broker, and the real daemon on play money."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy import demo
from deploy.sign import told
from edge.core import discovery, wire
from edge.core.messages import Fault, Recovered
from edge.core.news import News
from edge.core.seal import Claim
from edge.core.stands import Stands
from tests import sealed
from tests.certificates import authority
from tests.e2e import chromium
from tests.e2e.favour import favour_shadow_of
from tests.e2e.homeassistant import HomeAssistant
from tests.ports.standins import Mosquitto, require_mosquitto
from tests.site import Site

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]  # its environment may have to be made first

NAME = "hall-pi"
PLAY_MONEY = ("5", "10", "20", "50", "100", "500")


def entity(component: str, key: str) -> str:
    return f"{component}.saynote_hall_pi_{key}"


class Daemon:
    """The daemon as the dashboard's demonstration starts it, announced to Home Assistant or not."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, discovery: bool = True, share: str = "amounts", model: str = "") -> None:
        settings, state = self._folder / "edge.toml", self._folder / "state"
        state.mkdir(exist_ok=True)
        text = demo.DEVICE.format(replay=demo.REPLAY, port=self._port, name=NAME, interval_s=1.0)
        voice = f'[voice]\ndriver = "wav"\npath = "{self._folder}/said.wav"'
        telemetry = f'[mqtt]\ndiscovery = {str(discovery).lower()}\ncommands = true\nshare = "{share}"'
        text = text.replace('[voice]\ndriver = "none"', voice).replace("[mqtt]", telemetry)
        text = text.replace("[model]", f"[model]\n{model}")
        settings.write_text(text, encoding="utf-8")
        self._process = demo.start_daemon(settings, state)

    def favour_its_shadow(self) -> None:
        assert self._process is not None
        favour_shadow_of(self._process.pid)

    def stop(self, number: int = signal.SIGTERM) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(30)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    require_mosquitto()
    started = Mosquitto(tmp_path_factory.mktemp("broker"), "allow_anonymous true\n")
    yield started
    started.stop()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, broker: Mosquitto) -> Iterator[HomeAssistant]:
    found = HomeAssistant(tmp_path_factory.mktemp("home"))
    found.start()
    found.become_owner()
    found.connect(broker.port)
    yield found
    found.stop()


@pytest.fixture
def daemon(tmp_path: Path, broker: Mosquitto) -> Iterator[Daemon]:
    found = Daemon(tmp_path, broker.port)
    yield found
    found.stop(signal.SIGKILL)


def values_are_there(home: HomeAssistant) -> bool:
    states = {name: found["state"] for name, found in home.states().items()}
    return (
        states.get(entity("sensor", "last_amount")) in PLAY_MONEY
        and float(states.get(entity("sensor", "total"), 0)) > 0
        and float(states.get(entity("sensor", "frame_rate"), 0)) > 0
        and states.get(entity("binary_sensor", "problem")) in ("on", "off")
        and states.get(entity("binary_sensor", "connected")) == "on"
        and states.get(entity("update", "bundle")) == "off"
    )


def test_the_entities_appear_with_values_and_again_after_either_side_was_restarted(
    home: HomeAssistant, daemon: Daemon, broker: Mosquitto
) -> None:
    daemon.start()
    home.until(lambda: values_are_there(home))
    assert home.states()[entity("sensor", "last_amount")]["attributes"]["unit_of_measurement"] == "XTS"
    home.stop()
    home.start()
    home.until(lambda: values_are_there(home))
    daemon.stop()
    home.until(lambda: home.state(entity("sensor", "last_amount")) == "unavailable")
    home.until(lambda: home.state(entity("binary_sensor", "connected")) == "off")
    daemon.start()
    home.until(lambda: values_are_there(home))
    broker.stop()  # it keeps nothing: all that was retained is gone
    home.until(lambda: home.state(entity("sensor", "last_amount")) == "unavailable")
    broker.start()
    home.until(lambda: values_are_there(home))


def test_the_page_shows_the_device(
    home: HomeAssistant, daemon: Daemon, tmp_path_factory: pytest.TempPathFactory
) -> None:
    daemon.start()
    home.until(lambda: values_are_there(home))
    browser = chromium.start(tmp_path_factory.mktemp("chromium"))
    try:
        look_at_the_device(home, browser)
    finally:
        browser.quit()


SHOWN = """(function text(node) {
    return [...node.childNodes].map(text).join(' ') + (node.shadowRoot ? text(node.shadowRoot) : '') +
        (node.nodeType === 3 ? node.data : '');
})(document.body)"""


def look_at_the_device(home: HomeAssistant, browser: Any) -> None:
    browser.get(f"{home.url}/manifest.json")
    browser.execute_script("localStorage.hassTokens = arguments[0]", home.tokens_of_the_page())
    browser.get(f"{home.url}/config/devices/dashboard")
    chromium.until(browser, f"{SHOWN}.includes('saynote hall-pi')")
    chromium.keep(browser, "home-assistant-devices")
    device = home.device_of(entity("sensor", "last_amount"))
    browser.get(f"{home.url}/config/devices/device/{device}")
    for words in ("Last amount", "Frame rate", "Repeat", "Connected"):
        chromium.until(browser, f"{SHOWN}.includes({json.dumps(words)})")
    chromium.keep(browser, "home-assistant-device")


def test_a_press_on_the_page_repeats_and_is_answered_once(
    home: HomeAssistant, daemon: Daemon, broker: Mosquitto
) -> None:
    daemon.start()
    home.until(lambda: values_are_there(home))
    heard = broker.subscriber(f"saynote/{NAME}/response/#", 2)
    for _ in range(2):
        home.press(entity("button", "repeat"))
    said, _ = heard.communicate(timeout=60)
    answers = [json.loads(line.split(" ", 2)[2]) for line in said.splitlines()]
    assert [(answer["verb"], answer["ok"]) for answer in answers] == [("repeat", True)] * 2
    assert len({answer["id"] for answer in answers}) == 2


def test_a_bundle_that_its_owner_announced_is_installed_by_the_button_of_its_update(
    home: HomeAssistant, daemon: Daemon, broker: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority(tmp_path)))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    site, file, update = Site(tmp_path), sealed.make(tmp_path, "0.2.0"), entity("update", "bundle")
    publish = ["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-r", "-t", "saynote/newest/bundle/XTS"]

    def shows(state: str, **attributes: Any) -> bool:
        found = home.states().get(update, {"state": "", "attributes": {}})
        return found["state"] == state and attributes.items() <= found["attributes"].items()

    def summary() -> str:
        return str(home.states()[update]["attributes"]["release_summary"])

    try:
        daemon.start(model=f'keys = "{sealed.trusting(tmp_path / "keys")}"\nshadow_s = 1\nshadow_notes = 1')
        home.until(lambda: shows("off", installed_version="0.1.0", latest_version="0.1.0"))
        manifest = sealed.CONFIGURED["XTS"]
        claim = Claim(manifest.name, "0.2.0", "XTS", manifest.digest)
        news = told(News(claim, f"{site.url}/it", "https://example.org/releases"), sealed.pair().secret_key)
        subprocess.run([*publish, "-s"], input=news, check=True, timeout=60)
        page = {"title": "saynote bundle XTS", "release_url": "https://example.org/releases"}
        home.until(lambda: shows("on", installed_version="0.1.0", latest_version="0.2.0", **page))
        assert site.asked == [], "it waits for the press"
        home.install(update)
        home.until(lambda: summary().startswith("Not installed: ") and "answers 404" in summary())
        site.files["/it"] = file.read_bytes()
        home.install(update)
        in_use = {"installed_version": "0.2.0", "latest_version": "0.2.0"}
        home.until(lambda: (daemon.favour_its_shadow(), shows("off", **in_use))[1])
        assert " notes alike, 0 otherwise" in summary()
    finally:
        site.close()
        subprocess.run([*publish, "-n"], check=True, timeout=60)


def test_each_trouble_of_a_part_is_told_once_by_its_problem_entity(home: HomeAssistant, broker: Mosquitto) -> None:
    topics, stands = wire.Topics("saynote", "porch"), Stands()
    source = wire.Source("porch", "5e1f09ab", "0.2.0", "XTS", "play 1.0.0", "ab" * 32)

    def say(topic: str, payload: bytes) -> None:
        command = ["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-r", "-t", topic, "-s"]
        subprocess.run(command, input=payload, check=True, timeout=60)

    def is_told(key: str, *reasons: str) -> bool:
        found = home.states().get(f"binary_sensor.saynote_porch_{key}", {"state": "", "attributes": {}})
        told = [fault["reason"] for fault in found["attributes"].get("faults", ())]
        return (found["state"], told) == ("on" if reasons else "off", list(reasons))

    for topic, payload in discovery.announcements("homeassistant", topics, source, commands=False).items():
        say(topic, payload)
    for event in (Fault("camera", "missing"), Fault("board", "too hot"), Fault("board", "under-voltage"),
                  Fault("camera", "busy")):  # fmt: skip
        stands.note(event, 1.0, None)
    say(topics.availability(), wire.ONLINE)
    say(topics.state(), wire.encode(wire.state(stands, source, wire.Moment(2.0, None))))
    home.until(lambda: is_told("camera", "busy"))
    home.until(lambda: is_told("power_and_heat", "too hot", "under-voltage"))
    home.until(lambda: is_told("problem", "busy", "too hot", "under-voltage"))
    stands.note(Recovered("board", "too hot"), 3.0, None)
    stands.note(Recovered("camera"), 4.0, None)
    say(topics.state(), wire.encode(wire.state(stands, source, wire.Moment(5.0, None))))
    home.until(lambda: is_told("camera"))
    home.until(lambda: is_told("power_and_heat", "under-voltage"))
    assert is_told("sound")


def test_what_is_not_shared_is_not_announced_and_what_was_is_taken_back(home: HomeAssistant, daemon: Daemon) -> None:
    daemon.start()
    home.until(lambda: values_are_there(home))
    daemon.stop()
    daemon.start(share="health")
    home.until(lambda: home.state(entity("sensor", "last_amount")) is None)
    home.until(lambda: home.state(entity("sensor", "notes_in_the_total")) is None)
    home.until(lambda: float(home.state(entity("sensor", "frame_rate")) or 0) > 0)
    daemon.stop()
    daemon.start(discovery=False)
    home.until(lambda: not any("hall_pi" in name for name in home.states()))
