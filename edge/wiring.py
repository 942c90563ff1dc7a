"""Owns which outlets there are: one row each, in the order in which they start; they close in the opposite one.

A new outlet is a file in `edge.outlets` and a row here. A row names the types that its outlet takes: whatever is posted
of them reaches it (`edge.hub`), and nothing else. What most devices do without is imported only where it is wanted:
each import delays the first word.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from edge import __version__
from edge.core.bundle import Bundle
from edge.core.errors import HardwareError
from edge.core.gestures import Timings
from edge.core.messages import (
    Arrival,
    Compared,
    Decision,
    Edge,
    Fault,
    Guidance,
    Health,
    Holding,
    InUse,
    Notice,
    Observation,
    Reaction,
    Recovered,
    Sight,
    Stretch,
    Turn,
    Utterance,
)
from edge.core.news import Newest, News, Taking
from edge.core.orders import BUNDLE, RELOAD, SNAPSHOT, SPOKEN, Answered, Command, Done, Response
from edge.core.pocket import labels_of, thresholds_of
from edge.core.session import Repeat, Reply, Standing, Total
from edge.core.speech import Speech
from edge.core.sums import hexadecimal
from edge.core.topics import Topics
from edge.devices import Parts, once, open_web
from edge.hub import Hub, Outlet, Post
from edge.outlets.announcer import Announcer
from edge.outlets.health import HealthMonitor
from edge.outlets.phrases import Phrases
from edge.outlets.said import Said
from edge.ports import Broker
from edge.settings import BYTES_PER_MB, Config

if TYPE_CHECKING:
    from edge.core import wire
    from edge.outlets.arrivals import Install
    from edge.outlets.telemetry import Telemetry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Renewal:
    """How this run may end in order to begin anew, where somebody starts it again."""

    mistakes: Callable[[], Sequence[str]]  # in the settings as the next run would read them, a sentence each
    end: Callable[[], None]


@dataclass(frozen=True)
class Supply:
    """How bundles come in from afar; both raise EdgeError, one sentence."""

    install: Install  # what an address leads to, which must be what is claimed, if anything; its name
    read_news: Callable[[bytes], News]  # what an owner says of one, verified


@dataclass(frozen=True)
class Kit:
    """What outlets are made of; all of it lives for one run."""

    config: Config
    devices: Parts
    bundles: Sequence[Bundle]  # one for each currency
    speech: Speech
    phrases: Phrases
    said: Said
    state: Path  # the folder below which they keep what they keep
    closing: contextlib.ExitStack  # closes at the end; what is opened for an outlet goes here and closes after it
    screen: TextIO | None = None  # a terminal to show on
    dropped: Callable[[], int] = lambda: 0  # messages that an outlet had no room for
    renewal: Renewal | None = None
    supply: Supply | None = None  # where bundles may come in from afar
    absent: dict[str, str] = field(default_factory=dict)  # extras that could not start, by their row's name: why

    @property
    def bundle_name(self) -> str:
        """Name and version, as a person would say it."""
        return ", ".join(f"{bundle.manifest.name} {bundle.manifest.version}" for bundle in self.bundles)

    @property
    def digest(self) -> str:
        """The identity of what is in use, SHA-256: that of the bundle, or one made of those of several."""
        found = [bundle.manifest.digest for bundle in self.bundles]
        return found[0] if len(found) == 1 else hexadecimal("\n".join(found).encode())

    @property
    def versions(self) -> dict[str, str]:
        """Of the bundles in use, by currency."""
        return {bundle.manifest.currency: bundle.manifest.version for bundle in self.bundles}

    @functools.cached_property  # it may read the machine's id
    def topics(self) -> Topics:
        """Where this device speaks."""
        return Topics(self.config.mqtt.prefix, device_id(self.config))

    @functools.cached_property
    def broker(self) -> Broker:
        """The owner's, one connection for all who need it."""
        broker = self.devices.broker(self.topics)
        self.closing.callback(broker.close)
        return broker

    @property
    def timings(self) -> Timings:
        """How long a press lasts: the same for all who read the button."""
        button = self.config.button
        return Timings(button.debounce_s, button.double_within_s, button.long_after_s, button.very_long_after_s)


