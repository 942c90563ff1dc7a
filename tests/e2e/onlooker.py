"""Somebody who looks at the dashboard in a headless Chromium while devices speak, and how soon it shows them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from deploy.pages import PageServer
from tests.e2e import chromium
from tests.e2e.chromium import sign_in, until

ROWS = "document.querySelectorAll('#rows tr').length"
# Devices whose last amount is this one or a later one: amounts count up here.
SINCE = (
    "[...document.querySelectorAll('#rows .amount')].filter(e => Number(e.textContent.match(/\\d+/)) >= {least}).length"
)
GONE = "document.querySelectorAll('#rows tr[data-need=gone]').length"


class Onlooker:
    """One page on a broker's WebSocket at this port of this machine."""

    def __init__(self, folder: Path, port: int) -> None:
        self._page = PageServer({"url": f"ws://127.0.0.1:{port}/mqtt", "prefix": "saynote", "connect": False})
        try:
            self._browser: Any = chromium.start(folder)
        except BaseException:  # a skip of pytest's too
            self._page.close()
            raise

    def sign_in(self, user: str, password: str) -> None:
        """Open the page and give it a name and a password."""
        self._browser.get(self._page.url)
        sign_in(self._browser, user, password)

    def shows(self, devices: int, least: int, patience_s: float, name: str) -> float:
        """Seconds until every device is listed, none as gone, each with an amount of `least` or more."""
        began_s = time.monotonic()
        heard = SINCE.format(least=least)
        until(self._browser, f"{ROWS} === {devices} && {GONE} === 0 && {heard} === {devices}", patience_s)
        took_s = time.monotonic() - began_s
        chromium.keep(self._browser, name)
        return took_s

    def close(self) -> None:
        """Go away."""
        self._browser.quit()
        self._page.close()
