"""Owns the putting together: which driver serves which port, which outlet hears what. Settings arrive here, once.

Drivers are imported only when chosen. Nothing below this file knows what else there is.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import random
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge import __version__, fallback
from edge.config import Config, VoiceConfig
from edge.core import bundle as bundles
from edge.core import wire
from edge.core.bundle import Bundle
from edge.core.decide import Decider
from edge.core.errors import BundleError, HardwareError, Reason
from edge.core.gestures import Timings
from edge.core.guide import Guide, Mount
from edge.core.messages import (
    Decision,
    Edge,
    Event,
    Fault,
    Frame,
    Guidance,
    Health,
    Holding,
    Notice,
    Observation,
    Recovered,
)
from edge.core.observe import Observer
from edge.core.pulsecode import PulseCode, Rhythm
from edge.core.session import Answer
from edge.core.speech import Speech
from edge.outlets.album import BYTES_PER_MB, Album
from edge.outlets.announcer import Announcer, Utterance
from edge.outlets.capture import Capture
from edge.outlets.health import HealthMonitor
from edge.outlets.light import Light
from edge.outlets.phrases import Phrases
from edge.outlets.pulses import Pulses
from edge.pipeline import Pipeline
from edge.ports import Board, Broker, Button, Camera, Clock, Engine, Pulser, Speaker, Supervisor, Synth
from edge.startup import Startup

if TYPE_CHECKING:  # what most devices do without is imported when it is wanted: each import delays the first word
    from edge.drivers.http import PageServer
    from edge.outlets.telemetry import Telemetry
    from edge.outlets.view import View
    from edge.outlets.web import Web

log = logging.getLogger(__name__)

PACKAGE = Path(__file__).resolve().parent
BUNDLES = PACKAGE / "bundles"
REPLAY = PACKAGE / "replays" / "xts"
PAGE = PACKAGE / "web"
CAPTURES = "captures"  # folder within the state folder
SERVICE_STATE = Path("/var/lib/saynote")  # as StateDirectory in systemd/saynote.service makes it
SAID = 1000  # utterances remembered: a device runs for years
TOLD = "told-not-genuine"  # in the state folder, once this device has said what it does not tell


@dataclass(frozen=True)
class Parts:
    """How to open each device; tests put shipped fakes here."""

    camera: Callable[[], Camera]
    engine: Callable[[Bundle], Engine]
    synth: Callable[[], Synth]
    speaker: Callable[[], Speaker]
    button: Callable[[], Button] | None
    broker: Callable[[wire.Topics, Callable[[], None]], Broker]
    clock: Clock
    supervisor: Supervisor
    board: Board
    pulser: Callable[[], Pulser] | None = None
    light: Callable[[], Pulser] | None = None
    sensor: bool = False  # the camera has one, whose noise makes every picture differ


@dataclass
class Hub:
    """Hands everything on to the outlets; none of them blocks."""

    announcer: Announcer
    health: HealthMonitor
    telemetry: Telemetry | None = None
    closing: list[Callable[[], None]] = field(default_factory=list)  # telemetry and what it stands on, that first
    view: View | None = None
    pulses: Pulses | None = None
    light: Light | None = None
    said: deque[Utterance] = field(default_factory=lambda: deque(maxlen=SAID))
    web: Web | None = None
    capture: Capture | None = None

    def turn(self) -> None:
        """The main loop has turned."""
        self.health.turn()

    def observation(self, observation: Observation) -> None:
        """One frame was looked at."""
        self.health.observation(observation)
        if self.view is not None:
            self.view.offer(observation)

    def event(self, event: Event) -> None:
        """Something changed: every outlet takes from it what concerns it."""
        self.announcer.offer(event)  # type: ignore[arg-type] # Health never comes this way
        self.health.offer(event)
        if self.telemetry is not None:
            self.telemetry.offer(event)
        for outlet in (self.view, self.web, self.capture):
            if outlet is not None:
                outlet.offer(event)
        if self.pulses is not None and not isinstance(event, Health):
            self.pulses.offer(event)
        if self.light is not None and isinstance(event, Decision | Guidance):
            self.light.offer(event)

    def edge(self, edge: Edge) -> None:
        """The button's contact has changed."""
        self.announcer.offer(edge)
        if self.web is not None:
            self.web.offer(edge)

    @property
    def pictures(self) -> Callable[[Frame, Observation], None] | None:
        """Who takes the pictures themselves: nobody, unless the owner has switched something on that does."""
        takers = [outlet.frame for outlet in (self.web, self.capture) if outlet is not None]
        if not takers:
            return None

        def hand_on(frame: Frame, observation: Observation) -> None:
            for take in takers:
                take(frame, observation)

        return hand_on


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
        broker=lambda topics, connected: open_broker(config, topics, connected),
        clock=clock,
        supervisor=SystemdSupervisor(),
        board=PiBoard(),
        pulser=None if config.pulses.driver == "none" else lambda: open_pulser(config),
        light=None if config.light.driver == "none" else lambda: open_light(config),
        sensor=config.camera.driver != "files",
    )


