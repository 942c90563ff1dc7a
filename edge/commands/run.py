"""Owns the command that the service is: the daemon with the configured devices, or with what is there at a desk."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from edge import app, folders, selection, tuning
from edge.commands.shell import add_bundle, configured, configured_to_run, put
from edge.core.errors import EXIT_AGAIN, EXIT_OK, ConfigError, EdgeError, HardwareError, Reason
from edge.devices import once, open_camera, open_speaker, open_synth, parts
from edge.drivers.clock import SystemClock
from edge.ports import Camera
from edge.settings import Config, changed
from edge.wiring import Renewal

ABSENT = (Reason.MISSING, Reason.NOT_INSTALLED)  # there is none; anything else its owner must hear of


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    parser.add_argument(
        "--camera", choices=["auto", "picamera", "webcam", "replay"], help="instead of the configured one"
    )
    add_bundle(parser)
    parser.add_argument("--view", action="store_true", help="show in the terminal what it sees; Space is the button")
    parser.add_argument(
        "--wav", type=Path, default=Path("saynote.wav"), help="with --view: sound file where no card is"
    )
    parser.set_defaults(speaks_faults=True)  # whoever holds the device cannot read why it ends


def run(options: argparse.Namespace) -> int:
    """Look, decide and speak until stopped."""
    stop, again = threading.Event(), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    config, mistakes = configured_to_run(options)
    camera: Callable[[], Camera] | None = None
    if options.camera:
        config, camera = _choose_camera(config, options)
    if options.view:
        config = _at_a_desk(config, options.wav)
    config = tuning.applied(config, folders.state_folder(), selection.digests(config))
    devices = parts(config, camera=camera)
    # Nobody may take recorded notes for those in their hand.
    words = "demonstration" if config.camera.driver == "files" else "ready"
    screen = sys.stdout if options.view else None
    # Whoever names a bundle by hand is there to read why it is refused; whoever holds the device is not.
    app.run(
        config,
        devices,
        stop,
        screen=screen,
        first_words=words,
        stand_in=options.bundle is None,
        mistakes=mistakes,
        renewal=_renewal(options, stop, again),
    )
    return EXIT_AGAIN if again.is_set() else EXIT_OK


def _renewal(options: argparse.Namespace, stop: threading.Event, again: threading.Event) -> Renewal | None:
    """How this run may end to be started anew; None where no systemd would do that."""
    if "NOTIFY_SOCKET" not in os.environ:
        return None

    def end() -> None:
        again.set()
        stop.set()

    def mistakes() -> list[str]:
        from edge.drivers import mqtt_tls  # only now: it delays the first word

        try:
            found = configured(options)
            app.look(found)
            if found.mqtt.enabled:
                mqtt_tls.context(found.mqtt)  # else it would be out of reach, and nobody could mend it from afar
        except ConfigError as error:
            return error.problems
        except EdgeError as error:
            return [str(error)]
        return []

    return Renewal(mistakes, end)


def _choose_camera(config: Config, options: argparse.Namespace) -> tuple[Config, Callable[[], Camera] | None]:
    """The configuration with the camera asked for, and how to take the one that is open already."""
    if options.camera in ("picamera", "webcam"):
        return changed(config, "camera", driver=options.camera), None
    missing, broken = [], None
    for driver in ("picamera", "webcam") if options.camera == "auto" else ():
        tried = changed(config, "camera", driver=driver)
        try:
            found = open_camera(tried, SystemClock())
        except HardwareError as error:
            missing.append(f"{driver}: {error.detail}")
            broken = broken if error.reason in ABSENT else error
            continue
        put(f"camera: {driver}" + (f" ({'; '.join(missing)})" if missing else ""))
        return tried, once(found, lambda: open_camera(tried, SystemClock()))  # noqa: B023 -- the loop ends here
    if broken is not None:
        raise broken
    why = f"no camera found ({'; '.join(missing)})" if missing else "chosen by name"
    put(f"camera: replay of play money, {why}")
    shown = changed(config, "camera", driver="files", path=str(app.REPLAY))
    return shown if options.bundle else changed(shown, "model", bundle="xts"), None


def _at_a_desk(config: Config, wav: Path) -> Config:
    """Keyboard for button; a sound file where there is no card; silence where there is no synthesiser."""
    config = changed(config, "button", driver="keyboard" if sys.stdin.isatty() else "none")
    try:
        open_synth(config.voice)
    except HardwareError as error:
        put(f"speech: shown, not spoken ({error.detail})")
        return changed(config, "voice", driver="none")
    try:
        open_speaker(config.voice).close()
    except HardwareError as error:
        if error.reason not in ABSENT or config.voice.driver == "wav":
            raise
        config = changed(config, "voice", driver="wav", path=str(wav))
        open_speaker(config.voice).close()  # a file that cannot be written is said now
        put(f"sound: no sound card ({error.detail}); speech goes to {wav}")
    return config
