"""The page's own modules, asked in a headless Chromium: what is read, what is made of it, what is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.pages import PageServer
from tests.e2e import chromium

pytestmark = pytest.mark.integration

NOW_MS = 1_790_000_000_000
NOW_S = NOW_MS / 1000
HEAD = {"version": 1, "device": "hall", "run": "aa", "seq": 5, "t_s": 60.0, "wall_s": NOW_S, "daemon": "0.1.0",
        "bundle": "inr 1.0.0", "digest": "ab" * 32}  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    server = PageServer({})
    started = chromium.start(tmp_path_factory.mktemp("chromium"))
    started.get(server.url)
    yield started
    started.quit()
    server.close()


def script(browser: Any, body: str, *arguments: Any) -> Any:
    """What `body` returns, with the page's modules and `given` at hand."""
    text = f"""const [given, done] = [arguments[0], arguments[1]];
    const load = (name) => import(new URL(`js/${{name}}.js`, document.baseURI));
    Promise.all(["wire", "fleet", "query", "words", "trends", "broker"].map(load))
      .then(([wire, fleet, query, words, trends, broker]) => {{ {body} }})
      .then((value) => done({{ value }})).catch((error) => done({{ error: String(error.stack) }}));"""
    told = browser.execute_async_script(text, list(arguments))
    assert "error" not in told, told["error"]
    return told["value"]


def read(browser: Any, topic: str, payload: Any) -> Any:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    return script(browser, 'return wire.read(given[0], new TextEncoder().encode(given[1]), "saynote");', topic, text)


FLEET = """const one = new fleet.Fleet();
for (const [topic, payload, retained, at_ms] of given[0]) {
  const text = typeof payload === "string" ? payload : JSON.stringify(payload);
  one.apply(wire.read(topic, new TextEncoder().encode(text), "saynote"), retained, at_ms);
}"""


def device(browser: Any, messages: list[tuple[str, Any, bool, int]], now_ms: int = NOW_MS, name: str = "hall") -> Any:
    """What is known of a device after these (part of the topic, payload, retained, moment), and how it stands."""
    given = [(f"saynote/{name}/{part}", payload, retained, at_ms) for part, payload, retained, at_ms in messages]
    body = (
        FLEET
        + """const found = one.devices.get(given[1]);
      return found && { ...found, need: fleet.need(found, given[2]), standing: fleet.standing(found, given[2]),
                        knows: fleet.knowsFaults(found) };"""
    )
    return script(browser, body, given, name, now_ms)


def health(**more: Any) -> dict[str, Any]:
    return {"kind": "health", **HEAD, "uptime_s": 60.0, "ms": {"classify": 21.5}, "temperature_c": 51.0} | more


def state(**more: Any) -> dict[str, Any]:
    return {"kind": "state", **HEAD, "currency": "INR", "last": None, "faults": [], "share": "amounts"} | more


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("other/hall/health", health()),
        ("saynote/hall/health/more", health()),
        ("saynote/hall", health()),
        ("saynote/<b>hall</b>/health", health()),
        ("saynote/" + "h" * 65 + "/health", health()),
        ("saynote/hall/constructor", health()),
        ("saynote/hall/__proto__", health()),
        ("saynote/hall/health", "{"),
        ("saynote/hall/health", "[" * 50_000),
        ("saynote/hall/health", "null"),
        ("saynote/hall/health", "[]"),
        ("saynote/hall/health", {"kind": "constructor", "version": 1}),
        ("saynote/hall/health", {"kind": "detection", **HEAD}),
        ("saynote/hall/health", health(version="1")),
        ("saynote/hall/health", {**health(), "filler": "x" * 200_000}),
        ("saynote/hall/availability", "on fire"),
    ],
)
def test_what_is_no_message_of_ours_is_left_out(browser: Any, topic: str, payload: Any) -> None:
    assert read(browser, topic, payload) is None


def test_ten_megabytes_are_left_out_unread(browser: Any) -> None:
    body = """const bytes = new Uint8Array(10_000_000).fill(32), began_ms = performance.now();
      return [wire.read("saynote/hall/health", bytes, "saynote"), performance.now() - began_ms];"""
    found, took_ms = script(browser, body)
    assert found is None
    assert took_ms < 20, "its length is enough"


@pytest.mark.parametrize(
    "value", [-1e308, 1e308, "51", True, [51], {"a": 1}, None, -61, 201], ids=lambda value: repr(value)[:12]
)
def test_a_number_that_cannot_be_is_not_known(browser: Any, value: Any) -> None:
    found = read(browser, "saynote/hall/health", health(temperature_c=value, frames=value, seq=value))
    assert found["temperature_c"] is None
    assert found["frames"] in (None, 201)


