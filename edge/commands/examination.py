"""Owns the examination of a device: each part tried, with one sentence of what was found and one of what to do.

It opens the drivers that the daemon opens, one after the other, and lets each go. It must not know how findings are
shown, and changes nothing on the device. `edge.commands.doctor` is its command.
"""

from __future__ import annotations

import contextlib
import enum
import os
import shlex
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge import selection, tuning
from edge.core import scene
from edge.core.care import DISK_LEAST_BYTES
from edge.core.errors import EXIT_HARDWARE, EXIT_OK, BundleError, ConfigError, EdgeError, HardwareError, Reason
from edge.core.messages import Fault, Frame, Look, Pcm
from edge.core.speech import Speech
from edge.core.stale import FROZEN_REPEATS, Stale
from edge.devices import Parts
from edge.drivers.access import Account, group_of
from edge.ports import Camera, Engine
from edge.settings import Config

FIRST_FRAME_S = 5.0
WATCH_S = 2.0  # of frames, to count them
SLOW = 0.6  # less of the pictures asked for is worth a word
INFERENCES = 10
CHIME_S, CHIME_HZ, RATE_HZ = 0.25, 660, 22_050
HELD = "used by the running service"


class State(enum.Enum):
    """How a part does."""

    OK = "ok"
    WARNING = "warning"  # it works, and not as well as it could
    FAULT = "fault"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part."""

    part: str
    state: State
    found: str  # one sentence
    to_do: str = ""  # one sentence, for a problem
    fault: Fault | None = None  # what is said of it aloud, where there are words
    exit_code: int = EXIT_OK


@dataclass(frozen=True)
class Patient:
    """What is examined; tests put shipped fakes here."""

    config: Config
    source: str  # where the configuration comes from
    mistakes: tuple[str, ...]  # in it; then `config` holds the defaults in their place
    devices: Parts
    state: Path  # the state folder
    account: Account  # who the service runs as
    service_runs: bool
    synchronised: Callable[[], bool | None]  # whether a time server has set the clock
    probe_broker: Callable[[], None]
    quiet: bool = False  # make no sound
    # entered while something that the service has written is read
    reading: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext
    remarks: tuple[str, ...] = ()  # what works in settings and secrets, and is hardly what was meant


ADVICE: dict[tuple[str, Reason], str] = {
    ("camera", Reason.MISSING): "Power off and reseat the ribbon cable at both ends, or plug the USB camera in; "
    "check camera.driver, camera.device and camera.index.",
    ("camera", Reason.BUSY): "End the other program that uses the camera.",
    ("camera", Reason.DENIED): "Put the user into the group video: sudo usermod -aG video USER, then restart.",
    ("camera", Reason.STOPPED): "Check the cable and the power supply.",
    ("camera", Reason.FROZEN): "Unplug the camera or switch the computer off and on.",
    ("speaker", Reason.MISSING): "aplay -l lists the cards; set voice.device to part of a name.",
    ("speaker", Reason.BUSY): "End the program that holds the sound card, or choose another with voice.device.",
    ("speaker", Reason.STOPPED): "Unplug the sound card and plug it in again.",
    ("speech", Reason.MISSING): "espeak-ng --voices lists the voices; correct voice.language.",
    ("button", Reason.BUSY): "End the program that uses the pin, or choose another with button.pin.",
    ("button", Reason.DENIED): "Put the user into the group gpio: sudo usermod -aG gpio USER, then restart.",
    ("button", Reason.MISSING): "Is this a Raspberry Pi? Otherwise set another button.driver.",
    ("broker", Reason.DENIED): "sudo saynote doctor",
}
LAST_ADVICE = "Switch the device off and on; if it comes back: journalctl -u saynote -n 50"


def examine(patient: Patient) -> Iterator[Finding]:
    """The findings, each as soon as it is made."""
    yield _configuration(patient)
    checks: list[tuple[str, Callable[[Patient], Finding]]] = [
        ("bundle", _bundle),
        ("runtime", _runtime),
        ("speech", _speech),
        ("sound", _sound),
        ("camera", _camera),
        ("button", _button),
        ("permissions", _permissions),
        ("disk", _disk),
        ("board", _board),
        ("clock", _clock),
        ("broker", _broker),
    ]
    for part, check in checks:
        try:
            yield check(patient)
        except EdgeError as error:
            yield _failed(part, error)


def _failed(part: str, error: EdgeError) -> Finding:
    if isinstance(error, HardwareError):
        found, to_do = error.detail, ADVICE.get((error.device, error.reason), LAST_ADVICE)
        if error.reason is Reason.NOT_INSTALLED:
            found, to_do = "its software is not installed", error.detail
        fault = Fault.of(error)
        return Finding(part, State.FAULT, found, to_do, fault, error.exit_code)
    device, to_do = part, LAST_ADVICE
    if isinstance(error, ConfigError):
        device, to_do = "config", "Correct the configuration file."
    elif isinstance(error, BundleError):
        device, to_do = "bundle", "Deploy the bundle again, or choose another with model.bundle."
    elif part == "broker":
        to_do = "Check mqtt.host, port, tls, username and the password; the network; and the broker's own log."
    return Finding(part, State.FAULT, str(error), to_do, Fault(device, "", str(error)), error.exit_code)


def _configuration(patient: Patient) -> Finding:
    if not patient.mistakes and not patient.remarks:
        return Finding("configuration", State.OK, patient.source)
    found = f"{patient.source}: {'; '.join((*patient.mistakes, *patient.remarks))}"
    if not patient.mistakes:
        return Finding("configuration", State.WARNING, found, "Correct it, if it is not meant so.")
    found += ". The rest is checked with the defaults in their place."
    return Finding("configuration", State.FAULT, found, "Correct the file.", Fault("config", ""), ConfigError.exit_code)


def _bundle(patient: Patient) -> Finding:
    used = selection.in_use(patient.config, patient.devices.engine, patient.state, patient.reading)
    slowest, lines = 0.0, list(used.notes)
    for bundle, engine in used.loaded:
        with contextlib.closing(engine):
            ms = _inference_ms(engine)
        about, slowest = bundle.manifest, max(ms, slowest)
        lines.append(
            f"{about.name} {about.version}, {about.currency} {', '.join(bundle.denominations)}; hashes and self-test "
            f"are right; {getattr(engine, 'runtime', 'runtime not known')}, {ms:.1f} ms for a picture"
        )
    found = "; and ".join(lines)
    if used.refused:
        left = "; ".join(f"{outcome.entry} is left at the next start: {outcome.why}" for outcome in used.refused)
        return Finding("bundle", State.WARNING, f"{found}; {left}", "saynote bundle list tells; install it again.")
    if slowest > 1e3 / patient.config.camera.frames_per_s:
        to_do = "Fewer pictures are looked at than the camera gives: try model.threads or model.runtime."
        return Finding("bundle", State.WARNING, found, to_do)
    return Finding("bundle", State.OK, found)


def _runtime(patient: Patient) -> Finding:
    config, measure = patient.config, "saynote bench --choose measures it, and so does each installation."
    try:
        measured = tuning.read(patient.state)
    except PermissionError:
        return Finding("runtime", State.SKIPPED, "what was measured is for the service only", "sudo saynote doctor")
    if measured is None:
        return Finding("runtime", State.SKIPPED, "not measured on this board: the usual one is used", measure)
    why = tuning.outdated(measured, selection.digests(config))
    row = tuning.best(measured.rows, config)
    if why or row is None:
        why = why or "the settings name another than those that were measured"
        return Finding("runtime", State.SKIPPED, f"the usual one is used: {why}", measure)
    found = f"{row.version}, threads {row.threads}, the best of what was measured here: {tuning.told(measured.rows)}"
    if slow := tuning.advice(row, config.camera.frames_per_s):
        return Finding("runtime", State.WARNING, found, slow)
    return Finding("runtime", State.OK, found)


def _inference_ms(engine: Engine) -> float:
    picture = np.full(engine.input_shape(), 128, np.uint8)
    times = []
    for _ in range(INFERENCES):
        began_s = time.perf_counter()
        engine.invoke(picture)
        times.append(time.perf_counter() - began_s)
    return statistics.median(times) * 1e3


def _speech(patient: Patient) -> Finding:
    voice = patient.config.voice
    if voice.driver == "none":
        return Finding("speech", State.SKIPPED, 'voice.driver is "none": it does not speak')
    synth = patient.devices.synth()
    text = Speech(voice.language, "XTS").phrase("ready")
    sound = synth.render(text, voice.language)
    if not sound.samples.any():
        raise HardwareError("speech", Reason.BROKEN, f"{synth.version()} renders {text!r} as silence")
    return Finding("speech", State.OK, f"{synth.version()}, language {voice.language}")


def _sound(patient: Patient) -> Finding:
    voice = patient.config.voice
    if voice.driver == "none":
        return Finding("sound", State.SKIPPED, 'voice.driver is "none": nothing is to be heard')
    try:
        speaker = patient.devices.speaker()
    except HardwareError as error:
        if patient.service_runs and error.reason is Reason.BUSY:
            return Finding("sound", State.SKIPPED, HELD)
        raise
    with contextlib.closing(speaker):
        speaker.play(_chime(patient.quiet))
        if not speaker.wait(CHIME_S + 2):
            raise HardwareError("speaker", Reason.STOPPED, "the sound card takes no samples")
        speaker.check()
    if voice.driver == "wav":
        to_do = 'For a sound card set voice.driver = "audio".'
        return Finding("sound", State.WARNING, f"speech goes into the file {voice.path}, nobody hears it", to_do)
    return Finding("sound", State.OK, f"{voice.device or 'the default card'} opens and plays")


def _chime(silent: bool) -> Pcm:
    t_s = np.arange(int(CHIME_S * RATE_HZ)) / RATE_HZ
    loudness = 0.0 if silent else 6000.0
    return Pcm((loudness * np.sin(2 * np.pi * CHIME_HZ * t_s) * np.hanning(len(t_s))).astype(np.int16), RATE_HZ)


def _camera(patient: Patient) -> Finding:
    config = patient.config.camera
    if patient.service_runs and config.driver != "files":
        to_do = "To check the camera by itself: sudo systemctl stop saynote, then saynote doctor."
        return Finding("camera", State.SKIPPED, HELD, to_do)
    with contextlib.closing(patient.devices.camera()) as camera:
        frames = _watch(camera, config.stalled_after_s)
    if not frames:
        raise HardwareError("camera", Reason.STOPPED, "it gives no picture")
    return _judge(patient, frames)


def _watch(camera: Camera, patience_s: float) -> list[Frame]:
    frames = []
    frame = camera.read(FIRST_FRAME_S)
    while frame is not None:
        frames.append(frame)
        if frame.t_s - frames[0].t_s >= WATCH_S:
            break
        frame = camera.read(patience_s)
    return frames


def _judge(patient: Patient, frames: list[Frame]) -> Finding:
    config, last = patient.config.camera, frames[-1]
    span_s = last.t_s - frames[0].t_s
    rate = (len(frames) - 1) / span_s if span_s > 0 else 0.0
    seen = scene.assess(last.pixels)
    height, width = last.pixels.shape[:2]
    found = (
        f"{config.driver}: {width} x {height}, {rate:.1f} pictures a second, brightness {seen.luma:.0f} of 255, "
        f"{seen.look.value}"
    )
    if patient.devices.sensor and _frozen(frames):
        raise HardwareError("camera", Reason.FROZEN, f"{found}; it gives the same picture again and again")
    if config.driver == "files":
        to_do = 'For a real camera set camera.driver = "picamera" or "webcam".'
        return Finding("camera", State.WARNING, f"a recording, {config.path}, is shown instead of a camera", to_do)
    if seen.look in (Look.COVERED, Look.DARK):
        return Finding("camera", State.WARNING, found, "Take what covers the lens away, or turn on a light.")
    if 0 < rate < SLOW * config.frames_per_s:
        to_do = f"{config.frames_per_s:g} were asked for: more light, a smaller picture or another USB port may help."
        return Finding("camera", State.WARNING, found, to_do)
    return Finding("camera", State.OK, found)


def _frozen(frames: list[Frame]) -> bool:
    stale = Stale()
    return sum(stale.repeats(frame) for frame in frames) == len(frames) - 1 >= FROZEN_REPEATS


def _button(patient: Patient) -> Finding:
    config = patient.config.button
    if patient.devices.button is None:
        return Finding("button", State.SKIPPED, 'button.driver is "none"')
    if config.driver == "keyboard":
        return Finding("button", State.SKIPPED, "the keyboard stands in for the button")
    if patient.service_runs:
        return Finding("button", State.SKIPPED, HELD)
    patient.devices.button().close()
    return Finding("button", State.OK, f"pin GPIO{config.pin} can be used; whether a button is on it, a press tells")


def _permissions(patient: Patient) -> Finding:
    account = patient.account
    barred = [node for pattern in _nodes(patient.config) for node in account.barred(pattern)]
    if not barred:
        return Finding("permissions", State.OK, f"user {account.name} may open the device files that are there")
    groups = ",".join(sorted({group_of(node) for node in barred}))
    found = f"user {account.name} may not open {', '.join(map(str, barred))}"
    to_do = f"sudo usermod -aG {groups} {account.name}, then restart the service or log in again."
    return Finding("permissions", State.FAULT, found, to_do, Fault("permissions", ""), EXIT_HARDWARE)


def _nodes(config: Config) -> list[str]:
    """Patterns below /dev of what the configuration makes use of."""
    cameras = {"picamera": ["video*", "media*", "dma_heap/linux,cma"], "webcam": ["video*"]}
    sound = ["snd/pcm*p"] if config.voice.driver == "audio" else []
    pins = ["gpiochip*"] if config.button.driver == "gpio" else []
    return cameras.get(config.camera.driver, []) + sound + pins


def _disk(patient: Patient) -> Finding:
    folder, free = patient.state, patient.devices.board.free_bytes(patient.state)
    room = "" if free is None else f", {free / 1e6:,.0f} MB free"
    problem = _unwritable(folder)
    if problem is not None and isinstance(problem, PermissionError) and not patient.account.is_me:
        return Finding("disk", State.SKIPPED, f"{folder} is for the service only{room}", "sudo saynote doctor")
    if free is not None and free < DISK_LEAST_BYTES:
        to_do = "Make room: df -h shows how full it is; journalctl --vacuum-size=50M shrinks the journal."
        return Finding(
            "disk", State.FAULT, f"{folder} is full{room}", to_do, Fault("disk", Reason.FULL.value), EXIT_HARDWARE
        )
    if problem is not None:
        to_do = "It still reads notes, and starts more slowly; a card that fails must be replaced."
        found = f"{folder} cannot be written: {problem.strerror}"
        return Finding("disk", State.FAULT, found, to_do, Fault("disk", ""), EXIT_HARDWARE)
    return Finding("disk", State.OK, f"{folder} can be written{room}")


def _unwritable(folder: Path) -> OSError | None:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent  # it is made with the first start
    trial = folder / f"doctor-{os.getpid()}"
    try:
        trial.write_bytes(b"trial")
    except OSError as error:
        return error
    finally:
        with contextlib.suppress(OSError):
            trial.unlink()
    return None


def _board(patient: Patient) -> Finding:
    board = patient.devices.board
    celsius, hot, weak = board.temperature_c(), board.hot(), board.weak()
    warmth = "temperature not known" if celsius is None else f"{celsius:.0f} degrees"
    if weak:
        fault = Fault("board", Reason.WEAK.value)
        to_do = "Use the power supply made for the board, with a short thick cable."
        return Finding("board", State.WARNING, f"the voltage is too low; {warmth}", to_do, fault)
    if hot:
        fault = Fault("board", Reason.HOT.value)
        to_do = "Give it air: open the case, add a heat sink, keep it out of the sun."
        return Finding("board", State.WARNING, f"it is slowed down by heat; {warmth}", to_do, fault)
    if celsius is None and weak is None:
        return Finding("board", State.SKIPPED, "this computer does not report temperature or voltage")
    power = "power supply not known" if weak is None else "enough power"
    return Finding("board", State.OK, f"{warmth}, {power}")


def _clock(patient: Patient) -> Finding:
    matters = patient.config.mqtt.enabled
    known = patient.synchronised()
    if known:
        return Finding("clock", State.OK, "a time server has set the clock")
    found = "no time server has set the clock" if known is False else "nobody can tell whether the clock was set"
    to_do = "Connect it to a network with a time server: timedatectl shows whether it is used."
    if not matters:
        return Finding("clock", State.OK, f"{found}; without telemetry nothing needs it")
    return Finding("clock", State.WARNING, found, to_do, Fault("clock", Reason.UNSET.value))


def _broker(patient: Patient) -> Finding:
    config = patient.config.mqtt
    if not config.enabled:
        return Finding("broker", State.SKIPPED, "mqtt.enabled is false: nothing is sent")
    if config.tls and config.key_file and (unreadable := _unreadable(patient, Path(config.key_file))):
        return unreadable
    try:
        patient.probe_broker()
    except HardwareError as error:
        if error.reason is not Reason.DENIED:
            raise
        return Finding("broker", State.SKIPPED, error.detail, ADVICE["broker", Reason.DENIED])
    user = f" as {config.username}" if config.username else ""
    return Finding("broker", State.OK, f"{config.host}:{config.port} takes the connection{user}")


def _unreadable(patient: Patient, key: Path) -> Finding | None:
    """What is to be said where the service may not read its key, or whoever asks may not."""
    name, found = patient.account.name, f"user {patient.account.name} may not read mqtt.key_file = {str(key)!r}"
    try:
        if not patient.account.reads(key) and key.exists():
            to_do = f"sudo chgrp {name} {shlex.quote(str(key))}; sudo chmod 640 {shlex.quote(str(key))}"
            return Finding("broker", State.FAULT, found, to_do, Fault("config", ""), ConfigError.exit_code)
        if key.exists() and not os.access(key, os.R_OK):
            return Finding("broker", State.SKIPPED, "only the service may read mqtt.key_file", "sudo saynote doctor")
    except (OSError, ValueError):  # who uses the file says what is wrong with it
        return None
    return None