def open_camera(config: Config, clock: Clock) -> Camera:
    """The configured camera."""
    if config.camera.driver == "picamera":
        from edge.drivers.picamera import PicameraCamera

        return PicameraCamera(config.camera)
    if config.camera.driver == "webcam":
        from edge.drivers.webcam import WebcamCamera

        return WebcamCamera(config.camera)
    from edge.drivers.files import FilesCamera

    return FilesCamera(Path(config.camera.path), pace=True, clock=clock, frames_per_s=config.camera.frames_per_s)


def open_engine(config: Config, bundle: Bundle) -> Engine:
    """What runs the model."""
    from edge.drivers.tflite import TfliteEngine

    return TfliteEngine(bundle.model, threads=config.model.threads, runtime=config.model.runtime)


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


def open_broker(config: Config, topics: wire.Topics, connected: Callable[[], None]) -> Broker:
    """The owner's MQTT broker."""
    from edge.drivers.mqtt import PahoBroker

    broker = PahoBroker(config.mqtt, broker_password(), topics.availability(), wire.OFFLINE)
    broker.on_connect = connected
    return broker


def broker_password() -> str | None:
    """The owner's password at the broker, if there is one."""
    return secret("mqtt-password", "SAYNOTE_MQTT_PASSWORD")


def secret(credential: str, variable: str) -> str | None:
    """From the systemd credential or the environment, never from the file."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder and (path := Path(folder) / credential).is_file():
        # Without a file of the owner's the unit hands over an empty line.
        return path.read_text(encoding="utf-8").strip("\r\n") or None
    return os.environ.get(variable)


def open_web(config: Config, web: Web) -> PageServer:
    """The live view's server. Raises HardwareError where it cannot listen."""
    from edge.drivers.http import PageServer, is_loopback

    given = secret("web-token", "SAYNOTE_WEB_TOKEN")
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


def find_bundle(name: str) -> Path:
    """The folder of a shipped bundle, or of one given by its path."""
    folder = _bundle_folder(name)
    if not folder.is_dir() and "/" not in name:
        known = ", ".join(sorted(path.name for path in BUNDLES.glob("*") if path.is_dir())) or "none"
        raise BundleError(f"there is no bundle {name!r}; shipped are {known}")
    return folder


def _bundle_folder(name: str) -> Path:
    shipped = BUNDLES / name
    return shipped if "/" not in name and shipped.is_dir() else Path(name)


def load(config: Config, open_engine_: Callable[[Bundle], Engine]) -> tuple[Bundle, Engine]:
    """The configured bundle, whole and self-tested, with the engine that runs it. Raises BundleError."""
    return _load(find_bundle(config.model.bundle), open_engine_)


def load_or_stand_in(
    config: Config, open_engine_: Callable[[Bundle], Engine], state: Path
) -> tuple[Bundle, Engine, Fault | None]:
    """The configured bundle, or the one that stands in for it and the fault to tell. Raises the refused one's error."""
    wanted = config.model.bundle
    try:
        bundle, engine = load(config, open_engine_)
    except BundleError as error:
        refused = error
    else:
        fallback.remember(state, wanted, bundle)
        return bundle, engine, None
    for path, digest in fallback.candidates(state, wanted, _bundle_folder(wanted), BUNDLES):
        try:
            bundle, engine = _load(path, open_engine_, digest)
        except BundleError as error:
            log.warning("no stand-in: %s", error)
            continue
        log.error("%s; using %s", refused, path)
        return bundle, engine, Fault("bundle", Reason.REFUSED.value, f"{refused}; using {path}")
    raise refused