@dataclass(frozen=True)
class Row:
    """One outlet."""

    name: str
    make: Callable[[Kit, Post], Outlet]
    takes: tuple[type, ...]  # kinds of messages; `Sight` holds the picture itself
    wanted: Callable[[Kit], bool] = lambda kit: True
    # An extra starts once the device is ready, and says so with this notice. Where it cannot, that is told as a fault
    # and the device goes on without it. Any other outlet that cannot start ends the run.
    extra: str = ""


def _view(kit: Kit, _post: Post) -> Outlet:
    from edge.outlets.view import View

    assert kit.screen is not None  # else it is not wanted
    title = (
        f"saynote {__version__}   bundle {kit.bundle_name}   camera {kit.config.camera.driver}   "
        f"voice {kit.config.voice.driver}"
    )
    return View(kit.screen, labels_of(kit.bundles), title, "Space repeats, Ctrl-C ends")


def _light(kit: Kit, post: Post) -> Outlet:
    from edge.outlets.light import Light

    assert kit.devices.light is not None
    return Light(kit.config.light.hold_s, kit.devices.light, kit.devices.clock, post=post)


def _pulses(kit: Kit, post: Post) -> Outlet:
    from edge.core.pulsecode import PulseCode, Rhythm
    from edge.outlets.pulses import Pulses

    config, pulser = kit.config.pulses, kit.devices.pulser
    assert pulser is not None
    (bundle,) = kit.bundles  # the same pulses must not mean two amounts: settings refuse more
    code = PulseCode(bundle.denominations, config.codes)
    rhythm = Rhythm(config.short_s, config.long_s, config.gap_s, config.pause_s)
    # Where nothing is heard, a pin that fails at the start ends us: a device that tells nothing must not seem alive.
    open_ = pulser if kit.config.voice.driver != "none" else once(pulser(), pulser)
    return Pulses(code, rhythm, open_, kit.devices.clock, post=post)


def _telemetry(kit: Kit, post: Post) -> Outlet:
    from edge.core import wire
    from edge.outlets.outbox import Outbox
    from edge.outlets.telemetry import Telemetry

    source = wire.Source(
        device=kit.topics.device,
        run=os.urandom(4).hex(),
        daemon=__version__,
        currency=kit.bundles[0].manifest.currency,
        bundle=kit.bundle_name,
        digest=kit.digest,
        share=kit.config.mqtt.share,
        versions=kit.versions,
    )
    topics, mqtt = kit.topics, kit.config.mqtt
    outbox = Outbox(kit.state / "outbox.sqlite3", mqtt.outbox_rows, mqtt.outbox_mb * BYTES_PER_MB)
    kit.closing.callback(outbox.close)
    broker = kit.broker
    telemetry = Telemetry(outbox, broker, kit.devices.clock, topics, source, report=post)
    broker.on_connect = telemetry.connected
    _announce(kit, telemetry, source)
    return telemetry


def _announce(kit: Kit, telemetry: Telemetry, source: wire.Source) -> None:
    """Tell Home Assistant of the device, or take back what it was told in former times."""
    from edge.outlets.announced import announce

    mqtt, said = kit.config.mqtt, {}
    if mqtt.discovery:
        from edge.core import discovery

        said = discovery.announcements(mqtt.discovery_prefix, kit.topics, source, commands=mqtt.commands)

        def heard(_topic: str, payload: bytes, retained: bool) -> None:
            # What the broker kept of it we are told at each connection, when all is said anyway.
            if payload == discovery.BORN and not retained:
                telemetry.connected()

        kit.broker.listen(discovery.status_topic(mqtt.discovery_prefix), heard)
    announce(said, kit.state, telemetry.keep)


