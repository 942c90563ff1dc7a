"""Owns the device's command line. Every error ends in a sentence and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge import __version__
from edge.config import Config, load
from edge.core.errors import EXIT_OK, EXIT_USAGE, BundleError, ConfigError, EdgeError, HardwareError, Reason

if TYPE_CHECKING:
    from typing import NoReturn

    from edge.core.bundle import Bundle
    from edge.doctor import Patient
    from edge.outlets.view import View
    from edge.ports import Camera

log = logging.getLogger("edge")

DEFAULT_CONFIG = Path("/etc/saynote/edge.toml")
SERVICE_PASSWORD = Path("/etc/saynote/mqtt-password")
ABSENT = (Reason.MISSING, Reason.NOT_INSTALLED)  # there is none; anything else its owner must hear of


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code."""
    options = _parser().parse_args(arguments)
    on_screen = getattr(options, "view", False) and sys.stdout.isatty() and sys.stderr.isatty()
    _set_up_logging(options.verbose, quiet=on_screen)
    try:
        code = int(options.command(options))
        sys.stdout.flush()
        return code
    except ConfigError as error:
        for problem in error.problems:
            _tell(f"configuration: {problem}")
        _speak_fault(options, error)
        return error.exit_code
    except EdgeError as error:
        _tell(str(error))
        _speak_fault(options, error)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_OK
    except BrokenPipeError:
        # Whoever read our output has gone; nothing more can be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:  # outermost: a mistake of ours, and the person who hears of it can do nothing
        log.exception("a mistake in saynote itself")
        _tell(f"a mistake in saynote itself, please report it: {type(error).__name__}: {error}")
        _speak_fault(options, EdgeError())
        return EdgeError.exit_code


class _Parser(argparse.ArgumentParser):
    """A wrong call ends with our exit code: systemd must not repeat it."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="saynote", description="Says what banknote is in your hand.")
    parser.add_argument("--version", action="version", version=f"saynote {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=about, description=about)
        sub.add_argument("--config", type=Path, help=f"configuration file [{DEFAULT_CONFIG} where it exists]")
        sub.add_argument("--verbose", action="store_true", help="log every frame")
        sub.set_defaults(command=command)
        return sub

    run = add("run", _run, "look, decide and speak until stopped")
    run.add_argument("--camera", choices=["auto", "picamera", "webcam", "replay"], help="instead of the configured one")
    run.add_argument("--bundle", help="name or folder of the bundle, instead of the configured one")
    run.add_argument("--view", action="store_true", help="show in the terminal what it sees; Space is the button")
    run.add_argument("--wav", type=Path, default=Path("saynote.wav"), help="with --view: sound file where no card is")

    replay = add("replay", _replay, "print what would be said to a folder of pictures or a recording")
    replay.add_argument("folder", type=Path)
    replay.add_argument("--bundle", help="name or folder of the bundle, instead of the configured one")

    add("check", _check, "print the effective configuration, or every mistake in it; opens no device")
    doctor = add("doctor", _doctor, "try every part of the device and say what to do about what does not work")
    doctor.add_argument("--quiet", action="store_true", help="make no sound")
    doctor.add_argument("--json", action="store_true", help="print the findings for a machine to read")
    listen = add("listen-test", _listen_test, "hear whether the beginning of words is swallowed, and the amounts")
    listen.add_argument("--bundle", help="name or folder of the bundle, instead of the configured one")
    snapshot = add("snapshot", _snapshot, "take one picture and print what the device makes of it")
    snapshot.add_argument("file", nargs="?", type=_picture, default=Path("snapshot.jpg"), help="[snapshot.jpg]")
    snapshot.add_argument("--bundle", help="name or folder of the bundle, instead of the configured one")
    say = add("say", _say, "speak a text, to hear whether it can be heard")
    say.add_argument("text", nargs="?", default="")
    say.add_argument("--fault", action="store_true", help="say why the service stopped, from $MONITOR_EXIT_STATUS")
    bench = add("bench", _bench, "milliseconds of each stage, and the whole over the bare inference")
    bench.add_argument("--bundle", help="name or folder of the bundle, instead of the configured one")
    bench.add_argument("--frames", type=_count, default=300)
    bench.add_argument("--start", action="store_true", help="how long the start takes, instead")
    captures = add("captures", _captures, "say how many pictures are kept for training, or delete them")
    captures.add_argument("--delete", action="store_true", help="delete them all, now")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def _picture(text: str) -> Path:
    if Path(text).suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise argparse.ArgumentTypeError(f"{text!r} must end in .jpg or .png")
    return Path(text)


class _Line(logging.Formatter):
    """logfmt where a machine reads it, plain words on a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if sys.stderr.isatty():
            return text
        return f"level={record.levelname.lower()} logger={record.name} {text}"


