"""Owns `make dashboard`: a broker, devices and the page, on this machine's loopback only, until Ctrl-C.

Three devices are the real daemon over the recording of play money that ships, again and again. With `--devices 1000`
they are a simulated crowd instead. Everything it writes lies in a folder of its own that goes with it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from deploy.bootstrap import SYSTEM_FOLDERS
from deploy.crowd import Crowd
from deploy.pages import PageServer
from edge.app import REPLAY

NAMES = ("hall", "kitchen", "shop")
PORT = 8738
START_S = 20.0
END_S = 5.0
LOG = "log.txt"
BROKER = """\
persistence false
log_dest stderr
log_type error
log_type warning
allow_anonymous true
max_queued_messages 0
message_size_limit 65536
listener {mqtt} 127.0.0.1
listener {websocket} 127.0.0.1
protocol websockets
"""
DEVICE = """\
[camera]
driver = "files"
path = "{replay}"
repeat = true
[model]
bundle = "xts"
threads = 1
[voice]
driver = "none"
[button]
driver = "none"
[mqtt]
enabled = true
host = "127.0.0.1"
port = {port}
device_id = "{name}"
[health]
interval_s = {interval_s}
"""


class DemoError(Exception):
    """The demonstration cannot start; `str()` says why and what to do."""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make dashboard", description="The dashboard with devices to look at.")
    parser.add_argument("--port", type=int, default=PORT, help="of the page; 0 takes any free one")
    parser.add_argument("--devices", type=int, default=0, help="so many simulated ones instead of three real daemons")
    parser.add_argument("--interval", type=float, default=10.0, help="seconds between two reports of a real daemon")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C; the exit code."""
    given = parse(arguments)
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    try:
        with show(given.port, given.devices, given.interval) as demo:
            _say(f"saynote: the dashboard is at {demo.page.url}  (Ctrl-C ends it)")
            _say(f"  {demo.about}; broker on 127.0.0.1:{demo.mqtt}, its WebSocket at ws://127.0.0.1:{demo.websocket}")
            demo.watch(stop)
        _say("saynote: ended.")
    except DemoError as error:
        sys.stderr.write(f"saynote: {error}\n")
        return 1
    return 0


class Demo:
    """What has been started, and where to reach it."""

    def __init__(self, page: PageServer, mqtt: int, websocket: int) -> None:
        self.page, self.mqtt, self.websocket = page, mqtt, websocket
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.about = ""
        self.crowd: Crowd | None = None
        self.logs: dict[str, Path] = {}

    def _said(self, name: str) -> str:
        lines = self.logs[name].read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        return "".join(f"\n    {line}" for line in lines)

    def watch(self, stop: threading.Event) -> None:
        """Return when `stop` is set; DemoError when one of the programs has ended by itself."""
        with self._speaking(stop):
            self._until(stop)

    @contextlib.contextmanager
    def _speaking(self, stop: threading.Event) -> Iterator[None]:
        crowd = threading.Thread(target=self.crowd.run, args=(stop,)) if self.crowd else None
        if crowd:
            crowd.start()
        try:
            yield
        finally:
            stop.set()
            if crowd:
                crowd.join()

    def _until(self, stop: threading.Event) -> None:
        while not stop.wait(0.5):
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise DemoError(f"{name} has ended by itself with code {process.returncode}.{self._said(name)}")


@contextlib.contextmanager
def show(port: int, devices: int, interval_s: float) -> Iterator[Demo]:
    """Broker, devices and page, all ended afterwards. DemoError where one cannot start."""
    _allow_many_files()
    with tempfile.TemporaryDirectory(prefix="saynote-dashboard-") as name, contextlib.ExitStack() as closing:
        folder = Path(name)
        mqtt, websocket = free_port(), free_port()
        broker = closing.enter_context(_program("mosquitto", start_broker(folder, mqtt, websocket)))
        _wait_for([mqtt, websocket], broker)
        page = _open_page(port, websocket)
        closing.callback(page.close)
        demo = Demo(page, mqtt, websocket)
        demo.processes["mosquitto"], demo.logs["mosquitto"] = broker, folder / LOG
        if devices > 0:
            demo.crowd = Crowd(mqtt, devices)
            closing.callback(demo.crowd.close)
            demo.about = f"{devices} simulated devices"
        else:
            for device in NAMES:
                process = start_device(folder, device, mqtt, interval_s)
                demo.processes[device] = closing.enter_context(_program(device, process))
                demo.logs[device] = folder / device / LOG
            demo.about = f"devices {', '.join(NAMES)} look at play money"
        yield demo


def start_broker(folder: Path, mqtt: int, websocket: int) -> subprocess.Popen[bytes]:
    """mosquitto for anybody on this machine: what it carries is play money."""
    path = shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_FOLDERS}")
    if path is None:
        raise DemoError("mosquitto is missing. Please run:  sudo apt-get install -y mosquitto")
    settings = folder / "mosquitto.conf"
    settings.write_text(BROKER.format(mqtt=mqtt, websocket=websocket), encoding="utf-8")
    return _start([path, "-c", str(settings)], folder)


def start_device(folder: Path, name: str, port: int, interval_s: float) -> subprocess.Popen[bytes]:
    """The daemon, as it runs on a device, with a recording for an eye and nothing else around it."""
    settings, state = folder / f"{name}.toml", folder / name
    state.mkdir()
    text = DEVICE.format(replay=REPLAY, port=port, name=name, interval_s=interval_s)
    settings.write_text(text, encoding="utf-8")
    return start_daemon(settings, state)


def start_daemon(settings: Path, state: Path) -> subprocess.Popen[bytes]:
    """The daemon with these settings; what it says is in a file of `state`."""
    command = [sys.executable, "-m", "edge", "run", "--config", str(settings)]
    return _start(command, state, STATE_DIRECTORY=str(state))


def _start(command: list[str], log: Path, **more: str) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C comes to us alone, and we end them in order.
    project = Path(__file__).resolve().parent.parent
    with (log / LOG).open("wb") as file:
        return subprocess.Popen(
            command, cwd=project, env={**os.environ, **more}, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip


@contextlib.contextmanager
def _program(name: str, process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Ends it afterwards, for certain."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            _say(f"  {name} did not end when asked; it was killed")
            process.kill()
            process.wait()


def _open_page(port: int, websocket: int) -> PageServer:
    try:
        return PageServer({"url": f"ws://127.0.0.1:{websocket}", "prefix": "saynote", "connect": True}, port)
    except OSError as error:
        raise DemoError(
            f"port {port} cannot be used ({error.strerror}). Another one: make dashboard PORT=8739"
        ) from error


def free_port() -> int:
    """One that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        number: int = found.getsockname()[1]
        return number


def _wait_for(ports: list[int], broker: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + START_S
    for port in ports:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if broker.poll() is not None or time.monotonic() > deadline_s:
                    raise DemoError("mosquitto does not start; `mosquitto -v` says more") from None
                time.sleep(0.05)


def _allow_many_files() -> None:
    """A thousand connections here and in the broker, which inherits the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
