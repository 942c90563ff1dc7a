"""Owns which outlet hears what: it makes the outlets that the configuration asks for and hands everything on to them.

None of them blocks, and none knows another. It starts nothing and knows no driver.
"""

from __future__ import annotations

import hashlib
import logging
import platform
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge import __version__
from edge.config import Config
from edge.core import wire
from edge.core.bundle import Bundle
from edge.core.gestures import Timings
from edge.core.messages import (
    Decision,
    Edge,
    Event,
    Fault,
    Frame,
    Guidance,
    Health,
    Holding,
    Observation,
    Recovered,
)
from edge.core.pulsecode import PulseCode, Rhythm
from edge.core.session import Answer
from edge.core.speech import Speech
from edge.devices import Parts, once
from edge.outlets.album import BYTES_PER_MB, Album
from edge.outlets.announcer import Announcer, Utterance
from edge.outlets.capture import Capture
from edge.outlets.health import HealthMonitor
from edge.outlets.light import Light
from edge.outlets.phrases import Phrases
from edge.outlets.pulses import Pulses

if TYPE_CHECKING:  # what most devices do without is imported when it is wanted: each import delays the first word
    from edge.outlets.telemetry import Telemetry
    from edge.outlets.view import View
    from edge.outlets.web import Web

log = logging.getLogger(__name__)

CAPTURES = "captures"  # folder within the state folder
SAID = 1000  # utterances remembered: a device runs for years
TOLD = "told-not-genuine"  # in the state folder, once this device has said what it does not tell


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


def build_hub(
    config: Config, devices: Parts, speech: Speech, phrases: Phrases, bundle: Bundle, view: View | None, state: Path
) -> Hub:
    """Every outlet that `config` asks for, not yet started; what they keep lies below the folder `state`."""
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


def _remember_told(state: Path) -> None:
    try:
        state.mkdir(parents=True, exist_ok=True)
        (state / TOLD).touch()
    except OSError as error:
        log.warning("not remembered, and said again at the next start: %s", error)


def _pulses(
    config: Config, devices: Parts, bundle: Bundle, report: Callable[[Fault | Recovered], object]
) -> Pulses | None:
    if devices.pulser is None:
        return None
    pulses = config.pulses
    code = PulseCode(bundle.denominations, pulses.codes)
    rhythm = Rhythm(pulses.short_s, pulses.long_s, pulses.gap_s, pulses.pause_s)
    # Where nothing is heard, a pin that fails at the start ends us: a device that tells nothing must not seem alive.
    open_ = devices.pulser if config.voice.driver != "none" else once(devices.pulser(), devices.pulser)
    return Pulses(code, rhythm, open_, devices.clock, report=report)


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


def bundle_name(bundle: Bundle) -> str:
    """Name and version, as a person would say it."""
    return f"{bundle.manifest.name} {bundle.manifest.version}"


def device_id(config: Config) -> str:
    """The configured id, else one made from the machine's, which itself is not to be published."""
    if config.mqtt.device_id:
        return config.mqtt.device_id
    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except OSError:
        machine = platform.node()
    return "saynote-" + hashlib.sha256(f"saynote {machine}".encode()).hexdigest()[:10]
