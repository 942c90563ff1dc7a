"""Three nodes of NATS that speak MQTT, on this machine, and an account of what devices say while one of them is killed.

    make cloud-nats                 500 devices with the project's own outbox and publisher, and a node is killed
    make cloud-nats DEVICES=50

The dashboard's page looks on, in a headless Chromium that is connected to the very node that is killed.

Nodes run with deploy/cloud/nats/loopback.conf and the rights of users.conf. Devices and the reader come in through a
balancer, as they would in front of a real cluster; each device has a user, a disk and a connection of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import logging
import multiprocessing
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from edge.core import wire
from edge.core.messages import Decision, Health, Verdict
from edge.drivers.clock import SystemClock
from edge.drivers.mqtt import PahoBroker
from edge.outlets.outbox import Outbox
from edge.outlets.telemetry import Telemetry
from edge.settings import MqttConfig
from tests.e2e.field import Subscriber
from tests.e2e.onlooker import Onlooker

FOLDER = Path(__file__).parents[2] / "deploy" / "cloud" / "nats"
NODES = ("a", "b", "c")
FLEET, PASSWORD = "fleet", "secret-of-the-fleet"
TEMPLATE = "hall-pi"  # the device that users.conf shows
PATIENCE_S = 120.0
DRAIN_S = 900.0
MESSAGES = 20  # of each device, its reports while the page is looked at aside
SPREAD_S = 60.0  # within which a device says them
AT_ONCE = 125  # devices of one process
QUIET_S = 3.0  # after which no double comes any more
LOOKS = (
    "it was opened",
    "its node was killed, with what they said since",
    "the last amount was said, with the node back",
)
REPORT_S = 5.0  # between reports of a device while the page is looked at
SILENT_S = 90.0  # after which nothing comes any more: the cluster sends again after 30 s


def program() -> str:
    """nats-server, as pip has brought it."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise FileNotFoundError("nats-server is missing: it comes with the extra dev")
    return found


def users(names: list[str]) -> str:
    """users.conf as it ships, with an entry like the one it shows for each device."""
    text = (FOLDER / "users.conf").read_text(encoding="utf-8").replace("$FLEET_PASSWORD", f'"{PASSWORD}"')
    (entry,) = re.findall(rf'^    \{{ user: "{TEMPLATE}".*?\}} \}} \}}\n', text, re.S | re.M)
    entries = (entry.replace("$HALL_PI_PASSWORD", f'"{password_of(name)}"').replace(TEMPLATE, name) for name in names)
    return text.replace(entry, "".join(entries))


def password_of(name: str) -> str:
    """A device's."""
    return f"secret-of-{name}"


def free_ports(count: int) -> list[int]:
    """All different."""
    with contextlib.ExitStack() as held:
        found = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in found]


class Node:
    """One server, which can be killed and started again with what stands on its disk."""

    def __init__(self, name: str, folder: Path, cluster: dict[str, int]) -> None:
        self.name = name
        self._folder = folder
        self._monitor, client, self.mqtt, self.websocket = free_ports(4)
        routes = [f"nats://127.0.0.1:{port}" for other, port in cluster.items() if other != name]
        addresses = {"CLIENT": client, "CLUSTER": cluster[name], "MQTT": self.mqtt, "WEBSOCKET": self.websocket}
        self._environment = {
            **os.environ, "NODE": name, "STORE": str(folder / name), "ROUTE1": routes[0], "ROUTE2": routes[1],
            **{key: f"127.0.0.1:{port}" for key, port in addresses.items()},
        }  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Come up; `well` tells when it takes part."""
        command = [program(), "-c", str(self._folder / "loopback.conf"), "--http_port", str(self._monitor)]
        with (self._folder / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """As if its plug were pulled."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def well(self) -> bool:
        """Whether it serves, streams included."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._monitor}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class Cluster:
    """All nodes, for these devices."""

    def __init__(self, folder: Path, devices: list[str]) -> None:
        shutil.copy(FOLDER / "loopback.conf", folder)
        (folder / "users.conf").write_text(users(devices), encoding="utf-8")
        cluster = dict(zip(NODES, free_ports(len(NODES)), strict=True))
        self.nodes = {name: Node(name, folder, cluster) for name in NODES}
        for node in self.nodes.values():
            node.start()
        self.wait_until_well()

    def wait_until_well(self) -> None:
        """Until every node serves."""
        wait_until(lambda: all(node.well() for node in self.nodes.values()), "all nodes serve")

    def close(self) -> None:
        """End them."""
        for node in self.nodes.values():
            node.kill()


def wait_until(true: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Look again and again."""
    deadline_s = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline_s, f"never: {what}"
        time.sleep(0.1)


