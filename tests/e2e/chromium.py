"""Debian's Chromium without a screen, steered by selenium, and ways to wait for what a page shows."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

PATIENCE_S = 60
QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1200,900",
)  # fmt: skip


def start(folder: Path) -> Any:
    """A browser with an empty profile in `folder`; skips the test where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium comes with the dev extra")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("Chromium is not installed: sudo apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*QUIET, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    browser.set_script_timeout(PATIENCE_S)
    return browser


def until(browser: Any, true: str, patience_s: float = PATIENCE_S) -> Any:
    """Wait until the page says that the expression is true; its value."""
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, patience_s, poll_frequency=0.1).until(
        lambda page: page.execute_script(f"return ({true})"), f"never: {true}"
    )


def call(browser: Any, module: str, function: str, *arguments: Any) -> Any:
    """What an exported function of a module of the page returns for these arguments."""
    script = """const [module, name, given, done] = arguments;
        import(new URL(`js/${module}`, document.baseURI)).then((found) => done({ value: found[name](...given) }))
          .catch((error) => done({ error: String(error.stack) }));"""
    told = browser.execute_async_script(script, module, function, list(arguments))
    assert "error" not in told, told["error"]
    return told["value"]


def look(browser: Any, *, width: int = 1200, height: int = 900, scheme: str = "light") -> None:
    """Show the page at this size, in light or dark colours."""
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def sign_in(browser: Any, user: str, password: str) -> None:
    """Fill in the dashboard's form and send it."""
    for name, text in (("user", user), ("password", password)):
        field = browser.find_element("id", name)
        field.clear()
        field.send_keys(text)
    field.submit()


def keep(browser: Any, name: str) -> None:
    """A picture for people to look at, where SAYNOTE_SCREENSHOTS names a folder."""
    if folder := os.environ.get("SAYNOTE_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.png").write_bytes(browser.get_screenshot_as_png())
