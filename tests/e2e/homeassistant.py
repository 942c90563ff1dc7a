"""A real Home Assistant in an environment of its own, set up as its owner would, and asked as its page asks it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.demo import free_port

VERSION = "2024.3.3"  # the last for Python 3.11
# What its components import beside what it requires itself; it names their versions in a file of its own.
CONSTRAINED = (
    "aiohttp_cors", "aiohttp-fast-url-dispatcher", "aiohttp-zlib-ng", "home-assistant-frontend",
    "home-assistant-intents", "hassil", "janus", "mutagen", "paho-mqtt",
    "Pillow", "SQLAlchemy", "fnv-hash-fast", "psutil-home-assistant",
)  # fmt: skip
OTHERS = ("josepy<2", "securetar==2024.2.1", "numpy<2", "pip")  # of the cloud's certificates, of backups, of its stream
CACHE = Path(__file__).parents[2] / "runs" / "environments"
PATIENCE_S = 180.0
SETTINGS = """
homeassistant:
  name: Home
  time_zone: UTC
http:
  server_host: 127.0.0.1
  server_port: {port}
frontend:
mqtt:
logger:
  default: warning
"""


def environment() -> Path:
    """The folder of its environment, made once: some minutes and 500 MB."""
    if sys.version_info >= (3, 13):
        pytest.skip(f"Home Assistant {VERSION} does not run on Python 3.13, and those that do on nothing older")
    recipe = hashlib.sha256(repr((VERSION, CONSTRAINED, OTHERS, sys.version_info[:2])).encode()).hexdigest()[:8]
    folder = CACHE / f"homeassistant-{VERSION}-{recipe}"
    if (folder / "complete").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    uv = [sys.executable, "-m", "uv"]
    into = ["--quiet", "--python", str(folder / "bin" / "python")]
    _run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
    _run([*uv, "pip", "install", *into, f"homeassistant=={VERSION}"])
    [constraints] = folder.glob("lib/python*/site-packages/homeassistant/package_constraints.txt")
    _run([*uv, "pip", "install", *into, "--constraint", str(constraints), *CONSTRAINED, *OTHERS])
    (folder / "complete").touch()
    return folder


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stderr}"


class HomeAssistant:
    """One installation, in `folder`; its owner's name and password are their own."""

    def __init__(self, folder: Path) -> None:
        self._program, self._folder = environment() / "bin" / "hass", folder
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._tokens: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "configuration.yaml").write_text(SETTINGS.format(port=port))

    def start(self) -> None:
        """Start it and wait until it answers."""
        environment_ = {**os.environ, "HOME": str(self._folder)}
        command = [str(self._program), "--config", str(self._folder), "--skip-pip"]
        with (self._folder / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment_)
        self.until(lambda: self._ask("/api/onboarding") is not None or bool(self._tokens))

    def stop(self) -> None:
        """End it as its supervisor does."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def become_owner(self) -> None:
        """What whoever starts it first fills in."""
        page = {"client_id": f"{self.url}/"}
        person = {"name": "Owner", "username": "owner", "password": "a pass word", "language": "en"}
        given = self._ask("/api/onboarding/users", {**page, **person})
        assert given is not None
        code = {**page, "grant_type": "authorization_code", "code": given["auth_code"]}
        self._tokens = self._ask("/auth/token", code, form=True) or {}
        for step, said in (
            ("core_config", {}),
            ("analytics", {}),
            ("integration", {**page, "redirect_uri": f"{self.url}/"}),
        ):
            # It looks for integrations that need more than is here, says so, and is done all the same.
            self._ask(f"/api/onboarding/{step}", said)

    def connect(self, port: int) -> None:
        """Add the broker, as its page does."""
        flow = self._ask("/api/config/config_entries/flow", {"handler": "mqtt"})
        assert flow is not None
        broker = {"broker": "127.0.0.1", "port": port}
        made = self._ask(f"/api/config/config_entries/flow/{flow['flow_id']}", broker)
        assert made is not None
        assert made["type"] == "create_entry", made

    def states(self) -> dict[str, Any]:
        """Every entity's state and attributes, by its id."""
        return {state["entity_id"]: state for state in self._ask("/api/states") or []}

    def state(self, entity: str) -> str | None:
        """What it shows for an entity; None where there is none."""
        found = self.states().get(entity)
        return None if found is None else found["state"]

    def device_of(self, entity: str) -> str:
        """The id under which its page shows the entity's device."""
        return str(self._ask("/api/template", {"template": f"{{{{ device_id('{entity}') }}}}"}, text=True))

    def press(self, entity: str) -> None:
        """Press a button of its page."""
        assert self._ask("/api/services/button/press", {"entity_id": entity}) is not None

    def install(self, entity: str) -> None:
        """Press the button of an update."""
        assert self._ask("/api/services/update/install", {"entity_id": entity}) is not None

    def tokens_of_the_page(self) -> str:
        """What its page keeps in the browser of somebody who has signed in, as JSON."""
        kept = {"hassUrl": self.url, "clientId": f"{self.url}/", "expires": int((time.time() + 1800) * 1000)}
        return json.dumps({**self._tokens, **kept})

    def until(self, true: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Wait for it; with what it printed where it never comes."""
        deadline_s = time.monotonic() + patience_s
        while not true():
            output = (self._folder / "output.txt").read_text(errors="replace")[-3000:]
            assert time.monotonic() < deadline_s, f"never true\n{output}"
            assert self._process is None or self._process.poll() is None, f"it has ended\n{output}"
            time.sleep(0.3)

    def _ask(self, path: str, data: dict[str, Any] | None = None, *, form: bool = False, text: bool = False) -> Any:
        """What it answers, None for nothing or a refusal."""
        body = None
        if data is not None:
            body = urllib.parse.urlencode(data).encode() if form else json.dumps(data).encode()
        request = urllib.request.Request(f"{self.url}{path}", body)
        request.add_header("Content-Type", f"application/{'x-www-form-urlencoded' if form else 'json'}")
        if "access_token" in self._tokens:
            request.add_header("Authorization", f"Bearer {self._tokens['access_token']}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                body = answer.read()
        except OSError:  # urllib's errors, too
            return None
        return body.decode() if text else json.loads(body or b"null")