def _orders(kit: Kit, post: Post) -> Outlet:
    from edge.outlets.orders import Orders

    units = kit.speech.units({bundle.manifest.currency for bundle in kit.bundles})
    barred: dict[str, str] = {}
    if kit.config.voice.driver == "none":
        barred = dict.fromkeys(SPOKEN, "this device does not speak")
    if not kit.config.capture.enabled:
        barred[SNAPSHOT] = "this device keeps no pictures: capture.enabled is false"
    if kit.supply is None:
        barred[BUNDLE] = "the bundle of this run was named by hand"
    if kit.renewal is None:
        barred[RELOAD] = "nobody would start it again: it does not run as a service of systemd"

    def why_not(verb: str) -> str:
        absent = kit.absent.get("capture", "") if verb == SNAPSHOT else ""
        return barred.get(verb) or (f"this device keeps no pictures: {absent}" if absent else "")

    orders = Orders(kit.topics, post, units=units, barred=why_not)
    kit.broker.listen(kit.topics.commands(), orders.heard)
    return orders


def _reload(kit: Kit, post: Post) -> Outlet:
    from edge.outlets.reload import Reload

    assert kit.renewal is not None  # else it is not wanted
    return Reload(kit.renewal.mistakes, kit.renewal.end, kit.devices.clock, post=post)


def _arrivals(kit: Kit, post: Post) -> Outlet:
    from edge.outlets.arrivals import Arrivals

    assert kit.supply is not None  # else it is not wanted
    return Arrivals(kit.supply.install, post=post)


def _tidings(kit: Kit, post: Post) -> Outlet:
    from edge.outlets.tidings import Tidings

    assert kit.supply is not None  # else it is not wanted
    tidings = Tidings(kit.supply.read_news, post=post)
    for bundle in kit.bundles:
        currency = bundle.manifest.currency
        kit.broker.listen(kit.topics.newest(currency), tidings.of(currency))
    return tidings


def _takes_commands(kit: Kit) -> bool:
    return kit.config.mqtt.enabled and kit.config.mqtt.commands


def _takes_bundles(kit: Kit) -> bool:
    return _takes_commands(kit) and kit.supply is not None


def _health(kit: Kit, post: Post) -> Outlet:
    devices, telemetry = kit.devices, kit.config.mqtt.enabled
    return HealthMonitor(
        devices.clock,
        devices.board,
        devices.supervisor,
        post,
        interval_s=kit.config.health.interval_s,
        disk=kit.state,
        full_is_told=telemetry,  # the outbox finds out by itself, and says what is lost by it
        needs_clock=telemetry,
        dropped=kit.dropped,
    )


def _announcer(kit: Kit, post: Post) -> Outlet:
    voice, devices = kit.config.voice, kit.devices
    tones = voice.volume / 100 if voice.earcons else None
    return Announcer(kit.speech, kit.phrases, devices.speaker, devices.clock, kit.timings, post=post, tones=tones)


def _capture(kit: Kit, post: Post) -> Outlet:
    from edge.outlets.album import CAPTURES, Album
    from edge.outlets.capture import Capture

    config = kit.config.capture
    album = Album(kit.state / CAPTURES, max_bytes=config.max_mb * BYTES_PER_MB, keep_days=config.keep_days)
    labels, thresholds = labels_of(kit.bundles), thresholds_of(kit.bundles)
    return Capture(album, labels, thresholds, kit.bundle_name, kit.digest, kit.devices.clock, post=post)


def _web(kit: Kit, _post: Post) -> Outlet:
    from edge.outlets.web import About, Web

    about = About(__version__, kit.bundle_name, kit.config.camera.driver, kit.config.voice.language)
    return Web(labels_of(kit.bundles), about, kit.timings, kit.devices.clock, lambda web: open_web(kit.config, web))