def _load(path: Path, open_engine_: Callable[[Bundle], Engine], digest: str = "") -> tuple[Bundle, Engine]:
    bundle = bundles.read(path)
    if digest and bundle.manifest.digest != digest:
        raise BundleError(f"{path} is not the bundle that passed here")
    engine = open_engine_(bundle)
    with contextlib.ExitStack() as closing:
        closing.callback(engine.close)
        expected = (1, bundle.manifest.input.height, bundle.manifest.input.width, 3)
        if engine.input_shape() != expected:
            raise BundleError(f"{bundle.path}: the model wants {engine.input_shape()}, the manifest says {expected}")
        bundles.selftest(bundle, engine.invoke)
        closing.pop_all()
    return bundle, engine


def open_guide(config: Config, bundle: Bundle) -> Guide | None:
    """What gives hints to the hand, where they are wanted."""
    if not config.guidance.enabled:
        return None
    return Guide(bundle.labels, Mount(config.camera.mount), config.camera.rotation)


def state_folder() -> Path:
    """Where the outbox and kept phrases live: systemd's, or the user's."""
    named = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(named) if named else Path(base) / "saynote"


def capture_folders() -> list[Path]:
    """Where kept pictures may lie: of whoever asks, and of the service."""
    return list(dict.fromkeys([state_folder() / CAPTURES, SERVICE_STATE / CAPTURES]))


def device_id(config: Config) -> str:
    """The configured id, else one made from the machine's, which itself is not to be published."""
    if config.mqtt.device_id:
        return config.mqtt.device_id
    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except OSError:
        machine = platform.node()
    return "saynote-" + hashlib.sha256(f"saynote {machine}".encode()).hexdigest()[:10]


def phrases_of(config: Config, synth: Synth, folder: Path | None) -> Phrases:
    """The spoken phrases, kept by voice settings."""
    voice = config.voice
    kept = None if voice.driver == "none" else folder
    settings = f"{voice.variant}|{voice.words_per_minute}|{voice.pitch}|{voice.volume}"
    return Phrases(synth, voice.language, settings, kept)


def run(
    config: Config,
    devices: Parts,
    stop: threading.Event,
    *,
    make_view: Callable[[Bundle], View] | None = None,
    first_words: str = "ready",
    state: Path | None = None,
    stand_in: bool = False,
) -> list[Utterance]:
    """Run the daemon until `stop` is set or a recording has ended; what was said, the last `SAID` of it.

    `stand_in`: another bundle of the same currency may take the place of one that is refused.
    Raises ConfigError for pulse codes that do not fit the bundle; BundleError and HardwareError for what cannot be
    repaired while running.
    """
    state = state or state_folder()
    startup = Startup()
    with contextlib.ExitStack() as closing:  # whatever fails: the button goes first, the engine last
        refused = None
        if stand_in:
            bundle, engine, refused = load_or_stand_in(config, devices.engine, state)
        else:
            bundle, engine = load(config, devices.engine)
        closing.callback(engine.close)
        startup.lap("bundle")
        speech = Speech(config.voice.language, bundle.manifest.currency)
        phrases = phrases_of(config, devices.synth(), state / "phrases")
        startup.lap("voice")
        rendered = phrases.prepare(speech.fixed(bundle.denominations))
        startup.lap("phrases")
        phrases.start(later=speech.ages())
        closing.callback(phrases.close)
        view = make_view(bundle) if make_view else None
        hub = _hub(config, devices, speech, phrases, bundle, view, state)
        _log_start(config, bundle, engine, rendered)
        _start(hub, devices, _first_notices(config, first_words, state), closing, refused)
        _start_watching(config, hub, closing)
        startup.lap("outlets")
        log.info("%s", startup)
        observer = Observer(bundle, engine.invoke, time.perf_counter)
        decider = Decider(bundle.labels, bundle.manifest.decision)
        stalled = config.camera.stalled_after_s
        pipeline = Pipeline(
            devices.camera,
            observer,
            decider,
            hub,
            guide=open_guide(config, bundle),
            stalled_after_s=stalled,
            random=random.random,
            pictures=hub.pictures,
            sensor=devices.sensor,
        )
        pipeline.run(stop)
        if stop.is_set():
            hub.event(Notice("goodbye"))
    return list(hub.said)


