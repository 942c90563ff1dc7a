"""Owns what a test asks of a device in a box: its settings, what it has said, what it sends; and how it is deployed."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.core.speech import PHRASES
from tests.deploy.sshd import free_port
from tests.e2e.field import Reader
from tests.e2e.pi.checkout import Checkout
from tests.e2e.pi.machine import Machine
from tests.e2e.pi.rootfs import PYTHON

HEARD = "/var/lib/saynote/heard.wav"
PACKAGES = f"/opt/saynote/current/venv/lib/python{PYTHON}/site-packages"
PLAY_MONEY = f"{PACKAGES}/edge/replays/xts"
READY_S = 90.0
# A first settings file: there is no card to hear, no button to press.
QUIET = f'[voice]\ndriver = "wav"\npath = "{HEARD}"\n[button]\ndriver = "none"\n'
ON_PLAY_MONEY = f'[camera]\ndriver = "files"\npath = "{PLAY_MONEY}"\nrepeat = true\n[model]\nbundle = "xts"\n'
OPTIONS = ("--target", "debian")


@dataclass
class Device:
    """A machine with saynote on it, and the wheels that its releases need."""

    machine: Machine
    wheels: Path

    @property
    def ssh_config(self) -> Path:
        """How it is reached."""
        return self.machine.folder / "ssh_config"

    def settle(self, *tables: str) -> None:
        """Write its settings; what runs is not restarted."""
        text = base64.b64encode("\n".join(tables).encode()).decode()
        self.machine.sh(f"mkdir -p /etc/saynote && echo {text} | base64 -d >/etc/saynote/edge.toml")

    def restart(self) -> None:
        """As its owner does after a change of the settings."""
        self.machine.sh("systemctl restart saynote")

    def deploy(self, checkout: Checkout, *install: str) -> tuple[int, str]:
        """Send the release of `checkout`, with further options of install.sh."""
        words = (*OPTIONS, "--wheels", str(self.wheels), "--", "--no-apt", *install)
        return checkout.send(self.machine.name, self.ssh_config, *words)

    def order(self, action: str, checkout: Checkout, *words: str) -> tuple[int, str]:
        """Any other of the things that can be done."""
        return checkout.send(self.machine.name, self.ssh_config, "--action", action, *words)

    def is_ready(self) -> bool:
        """Whether the daemon has said so to systemd, and is up."""
        return self.machine.asked("ActiveState")["ActiveState"] == "active"

    def wait_until_ready(self, deadline_s: float = READY_S) -> None:
        """Wait for that."""
        self.machine.until(self.is_ready, deadline_s, "the service is ready")

    def status(self) -> str:
        """The line that it tells systemd."""
        return self.machine.asked("StatusText")["StatusText"]

    def pid(self) -> int:
        """Of its main process; 0 where it has none."""
        return int(self.machine.asked("MainPID")["MainPID"])

    def says(self, phrase: str) -> bool:
        """Whether the sound that it has made holds that phrase, as the same device renders it."""
        return self.hears(PHRASES[phrase])

    def hears(self, text: str) -> bool:
        """Whether anybody beside it would have heard that text, word by word as here."""
        return is_in(self._sound(HEARD), self._rendered(text))

    def _rendered(self, text: str) -> np.ndarray:
        file = "/tmp/rendered.wav"
        self.machine.sh(
            f'printf \'[voice]\\ndriver = "wav"\\npath = "{file}"\\n\' >/tmp/render.toml\n'
            f"/opt/saynote/current/venv/bin/saynote say '{text}' --config /tmp/render.toml"
        )
        return self._sound(file)

    def _sound(self, file: str) -> np.ndarray:
        data = base64.b64decode(self.machine.says(f"base64 -w0 {file}"))
        with contextlib.closing(wave.open(io.BytesIO(data))) as sound:
            return np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(np.float64)


def is_in(sound: np.ndarray, phrase: np.ndarray) -> bool:
    """Whether `phrase` stands somewhere in `sound`, sample by sample: the correlation there is one."""
    phrase = np.trim_zeros(phrase)
    if phrase.size == 0 or sound.size < phrase.size:
        return False
    size = 1 << (sound.size + phrase.size).bit_length()
    overlap = np.fft.irfft(np.fft.rfft(sound, size) * np.conj(np.fft.rfft(phrase, size)), size)
    sums = np.concatenate([[0.0], np.cumsum(sound**2)])
    energy = sums[phrase.size :] - sums[: -phrase.size]
    places = overlap[: energy.size] / np.sqrt(np.maximum(energy, 1.0) * np.sum(phrase**2))
    return bool(places.max() > 0.98)


class Broker:
    """A real mosquitto on our side of the cable, and a reader of all that comes."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._conf = folder / f"mosquitto-{self.port}.conf"
        self._conf.write_text(
            f"listener {self.port} 127.0.0.1\nlistener {self.port} {machine.ours}\nallow_anonymous true\n"
            # What a device sends before the reader is back is kept for it.
            f"persistence true\npersistence_location {folder}/\nuser root\n"
        )
        self.settings = f'[mqtt]\nenabled = true\nhost = "{machine.ours}"\nport = {self.port}\ndevice_id = "pi"\n'
        self.start()
        self.reader = Reader(self.port)

    def start(self) -> None:
        """Begin to listen."""
        program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")
        assert program is not None, "mosquitto is not installed"
        self._process = subprocess.Popen([program, "-c", str(self._conf)], stderr=subprocess.DEVNULL)
        end_s = time.monotonic() + 120
        while not self._answers():
            assert time.monotonic() < end_s, "mosquitto does not listen"
            time.sleep(0.05)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
            return True
        return False

    def stop(self) -> None:
        """Be gone."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def detections(self) -> list[tuple[int, str]]:
        """Number and amount of each, in the order in which they came."""
        found = [json.loads(data) for topic, data, _ in list(self.reader.messages) if topic.endswith("/detection")]
        return [(each["seq"], each["amount"]) for each in found]

    def close(self) -> None:
        """Leave nothing behind."""
        self.reader.close()
        self.stop()


@contextlib.contextmanager
def broker(machine: Machine, folder: Path) -> Iterator[Broker]:
    """One that ends with the test."""
    running = Broker(machine, folder)
    try:
        yield running
    finally:
        running.close()


def is_settled(device: Device, name: str, seconds: float) -> bool:
    """Whether the release of that name is in use and stays up for so long."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        if device.machine.release != name or not device.is_ready():
            return False
        time.sleep(1)
    return True
