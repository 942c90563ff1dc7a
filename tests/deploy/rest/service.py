"""The service as its owner starts it, a client of the standard library, and one that asks as many things at a time."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.demo import free_port

PROJECT = Path(__file__).parents[3]
PATIENCE_S = 90.0


@dataclass
class Told:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def first(self) -> Any:
        return self.json["answers"][0]


class Service:
    """One process of `python -m deploy.rest` on play money."""

    def __init__(self, folder: Path, *options: str, env: Mapping[str, str] | None = None) -> None:
        self.port, self.log = free_port(), folder / "service.log"
        command = [sys.executable, "-m", "deploy.rest", "--port", str(self.port)]
        if "--bundle" not in options:
            command += ["--bundle", "xts"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *options], stdout=log, stderr=log, cwd=PROJECT, env={**os.environ, **(env or {})}
            )
        self._until_ready()

    def _until_ready(self) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if self.ask("GET", "/readyz").status == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"it is not ready: {self.log.read_text()}")

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Told:
        """One request; `content_type` is the header Content-Type."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return Told(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def classify(self, data: bytes, **headers: str) -> Told:
        """One picture as it is."""
        return self.ask("POST", "/v1/classify", data, **{"content_type": "application/octet-stream", **headers})

    def classify_all(self, files: Sequence[tuple[str, bytes]], **headers: str) -> Told:
        """Several, as a form."""
        kind, body = form(files)
        return self.ask("POST", "/v1/classify", body, content_type=kind, **headers)

    def lines(self) -> list[dict[str, Any]]:
        """What it logged as JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def memory_bytes(self) -> int:
        """Resident, at its highest."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))

    def spent_s(self) -> float:
        """Processor time so far, of all its threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> int:
        """End it as its supervisor does; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def form(files: Sequence[tuple[str, bytes]]) -> tuple[str, bytes]:
    """Content type and body of a form with these files."""
    body = b"".join(
        b'--edge\r\nContent-Disposition: form-data; name="picture"; filename="%b"\r\n\r\n%b\r\n'
        % (urllib.parse.quote(name, safe=" ./\\<>").encode(), data)
        for name, data in files
    )
    return "multipart/form-data; boundary=edge", body + b"--edge--\r\n"


HEAD = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: image/jpeg\r\n"


def request(service: Service, *pieces: bytes, patience_s: float = 30.0) -> bytes:
    """What comes back for raw bytes, until the other side ends."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=patience_s) as connection:
        found = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
            while more := connection.recv(65_536):
                found += more
        except ConnectionError:
            pass
        return found


def status(answer: bytes) -> int:
    """Of raw bytes that came back."""
    return int(answer.split(b" ", 2)[1])


@dataclass
class Load:
    """What many clients at once were told."""

    took_s: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    verdicts: list[tuple[int, str]] = field(default_factory=list)  # number of the picture, what was said to it
    refused: int = 0  # connections
    lost: list[str] = field(default_factory=list)  # requests whose connection stood, and which got no answer

    def percentile_s(self, share: float) -> float:
        """So many of the answers took no longer."""
        return sorted(self.took_s)[min(len(self.took_s) - 1, int(share * len(self.took_s)))]


async def press(
    port: int,
    pictures: Sequence[bytes],
    clients: int,
    stop: asyncio.Event,
    *,
    keep_alive: bool = True,
    load: Load | None = None,
) -> Load:
    """So many clients, each with one request after another until `stop`, none cut off; `load` is filled meanwhile."""
    load = load or Load()

    async def client(number: int) -> None:
        pair: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not stop.is_set():
            number += 1
            if pair is None:
                try:
                    pair = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    load.refused += 1
                    return
            which = number % len(pictures)
            started_s = time.perf_counter()
            try:
                status, closing, body = await _ask(*pair, pictures[which])
            except (OSError, asyncio.IncompleteReadError) as error:
                load.lost.append(repr(error))
                return
            load.took_s.append(time.perf_counter() - started_s)
            load.statuses.append(status)
            if status == 200:
                load.verdicts.append((which, json.loads(body)["answers"][0]["said"] or ""))
            if closing or not keep_alive:
                pair[1].close()
                pair = None

    await asyncio.gather(*(client(number) for number in range(clients)))
    return load


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> tuple[int, bool, bytes]:
    head = b"POST /v1/classify HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    writer.write(head % len(data) + data)
    await writer.drain()
    answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(answer.split("content-length: ")[1].split("\r\n")[0])
    return int(answer.split(" ")[1]), "connection: close" in answer, await reader.readexactly(length)
