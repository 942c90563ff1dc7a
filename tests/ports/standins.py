"""Stand-ins for what is not here, below the drivers: what a card, a camera stack or a broker would do."""

from __future__ import annotations

import contextlib
import copy
import os
import shutil
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, ClassVar

import cv2
import numpy as np
import pytest

from deploy.bootstrap import SYSTEM_FOLDERS
from edge.core.messages import Frame
from edge.drivers.v4l import Node

RED = (200, 10, 30)  # as RGB


def red_picture(width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), RED, np.uint8)


def red_frames(count: int) -> list[Frame]:
    return [Frame(seq, seq / 10, red_picture(), f"{seq}.png") for seq in range(count)]


def write_picture(file: Path, pixels: np.ndarray | None = None) -> Path:
    pixels = red_picture() if pixels is None else pixels
    good, data = cv2.imencode(file.suffix.lower(), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    assert good
    file.write_bytes(data.tobytes())
    return file


def write_recording(folder: Path, count: int, extra: str = "") -> Path:
    folder.mkdir()
    (folder / "recording.toml").write_text(f"frames_per_s = 10.0\n{extra}", encoding="utf-8")
    for number in range(count):
        write_picture(folder / f"{number:03}.png")
    return folder


def write_video(file: Path, count: int) -> Path:
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(count):
        writer.write(cv2.cvtColor(red_picture(), cv2.COLOR_RGB2BGR))
    writer.release()
    return file


def one_webcam() -> list[Node]:
    """The video nodes of a machine with one webcam."""
    return [Node(Path("/dev/video0"), "Webcam", pictures=True)]


class FakeCapture:
    """What cv2.VideoCapture does: a frame when one is fed, then False; BGR."""

    def __init__(self, opened: bool = True, ended: bool = False) -> None:
        self._opened = opened
        self._fed = threading.Semaphore(int(ended))
        self._ended = ended
        self.taken = threading.Semaphore(0)  # released each time the reader comes back for more
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802 -- OpenCV's name
        return self._opened

    def feed(self, frames: int = 1) -> None:
        for _ in range(frames):
            self._fed.release()

    def end(self) -> None:
        self._ended = True
        self._fed.release()

    def read(self) -> tuple[bool, Any]:
        self.taken.release()
        self._fed.acquire()
        return (False, None) if self._ended else (True, cv2.cvtColor(red_picture(), cv2.COLOR_RGB2BGR))

    def release(self) -> None:
        self.released = True


class FakePicamera2:
    """As much of picamera2 as the driver uses, with its habits: names of formats, jobs that time out, requests."""

    cameras: ClassVar[list[dict[str, Any]]] = [{"Model": "imx708"}]
    gives = ""  # the format, whatever is asked for: a camera at USB, of which no modes are known either
    tunings: ClassVar[dict[str, Any]] = {
        "imx708.json": {
            "version": 2.0,
            "algorithms": [
                {"rpi.black_level": {}},
                {
                    "rpi.agc": {
                        "channels": [
                            {
                                "exposure_modes": {
                                    "normal": {"shutter": [100, 15000, 30000, 60000], "gain": [1.0, 1.0, 2.0, 4.0]},
                                    "short": {"shutter": [100, 5000, 10000, 20000], "gain": [1.0, 2.0, 4.0, 8.0]},
                                }
                            }
                        ]
                    }
                },
            ],
        },
        "imx219.json": {
            "version": 1,
            "rpi.agc": {"exposure_modes": {"normal": {"shutter": [100, 66666], "gain": [1.0, 8.0]}}},
        },
    }
    autofocus = True
    in_use = False
    spoilt = False  # what comes as JPEG is half a picture
    opened: ClassVar[list[FakePicamera2]] = []

    def __init__(self, camera_num: int = 0, tuning: dict[str, Any] | None = None) -> None:
        if self.in_use:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.model = self.cameras[camera_num]["Model"]  # since 0.3.13 its own list is what it counts in
        self.sequence = 0
        self.held = 0  # requests that were not released
        self.stalled = self.started = self.closed = False
        self.flushed = 0
        self.configuration: dict[str, Any] = {}
        self.tuning = tuning
        self.sensor_modes = [
            {"size": (640, 480), "bit_depth": 10, "fps": 206.0, "crop_limits": (1000, 752, 1280, 960)},
            {"size": (1640, 1232), "bit_depth": 10, "fps": 41.8, "crop_limits": (0, 0, 3280, 2464)},
            {"size": (3280, 2464), "bit_depth": 10, "fps": 21.2, "crop_limits": (0, 0, 3280, 2464)},
        ]
        if self.gives:
            self.sensor_modes = [{"format": self.gives}]
        names = ["AeExposureMode", "FrameDurationLimits"] + self.autofocus * ["AfMode", "AfRange", "AfSpeed"]
        self.camera_controls = dict.fromkeys(names, (0, 10, 0))
        if self.autofocus:
            self.camera_controls["LensPosition"] = (0, 15, 1)
        self.opened.append(self)

    @classmethod
    def load_tuning_file(cls, name: str) -> dict[str, Any]:
        if name not in cls.tunings:
            raise RuntimeError("Tuning file not found")
        return copy.deepcopy(cls.tunings[name])

    @staticmethod
    def find_tuning_algo(tuning: dict[str, Any], name: str) -> dict[str, Any]:
        if tuning.get("version", 1) == 1:
            return tuning[name]
        return next(algorithm for algorithm in tuning["algorithms"] if name in algorithm)[name]

    @classmethod
    def global_camera_info(cls) -> list[dict[str, Any]]:
        return cls.cameras

    def create_video_configuration(self, **settings: Any) -> dict[str, Any]:
        unknown = set(settings["controls"]) - set(self.camera_controls)
        if unknown:
            raise RuntimeError(f"Control {unknown} is not advertised by libcamera")
        return settings

    def configure(self, settings: dict[str, Any]) -> None:
        if self.gives and settings["sensor"] is not None:
            raise RuntimeError("Sensor configuration of a camera that has none")
        main = dict(settings["main"])
        self.configuration = {**settings, "main": {**main, "format": self.gives or main["format"]}}

    def camera_configuration(self) -> dict[str, Any]:
        return self.configuration

    def start(self) -> None:
        self.started = True

    def capture_request(self, wait: float) -> Any:
        if self.stalled:
            raise TimeoutError
        self.sequence += 1
        self.held += 1
        return SimpleNamespace(
            make_array=self._array,
            get_metadata=lambda at=self.sequence: {"SensorTimestamp": at * 66_666_000},
            request=SimpleNamespace(sequence=self.sequence),
            release=self._release,
        )

    def cancel_all_and_flush(self) -> None:
        self.flushed += 1

    def stop(self) -> None:
        self.started = False

    def close(self) -> None:
        self.closed = True

    def _release(self) -> None:
        self.held -= 1

    def _array(self, stream: str) -> np.ndarray:
        width, height = self.configuration[stream]["size"]
        name = self.configuration[stream]["format"]
        if name == "MJPEG" and self.spoilt:
            raise OSError("cannot identify image file")  # Pillow's, of half a JPEG
        if name == "NV12":
            yuv = cv2.cvtColor(red_picture(width, height), cv2.COLOR_RGB2YUV_I420)
            planes = yuv[height:].reshape(2, -1)  # one behind the other; NV12 has them in pairs
            return np.vstack([yuv[:height], planes.T.reshape(height // 2, width)])
        if name == "YUYV":
            return cv2.cvtColor(red_picture(width, height), cv2.COLOR_RGB2YUV_YUY2)
        # picamera2's names run against the order in memory.
        order = {"BGR888": RED, "RGB888": RED[::-1], "MJPEG": RED}[name]
        return np.full((height, width, 3), order, np.uint8)


class FakeSoundDevice:
    """As much of sounddevice as the driver uses: cards, and a stream that asks for samples from a thread of its own.

    Like PortAudio it knows the cards of its last start, by number, whatever was plugged in or out since.
    """

    class PortAudioError(Exception):
        pass

    def __init__(self, rates: tuple[int, ...] = (22_050, 48_000)) -> None:
        self.cards = [
            {"index": 0, "name": "Camera mic", "max_output_channels": 0, "default_samplerate": 48_000.0},
            {"index": 1, "name": "bcm2835 Headphones", "max_output_channels": 8, "default_samplerate": 48_000.0},
            {"index": 2, "name": "USB Audio Device", "max_output_channels": 2, "default_samplerate": 48_000.0},
        ]
        self.plugged = list(self.cards)  # those that are there now
        self.rates = rates
        self.streams: list[FakeStream] = []
        self.opened: list[str] = []  # the names of the cards that were opened
        self.refuse: Exception | None = None  # raised instead of opening a stream
        self.no_start: Exception | None = None  # raised when it is started again
        self._up = True

    def plug(self, *cards: tuple[int, str]) -> None:
        """Only these are there from now on: number and name."""
        self.plugged = [
            {"index": index, "name": name, "max_output_channels": 2, "default_samplerate": 44_100.0}
            for index, name in cards
        ]

    def query_devices(self, kind: str | None = None) -> Any:
        if not self._up:
            raise self.PortAudioError("PortAudio not initialized")
        if kind is None:
            return self.cards
        outputs = [card for card in self.cards if card["max_output_channels"] > 0]
        if not outputs:
            raise self.PortAudioError("Error querying device -1")
        return outputs[0]

    def check_output_settings(self, *, device: int, channels: int, dtype: str, samplerate: int) -> None:
        if samplerate not in self.rates:
            raise self.PortAudioError("Invalid sample rate")

    def OutputStream(self, **settings: Any) -> FakeStream:  # noqa: N802 -- sounddevice's name
        if self.refuse is not None:
            raise self.refuse
        now = {card["index"]: card["name"] for card in self.plugged}
        if settings["device"] not in now:
            raise self.PortAudioError("Error opening OutputStream: Illegal combination of I/O devices", -9993)
        self.opened.append(now[settings["device"]])
        stream = FakeStream(settings)
        self.streams.append(stream)
        return stream

    def _terminate(self) -> None:
        if not self._up:
            raise self.PortAudioError("PortAudio not initialized")
        self._up, self.cards = False, []

    def _initialize(self) -> None:
        if self.no_start is not None:
            raise self.no_start
        self._up, self.cards = True, list(self.plugged)


class FakeStream:
    """A card: takes 256 samples whenever it feels like it and keeps them."""

    BLOCK = 256

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.heard: list[np.ndarray] = []
        self._taken = threading.Condition()
        self._starved = 0
        self._end = threading.Event()
        self._hold = threading.Event()
        self._hold.set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def pause(self) -> None:
        self._hold.clear()

    def go_on(self) -> None:
        self._hold.set()

    def die(self) -> None:
        """What happens when a USB card is pulled out."""
        self._end.set()
        self._hold.set()
        self._thread.join()

    def abort(self, ignore_errors: bool = True) -> None:
        self.die()

    def close(self, ignore_errors: bool = True) -> None:
        assert not self._thread.is_alive()

    def starve(self, times: int) -> None:
        """Have nothing to play so often, and say so."""
        with self._taken:
            self._starved = times
            assert self._taken.wait_for(lambda: self._starved == 0, 10.0)

    def until_heard(self, sample: int) -> None:
        """Wait for a block with `sample` in it."""
        with self._taken:
            assert self._taken.wait_for(lambda: bool(self.heard) and sample in self.heard[-1], 10.0)

    def sound(self) -> np.ndarray:
        """All that was heard, without the silence around it."""
        every = np.concatenate([block[:, 0] for block in self.heard])
        loud = np.flatnonzero(every)
        return every[loud[0] : loud[-1] + 1] if len(loud) else every[:0]

    def _run(self) -> None:
        while not self._end.wait(0.0005):  # the card's own crystal: about 20 times faster than life
            self._hold.wait()
            block = np.full((self.BLOCK, self.settings["channels"]), 77, np.int16)
            status = SimpleNamespace(output_underflow=True) if self._starved else None
            self.settings["callback"](block, self.BLOCK, None, status)
            with self._taken:
                self.heard.append(block)
                self._starved = max(0, self._starved - (status is not None))
                self._taken.notify_all()
        self.settings["finished_callback"]()


def mosquitto_program() -> str | None:
    """Where it is; servers need not be on everybody's PATH."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_FOLDERS}")


def require_mosquitto() -> None:
    """Skip the test where the real broker is not installed."""
    if mosquitto_program() is None:
        pytest.skip("install mosquitto and mosquitto-clients to run this test")


class Mosquitto:
    """The real broker, on a free port of this machine."""

    def __init__(self, folder: Path, settings: str = "allow_anonymous true\n", before: tuple[str, ...] = ()) -> None:
        self._before = before  # what the program is started by
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._file = folder / "mosquitto.conf"
        self._file.write_text(f"listener {self.port} 127.0.0.1\n{settings}", encoding="utf-8")
        self._process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        program = mosquitto_program() or "mosquitto"
        command = [*self._before, program, "-v", "-c", str(self._file)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert self._process.stderr is not None
        assert any("running" in line for line in self._process.stderr), "mosquitto did not start"
        # Somebody must go on reading what it says, or it blocks; nobody wants to keep it.
        threading.Thread(target=deque, args=(self._process.stderr, 0), daemon=True).start()

    def stop(self) -> None:
        if self._process is not None:
            # It keeps nothing, and on a busy machine it sometimes sleeps through a SIGTERM.
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def subscriber(self, topic: str, count: int = 1, options: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """mosquitto_sub: prints "retained topic payload" for `count` messages, then ends."""
        command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(self.port), "-t", topic, "-q", "1"]
        command += ["-C", str(count), "-W", "20", "-F", "%r %t %p", *options]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


class HangUpError(Exception):
    """What a stub broker's `answer` raises to end the connection."""


class StubBroker:
    """An MQTT broker of seventy lines that does as it is told, also what no broker should."""

    def __init__(self) -> None:
        self.connack: bytes | None = b"\x20\x02\x00\x00"
        self.greeting = b""  # sent once somebody has come in
        self.granted: bytes | None = None  # what is said to who wants to listen; None: nothing
        self.acknowledge = False
        self.answer: Callable[[str, bytes, bytes], bytes] = self._acknowledge  # topic, payload and message number
        self.received: list[bytes] = []  # whole PUBLISH packets
        self.connects = 0
        self.protocol = 0  # 4 is 3.1.1; of whoever came last
        self.changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        self.hang_up()

    def hang_up(self) -> None:
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def send(self, data: bytes) -> None:
        self._connections[-1].sendall(data)

    def send_acks(self) -> None:
        """Acknowledge all that was received so far."""
        for packet in self.received:
            self.send(b"\x40\x02" + self.parse(packet)[2])

    def wait_until(self, true: Callable[[], bool], patience_s: float = 30.0) -> None:
        """Until something is true of us, or of whoever has to do with us."""
        deadline_s = time.monotonic() + patience_s
        with self.changed:
            while not self.changed.wait_for(true, 0.05):
                assert time.monotonic() < deadline_s, "that never became true"

    def topics(self) -> list[str]:
        return [self.parse(packet)[0] for packet in self.received]

    def parse(self, packet: bytes) -> tuple[str, bytes, bytes]:
        """Topic, payload and message number of a PUBLISH."""
        body = packet[1:]
        while body[0] & 128:
            body = body[1:]
        length = int.from_bytes(body[1:3], "big")
        rest = body[3 + length :]
        return body[3 : 3 + length].decode(), rest[3:] if self.protocol == 5 else rest[2:], rest[:2]

    def _acknowledge(self, topic: str, payload: bytes, number: bytes) -> bytes:
        return b"\x40\x02" + number if self.acknowledge else b""

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, HangUpError), connection, connection.makefile("rb") as stream:
            while packet := self._read(stream):
                with self.changed:
                    reply = self._take(packet)
                    self.changed.notify_all()
                connection.sendall(reply)

    def _take(self, packet: bytes) -> bytes:
        kind = packet[0] >> 4
        if kind == 1:
            self.protocol = packet[packet.index(b"MQTT") + 4]
            self.connects += 1
            if self.connack is None:
                raise HangUpError
            return self.connack + self.greeting
        if kind == 3:
            self.received.append(packet)
            return self.answer(*self.parse(packet))
        if kind == 8 and self.granted is not None:
            body = packet[2:4] + (b"\x00" if self.protocol == 5 else b"") + self.granted
            return bytes([0x90, len(body)]) + body
        return b"\xd0\x00" if kind == 12 else b""

    @staticmethod
    def _read(stream: BinaryIO) -> bytes:
        head = stream.read(1)
        length = shift = 0
        while head and (byte := stream.read(1)):
            head += byte
            length |= (byte[0] & 127) << shift
            shift += 7
            if byte[0] < 128:
                return head + stream.read(length)
        return b""