def _first_notices(config: Config, first_words: str, state: Path) -> list[str]:
    """What is said at the start; once on each device that it does not tell genuine notes from counterfeits."""
    first_time = first_words == "ready" and config.voice.driver != "none" and not (state / TOLD).exists()
    return [first_words, *(["not genuine"] if first_time else [])]


def _remember_told(state: Path) -> None:
    try:
        state.mkdir(parents=True, exist_ok=True)
        (state / TOLD).touch()
    except OSError as error:
        log.warning("not remembered, and said again at the next start: %s", error)


def _hub(
    config: Config, devices: Parts, speech: Speech, phrases: Phrases, bundle: Bundle, view: View | None, state: Path
) -> Hub:
    said: deque[Utterance] = deque(maxlen=SAID)
    warning = speech.phrase("not genuine")

    def heard(utterance: Utterance) -> None:
        said.append(utterance)
        if utterance.sounded and utterance.text == warning:
            _remember_told(state)
        for outlet in (view, web):
            if outlet is not None:
                outlet.offer(utterance)

    button = config.button
    timings = Timings(button.debounce_s, button.double_within_s, button.long_after_s, button.very_long_after_s)
    web = _web(config, devices, bundle, timings) if config.web.enabled else None
    pulses = _pulses(config, devices, bundle, lambda event: announcer.offer(event))

    def tell(answer: Answer | Holding) -> None:
        if pulses is not None:
            pulses.offer(answer)

    tones = config.voice.volume / 100 if config.voice.earcons else None
    announcer = Announcer(speech, phrases, devices.speaker, devices.clock, timings, heard=heard, tell=tell, tones=tones)
    light = None
    if devices.light is not None:
        light = Light(config.light.hold_s, devices.light, devices.clock, report=announcer.offer)
    telemetry, closing = _telemetry(config, devices, bundle, announcer, state) if config.mqtt.enabled else (None, [])

    def report(health: Health) -> None:
        for outlet in (telemetry, web):
            if outlet is not None:
                outlet.offer(health)

    health = HealthMonitor(
        devices.clock,
        devices.board,
        devices.supervisor,
        report,
        lambda: announcer.last_turn_s,
        interval_s=config.health.interval_s,
        tell=lambda event: hub.event(event),
        # With telemetry the outbox finds out by itself, and says what is lost by it.
        disk=None if telemetry else state,
        needs_clock=telemetry is not None,
    )
    capture = _capture(config, devices, bundle, state) if config.capture.enabled else None
    hub = Hub(announcer, health, telemetry, closing, view, pulses, light, said, web, capture)
    return hub


def _pulses(
    config: Config, devices: Parts, bundle: Bundle, report: Callable[[Fault | Recovered], object]
) -> Pulses | None:
    if devices.pulser is None:
        return None
    pulses = config.pulses
    code = PulseCode(bundle.denominations, pulses.codes)
    rhythm = Rhythm(pulses.short_s, pulses.long_s, pulses.gap_s, pulses.pause_s)
    # Where nothing is heard, a pin that fails at the start ends us: a device that tells nothing must not seem alive.
    open_ = devices.pulser if config.voice.driver != "none" else _opened(devices.pulser)
    return Pulses(code, rhythm, open_, devices.clock, report=report)


def _opened(open_: Callable[[], Pulser]) -> Callable[[], Pulser]:
    ready = [open_()]
    return lambda: ready.pop() if ready else open_()


def _web(config: Config, devices: Parts, bundle: Bundle, timings: Timings) -> Web:
    from edge.outlets.web import About, Web

    about = About(__version__, bundle_name(bundle), config.camera.driver, config.voice.language)
    return Web(bundle.labels, about, timings, devices.clock)