NEWS = (Decision, Guidance, Fault, Recovered)
ANSWERS = (Reply, Repeat, Total)

# The announcer closes first of those that are no extras: its last words are still shown, felt and counted, and a sound
# card that fails on them is still sent. Nothing is lost by its starting last: what is offered before waits for it.
TABLE = (
    Row("view", _view, (*NEWS, Observation, Utterance), wanted=lambda kit: kit.screen is not None),
    Row("light", _light, (Decision, Guidance), wanted=lambda kit: kit.devices.light is not None),
    Row("pulses", _pulses, (*NEWS, *ANSWERS, Notice, Holding), wanted=lambda kit: kit.devices.pulser is not None),
    Row("telemetry", _telemetry, (*NEWS, Health, Stretch, Standing, Response, Arrival, Compared, InUse, Newest, Taking),
        wanted=lambda kit: kit.config.mqtt.enabled),
    Row("orders", _orders, (Done,), wanted=_takes_commands),
    Row("reload", _reload, (Command, Answered, Decision),
        wanted=lambda kit: _takes_commands(kit) and kit.renewal is not None),
    Row("arrivals", _arrivals, (Command, Newest), wanted=_takes_bundles),
    Row("tidings", _tidings, (), wanted=_takes_bundles),
    Row("health", _health, (Turn, Observation, Decision, Reaction, Fault, Recovered)),
    Row("said", lambda kit, _post: kit.said, (Utterance,)),
    Row("announcer", _announcer, (*NEWS, Notice, Edge, Command)),
    Row("capture", _capture, (Sight, Decision, Command, InUse), wanted=lambda kit: kit.config.capture.enabled,
        extra="captures kept"),
    Row("web", _web, (*NEWS, Sight, Health, Edge, Utterance), wanted=lambda kit: kit.config.web.enabled,
        extra="live view"),
)  # fmt: skip


class Outlets:
    """The outlets of one run: made and joined to the hub here, so that none misses what another posts at its start."""

    def __init__(self, kit: Kit, hub: Hub, table: Sequence[Row] = TABLE) -> None:
        """Raises ConfigError and HardwareError for what cannot be repaired while running."""
        self._hub, self._closing, self._absent = hub, kit.closing, kit.absent
        self._made: list[tuple[Row, Outlet]] = []
        for row in table:
            if row.wanted(kit):
                self._make(row, kit)

    def _make(self, row: Row, kit: Kit) -> None:
        outlet = row.make(kit, self._hub.way_of(row.name))
        self._hub.join(row.name, outlet, row.takes)
        self._made.append((row, outlet))
        if not row.extra:
            self._closing.callback(outlet.close)

    def start(self) -> None:
        """Start all but the extras."""
        for row, outlet in self._made:
            if not row.extra:
                outlet.start()

    def start_extras(self) -> None:
        """Start what the device can do without, and say so; they close before everything that was opened by now."""
        for row, outlet in self._made:
            if row.extra:
                self._closing.callback(outlet.close)
                self._start_extra(row, outlet)

    def _start_extra(self, row: Row, outlet: Outlet) -> None:
        try:
            outlet.start()
        except Exception as error:  # the device still says what it sees
            log.log(
                logging.ERROR, "%s cannot start: %s", row.name, error, exc_info=not isinstance(error, HardwareError)
            )
            self._absent[row.name] = str(error)
            self._hub.leave(row.name)
            outlet.close()
            if isinstance(error, HardwareError):
                self._hub.post(Fault.of(error))
        else:
            self._hub.post(Notice(row.extra))


def device_id(config: Config) -> str:
    """The configured id, else one made from the machine's, which itself is not to be published."""
    if config.mqtt.device_id:
        return config.mqtt.device_id
    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        machine = platform.node()
    return "saynote-" + hexadecimal(f"saynote {machine}".encode())[:10]
