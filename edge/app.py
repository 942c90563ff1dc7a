"""Owns the run of the daemon: the bundle, and the order in which things start and end.

Settings arrive here, once. Nothing below this file knows what else there is.
"""

from __future__ import annotations

import contextlib
import logging
import platform
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from edge import __version__, fallback
from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from edge.core.errors import BundleError, HardwareError, Reason
from edge.core.guide import Guide, Mount
from edge.core.line import shown
from edge.core.messages import Fault, Notice, Sight, Utterance
from edge.core.pocket import Pocket, labels_of
from edge.core.speech import Speech
from edge.devices import Parts
from edge.exchange import succession, supply
from edge.folders import state_folder
from edge.hub import Hub
from edge.loading import Loaded
from edge.outlets import said
from edge.outlets.phrases import Phrases
from edge.outlets.said import Said
from edge.pipeline import Pipeline
from edge.places import Looks
from edge.ports import Synth
from edge.selection import BUNDLES as BUNDLES
from edge.selection import bundle_folder, each_of_its_own, find_bundle, load, load_or_stand_in
from edge.settings import Config
from edge.startup import Startup, settle
from edge.wiring import Kit, Outlets, Renewal

log = logging.getLogger(__name__)

REPLAY = Path(__file__).resolve().parent / "replays" / "xts"


def look(config: Config) -> None:
    """Raises ConfigError or BundleError where a run with `config` would end for good at its start; runs no model."""
    found = [bundles.read(find_bundle(wanted)) for wanted in config.model.bundles]
    each_of_its_own(found)
    if config.pulses.driver != "none":
        from edge.core.pulsecode import PulseCode  # few devices have them

        PulseCode(found[0].denominations, config.pulses.codes)


def open_guide(config: Config, bundles_: Sequence[Bundle]) -> Guide | None:
    """What gives hints to the hand, where they are wanted."""
    if not config.guidance.enabled:
        return None
    mount, known = Mount(config.camera.mount), all(bundle.manifest.decision.visible_known for bundle in bundles_)
    return Guide(labels_of(bundles_), mount, config.camera.rotation, visible_known=known)


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
    screen: TextIO | None = None,
    first_words: str = "ready",
    state: Path | None = None,
    stand_in: bool = False,
    mistakes: Sequence[str] = (),
    renewal: Renewal | None = None,
) -> list[Utterance]:
    """Run the daemon until `stop` is set or a recording has ended; what was said, the last thousand of it.

    `screen`: where to show what it sees, if anywhere. `stand_in`: another bundle of the same currency may take the
    place of one that is refused. `mistakes`: in the settings, of extras that it does without. `renewal`: how it may be
    asked to end and begin anew.
    Raises ConfigError for pulse codes that do not fit the bundle; BundleError and HardwareError for what cannot be
    repaired while running.
    """
    for mistake in mistakes:
        log.error("what it is for does not work: %s", mistake)
    state = state or state_folder()
    startup = Startup()
    with contextlib.ExitStack() as closing:  # whatever fails: the extras go first, then the button, the engine last
        # What it waits for is another program, while the bundle is tried.
        aside = closing.enter_context(ThreadPoolExecutor(1))
        synth = aside.submit(devices.synth)
        if stand_in:
            loaded, refused = load_or_stand_in(config, devices.engine, state)
        else:
            loaded, refused = load(config, devices.engine), []
        for _, engine in loaded:
            closing.callback(engine.close)
        chosen = [bundle for bundle, _ in loaded]
        faults = [Fault("config", Reason.REFUSED.value, "; ".join(mistakes))] if mistakes else []
        if refused:  # one part, so one fault stands, whatever the number of bundles
            faults.append(replace(refused[0], detail="; ".join(fault.detail for fault in refused)))
        if refused and (unfelt := _unfelt(config, devices, chosen[0], state)):
            devices, faults = replace(devices, pulser=None), [*faults, unfelt]
        startup.lap("bundle")
        speech = Speech(config.voice.language, chosen[0].manifest.currency)
        phrases = phrases_of(config, synth.result(), state / "phrases")
        aside.shutdown()
        startup.lap("voice")
        memory, notices = Said(speech.phrase("not genuine"), state), _first_notices(config, first_words, state)
        rendered = phrases.prepare(map(speech.phrase, notices))
        startup.lap("phrases")
        # Before a note is read the rest is there, too; what is asked for before is made then.
        others = {bundle.manifest.currency: bundle.denominations for bundle in chosen[1:]}
        phrases.start(later=[*speech.fixed(chosen[0].denominations, others), *speech.ages()])
        closing.callback(phrases.close)
        hub = Hub()
        kit = Kit(
            config, devices, chosen, speech, phrases, memory, state, closing, screen, lambda: hub.dropped, renewal
        )
        if stand_in:
            kit = replace(kit, supply=supply(config, state))
        outlets = Outlets(kit, hub)
        _log_start(config, loaded, rendered)
        outlets.start()
        _listen(hub, devices, closing)
        for fault in faults:
            hub.post(fault)
        if refused:
            devices.supervisor.status("; ".join(fault.detail for fault in refused))
        closing.callback(devices.supervisor.stopping)
        devices.supervisor.ready()
        for notice in notices:
            hub.post(Notice(notice))
        outlets.start_extras()
        startup.lap("outlets")
        log.info("%s", startup)
        settle()
        pocket = Pocket([(bundle, engine.invoke) for bundle, engine in loaded], time.perf_counter)
        looks: Looks = pocket
        if stand_in:
            looks = closing.enter_context(succession(config, devices, loaded, pocket, hub, kit))
        _pipeline(config, devices, loaded, looks, hub).run(stop)
        if stop.is_set():
            hub.post(Notice("goodbye"))
    return list(memory.utterances)