def test_texts_are_cut_and_lose_what_would_turn_or_hide_others(browser: Any) -> None:
    fault = {"kind": "fault", **HEAD, "part": "cam\u202eera\u0000", "reason": "x" * 500, "detail": "<img src=x> & \n"}
    found = read(browser, "saynote/hall/event", fault)
    assert (found["part"], found["detail"]) == ("camera", "<img src=x> &")
    assert found["reason"] == "x" * 47 + "…"


@pytest.mark.parametrize(
    ("amount", "kept"), [("500", "500"), ("0.05", "0.05"), ("1e9", None), ("-5", None), (500, None), ("9" * 40, None)]
)
def test_an_amount_is_a_plain_decimal_number(browser: Any, amount: Any, kept: str | None) -> None:
    found = read(browser, "saynote/hall/detection", {"kind": "detection", **HEAD, "amount": amount, "currency": "INR"})
    assert found["amount"] == kept


def test_a_newer_format_is_a_sign_of_life_and_nothing_else(browser: Any) -> None:
    found = device(browser, [("health", health(version=2), False, NOW_MS)])
    assert (found["foreign"], found["health"], found["heard_ms"]) == (True, None, NOW_MS)


ARRIVED = {"entry": "INR-1.1.0-41d07be3", "what": "in the shadow", "why": "", "alike": 3, "otherwise": 0}


@pytest.mark.parametrize(
    ("newest", "arrived", "line"),
    [
        ({"version": "1.2.0"}, None, "1.0.0; 1.2.0 is to be had"),
        (None, ARRIVED, "1.0.0; INR-1.1.0-41d07be3 in the shadow (3 notes alike, 0 otherwise)"),
        (None, {**ARRIVED, "alike": None, "why": "slow"}, "1.0.0; INR-1.1.0-41d07be3 in the shadow: slow"),
        ("1.2.0", 5, "1.0.0"),
    ],
)
def test_of_a_bundle_it_says_what_is_to_be_had_and_what_the_shadow_has_shown(
    browser: Any, newest: Any, arrived: Any, line: str
) -> None:
    bundle = {"currency": "INR", "version": "1.0.0", "newest": newest, "arrived": arrived}
    found = read(browser, "saynote/hall/state", state(bundles=[bundle, None, 5]))["bundles"]
    assert script(browser, "return given[0].map(words.bundleLine);", found) == [line]
    assert read(browser, "saynote/hall/state", state())["bundles"] == [], "an older version"


def test_the_name_in_a_payload_does_not_count(browser: Any) -> None:
    assert read(browser, "saynote/hall/health", health(device="other"))["device"] == "hall"


@pytest.mark.parametrize(
    ("online", "age_s", "standing"),
    [("online", 60, "alive"), ("online", 179, "alive"), ("online", 200, "late"), ("offline", 1, "gone")],
)
def test_a_device_is_alive_late_or_gone(browser: Any, online: str, age_s: int, standing: str) -> None:
    messages = [("availability", online, True, NOW_MS), ("health", health(wall_s=NOW_S - age_s), True, NOW_MS)]
    assert device(browser, messages)["standing"] == standing


def test_who_speaks_on_is_there_whatever_an_old_message_says(browser: Any) -> None:
    gone = [("availability", "online", False, NOW_MS), ("availability", "offline", True, NOW_MS)]
    assert device(browser, [*gone, ("health", health(seq=2), False, NOW_MS + 1000)])["standing"] == "gone"
    assert device(browser, [*gone, ("health", health(seq=2), True, NOW_MS + 9000)])["standing"] == "gone"
    assert device(browser, [*gone, ("health", health(seq=2), False, NOW_MS + 9000)])["standing"] == "alive"


def test_a_device_that_reports_seldom_is_not_late_for_that(browser: Any) -> None:
    hour_ms = 3_600_000
    messages = [
        ("availability", "online", True, NOW_MS),
        ("health", health(seq=1, t_s=0.0), False, NOW_MS),
        ("health", health(seq=2, t_s=3600.0), False, NOW_MS + hour_ms),
    ]
    assert device(browser, messages, NOW_MS + 2 * hour_ms)["standing"] == "alive"
    assert device(browser, messages, NOW_MS + 4 * hour_ms)["standing"] == "late"


@pytest.mark.parametrize("wall_s", [None, NOW_S + 1e6, 5.0])
def test_a_clock_that_is_not_set_or_ahead_makes_nobody_late(browser: Any, wall_s: float | None) -> None:
    messages = [("availability", "online", True, NOW_MS), ("health", health(wall_s=wall_s), True, NOW_MS)]
    assert device(browser, messages, NOW_MS + 100_000)["standing"] == "alive"
    assert device(browser, messages, NOW_MS + 300_000)["standing"] == "late"


