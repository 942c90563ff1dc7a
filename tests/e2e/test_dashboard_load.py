"""The page with a thousand devices: how soon the list is there and an update shown, what an hour of theirs costs.

`make dashboard-load` measures and prints; it is not part of `make test`, where other tests share the processors.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from deploy import demo
from deploy.crowd import Crowd
from tests.e2e import chromium
from tests.e2e.chromium import until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(900),
    pytest.mark.skipif("SAYNOTE_LOAD" not in os.environ, reason="measured by make dashboard-load, on a quiet machine"),
]

DEVICES = 1000
HOUR_S = 3600.0
SPEED = 30.0  # times life: the hour takes two minutes
LIST_S, UPDATE_S = 2.0, 1.0
MEGABYTE = 1_000_000
ROWS = "document.querySelectorAll('#rows tr').length"
KNOWN = "[...document.querySelectorAll('#rows .temperature span:last-child')].filter(e => e.textContent !== '–').length"
LISTED = f"""window.listed = 0;
(function look() {{
  if ({ROWS} === {DEVICES} && {KNOWN} === {DEVICES}) window.listed = performance.now();
  else setTimeout(look, 20);
}})();"""
WATCH = """window.seen = new Map();
new MutationObserver((changes) => { for (const { target } of changes)
  if (/^\\d+ °C$/.test(target.data ?? '')) window.seen.set(target.data, performance.timeOrigin + performance.now()); })
  .observe(document.getElementById('rows'), { subtree: true, characterData: true });"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    started = chromium.start(tmp_path_factory.mktemp("chromium"))
    yield started
    started.quit()


def measured(browser: Any) -> tuple[float, int]:
    """Megabytes of the page's objects that are in use, and its elements, after the rubbish was collected."""
    browser.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    told = {one["name"]: one["value"] for one in browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]}
    return told["JSHeapUsedSize"] / MEGABYTE, int(told["Nodes"])


def first_list_s(browser: Any, url: str) -> float:
    """Seconds from the call of the address until every device has its row and its report in it, best of five."""
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": LISTED})
    took = []
    for _ in range(5):
        browser.get("about:blank")
        browser.get(url)
        took.append(until(browser, "window.listed") / 1000)
    browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    return min(took)


def update_s(browser: Any, crowd: Crowd) -> list[float]:
    """Seconds from the sending of a report until its temperature is seen in the row, for devices here and there."""
    browser.execute_script(WATCH)
    took = []
    for number in range(50, 1000, 50):
        device = crowd.devices[number]
        if device.name not in crowd.lines:
            continue
        heat_c = 100 + number // 50
        health = device.health(crowd.now_s()).replace(
            b'"temperature_c": ', f'"temperature_c": {heat_c}, "x": '.encode()
        )
        sent_s = time.time()
        crowd.say(device, "health", health)
        took.append(until(browser, f"window.seen.get('{heat_c} °C')") / 1000 - sent_s)
    return took


def test_a_thousand_devices_are_listed_and_updated_in_time_and_an_hour_of_theirs_costs_no_memory(browser: Any) -> None:
    browser.execute_cdp_cmd("Performance.enable", {})
    with demo.show(0, DEVICES, 10.0) as shown:
        assert shown.crowd is not None
        list_s = first_list_s(browser, shown.page.url)
        updates = update_s(browser, shown.crowd)
        shown.crowd.close()
        before = measured(browser)
        crowd = Crowd(shown.mqtt, DEVICES, speed=SPEED)
        samples, busy = an_hour(browser, crowd)
    print_figures(list_s, updates, before, samples, crowd, busy)
    assert list_s <= LIST_S
    assert max(updates) <= UPDATE_S
    first, last = samples[len(samples) // 4], samples[-1]
    assert last[0] - first[0] < 5, "megabytes more after three quarters of an hour"
    assert abs(last[1] - first[1]) < 2000, "elements"


def an_hour(browser: Any, crowd: Crowd) -> tuple[list[tuple[float, int]], float]:
    """Megabytes and elements every five simulated minutes, and the share of the time that the page was busy."""
    stop = threading.Event()
    speaking = threading.Thread(target=crowd.run, args=(stop, HOUR_S))
    speaking.start()
    samples, began_s = [], time.monotonic()
    try:
        while speaking.is_alive():
            samples.append(measured(browser))
            speaking.join(300 / SPEED)
        told = {one["name"]: one["value"] for one in browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]}
        busy = told["TaskDuration"] / (told["Timestamp"] - told["NavigationStart"])
        samples.append(measured(browser))
    finally:
        stop.set()
        speaking.join()
        crowd.close()
    assert time.monotonic() - began_s < 2 * HOUR_S / SPEED
    return samples, busy


def print_figures(
    list_s: float,
    updates: list[float],
    before: tuple[float, int],
    samples: list[tuple[float, int]],
    crowd: Crowd,
    busy: float,
) -> None:
    ordered = sorted(updates)
    heap = ", ".join(f"{megabytes:.1f}" for megabytes, _ in samples)
    sys.stdout.write(
        f"\n{DEVICES} devices, page in headless Chromium, mosquitto on this machine "
        f"(load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors)\n"
        f"  first whole list        {list_s:.2f} s (at most {LIST_S})\n"
        f"  an update is shown in   {ordered[len(ordered) // 2]:.2f} s (median), {ordered[-1]:.2f} s at worst of "
        f"{len(ordered)} (at most {UPDATE_S})\n"
        f"  an hour, {SPEED:.0f} times as fast as life: {crowd.messages} messages, the page busy "
        f"{busy:.0%} of the time\n"
        f"  megabytes in use, every 5 minutes: {before[0]:.1f} before, then {heap}\n"
        f"  elements: {samples[0][1]} at first, {samples[-1][1]} at last\n"
    )