def _capture(config: Config, devices: Parts, bundle: Bundle, state: Path) -> Capture:
    album = Album(
        state / CAPTURES, max_bytes=config.capture.max_mb * BYTES_PER_MB, keep_days=config.capture.keep_days
    )  # fmt: skip
    manifest = bundle.manifest
    thresholds = manifest.decision.thresholds
    return Capture(album, bundle.labels, thresholds, bundle_name(bundle), manifest.digest, devices.clock)


def bundle_name(bundle: Bundle) -> str:
    """Name and version, as a person would say it."""
    return f"{bundle.manifest.name} {bundle.manifest.version}"


def _telemetry(
    config: Config, devices: Parts, bundle: Bundle, announcer: Announcer, state: Path
) -> tuple[Telemetry, list[Callable[[], None]]]:
    from edge.outlets.outbox import Outbox
    from edge.outlets.telemetry import Telemetry

    source = wire.Source(
        device=device_id(config),
        run=secrets.token_hex(4),
        daemon=__version__,
        currency=bundle.manifest.currency,
        bundle=bundle_name(bundle),
        digest=bundle.manifest.digest,
    )
    topics = wire.Topics(config.mqtt.prefix, source.device)
    outbox = Outbox(state / "outbox.sqlite3", config.mqtt.outbox_rows)
    telemetry: Telemetry | None = None

    def connected() -> None:
        if telemetry is not None:
            telemetry.connected()

    broker = devices.broker(topics, connected)

    def report(event: Fault | Recovered) -> None:
        announcer.offer(event)

    telemetry = Telemetry(outbox, broker, devices.clock, topics, source, report=report)
    return telemetry, [outbox.close, broker.close, telemetry.close]


def _start(hub: Hub, devices: Parts, notices: list[str], closing: contextlib.ExitStack, refused: Fault | None) -> None:
    others = [outlet for outlet in (hub.view, hub.light, hub.pulses) if outlet is not None]
    for close in (*(outlet.close for outlet in others), *hub.closing, hub.health.close, hub.announcer.close):
        closing.callback(close)
    if hub.view is not None:
        hub.view.start()
    for outlet in (hub.light, hub.pulses):
        if outlet is not None:
            outlet.start()
    hub.announcer.start()
    if hub.telemetry is not None:
        hub.telemetry.start()
    hub.health.start()
    if devices.button is not None:
        try:
            button = devices.button()
            closing.callback(button.close)
            button.listen(hub.edge)
        except HardwareError as error:
            # Without its button the device still says what it sees: that is worth more than stopping.
            log.error("%s", error)
            hub.event(Fault(error.device, error.reason.value, error.detail))
    if refused is not None:
        hub.event(refused)
        devices.supervisor.status(refused.detail)
    closing.callback(devices.supervisor.stopping)
    devices.supervisor.ready()
    for notice in notices:
        hub.event(Notice(notice))


def _start_watching(config: Config, hub: Hub, closing: contextlib.ExitStack) -> None:
    """Switch on what shows or keeps pictures, and say so; where it fails the device still says what it sees."""
    if hub.capture is not None:
        closing.callback(hub.capture.close)
        try:
            hub.capture.start()
            hub.event(Notice("captures kept"))
        except OSError as error:
            log.warning("pictures cannot be kept: %s", error)
            hub.capture = None
    if hub.web is not None:
        closing.callback(hub.web.close)
        try:
            closing.callback(open_web(config, hub.web).close)
            hub.web.start()
            hub.event(Notice("live view"))
        except HardwareError as error:
            log.error("%s", error)
            hub.web.close()
            hub.web = None
            hub.event(Fault(error.device, error.reason.value, error.detail))


def _log_start(config: Config, bundle: Bundle, engine: Engine, rendered: int) -> None:
    log.info(
        "saynote %s python=%s bundle=%s-%s digest=%s engine=%s camera=%s voice=%s button=%s pulses=%s light=%s mqtt=%s "
        "rendered=%d",
        __version__,
        platform.python_version(),
        bundle.manifest.name,
        bundle.manifest.version,
        bundle.manifest.digest[:12],
        getattr(engine, "runtime", "unknown"),
        config.camera.driver,
        config.voice.driver,
        config.button.driver,
        config.pulses.driver,
        config.light.driver,
        "on" if config.mqtt.enabled else "off",
        rendered,
    )