class Balancer:
    """Takes connections on one port and brings each to the next node that answers."""

    def __init__(self, targets: list[int]) -> None:
        self._targets, self._turn = targets, itertools.count()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024), self._loop
        ).result(10)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Let all go."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        first = next(self._turn)
        for number in range(len(self._targets)):
            target = self._targets[(first + number) % len(self._targets)]
            try:
                far, far_out = await asyncio.open_connection("127.0.0.1", target)
            except OSError:
                continue
            with contextlib.suppress(asyncio.CancelledError):  # we end
                await asyncio.gather(_pass_on(near, far_out), _pass_on(far, near_out))
            return
        near_out.close()


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
    sink.close()


class FleetReader(Subscriber):
    """Counts what it is told by name."""

    def __init__(self, port: int) -> None:
        self.payloads: dict[tuple[str, str, int], bytes] = {}
        self.doubled = self.two_payloads = 0
        self.last_s = time.monotonic()
        super().__init__(port, "reader", (FLEET, PASSWORD), PATIENCE_S)

    def _take(self, message: Any) -> None:
        if message.topic.endswith("/availability"):
            return
        self.last_s = time.monotonic()
        try:
            payload = wire.decode(message.payload)
        except ValueError:
            return  # not of our devices
        if payload.seq is None:
            return  # past the outbox: only the latest matters
        name = (payload.device, payload.run, payload.seq)
        self.doubled += name in self.payloads
        self.two_payloads += self.payloads.setdefault(name, message.payload) != message.payload

    def silent_s(self) -> float:
        """Since the last message."""
        return time.monotonic() - self.last_s


class NumberedOutbox(Outbox):
    """An Outbox that tells how many messages it has taken."""

    def numbered(self) -> int:
        """So many have been given a number."""
        return self._seq


class LoadDevice:
    """What a device is to its broker: outbox on the disk, publisher, paho, and a user of its own."""

    def __init__(self, name: str, port: int, folder: Path) -> None:
        self.name = name
        source = wire.Source(name, "run", "0.1.0", "XTS", "play 1.0.0", "ab" * 32)
        config = MqttConfig(enabled=True, host="127.0.0.1", port=port, username=name)
        topics = wire.Topics("saynote", name)
        self.outbox = NumberedOutbox(folder / f"{name}.db", 10_000)
        self.broker = PahoBroker(config, password_of(name), topics.availability(), wire.OFFLINE, patience_s=10.0)
        self.telemetry = Telemetry(
            self.outbox, self.broker, SystemClock(), topics, source, delays=lambda: itertools.repeat(1.0)
        )
        self.broker.on_connect = self.telemetry.connected
        self.telemetry.start()

    def say(self, number: int) -> None:
        """A report at first, then amounts that count up."""
        event = (
            Health(1.0, 1, 1, 1, {})
            if number == 0
            else Decision(Verdict.AMOUNT, number, 1.0, number, str(number), 0.9, 6)
        )
        assert self.telemetry.offer(event)

    def close(self) -> None:
        """Stop as the daemon does."""
        self.telemetry.close()
        self.broker.close()
        self.outbox.close()


@dataclass(frozen=True)
class Load:
    """What came of it."""

    devices: int
    acknowledged: int  # and so deleted from the devices' disks
    arrived: int  # different ones
    doubled: int
    two_payloads: int
    given_up: int  # counted by the devices as lost
    took_s: float
    seen: tuple[float, ...] = ()  # seconds until the page showed all: opened, the node killed, brought back

    @property
    def lost(self) -> int:
        """Acknowledged and never seen by the reader."""
        return self.acknowledged - self.arrived


def names(count: int) -> list[str]:
    """Of devices."""
    return [f"device-{number:04}" for number in range(1, count + 1)]


