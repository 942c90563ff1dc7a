"""Owns the numbers that depend on the place: pin, camera, broker, volume, language. Knows no driver.

TOML in, frozen structs out. Unknown keys, wrong types and values out of range are collected and shown
together; an unknown key names the nearest known one. `deploy/edge.example.toml` is tested to equal the defaults.
Secrets never stand in the file: the broker's password comes from the systemd credential `mqtt-password` or the
environment variable SAYNOTE_MQTT_PASSWORD, the live view's token from `web-token` or SAYNOTE_WEB_TOKEN.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from edge.core.errors import ConfigError
from edge.core.wire import Topics

DEFAULT = Path("/etc/saynote/edge.toml")


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table of the file."""


class CameraConfig(Group, frozen=True):
    """Which eye."""

    driver: Literal["picamera", "webcam", "files"] = "picamera"
    index: Annotated[int, Meta(ge=0)] = 0  # which camera, counted among those that are there or that `device` names
    device: Annotated[str, Meta(pattern=r"^[^\x00-\x1f]*$")] = ""  # part of the camera's name, or its path; empty: any
    path: str = ""  # of the recording, for driver "files"
    repeat: bool = False  # driver "files": the recording begins anew when it has ended
    width_px: Annotated[int, Meta(ge=160, le=1920)] = 640
    height_px: Annotated[int, Meta(ge=120, le=1080)] = 480
    frames_per_s: Annotated[float, Meta(gt=0, le=60)] = 15.0
    stalled_after_s: Annotated[float, Meta(gt=0, le=10)] = 3.0  # no new frame for so long: the camera has stopped
    mount: Literal["chest", "facing", "down"] = "chest"  # how it looks at the hand: directions are said by it
    rotation: Literal[0, 90, 180, 270] = 0  # degrees clockwise that a picture must be turned to stand upright
    focus: Literal["near", "auto", "fixed"] = "near"  # "picamera" with a lens motor only, as the next two
    lens_position_dioptres: Annotated[float, Meta(ge=0, le=32)] = 6.0  # one over the distance in metres
    max_exposure_ms: Annotated[float, Meta(ge=1, le=100)] = 10.0  # "picamera": longer, and a moving hand blurs the note


class ModelConfig(Group, frozen=True):
    """Which bundle, and what runs it."""

    bundle: str = "inr"  # the name of a shipped bundle or the path of a bundle folder
    threads: Annotated[int, Meta(ge=1, le=8)] = 2
    runtime: Literal["auto", "tflite-runtime", "ai-edge-litert"] = "auto"


class VoiceConfig(Group, frozen=True):
    """How it speaks."""

    driver: Literal["audio", "wav", "none"] = "audio"
    device: str = ""  # part of the sound card's name; empty: the system's default
    path: str = ""  # of the WAV file, for driver "wav"
    language: str = "en"
    variant: str = ""  # of the language's voice, such as "f3"; empty: the voice itself
    words_per_minute: Annotated[int, Meta(ge=80, le=450)] = 165
    pitch: Annotated[int, Meta(ge=0, le=99)] = 50
    volume: Annotated[int, Meta(ge=0, le=200)] = 100
    earcons: bool = True  # short tones beside the words
    lead_in_ms: Annotated[int, Meta(ge=0, le=2000)] = 0  # wakes a card that sleeps, before each utterance


class ButtonConfig(Group, frozen=True):
    """Where the button is and how long a press lasts."""

    driver: Literal["gpio", "keyboard", "none"] = "gpio"
    pin: Annotated[int, Meta(ge=0, le=27)] = 17  # Broadcom numbering
    pull_up: bool = True
    debounce_s: Annotated[float, Meta(gt=0, le=0.2)] = 0.03
    double_within_s: Annotated[float, Meta(gt=0, le=1)] = 0.35
    long_after_s: Annotated[float, Meta(gt=0)] = 0.8
    very_long_after_s: Annotated[float, Meta(gt=0)] = 4.0


# Short pulses as a number, or signs: "." for a short one, "-" for a long one.
PulseSigns = Annotated[int, Meta(ge=1, le=12)] | Annotated[str, Meta(pattern=r"^[.-]{1,12}$")]


class PulsesConfig(Group, frozen=True):
    """Amounts that are felt: a vibration motor, a buzzer or a lamp on a pin."""

    driver: Literal["none", "gpio"] = "none"
    pin: Annotated[int, Meta(ge=0, le=27)] = 27  # Broadcom numbering
    active_high: bool = True
    short_s: Annotated[float, Meta(ge=0.02, le=1)] = 0.15
    long_s: Annotated[float, Meta(gt=0, le=3)] = 0.6
    gap_s: Annotated[float, Meta(ge=0.02, le=2)] = 0.2  # between two pulses of one sign
    pause_s: Annotated[float, Meta(gt=0, le=5)] = 0.8  # between two signs
    codes: dict[str, PulseSigns] = {}  # by denomination, where its place in the list is not wanted


class LightConfig(Group, frozen=True):
    """A white lamp beside the camera, lit when it is too dark to read."""

    driver: Literal["none", "gpio"] = "none"
    pin: Annotated[int, Meta(ge=0, le=27)] = 22  # Broadcom numbering
    active_high: bool = True
    hold_s: Annotated[float, Meta(ge=1, le=60)] = 5.0  # stays on so long after the note has gone


class MqttConfig(Group, frozen=True):
    """Telemetry, off unless the owner wants it."""

    enabled: bool = False
    host: str = "localhost"
    port: Annotated[int, Meta(ge=1, le=65535)] = 1883
    username: str = ""
    tls: bool = False
    ca_file: str = ""
    protocol: Literal["3.1.1", "5"] = "3.1.1"
    prefix: str = "saynote"  # first level of every topic
    device_id: str = ""  # empty: from the machine's id
    outbox_rows: Annotated[int, Meta(ge=10)] = 10_000  # unsent messages kept at most


