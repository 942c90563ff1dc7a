"""The dashboard as people see it: a headless Chromium, the real mosquitto, and the real daemon on play money."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from deploy import demo
from deploy.crowd import Crowd, SimulatedDevice
from deploy.pages import PageServer
from edge.drivers import clock
from tests.e2e import chromium
from tests.e2e.chromium import PATIENCE_S, keep, look, sign_in, until
from tests.ports.standins import Mosquitto, require_mosquitto

pytestmark = pytest.mark.integration

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
HEADLINE = "document.getElementById('headline').textContent"
ROWS = "[...document.querySelectorAll('#rows tr')].map(row => row.querySelector('a').textContent)"
FOREIGN = "performance.getEntriesByType('resource').filter(e => !e.name.startsWith(location.origin)).length"


class Broker(Mosquitto):
    """mosquitto with a WebSocket listener, for anybody or for the user "me" with the password "secret"."""

    def __init__(self, folder: Path, *, password: bool = False) -> None:
        self.websocket = demo.free_port()
        who = "allow_anonymous true\n"
        if password:
            command = ["mosquitto_passwd", "-b", "-c", str(folder / "passwords"), "me", "secret"]
            subprocess.run(command, check=True, capture_output=True)
            who = f"allow_anonymous false\npassword_file {folder}/passwords\nuser {folder.owner()}\n"
        super().__init__(folder, f"{who}listener {self.websocket} 127.0.0.1\nprotocol websockets\n")
        self.url = f"ws://127.0.0.1:{self.websocket}"


class Publisher:
    """Says what it is told to say, as any device could."""

    def __init__(self, port: int, user: str = "") -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        if user:
            self._client.username_pw_set(user, "secret")
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def say(self, topic: str, payload: bytes | str | dict[str, Any], *, retain: bool = False) -> None:
        data = json.dumps(payload) if isinstance(payload, dict) else payload
        self._client.publish(topic, data, qos=1, retain=retain).wait_for_publish(PATIENCE_S)

    def introduce(self, device: SimulatedDevice, *parts: str) -> None:
        self.say(device.topic("availability"), "online", retain=True)
        for part in parts or ("health", "state", "summary"):
            self.say(device.topic(part), getattr(device, part)(60.0), retain=True)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    started = chromium.start(tmp_path_factory.mktemp("chromium"))
    yield started
    started.quit()


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    require_mosquitto()
    started: list[Broker] = []

    def start(**options: Any) -> Broker:
        started.append(Broker(tmp_path, **options))
        return started[-1]

    yield start
    for broker in started:
        broker.stop()


@pytest.fixture
def broker(brokers: Callable[..., Broker]) -> Broker:
    return brokers()


@pytest.fixture
def publisher(broker: Broker) -> Iterator[Publisher]:
    found = Publisher(broker.port)
    yield found
    found.close()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., str]]:
    """Opens the page, told of a broker; afterwards nothing may have been complained of."""
    servers: list[PageServer] = []
    expected: list[str] = []

    def open_page(url: str, hash_: str = "", *, connect: bool = True, complains: str = "") -> str:
        servers.append(PageServer({"url": url, "prefix": "saynote", "connect": connect}))
        expected.append(complains)
        look(browser)
        browser.get("about:blank")
        browser.get_log("browser")
        browser.get(servers[-1].url + hash_)
        return servers[-1].url

    yield open_page
    entries = [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    allowed = [words for words in expected if words]
    browser.get("about:blank")
    for server in servers:
        server.close()
    assert [entry for entry in entries if not any(words in entry for words in allowed)] == []


def device(number: int) -> SimulatedDevice:
    return SimulatedDevice(number, "saynote", time.time() - 60)


def assert_accessible(browser: Any, name: str) -> None:
    """axe-core finds nothing, in light and dark, wide and narrow; and nothing hangs over the side."""
    browser.execute_script(AXE)
    for scheme in ("light", "dark"):
        for width in (1280, 390):
            look(browser, width=width, height=1100, scheme=scheme)
            until(browser, f"document.documentElement.scrollWidth <= {width}")
            found = browser.execute_async_script("axe.run(document).then(arguments[0])")
            told = [
                (one["id"], one["nodes"][0]["html"], one["nodes"][0]["failureSummary"]) for one in found["violations"]
            ]
            assert told == []
            assert len(found["passes"]) > 10
            keep(browser, f"{name}-{scheme}-{width}")
    look(browser)


def cell(name: str, column: str) -> str:
    row = f"[...document.querySelectorAll('#rows tr')].find(row => row.querySelector('a').textContent === '{name}')"
    return f"({row})?.querySelector('.{column}').textContent.trim()"


def test_three_devices_appear_with_what_they_say_and_one_that_dies_is_gone(
    browser: Any, visit: Callable[..., str]
) -> None:
    with demo.show(0, 0, 1.0) as shown:
        visit(f"ws://127.0.0.1:{shown.websocket}")
        until(browser, f"{HEADLINE} === 'All 3 devices are well'")
        until(browser, f"{ROWS}.join() === '{','.join(demo.NAMES)}'")
        until(browser, f"/XTS.\\d+/.test({cell('hall', 'amount')})")
        until(browser, f"/^Version 0.1.0 · xts /.test({cell('shop', 'version')})")
        keep(browser, "three")
        browser.find_element("link text", "hall").click()
        until(browser, "document.querySelectorAll('#events tr').length > 0")
        until(browser, "/Amount/.test(document.getElementById('events').textContent)")
        facts = "document.getElementById('device-facts').textContent"
        until(
            browser,
            f"/Running totalXTS.\\d+ in \\d+ notes?/.test({facts}) && /health, counts and amounts/.test({facts})",
        )
        until(browser, "document.querySelectorAll('#device-stages tbody tr').length >= 4")
        if clock.was_set():
            until(browser, "document.querySelectorAll('#trends canvas').length === 5")
        else:  # as on a device without a network: no day is known, and so none is counted
            until(browser, "/no time server has set its clock/.test(document.getElementById('no-trends').textContent)")
        look(browser, height=2000)
        keep(browser, "device-of-today")
        look(browser)
        browser.find_element("id", "back").click()
        shown.processes["shop"].kill()
        until(browser, f"{HEADLINE} === '1 of 3 devices needs attention'")
        until(browser, f"/^Gone/.test({cell('shop', 'need')})")
        until(browser, f"{ROWS}[0] === 'shop'")
        assert browser.execute_script(f"return {FOREIGN}") == 0, "nothing comes from anywhere else"


def test_a_broker_without_devices_says_so(browser: Any, broker: Broker, visit: Callable[..., str]) -> None:
    visit(broker.url)
    until(browser, f"{HEADLINE} === 'No device has been heard yet'")
    assert_accessible(browser, "empty")


def test_a_device_page_shows_what_the_device_sent_and_each_chart_has_its_table(
    browser: Any, broker: Broker, publisher: Publisher, visit: Callable[..., str]
) -> None:
    one = device(1)
    one.fault = ("camera", "stopped", "no new picture for 3.0 s")
    publisher.introduce(one)
    visit(broker.url, f"#/device/{one.name}")
    until(browser, "document.querySelectorAll('#trends canvas').length === 5")
    assert until(browser, "document.getElementById('device-faults').textContent.includes('no new picture')")
    facts = browser.execute_script("return document.getElementById('device-facts').textContent")
    assert "11.2 GB" in facts
    assert "health, counts and amounts" in facts
    for event in ("detection",):
        publisher.say(one.topic(event), one.detection(61.0))
    publisher.say(one.topic("event"), one.payload("hint", 62.0, hint="closer"))
    until(browser, "document.querySelectorAll('#events tr').length === 2")
    assert browser.execute_script("return document.querySelector('#events tr').textContent").endswith("Hintcloser")
    tables = "[...document.querySelectorAll('#trends figure')].map(f => f.querySelectorAll('tbody tr').length)"
    assert browser.execute_script(f"return {tables}") == [30] * 5
    sent = json.loads(device(1).summary(60.0))["days"]
    browser.execute_script("document.querySelectorAll('#trends details').forEach(one => { one.open = true; })")
    first = "[...document.querySelectorAll('#trends figure tbody tr')].slice(0, 30).map(r => r.cells[0].textContent)"
    assert browser.execute_script(f"return {first}") == [day["day"] for day in sent]
    assert_accessible(browser, "device")


def test_a_broker_that_goes_away_is_said_and_found_again(
    browser: Any, broker: Broker, publisher: Publisher, visit: Callable[..., str]
) -> None:
    publisher.introduce(device(1))
    visit(broker.url, complains="WebSocket connection to")
    until(browser, f"{HEADLINE} === 'The device is well'")
    publisher.close()
    broker.stop()
    until(browser, "/The broker has gone/.test(document.getElementById('lost').textContent)")
    until(browser, f"/^Not connected/.test({HEADLINE})")
    assert until(browser, f"{cell('device-0001', 'need')} === 'Well'"), "what was known is still shown"
    assert_accessible(browser, "broker-gone")
    broker.start()
    until(browser, "document.getElementById('link').dataset.phase === 'connected'")
    until(browser, "document.getElementById('lost').hidden")


def test_an_address_where_nobody_answers_is_named(browser: Any, visit: Callable[..., str]) -> None:
    url = f"ws://127.0.0.1:{demo.free_port()}"
    visit(url, complains="WebSocket connection to")
    until(browser, f"document.getElementById('problem').textContent.includes('There is no answer from {url}')")
    keep(browser, "nobody-answers")


def test_a_wrong_password_is_said_and_the_right_one_is_kept_only_if_wished(
    browser: Any, brokers: Callable[..., Broker], visit: Callable[..., str]
) -> None:
    broker = brokers(password=True)
    page = visit(broker.url)
    until(browser, "/without a user and password/.test(document.getElementById('problem').textContent)")
    sign_in(browser, "me", "wrong")
    until(browser, "/the user “me” with this password/.test(document.getElementById('problem').textContent)")
    assert_accessible(browser, "wrong-password")
    sign_in(browser, "me", "secret")
    until(browser, "document.getElementById('link').textContent.endsWith(' as me')")
    assert not browser.find_element("id", "connect").is_displayed()
    stored = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href, document.title])"
    assert "secret" not in browser.execute_script(f"return {stored}")
    browser.find_element("id", "connection").click()
    browser.find_element("id", "remember").click()
    sign_in(browser, "me", "secret")
    until(browser, "document.getElementById('link').dataset.phase === 'connected'")
    assert "secret" in browser.execute_script(f"return {stored}")
    assert "secret" not in browser.execute_script("return location.href")
    browser.get(page)
    until(browser, "document.getElementById('link').textContent.endsWith(' as me')")


DENYING = {"defaultACLAccess": {"publishClientSend": True, "publishClientReceive": True, "subscribe": False,
           "unsubscribe": True}, "clients": [], "groups": [], "roles": []}  # fmt: skip


def test_a_topic_that_may_not_be_read_is_said(browser: Any, tmp_path: Path, visit: Callable[..., str]) -> None:
    plugin = next(Path("/usr/lib").glob("**/mosquitto_dynamic_security.so"), None)
    if plugin is None:
        pytest.skip("this mosquitto comes without the plugin that denies subscriptions")
    (tmp_path / "rights.json").write_text(json.dumps(DENYING))
    websocket = demo.free_port()
    settings = f"allow_anonymous true\nplugin {plugin}\nplugin_opt_config_file {tmp_path}/rights.json\n"
    settings += f"user {tmp_path.owner()}\nlistener {websocket} 127.0.0.1\nprotocol websockets\n"
    broker = Mosquitto(tmp_path, settings)
    try:
        visit(f"ws://127.0.0.1:{websocket}")
        until(browser, "/does not let it read saynote/.test(document.getElementById('problem').textContent)")
    finally:
        broker.stop()


def test_what_is_hostile_is_shown_as_text_or_left_out_and_the_page_goes_on(
    browser: Any, broker: Broker, publisher: Publisher, visit: Callable[..., str]
) -> None:
    visit(broker.url)
    until(browser, f"{HEADLINE} === 'No device has been heard yet'")
    bad = "<img src=x onerror=window.owned=1><script>window.owned=1</script>"
    one = device(1)
    publisher.introduce(one, "health")
    fault = one.payload("fault", 61.0, part=bad, reason="\u202e" + bad, detail=bad * 50)
    publisher.say(one.topic("event"), fault)
    publisher.say(one.topic("state"), one.payload("state", 62.0, faults=[{"part": bad}] * 9000, last={"amount": bad}))
    publisher.say(f"saynote/{bad.replace('/', '')}/availability", "online")
    publisher.say("saynote/__proto__/availability", "online", retain=True)
    publisher.say("saynote/hall/health", b"\xff\xfe" * 50_000)
    publisher.say("saynote/hall/summary", '{"kind":"summary","days":' + "[" * 100_000)
    publisher.say("saynote/hall/event", {"kind": "toString", "version": 1})
    publisher.say(
        "saynote/hall/health", {"kind": "health", "version": 1, "t_s": -5, "temperature_c": 1e300, "ms": [[]]}
    )
    for number in range(200):
        publisher.say(f"saynote/x{number}/event", bytes([number]) * number)
    last = device(2)
    publisher.introduce(last)
    until(browser, f"{ROWS}.includes('device-0002')")
    until(browser, f"{ROWS}.includes('__proto__')")
    assert sorted(browser.execute_script(f"return {ROWS}")) == ["__proto__", "device-0001", "device-0002", "hall"]
    until(browser, f"{cell('device-0001', 'faults')}.includes('<img src=x onerror')")
    until(browser, f"{cell('hall', 'temperature')} === 'Temperature –'")
    browser.find_element("link text", "device-0001").click()
    until(browser, "document.getElementById('events').textContent.includes('<script>')")
    assert browser.execute_script(
        "return [window.owned === undefined, document.querySelectorAll('main img').length]"
    ) == [True, 0]
    until(browser, "/\\d+ messages not understood/.test(document.getElementById('ignored').textContent)")
    keep(browser, "hostile")


def test_ten_megabytes_that_choke_the_broker_are_got_over_by_connecting_anew(
    browser: Any, broker: Broker, publisher: Publisher, visit: Callable[..., str]
) -> None:
    # mosquitto 2.0.11 stops sending on a WebSocket after a message of more than some 128 KB, and does not say so.
    publisher.introduce(device(1), "health")
    visit(broker.url)
    until(browser, f"{ROWS}.length === 1 && document.getElementById('link').dataset.phase === 'connected'")
    publisher.say("saynote/device-0001/health", b"\xff\xfe" * 5_000_000)
    publisher.introduce(device(2), "health")
    until(browser, f"{ROWS}.length === 2", patience_s=200)


def test_the_demonstration_s_broker_takes_no_message_that_would_choke_it(
    browser: Any, visit: Callable[..., str]
) -> None:
    with demo.show(0, 0, 1.0) as shown:
        visit(f"ws://127.0.0.1:{shown.websocket}")
        until(browser, f"{ROWS}.length === 3")
        command = ["mosquitto_pub", "-p", str(shown.mqtt), "-t", "saynote/hall/health", "-s"]
        subprocess.run(command, input=b"x" * 10_000_000, capture_output=True, timeout=PATIENCE_S, check=False)
        one = device(1)
        other = Publisher(shown.mqtt)
        other.introduce(one, "health")
        until(browser, f"{ROWS}.includes('{one.name}')")
        assert browser.execute_script("return document.getElementById('link').dataset.phase") == "connected"
        other.close()


def test_search_order_and_filters_stand_in_an_address_that_can_be_shared(
    browser: Any, broker: Broker, publisher: Publisher, visit: Callable[..., str]
) -> None:
    for number in range(1, 13):
        one = device(number)
        if number % 4 == 0:
            one.fault = ("camera", "stopped", "") if number > 4 else ("speaker", "missing", "")
        publisher.introduce(one, "health", "state")
    page = visit(broker.url)
    until(browser, f"{ROWS}.length === 12")
    until(browser, f"{ROWS}.slice(0, 4).join() === 'device-0004,device-0008,device-0012,device-0001'")
    browser.find_element("id", "only-fault").click()
    until(browser, f"{ROWS}.length === 3")
    assert browser.find_element("id", "only-fault").get_attribute("aria-pressed") == "true"
    until(browser, "document.getElementById('fault').options.length === 3")
    browser.find_element("css selector", "#fault option[value=camera]").click()
    until(browser, f"{ROWS}.join() === 'device-0008,device-0012'")
    browser.find_element("id", "q").send_keys("12")
    until(browser, f"{ROWS}.join() === 'device-0012'")
    until(browser, "document.getElementById('shown').textContent === '1 of 12 devices'")
    header = "document.querySelector('#devices [data-sort=temperature]')"
    browser.execute_script(f"{header}.querySelector('button').click()")
    assert browser.execute_script(f"return {header}.getAttribute('aria-sort')") == "ascending"
    shared = browser.current_url.partition("#")[2]
    assert shared == "/?q=12&sort=temperature&only=fault&fault=camera"
    browser.get("about:blank")
    browser.get(f"{page}#{shared}")
    until(browser, f"{ROWS}.join() === 'device-0012'")
    assert browser.execute_script("return document.getElementById('q').value") == "12"
    browser.find_element("link text", "device-0012").click()
    until(browser, "document.activeElement.id === 'device-name'")
    browser.back()
    until(browser, f"{ROWS}.join() === 'device-0012'")
    until(browser, "document.activeElement.textContent === 'device-0012'")


def test_it_is_used_by_keyboard_and_the_focus_stays_when_rows_change_and_move(
    browser: Any, broker: Broker, publisher: Publisher, visit: Callable[..., str]
) -> None:
    from selenium.webdriver.common.keys import Keys

    devices = [device(number) for number in range(1, 6)]
    for one in devices:
        publisher.introduce(one, "health", "state")
    visit(broker.url)
    until(browser, f"{ROWS}.length === 5")
    seen: list[str] = []
    for _ in range(40):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        seen.append(browser.execute_script("const e = document.activeElement; return e.id || e.textContent"))
        if seen[-1] == "device-0003":
            break
    assert [name for name in seen if name in ("connection", "only-gone", "q", "fault", "Standing", "device-0003")] == [
        "connection", "only-gone", "q", "fault", "Standing", "device-0003",
    ]  # fmt: skip
    until(browser, "document.getElementById('link').dataset.phase === 'connected'")
    publisher.say(devices[2].topic("availability"), "offline", retain=True)
    until(browser, f"{ROWS}[0] === 'device-0003'")
    assert browser.execute_script("return document.activeElement.textContent") == "device-0003"
    until(browser, "document.getElementById('spoken').textContent === 'device-0003 is gone.'")
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    until(browser, "document.activeElement.id === 'device-name'")
    assert browser.title == "(1) device-0003 · saynote"


def test_the_list_with_troubles_is_accessible(
    browser: Any, broker: Broker, publisher: Publisher, visit: Callable[..., str]
) -> None:
    for number in range(1, 9):
        one = device(number)
        if number == 3:
            one.fault = ("camera", "stopped", "no new picture for 3.0 s")
        publisher.introduce(one, "health", "state")
    publisher.say(device(5).topic("availability"), "offline", retain=True)
    visit(broker.url)
    until(browser, f"{HEADLINE} === '2 of 8 devices need attention'")
    until(browser, f"{ROWS}.length === 8")
    assert_accessible(browser, "troubles")
    browser.find_element("id", "connection").click()
    assert_accessible(browser, "connection")


def test_nine_hundred_devices_are_listed_whole_by_a_broker_that_queues_a_thousand_messages(
    browser: Any, broker: Broker, visit: Callable[..., str]
) -> None:
    crowd = Crowd(broker.port, 900)
    try:
        visit(broker.url)
        known = (
            "[...document.querySelectorAll('#rows .temperature span:last-child')].filter(e => e.textContent !== '–')"
        )
        until(browser, f"{ROWS}.length === 900 && {known}.length === 900")
        keep(browser, "hundreds")
    finally:
        crowd.close()


def test_colours_can_be_chosen_and_are_remembered(browser: Any, broker: Broker, visit: Callable[..., str]) -> None:
    page = visit(broker.url)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = browser.execute_script(f"return {ground}")
    browser.find_element("css selector", "#theme option[value=dark]").click()
    until(browser, f"{ground} !== '{light}'")
    browser.get(page)
    until(browser, f"{ground} !== '{light}'")
    browser.find_element("css selector", "#theme option[value=system]").click()
    until(browser, f"{ground} === '{light}'")


@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM"])
def test_make_dashboard_prints_the_address_and_ends_everything_when_told(signal_name: str) -> None:
    import signal
    import sys

    command = [sys.executable, "-m", "deploy.demo", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        assert "http://127.0.0.1:" in process.stdout.readline()
        port = int(process.stdout.readline().rpartition(":")[2])
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 4
        process.send_signal(getattr(signal, signal_name))
        assert "ended" in process.stdout.read()
        assert process.wait(PATIENCE_S) == 0
    assert [child for child in children if Path(f"/proc/{child}").exists()] == []
    with pytest.raises(OSError, match="refused"):
        demo.socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_port_that_is_taken_is_said_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        assert demo.main(["--port", str(other.getsockname()[1])]) == 1
    assert "make dashboard PORT=" in capsys.readouterr().err