def test_faults_are_followed_from_events_where_a_device_lists_none(browser: Any) -> None:
    fault = {"kind": "fault", **HEAD, "part": "camera", "reason": "stopped", "detail": ""}
    begun = [("availability", "online", True, NOW_MS), ("event", fault, False, NOW_MS)]
    found = device(browser, begun)
    assert (found["need"], found["knows"]) == ("fault", False)
    assert [one["part"] for one in found["faults"]] == ["camera"]
    over = {"kind": "recovered", **HEAD, "seq": 6, "part": "camera"}
    assert device(browser, [*begun, ("event", over, False, NOW_MS)])["need"] == "well"


def test_each_trouble_of_a_part_stands_once_and_what_is_measured_ends_by_itself(browser: Any) -> None:
    told = [("fault", "camera", "missing"), ("fault", "camera", "busy"), ("fault", "board", "too hot"),
            ("fault", "board", "under-voltage"), ("recovered", "board", "too hot")]  # fmt: skip
    messages = [
        ("event", {"kind": kind, **HEAD, "seq": 5 + number, "part": part, "reason": reason}, False, NOW_MS)
        for number, (kind, part, reason) in enumerate(told)
    ]
    found = device(browser, [("availability", "online", True, NOW_MS), *messages])["faults"]
    assert [(one["part"], one["reason"]) for one in found] == [("camera", "busy"), ("board", "under-voltage")]


def test_a_restarted_daemon_begins_without_the_faults_of_the_run_before(browser: Any) -> None:
    fault = {"kind": "fault", **HEAD, "part": "camera", "reason": "stopped", "detail": ""}
    messages = [("event", fault, False, NOW_MS), ("health", health(run="bb", seq=9), False, NOW_MS)]
    assert device(browser, messages)["faults"] == []


def test_a_retained_message_of_an_earlier_run_does_not_count(browser: Any) -> None:
    stands = [{"part": "camera", "reason": "stopped", "detail": "", "since_t_s": 1.0}]
    messages = [
        ("health", health(run="bb", seq=90), True, NOW_MS),
        ("state", state(seq=4, faults=stands), True, NOW_MS),
    ]
    assert device(browser, messages)["need"] == "well"


def test_the_state_says_which_faults_stand_and_since_when(browser: Any) -> None:
    stands = [{"part": "speaker", "reason": "missing", "detail": "no card", "since_t_s": 20.0}]
    found = device(browser, [("state", state(faults=stands), True, NOW_MS)])
    assert (found["knows"], found["need"]) == (True, "fault")
    assert found["faults"][0]["since_ms"] == NOW_MS - 40_000


def test_a_repeated_message_is_shown_once(browser: Any) -> None:
    amount = {"kind": "detection", **HEAD, "amount": "500", "currency": "INR", "today": 1}
    found = device(browser, [("detection", amount, False, NOW_MS)] * 3)
    assert len(found["events"]) == 1
    assert found["last"] == {"amount": "500", "currency": "INR", "at_ms": NOW_MS}


def test_what_is_kept_of_a_device_and_how_many_devices_is_bounded(browser: Any) -> None:
    hints = [("event", {"kind": "hint", **HEAD, "seq": seq, "hint": "closer"}, False, NOW_MS) for seq in range(1, 400)]
    found = device(browser, hints)
    assert [found["events"][0]["seq"], found["events"][-1]["seq"], len(found["events"])] == [350, 399, 50]
    body = """const one = new fleet.Fleet();
      for (let n = 0; n < 6000; n += 1) one.apply({ device: `d${n}`, kind: "availability", online: true }, true, 0);
      return [one.devices.size, one.ignored];"""
    assert script(browser, body) == [5000, 1000]


def test_a_device_whose_retained_availability_is_cleared_is_forgotten(browser: Any) -> None:
    messages = [("availability", "online", True, NOW_MS), ("availability", "", False, NOW_MS)]
    assert device(browser, messages) is None


@pytest.mark.parametrize(
    "address",
    ["#/", "#/?q=hall&sort=temperature&only=fault&fault=camera&down=1", "#/device/hall-pi", "#/device/a.b_c?only=gone"],
)
def test_an_address_names_a_view_and_a_view_its_address(browser: Any, address: str) -> None:
    assert script(browser, "return query.toHash(query.fromHash(given[0]));", address) == address


@pytest.mark.parametrize(
    "address", ["", "#", "#/device/+", "#/device/%2B", "#/device/a/b", "#/x?sort=__proto__&only=1"]
)
def test_an_address_that_names_nothing_is_the_usual_list(browser: Any, address: str) -> None:
    assert script(browser, "return query.toHash(query.fromHash(given[0]));", address) == "#/"