@contextlib.contextmanager
def running(folder: Path, count: int) -> Iterator[tuple[Cluster, Balancer]]:
    """A cluster for so many devices, with what stands before it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    cluster = Cluster(folder, names(count))
    balancer = Balancer([node.mqtt for node in cluster.nodes.values()])
    try:
        yield cluster, balancer
    finally:
        balancer.close()
        cluster.close()


def speak(numbers: range, port: int, folder: Path, told: Connection) -> None:
    """A process with these devices, a turn for each number from `told`; after None, how many messages were given up.

    A process of its own, for no more than `AT_ONCE` of them: paho waits with select(), which knows 1024 files.
    """
    logging.disable()  # each of them says that a node has gone
    devices = [LoadDevice(names(number)[-1], port, folder) for number in numbers]
    written = 0
    while (number := told.recv()) is not None:
        for device in devices:
            device.say(number)
        written += len(devices)
    wait_until(lambda: sum(device.outbox.numbered() for device in devices) == written, "all is written down")
    wait_until(lambda: not any(device.outbox.waiting() for device in devices), "all outboxes are empty", DRAIN_S)
    told.send(sum(device.outbox.lost() for device in devices))
    for device in devices:
        device.close()


@contextlib.contextmanager
def speaking(folder: Path, count: int, port: int) -> Iterator[list[Connection]]:
    """Processes with so many devices among them."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for first in range(1, count + 1, AT_ONCE):
        near, far = context.Pipe()
        numbers = range(first, min(first + AT_ONCE, count + 1))
        processes.append(context.Process(target=speak, args=(numbers, port, folder, far), daemon=True))
        processes[-1].start()
        pipes.append(near)
    try:
        yield pipes
    finally:
        for process in processes:
            process.join(30)
            process.kill()


def load(
    folder: Path, count: int, cluster: Cluster, port: int, spread_s: float = SPREAD_S, page: Onlooker | None = None
) -> Load:
    """Let them speak; kill a node after a third of the time, and bring it back after two thirds."""
    reader = FleetReader(port)
    victim = cluster.nodes[NODES[0]]
    began_s, rounds = time.monotonic(), 0
    seen: list[float] = []
    with contextlib.closing(reader), speaking(folder, count, port) as pipes, ThreadPoolExecutor(1) as pool:

        def say(number: int) -> None:
            nonlocal rounds
            rounds += 1
            for pipe in pipes:
                pipe.send(number)

        def look(least: int, name: str) -> None:
            """Until the page shows it, devices report, as they do all day."""
            if page is None:
                return
            found = pool.submit(page.shows, count, least, DRAIN_S, f"nats-{count}-{name}")
            while not wait([found], REPORT_S).done:
                say(0)
            seen.append(found.result())

        for number in range(MESSAGES):
            if number == MESSAGES // 3:
                if page is not None:
                    page.sign_in(FLEET, PASSWORD)
                look(1, "before")
                victim.kill()
            if number == 2 * MESSAGES // 3:
                victim.start()
            say(number)
            if number == MESSAGES // 3:
                look(number, "killed")  # only what was said since then counts
            time.sleep(spread_s / MESSAGES)
        look(MESSAGES - 1, "back")
        for pipe in pipes:
            pipe.send(None)
        given_up = sum(pipe.recv() for pipe in pipes)
        acknowledged = count * rounds - given_up
        wait_until(lambda: len(reader.payloads) >= acknowledged or reader.silent_s() > SILENT_S, "it ends", DRAIN_S)
        took_s = time.monotonic() - began_s
        cluster.wait_until_well()
        wait_until(lambda: reader.silent_s() > QUIET_S, "no double comes any more")
        arrived = len(reader.payloads)
        return Load(count, acknowledged, arrived, reader.doubled, reader.two_payloads, given_up, took_s, tuple(seen))


def main() -> int:
    """Load a cluster as the command line asks, and say what came of it."""
    parser = argparse.ArgumentParser(description="devices at three nodes of NATS, one of which is killed")
    parser.add_argument("--devices", type=int, default=500)
    count = parser.parse_args().devices
    with tempfile.TemporaryDirectory(prefix="saynote-nats-") as name:
        folder = Path(name)
        with running(folder, count) as (cluster, balancer), contextlib.ExitStack() as closing:
            # Its first connection goes to the first node, which is the one that is killed.
            pages = Balancer([node.websocket for node in cluster.nodes.values()])
            closing.callback(pages.close)
            page = Onlooker(folder / "chromium", pages.port)
            closing.callback(page.close)
            found = load(folder, count, cluster, balancer.port, page=page)
    print(  # noqa: T201 -- this is what it is for
        f"{found.devices} devices, one of three nodes killed and brought back: {found.acknowledged} messages "
        f"acknowledged in {found.took_s:.0f} s, {found.arrived} arrived, {found.lost} acknowledged and lost, "
        f"{found.doubled} arrived again, {found.two_payloads} names with two payloads, "
        f"{found.given_up} given up by devices\nThe page showed all {found.devices} "
        + "; ".join(f"{took_s:.1f} s after {what}" for took_s, what in zip(found.seen, LOOKS, strict=True))
    )
    return 0 if found.lost == found.two_payloads == found.given_up == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
