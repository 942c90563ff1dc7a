"""Owns every setting: its name, its type, its range, its default. Reads no file and compares no two of them.

Frozen structs, one for each table of the file; a text without a kind of its own is one line.
`deploy/edge.example.toml` is tested to equal the defaults.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge.core import words

USUAL_THREADS = 2  # of the model, where nothing was measured
BYTES_PER_MB = 1_000_000  # of the sizes in the file


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One table of the file."""


class CameraConfig(Group, frozen=True):
    """Which eye."""

    driver: Literal["picamera", "webcam", "files"] = "picamera"
    # which camera, counted among those that are there or that `device` names
    index: Annotated[int, Meta(ge=0, le=255)] = 0
    device: words.FilePath = ""  # part of the camera's name, or its path; empty: any
    path: words.FilePath = ""  # of the recording, for driver "files"
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
    """Which bundle, or which bundles of several currencies, and what runs them."""

    # the name of a shipped bundle or the path of a bundle folder; a list of them for several currencies at once
    bundle: Annotated[str | tuple[str, ...], words.kind(words.given_path)] = "inr"
    threads: Annotated[int, Meta(ge=0, le=8)] = 0  # 0: as measured here (`edge/tuning.py`), else USUAL_THREADS
    runtime: Literal["auto", "tflite-runtime", "ai-edge-litert"] = "auto"
    keys: words.FilePath = "/etc/saynote/keys"  # folder of the public keys whose sealed bundles are taken in
    shadow_s: Annotated[float, Meta(ge=0, le=2_592_000)] = 600.0  # least time of a new bundle in the shadow; 0: none
    shadow_notes: Annotated[int, Meta(ge=1, le=10_000)] = 5  # least notes to which both said the same
    shadow_disagreements: Annotated[int, Meta(ge=0, le=1_000)] = 0  # most notes to which it said another amount

    @property
    def bundles(self) -> tuple[str, ...]:
        """All that are named."""
        return (self.bundle,) if isinstance(self.bundle, str) else self.bundle


class VoiceConfig(Group, frozen=True):
    """How it speaks."""

    driver: Literal["audio", "wav", "none"] = "audio"
    device: str = ""  # part of the sound card's name; empty: the system's default
    path: words.FilePath = ""  # of the WAV file, for driver "wav"
    language: words.Language = "en"
    variant: words.Variant = ""  # of the language's voice, such as "f3"; empty: the voice itself
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
    long_after_s: Annotated[float, Meta(gt=0, le=30)] = 0.8
    very_long_after_s: Annotated[float, Meta(gt=0, le=60)] = 4.0


# Short pulses as a number, or signs: "." for a short one, "-" for a long one.
PulseSigns = Annotated[int, Meta(ge=1, le=12)] | Annotated[str, Meta(pattern=r"\A[.-]{1,12}\Z")]


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
    username: words.Topic = ""
    tls: bool = False
    ca_file: words.FilePath = ""
    cert_file: words.FilePath = ""  # of this device, for a broker that asks for one; with `key_file`
    key_file: words.FilePath = ""  # not encrypted
    protocol: Literal["3.1.1", "5"] = "3.1.1"
    prefix: words.Topic = "saynote"  # first level of every topic
    device_id: str = ""  # empty: from the machine's id
    share: Literal["health", "counts", "amounts"] = "amounts"  # how much leaves the device
    commands: bool = False  # whether it may be asked for something from afar
    discovery: bool = False  # Home Assistant is told of the device
    discovery_prefix: words.Topic = "homeassistant"  # first level of the topics on which it looks
    outbox_rows: Annotated[int, Meta(ge=10, le=10_000_000)] = 10_000  # unsent messages kept at most
    outbox_mb: Annotated[int, Meta(ge=1, le=10_000)] = 20  # and their size


class GuidanceConfig(Group, frozen=True):
    """Whether hints are spoken while a note is held so that it cannot be read."""

    enabled: bool = True


class HealthConfig(Group, frozen=True):
    """How often it reports on itself."""

    interval_s: Annotated[float, Meta(ge=1, le=86_400)] = 60.0


class WebConfig(Group, frozen=True):
    """The live view in a browser, off unless a sighted helper wants it."""

    enabled: bool = False
    address: str = "127.0.0.1"  # the device itself; anything else opens it to others
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


def changed(config: Config, group: str, **values: object) -> Config:
    """`config` with other values in one of its tables."""
    table = msgspec.structs.replace(getattr(config, group), **values)
    return msgspec.structs.replace(config, **{group: table})