def _set_up_logging(verbose: bool, quiet: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Line("%(message)s"))
    log.handlers[:] = [handler]
    log.propagate = False
    # The live view owns the terminal: a log line in it would tear the picture.
    log.setLevel(logging.DEBUG if verbose else logging.CRITICAL if quiet else logging.INFO)


def _tell(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(f"saynote: {' '.join(text.split())}\n")


def _put(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _config(options: argparse.Namespace) -> Config:
    if options.config is not None:
        return load(options.config)
    return load(DEFAULT_CONFIG) if DEFAULT_CONFIG.exists() else Config()


def _with_bundle(config: Config, bundle: str | None) -> Config:
    return _replace(config, "model", bundle=bundle) if bundle else config


def _replace(config: Config, group: str, **values: object) -> Config:
    return msgspec.structs.replace(config, **{group: msgspec.structs.replace(getattr(config, group), **values)})


def _run(options: argparse.Namespace) -> int:
    from edge import app
    from edge.devices import parts

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    config = _with_bundle(_config(options), options.bundle)
    camera: Callable[[], Camera] | None = None
    if options.camera:
        config, camera = _choose_camera(config, options)
    if options.view:
        config = _at_a_desk(config, options.wav)
    devices = parts(config, camera=camera)
    # Nobody may take recorded notes for those in their hand.
    words = "demonstration" if config.camera.driver == "files" else "ready"
    make_view = _view(config) if options.view else None
    # Whoever names a bundle by hand is there to read why it is refused; whoever holds the device is not.
    app.run(config, devices, stop, make_view=make_view, first_words=words, stand_in=options.bundle is None)
    return EXIT_OK


def _choose_camera(config: Config, options: argparse.Namespace) -> tuple[Config, Callable[[], Camera] | None]:
    """The configuration with the camera asked for, and how to take the one that is open already."""
    from edge import app
    from edge.devices import once, open_camera
    from edge.drivers.clock import SystemClock

    if options.camera in ("picamera", "webcam"):
        return _replace(config, "camera", driver=options.camera), None
    missing, broken = [], None
    for driver in ("picamera", "webcam") if options.camera == "auto" else ():
        tried = _replace(config, "camera", driver=driver)
        try:
            found = open_camera(tried, SystemClock())
        except HardwareError as error:
            missing.append(f"{driver}: {error.detail}")
            broken = broken if error.reason in ABSENT else error
            continue
        _put(f"camera: {driver}" + (f" ({'; '.join(missing)})" if missing else ""))
        return tried, once(found, lambda: open_camera(tried, SystemClock()))  # noqa: B023 -- the loop ends here
    if broken is not None:
        raise broken
    why = f"no camera found ({'; '.join(missing)})" if missing else "chosen by name"
    _put(f"camera: replay of play money, {why}")
    shown = _replace(config, "camera", driver="files", path=str(app.REPLAY))
    return shown if options.bundle else _replace(shown, "model", bundle="xts"), None


def _at_a_desk(config: Config, wav: Path) -> Config:
    """Keyboard for button; a sound file where there is no card; silence where there is no synthesiser."""
    from edge.devices import open_speaker, open_synth

    config = _replace(config, "button", driver="keyboard" if sys.stdin.isatty() else "none")
    try:
        open_synth(config.voice)
    except HardwareError as error:
        _put(f"speech: shown, not spoken ({error.detail})")
        return _replace(config, "voice", driver="none")
    try:
        open_speaker(config.voice).close()
    except HardwareError as error:
        if error.reason not in ABSENT or config.voice.driver == "wav":
            raise
        config = _replace(config, "voice", driver="wav", path=str(wav))
        open_speaker(config.voice).close()  # a file that cannot be written is said now
        _put(f"sound: no sound card ({error.detail}); speech goes to {wav}")
    return config


def _view(config: Config) -> Callable[[Bundle], View]:
    from edge.outlets.view import View

    def make(bundle: Bundle) -> View:
        title = (
            f"saynote {__version__}   bundle {bundle.manifest.name} {bundle.manifest.version}   "
            f"camera {config.camera.driver}   voice {config.voice.driver}"
        )
        return View(sys.stdout, bundle.labels, title, "Space repeats, Ctrl-C ends")

    return make


def _replay(options: argparse.Namespace) -> int:
    from edge.devices import open_engine
    from edge.transcript import transcribe

    config = _with_bundle(_config(options), options.bundle)
    for line in transcribe(config, options.folder, lambda bundle: open_engine(config, bundle)):
        _put(line)
    return EXIT_OK


def _check(options: argparse.Namespace) -> int:
    _put(_as_toml(_config(options)))
    return EXIT_OK


def _doctor(options: argparse.Namespace) -> int:
    from edge import doctor

    # What a driver logs on the way stands in the findings as well.
    log.setLevel(logging.DEBUG if options.verbose else logging.CRITICAL)
    patient = _patient(options)
    findings = []
    for finding in doctor.examine(patient):
        findings.append(finding)
        if not options.json:
            _put(doctor.row(finding))
    said = doctor.summary(patient, findings)
    _put(msgspec.json.encode(doctor.as_data(findings, said)).decode() if options.json else f"\n{said}")
    if not options.quiet:
        with contextlib.suppress(EdgeError):  # a voice that fails is among the findings
            doctor.speak(patient, said)
    return doctor.exit_code(findings)


def _patient(options: argparse.Namespace) -> Patient:
    from edge import app
    from edge.devices import broker_password, parts
    from edge.doctor import Patient
    from edge.drivers import access, mqtt, systemd

    source = str(options.config or DEFAULT_CONFIG)
    mistakes: tuple[str, ...] = ()
    try:
        config = _config(options)
        if options.config is None and not DEFAULT_CONFIG.exists():
            source = f"the defaults, since there is no {DEFAULT_CONFIG}"
    except ConfigError as error:
        config, mistakes = Config(), tuple(error.problems)
    service = access.service_account()
    return Patient(
        config=config,
        source=source,
        mistakes=mistakes,
        devices=parts(config),
        state=app.SERVICE_STATE if service is not None and app.SERVICE_STATE.is_dir() else app.state_folder(),
        account=service or access.own_account(),
        service_runs=systemd.service_runs(),
        synchronised=systemd.clock_synchronised,
        probe_broker=lambda: mqtt.probe(config.mqtt, broker_password() or _password_of_the_service()),
        quiet=options.quiet,
    )


def _password_of_the_service() -> str | None:
    """What systemd hands to the service; only root may read it, and only the doctor looks."""
    try:
        return SERVICE_PASSWORD.read_text(encoding="utf-8").strip("\r\n") or None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HardwareError("broker", Reason.DENIED, "only root may read the broker's password") from error


def _listen_test(options: argparse.Namespace) -> int:
    from edge import app, listening
    from edge.core import bundle as bundles
    from edge.devices import open_speaker, open_synth
    from edge.drivers.clock import SystemClock

    config = _with_bundle(_config(options), options.bundle)
    bundle = bundles.read(app.find_bundle(config.model.bundle))
    synth, speaker = open_synth(config.voice), open_speaker(config.voice)
    for line in listening.play(config, bundle, synth, speaker, SystemClock()):
        _put(line)
    return EXIT_OK


def _snapshot(options: argparse.Namespace) -> int:
    from edge import snapshot
    from edge.devices import parts

    config = _with_bundle(_config(options), options.bundle)
    for line in snapshot.take(config, parts(config), options.file):
        _put(line)
    return EXIT_OK


def _as_toml(config: Config) -> str:
    """The effective configuration, as it could stand in the file."""
    lines = []
    for group, table in msgspec.to_builtins(config).items():
        lines += [f"[{group}]", *(f"{key} = {_toml_value(value)}" for key, value in table.items()), ""]
    return "\n".join(lines)


def _toml_value(value: object) -> str:
    """A JSON scalar is a TOML one; a table within a table is written on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_value(key)} = {_toml_value(inner)}" for key, inner in value.items()) + "}"
    return msgspec.json.encode(value).decode()


def _say(options: argparse.Namespace) -> int:
    if options.fault:
        _speak_reason(_config_or_default(options), os.environ.get("MONITOR_EXIT_STATUS", ""))
        return EXIT_OK
    config = _config(options)
    if not options.text.strip():
        _tell("say needs a text: saynote say 'Can you hear me?'")
        return EXIT_USAGE
    _speak(config, options.text)
    return EXIT_OK


def _config_or_default(options: argparse.Namespace) -> Config:
    try:
        return _config(options)
    except ConfigError:
        return Config()


def _fault_sentence(config: Config, status: str) -> str:
    from edge.core.messages import Fault
    from edge.core.speech import Speech

    device = {str(ConfigError.exit_code): "config", str(BundleError.exit_code): "bundle"}.get(status, "")
    return Speech(config.voice.language, "XTS").fault(Fault(device, ""))


def _speak_reason(config: Config, status: str) -> None:
    """Say why it stops; in the default voice where the configured one is the mistake."""
    try:
        _speak(config, _fault_sentence(config, status))
    except EdgeError:
        plain = _replace(config, "voice", language=Config().voice.language, variant="")
        _speak(plain, _fault_sentence(plain, status))


def _speak(config: Config, text: str) -> None:
    from edge.devices import open_speaker, open_synth, say

    say(open_synth(config.voice), lambda: open_speaker(config.voice), text, config.voice.language)


def _speak_fault(options: argparse.Namespace, error: EdgeError) -> None:
    """Say what stops us, where speech works: whoever holds the device cannot read.

    Under systemd the fault service says it, after the last of the restarts.
    """
    if options.command is not _run or "NOTIFY_SOCKET" in os.environ:
        return
    config = _config_or_default(options)
    with contextlib.suppress(EdgeError):
        _speak_reason(config, str(error.exit_code))


def _bench_start(options: argparse.Namespace) -> int:
    from edge import startup

    given = {"--config": options.config, "--bundle": options.bundle}
    for line in startup.measure([word for key, value in given.items() if value for word in (key, str(value))]):
        _put(line)
    return EXIT_OK


def _bench(options: argparse.Namespace) -> int:
    if options.start:
        return _bench_start(options)
    from edge import app
    from edge.bench import measure, measure_sound
    from edge.devices import open_engine, open_synth

    config = _with_bundle(_config(options), options.bundle)
    bundle, engine = app.load(config, lambda loaded: open_engine(config, loaded))
    for line in measure(bundle, engine, options.frames):
        _put(line)
    for line in measure_sound(bundle, open_synth(config.voice), config.voice, times=40):
        _put(line)
    return EXIT_OK


def _captures(options: argparse.Namespace) -> int:
    from edge import app
    from edge.outlets import album

    code, lines = EXIT_OK, []
    for folder in app.capture_folders():
        try:
            kept = album.contents(folder)
            if kept.pictures == 0:
                continue
            days = kept.first_day if kept.first_day == kept.last_day else f"{kept.first_day} to {kept.last_day}"
            about = f"{kept.pictures} pictures, {kept.size / album.BYTES_PER_MB:.1f} MB, {days}, in {folder}"
            if options.delete:
                album.delete(folder)
            lines.append(f"deleted: {about}" if options.delete else about)
        except OSError as error:
            _tell(f"{folder} cannot be read or emptied: {error.strerror}; try it with sudo")
            code = EXIT_USAGE
    for line in lines or ([] if code else ["no pictures are kept"]):
        _put(line)
    return code


if __name__ == "__main__":
    sys.exit(main())
