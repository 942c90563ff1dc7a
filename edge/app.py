"""Owns the run of the daemon: the bundle, the order in which things start and end, and the folders they live in.

Settings arrive here, once. Nothing below this file knows what else there is.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edge import __version__, fallback
from edge.config import Config
from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from edge.core.decide import Decider
from edge.core.errors import BundleError, HardwareError, Reason
from edge.core.guide import Guide, Mount
from edge.core.messages import Fault, Notice
from edge.core.observe import Observer
from edge.core.speech import Speech
from edge.devices import Parts, open_web
from edge.hub import CAPTURES, TOLD, Hub, build_hub
from edge.outlets.announcer import Utterance
from edge.outlets.phrases import Phrases
from edge.pipeline import Pipeline
from edge.ports import Engine, Synth
from edge.startup import Startup

if TYPE_CHECKING:
    from edge.outlets.view import View

log = logging.getLogger(__name__)

PACKAGE = Path(__file__).resolve().parent
BUNDLES = PACKAGE / "bundles"
REPLAY = PACKAGE / "replays" / "xts"
SERVICE_STATE = Path("/var/lib/saynote")  # as StateDirectory in systemd/saynote.service makes it


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
    mount, known = Mount(config.camera.mount), bundle.manifest.decision.visible_known
    return Guide(bundle.labels, mount, config.camera.rotation, visible_known=known)


def state_folder() -> Path:
    """Where the outbox and kept phrases live: systemd's, or the user's."""
    named = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(named) if named else Path(base) / "saynote"


def capture_folders() -> list[Path]:
    """Where kept pictures may lie: of whoever asks, and of the service."""
    return list(dict.fromkeys([state_folder() / CAPTURES, SERVICE_STATE / CAPTURES]))


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
        hub = build_hub(config, devices, speech, phrases, bundle, view, state)
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
            hub.event(Fault.of(error))
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
            hub.event(Fault.of(error))


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
