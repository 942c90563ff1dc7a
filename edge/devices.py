"""Owns which driver serves which port: how each device that the configuration names is opened, and the secrets for it.

Drivers are imported only when chosen. It knows no outlet and no order of things.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from edge.core.bundle import Bundle
from edge.core.topics import OFFLINE, Topics
from edge.credentials import PASSWORD, TOKEN, secret
from edge.ports import Board, Broker, Button, Camera, Clock, Engine, Pulser, Shadow, Speaker, Supervisor, Synth
from edge.settings import USUAL_THREADS, Config, VoiceConfig

if TYPE_CHECKING:
    from edge.drivers.http import PageServer
    from edge.outlets.web import Web

log = logging.getLogger(__name__)

T = TypeVar("T")

PAGE = Path(__file__).resolve().parent / "web"


@dataclass(frozen=True)
class Parts:
    """How to open each device; tests put shipped fakes here."""

    camera: Callable[[], Camera]
    engine: Callable[[Bundle], Engine]
    synth: Callable[[], Synth]
    speaker: Callable[[], Speaker]
    button: Callable[[], Button] | None
    broker: Callable[[Topics], Broker]
    clock: Clock
    supervisor: Supervisor
    board: Board
    pulser: Callable[[], Pulser] | None = None
    light: Callable[[], Pulser] | None = None
    shadow: Callable[[Path], Shadow] | None = None  # with the bundle in that folder; None: a process of its own
    sensor: bool = False  # the camera has one, whose noise makes every picture differ


def parts(config: Config, *, camera: Callable[[], Camera] | None = None) -> Parts:
    """The real drivers that `config` names."""
    from edge.drivers.board import PiBoard
    from edge.drivers.clock import SystemClock
    from edge.drivers.systemd import SystemdSupervisor

    clock = SystemClock()
    return Parts(
        camera=camera or (lambda: open_camera(config, clock)),
        engine=lambda bundle: open_engine(config, bundle),
        synth=lambda: open_synth(config.voice),
        speaker=lambda: open_speaker(config.voice),
        button=None if config.button.driver == "none" else lambda: open_button(config),
        broker=lambda topics: open_broker(config, topics),
        clock=clock,
        supervisor=SystemdSupervisor(),
        board=PiBoard(),
        pulser=None if config.pulses.driver == "none" else lambda: open_pulser(config),
        light=None if config.light.driver == "none" else lambda: open_light(config),
        sensor=config.camera.driver != "files",
    )


def once(opened: T, open_anew: Callable[[], T]) -> Callable[[], T]:
    """Gives the device that was opened to see whether it is there, and opens it anew only when that one was lost."""
    ready = [opened]
    return lambda: ready.pop() if ready else open_anew()


def say(synth: Synth, open_speaker_: Callable[[], Speaker], text: str, language: str) -> None:
    """Speak `text` and wait until it was heard. Raises HardwareError where that cannot be."""
    sound = synth.render(text, language)
    with contextlib.closing(open_speaker_()) as speaker:
        speaker.play(sound)
        speaker.wait(sound.seconds + 2)


def open_camera(config: Config, clock: Clock) -> Camera:
    """The configured camera."""
    if config.camera.driver == "picamera":
        from edge.drivers.picamera import PicameraCamera

        return PicameraCamera(config.camera)
    if config.camera.driver == "webcam":
        from edge.drivers.webcam import WebcamCamera

        return WebcamCamera(config.camera)
    from edge.drivers.files import FilesCamera

    settings = config.camera
    path, repeat = Path(settings.path), settings.repeat
    return FilesCamera(path, pace=True, clock=clock, frames_per_s=settings.frames_per_s, repeat=repeat)


def open_engine(config: Config, bundle: Bundle) -> Engine:
    """What runs the model."""
    from edge.drivers.tflite import TfliteEngine

    return TfliteEngine(bundle.model, threads=config.model.threads or USUAL_THREADS, runtime=config.model.runtime)


def open_synth(config: VoiceConfig) -> Synth:
    """What renders speech; nothing is rendered where nothing is to be heard."""
    if config.driver == "none":
        from edge.drivers.fake import FakeSynth

        return FakeSynth([config.language])
    from edge.drivers.espeak import EspeakSynth

    return EspeakSynth(config)


def open_speaker(config: VoiceConfig) -> Speaker:
    """Where the sound goes."""
    if config.driver == "wav":
        from edge.drivers.wav import WavSpeaker

        return WavSpeaker(Path(config.path))
    if config.driver == "none":
        from edge.drivers.fake import SilentSpeaker

        return SilentSpeaker()
    from edge.drivers.audio import AudioSpeaker

    return AudioSpeaker(config)


def open_button(config: Config) -> Button:
    """The one button."""
    if config.button.driver == "keyboard":
        from edge.drivers.keyboard import KeyboardButton

        return KeyboardButton()
    from edge.drivers.gpio import GpioButton

    return GpioButton(config.button)


def open_pulser(config: Config) -> Pulser:
    """What is felt."""
    from edge.drivers.gpio import GpioOutput

    return GpioOutput("pulses", config.pulses.pin, active_high=config.pulses.active_high)


def open_light(config: Config) -> Pulser:
    """The lamp beside the camera."""
    from edge.drivers.gpio import GpioOutput

    return GpioOutput("light", config.light.pin, active_high=config.light.active_high)


def open_broker(config: Config, topics: Topics) -> Broker:
    """The owner's MQTT broker; one that cannot be opened ends nothing, and is tried again."""
    from edge.drivers.late_broker import LateBroker
    from edge.drivers.mqtt import PahoBroker

    password = broker_password()
    for remark in account_remarks(config, password):
        log.warning("%s", remark)
    return LateBroker(lambda: PahoBroker(config.mqtt, password, topics.availability(), OFFLINE))


def account_remarks(config: Config, password: str | None) -> list[str]:
    """A sentence where one half of an account at the broker is there without the other."""
    if not config.mqtt.enabled or bool(config.mqtt.username) == (password is not None):
        return []
    if password is None:
        return ["there is mqtt.username for the broker, and no password: it stands in the file mqtt-password"]
    return ["there is a password for the broker, and no mqtt.username: it is not used"]


def broker_password() -> str | None:
    """The owner's password at the broker, if there is one."""
    return secret(PASSWORD)


def open_web(config: Config, web: Web) -> PageServer:
    """The live view's server. Raises HardwareError where it cannot listen."""
    import secrets  # only here: it brings OpenSSL along

    from edge.drivers.http import PageServer, is_loopback

    given = secret(TOKEN)
    token = given or secrets.token_urlsafe(24)
    server = PageServer(config.web, token, page(), web.watch, web.leave)
    # The only place where a token is shown, and only one that nobody could know otherwise.
    log.info("live view: %s%s", server.url, "" if given else f"?token={token}")
    if not is_loopback(config.web.address):
        log.warning("the live view can be reached from other machines, and is not encrypted")
    return server


def page() -> dict[str, tuple[str, bytes]]:
    """The live view's files by path: media type and content."""
    kinds = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
             ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}  # fmt: skip
    files = {
        f"/{path.name}": (kinds[path.suffix], path.read_bytes()) for path in PAGE.iterdir() if path.suffix in kinds
    }
    return {"/": files["/index.html"], **files}