class GuidanceConfig(Group, frozen=True):
    """Whether hints are spoken while a note is held so that it cannot be read."""

    enabled: bool = True


class HealthConfig(Group, frozen=True):
    """How often it reports on itself."""

    interval_s: Annotated[float, Meta(ge=1, le=86_400)] = 60.0


class WebConfig(Group, frozen=True):
    """The live view in a browser, off unless a sighted helper wants it."""

    enabled: bool = False
    address: Annotated[str, Meta(min_length=1)] = "127.0.0.1"  # the device itself; anything else opens it to others
    port: Annotated[int, Meta(ge=0, le=65535)] = 8737  # 0: any free one, named in the log


class CaptureConfig(Group, frozen=True):
    """Pictures of uncertain notes, kept for training; none unless the owner wants it."""

    enabled: bool = False
    max_mb: Annotated[int, Meta(ge=1, le=100_000)] = 200  # all of them together; the oldest make room
    keep_days: Annotated[int, Meta(ge=1, le=3650)] = 30


class Config(Group, frozen=True):
    """The whole file."""

    camera: CameraConfig = CameraConfig()
    model: ModelConfig = ModelConfig()
    voice: VoiceConfig = VoiceConfig()
    button: ButtonConfig = ButtonConfig()
    pulses: PulsesConfig = PulsesConfig()
    light: LightConfig = LightConfig()
    mqtt: MqttConfig = MqttConfig()
    health: HealthConfig = HealthConfig()
    web: WebConfig = WebConfig()
    capture: CaptureConfig = CaptureConfig()
    guidance: GuidanceConfig = GuidanceConfig()


def load(path: Path) -> Config:
    """The configuration in a TOML file; ConfigError holds every mistake in it."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # some editors put a mark first
    except FileNotFoundError:
        raise ConfigError([f"there is no configuration file {path}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path} cannot be read: {error}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path} is not TOML: {error}"]) from error
    return parse(raw)


def parse(raw: dict[str, Any]) -> Config:
    """The configuration in a parsed TOML document; ConfigError holds every mistake in it."""
    problems: list[str] = []
    groups = {f.name: f for f in msgspec.structs.fields(Config)}
    checked: dict[str, Any] = {}
    for name, table in raw.items():
        if name not in groups:
            problems.append(_unknown(name, list(groups), "table"))
        elif not isinstance(table, dict):
            problems.append(f"{name} must be a table: write [{name}] on a line of its own")
        else:
            checked[name] = _parse_group(groups[name].type, name, table, problems)
    if problems:
        raise ConfigError(problems)
    config = Config(**checked)
    _check_across(config)
    return config


def _parse_group(kind: type[Group], name: str, table: dict[str, Any], problems: list[str]) -> Group:
    fields = {f.name: f for f in msgspec.structs.fields(kind)}
    good = {}
    for key, value in table.items():
        if key not in fields:
            problems.append(_unknown(f"{name}.{key}", [f"{name}.{known}" for known in fields], "key"))
            continue
        try:
            good[key] = msgspec.convert(value, type=fields[key].type)
        except msgspec.ValidationError as error:
            problems.append(f"{name}.{key} = {value!r}: {_expected(fields[key].type, error)}")
    return kind(**good)


def _expected(kind: Any, error: msgspec.ValidationError) -> str:
    if get_origin(kind) is Literal:
        return f"it must be one of {', '.join(map(str, get_args(kind)))}"
    return str(error).lower()


def _unknown(name: str, known: list[str], what: str) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"unknown {what} {name}" + (f", did you mean {near[0]}?" if near else f"; known are {', '.join(known)}")


def _check_across(config: Config) -> None:
    problems = []
    if config.camera.driver == "files" and not config.camera.path:
        problems.append('camera.driver = "files" needs camera.path')
    if config.voice.driver == "wav" and not config.voice.path:
        problems.append('voice.driver = "wav" needs voice.path')
    if config.button.very_long_after_s <= config.button.long_after_s:
        problems.append("button.very_long_after_s must be longer than button.long_after_s")
    if config.pulses.long_s < 2 * config.pulses.short_s:
        problems.append("pulses.long_s must be at least twice pulses.short_s, or nobody can tell them apart")
    if config.pulses.pause_s < 2 * config.pulses.gap_s:
        problems.append("pulses.pause_s must be at least twice pulses.gap_s, or nobody can tell them apart")
    problems += _pin_clashes(config)
    try:
        Topics(config.mqtt.prefix, config.mqtt.device_id or "any")
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)


def _pin_clashes(config: Config) -> list[str]:
    owners: dict[int, str] = {}
    problems = []
    for name, group in (("button", config.button), ("pulses", config.pulses), ("light", config.light)):
        if group.driver != "gpio":
            continue
        if group.pin in owners:
            problems.append(f"{name}.pin and {owners[group.pin]}.pin are both {group.pin}: each needs a pin of its own")
        owners.setdefault(group.pin, name)
    return problems


def load_from(path: Path | None) -> Config:
    """What stands in `path`; without one, in the device's own file, or the defaults where there is none."""
    if path is not None:
        return load(path)
    return load(DEFAULT) if DEFAULT.exists() else Config()


def changed(config: Config, group: str, **values: object) -> Config:
    """`config` with other values in one of its tables."""
    table = msgspec.structs.replace(getattr(config, group), **values)
    return msgspec.structs.replace(config, **{group: table})


def as_toml(config: Config) -> str:
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