def test_a_list_begins_with_who_needs_attention_and_unknown_values_come_last(browser: Any) -> None:
    messages = []
    for name, online, heat, fault in [
        ("d10", "online", 40, False), ("d9", "online", 70, False), ("c", "offline", 50, False),
        ("b", "online", None, True),
    ]:  # fmt: skip
        stands = [{"part": "camera", "reason": "stopped", "detail": ""}] if fault else []
        messages += [
            (f"saynote/{name}/availability", online, True, NOW_MS),
            (f"saynote/{name}/health", health(temperature_c=heat), True, NOW_MS),
            (f"saynote/{name}/state", state(faults=stands), True, NOW_MS),
        ]
    body = (
        FLEET
        + """return given[1].map((hash) =>
      query.choose(one.devices.values(), query.fromHash(hash), given[2]).map(({ name }) => name).join(" "));"""
    )
    orders = {
        "#/": "c b d9 d10",
        "#/?sort=name": "b c d9 d10",
        "#/?sort=temperature": "d9 c d10 b",
        "#/?sort=temperature&down=1": "d10 c d9 b",
        "#/?only=well": "d9 d10",
        "#/?only=fault": "b",
        "#/?fault=camera": "b",
        "#/?fault=speaker": "",
        "#/?q=STOPPED+cam": "b",
        "#/?q=d1": "d10",
    }
    assert script(browser, body, messages, list(orders), NOW_MS) == list(orders.values())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"url": "ws://broker:9001", "prefix": "saynote"}, ""),
        ({"url": "wss://broker/mqtt", "prefix": "home/notes"}, ""),
        ({"url": "broker", "prefix": "saynote"}, "must look like"),
        ({"url": "https://broker", "prefix": "saynote"}, "must begin with ws"),
        ({"url": "ws://me:secret@broker", "prefix": "saynote"}, "fields of their own"),
        ({"url": "ws://broker", "prefix": "#"}, "must not contain"),
        ({"url": "ws://broker", "prefix": "a/"}, "must not contain"),
        ({"url": "ws://broker", "prefix": "saynote", "secure": True}, "wss://"),
        ({"url": "ws://localhost", "prefix": "saynote", "secure": True}, ""),
    ],
)
def test_a_mistake_in_what_was_entered_is_named(browser: Any, settings: dict[str, Any], words: str) -> None:
    secure = settings.pop("secure", False)
    found = script(browser, "return broker.mistake(given[0], given[1]);", settings, secure)
    assert (words in found) if words else found == ""


def test_a_month_has_thirty_days_that_end_with_the_newest_and_gaps_where_nothing_was_sent(browser: Any) -> None:
    days = [
        {"day": "2020-01-01", "detections": 9},
        {"day": "2026-09-01", "detections": 3},
        {"day": "2026-09-20", "detections": 7},
        {"day": "2026-09-31x", "detections": 7},
    ]
    body = """const { days } = wire.read("saynote/hall/summary", new TextEncoder().encode(given[0]), "saynote");
      const chart = trends.CHARTS[0], found = trends.columns(days, chart);
      return [found.map(({ day, values }) => [day, values[0]]), trends.sentence(chart, found)];"""
    found, words = script(browser, body, json.dumps({"kind": "summary", **HEAD, "days": days}))
    assert (len(found), found[0][0], found[-1]) == (30, "2026-08-22", ["2026-09-20", 7])
    assert [day for day, value in found if value is not None] == ["2026-09-01", "2026-09-20"]
    assert words == "read: 3 to 7, last 7; not sure: not sent (notes)."


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([("hall", "gone")], "hall is gone."),
        ([("hall", "gone"), ("shop", "well")], "hall is gone. shop is well again."),
        ([(str(n), "gone") for n in range(40)] + [("x", "fault")], "Of the devices, 40 are gone, 1 has a fault."),
    ],
)
def test_many_changes_are_spoken_as_a_number(browser: Any, found: list[tuple[str, str]], words: str) -> None:
    given = [{"name": name, "to": to} for name, to in found]
    assert script(browser, "return words.changes(given[0]);", given) == words


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ('words.money("500", "INR")', "₹500"),
        ('words.money("0.5", "EUR")', "€0.50"),
        ('words.money("20", "XTS")', "XTS\u00a020"),
        ('words.money("20", "")', "20"),
        ("words.span(59)", "59 s"),
        ("words.span(3 * 3600 + 120)", "3 h 2 min"),
        ("words.span(1e7)", "115 days 17 h"),
        ("words.ago(0, 80_000)", "just now"),
        ("words.ago(0, 7_200_000)", "2 h ago"),
        ('words.headline({ all: 1000, attention: 2 }, "connected")', "2 of 1,000 devices need attention"),
        ('words.headline({ all: 2, attention: 1 }, "connected")', "1 of 2 devices needs attention"),
        ('words.headline({ all: 3, attention: 0 }, "lost")', "Not connected: how the devices are is not known"),
    ],
)
def test_numbers_and_times_are_said_so_that_people_read_them(browser: Any, expression: str, words: str) -> None:
    assert script(browser, f"return {expression};") == words