def _unfelt(config: Config, devices: Parts, stand_in: Bundle, state: Path) -> Fault | None:
    """Why the amounts of a stand-in are not to be felt, if so: a hand that learnt other ones would feel wrong ones.

    Raises BundleError where nothing would be told then.
    """
    wanted = config.model.bundles[0]  # with pulses there is one
    if devices.pulser is None or fallback.has_the_amounts_of(stand_in, state, wanted, bundle_folder(wanted)):
        return None
    why = f"{stand_in.path} has other amounts than {shown(wanted)}, and they would be felt as wrong ones"
    if config.voice.driver == "none":
        raise BundleError(why)
    return Fault("pulses", Reason.REFUSED.value, why)


def _first_notices(config: Config, first_words: str, state: Path) -> list[str]:
    """What is said at the start; once on each device that it does not tell genuine notes from counterfeits."""
    first_time = first_words == "ready" and config.voice.driver != "none" and not said.told(state)
    return [first_words, *(["not genuine"] if first_time else [])]


def _listen(hub: Hub, devices: Parts, closing: contextlib.ExitStack) -> None:
    """Take the button, if there is one to be."""
    if devices.button is None:
        return
    try:
        button = devices.button()
        closing.callback(button.close)
        button.listen(hub.post)
    except HardwareError as error:
        # Without its button the device still says what it sees: that is worth more than stopping.
        log.error("%s", error)
        hub.post(Fault.of(error))


def _pipeline(config: Config, devices: Parts, loaded: Sequence[Loaded], looks: Looks, hub: Hub) -> Pipeline:
    return Pipeline(
        devices.camera,
        looks.observe,
        looks.step,
        hub.post,
        guide=open_guide(config, [bundle for bundle, _ in loaded]),
        stalled_after_s=config.camera.stalled_after_s,
        random=random.random,
        pictures=hub.post if hub.taken(Sight) else None,
        sensor=devices.sensor,
    )


def _log_start(config: Config, loaded: Sequence[Loaded], rendered: int) -> None:
    manifests = [bundle.manifest for bundle, _ in loaded]
    log.info(
        "saynote %s python=%s bundle=%s digest=%s engine=%s camera=%s voice=%s button=%s pulses=%s light=%s mqtt=%s "
        "rendered=%d",
        __version__,
        platform.python_version(),
        ",".join(f"{manifest.name}-{manifest.version}" for manifest in manifests),
        ",".join(manifest.digest[:12] for manifest in manifests),
        getattr(loaded[0][1], "runtime", "unknown"),
        config.camera.driver,
        config.voice.driver,
        config.button.driver,
        config.pulses.driver,
        config.light.driver,
        "on" if config.mqtt.enabled else "off",
        rendered,
    )
