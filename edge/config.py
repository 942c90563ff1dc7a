"""Owns how the settings file is read and which settings do not go together. Knows no driver.

TOML in, the frozen structs of `edge/settings.py` out. Unknown keys, wrong types and values out of range are collected
and shown together, by `edge/core/tables.py`; what a library would refuse at run time is refused here. A mistake in a
table of `EXTRAS` takes that extra away and notes are read all the same; any other ends the device.
Secrets never stand in the file: the broker's password comes from the systemd credential `mqtt-password` or the
environment variable SAYNOTE_MQTT_PASSWORD, the live view's token from `web-token` or SAYNOTE_WEB_TOKEN.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edge.core import intake, tables, words
from edge.core.errors import ConfigError
from edge.core.line import shown
from edge.core.tables import Mistake
from edge.core.topics import Topics, unusable_prefix
from edge.settings import Config

log = logging.getLogger(__name__)

MOST_BUNDLES = 4  # each is looked at in its turn: with more, none would be looked at often enough
FILE_MOST_BYTES = 64 << 10  # eight times the example, which explains every key
DEFAULT = Path("/etc/saynote/edge.toml")
EXTRAS = ("mqtt", "web", "capture")  # what only adds to what is seen and said


@dataclass(frozen=True)
class Reading:
    """What was found in a file."""

    config: Config  # with the defaults in the place of what is wrong, an extra with a mistake switched off
    mistakes: tuple[Mistake, ...] = ()
    remarks: tuple[str, ...] = ()  # what works and is hardly what was meant

    @property
    def problems(self) -> list[str]:
        """A sentence for each mistake."""
        return [mistake.sentence for mistake in self.mistakes]

    @property
    def vital(self) -> bool:
        """Whether the device cannot do without what is wrong."""
        return any(mistake.table not in EXTRAS for mistake in self.mistakes)


def load(path: Path) -> Config:
    """The configuration in a TOML file; ConfigError holds every mistake in it. Remarks go to the log."""
    return _flawless(read(path))


def load_from(path: Path | None) -> Config:
    """What stands in `path`; without one, in the device's own file, or the defaults where there is none."""
    return _flawless(read_from(path))


def load_to_run(path: Path | None) -> tuple[Config, list[str]]:
    """As `load_from`, and a sentence for each mistake that only takes an extra away. Raises ConfigError for others."""
    reading = read_from(path)
    return (_flawless(reading) if reading.vital else _remarked(reading)), reading.problems


def _flawless(reading: Reading) -> Config:
    if reading.mistakes:
        raise ConfigError(reading.problems)
    return _remarked(reading)


def _remarked(reading: Reading) -> Config:
    for remark in reading.remarks:
        log.warning("%s", remark)
    return reading.config


def read_from(path: Path | None) -> Reading:
    """As `load_from`, with all that is wrong or odd in it instead of an error."""
    if path is not None:
        return read(path)
    return read(DEFAULT) if os.path.exists(DEFAULT) else Reading(Config())  # noqa: PTH110 -- Path's own may raise


def read(path: Path) -> Reading:
    """All that can be known of a TOML file; it raises nothing."""
    try:
        text = intake.read(path, FILE_MOST_BYTES).decode("utf-8-sig")  # some editors put a mark first
        raw = tables.parse(text)
    except FileNotFoundError:
        return _unread(f"there is no configuration file {path}")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return _unread(f"{path} cannot be read: {why}")
    except ValueError as error:
        return _unread(f"{path} is not TOML: {error}")
    found = _reading(raw)
    empty = () if text.strip() else (f"{path} is empty: every setting has its default",)
    return Reading(found.config, found.mistakes, (*empty, *found.remarks))


def parse(raw: dict[str, Any]) -> Config:
    """The configuration in a parsed TOML document; ConfigError holds every mistake in it."""
    return _flawless(_reading(raw))


def _unread(why: str) -> Reading:
    return Reading(Config(), (Mistake("", why),))


def _reading(raw: dict[str, Any]) -> Reading:
    config, mistakes = tables.convert(raw, Config)
    found = Reading(_without(config, mistakes), tuple(mistakes))
    if found.vital:  # with defaults in the place of what is wrong, others would seem not to fit
        return found
    across = _mistakes_across(found.config)
    # A broker that cannot be is one that does not answer: what is told to it waits on the disk.
    waits = _unusable_broker(found.config)
    config = _without(found.config, [mistake for mistake in across if mistake not in waits])
    return Reading(config, (*found.mistakes, *across), tuple(_remarks(config)))


def _without(config: Config, mistakes: list[Mistake]) -> Config:
    """`config` without the extras that `mistakes` are in."""
    tables_ = {mistake.table for mistake in mistakes if mistake.table in EXTRAS}
    return msgspec.structs.replace(config, **{table: getattr(Config(), table) for table in tables_})


def require(config: Config) -> None:
    """Raises ConfigError where settings, however they came together, do not go together; of extras others tell."""
    if vital := [mistake.sentence for mistake in _mistakes_across(config) if mistake.table not in EXTRAS]:
        raise ConfigError(vital)


def _remarks(config: Config) -> list[str]:
    if not config.mqtt.enabled or config.mqtt.tls:
        return []
    files = [f"mqtt.{key}" for key in ("ca_file", "cert_file", "key_file") if getattr(config.mqtt, key)]
    unused = "not used while mqtt.tls is false: nothing is encrypted on the way to the broker"
    return [f"{file} is {unused}" for file in files]


def _mistakes_across(config: Config) -> list[Mistake]:
    found = []
    if config.camera.driver == "files" and not config.camera.path:
        found.append(Mistake("camera", 'camera.driver = "files" needs camera.path'))
    if config.voice.driver == "wav" and not config.voice.path:
        found.append(Mistake("voice", 'voice.driver = "wav" needs voice.path'))
    if config.button.very_long_after_s <= config.button.long_after_s:
        found.append(Mistake("button", "button.very_long_after_s must be longer than button.long_after_s"))
    for key, much, little in (
        ("long_s", config.pulses.long_s, "short_s"),
        ("pause_s", config.pulses.pause_s, "gap_s"),
    ):
        if much < 2 * getattr(config.pulses, little):
            why = f"pulses.{key} must be at least twice pulses.{little}, or nobody can tell them apart"
            found.append(Mistake("pulses", why))
    found += _pin_clashes(config) + _bundle_clashes(config)
    found += _unusable_broker(config) + _half_a_certificate(config)
    return found + _unusable_address(config) + _refused_later(config)


def _bundle_clashes(config: Config) -> list[Mistake]:
    named = config.model.bundles
    whys = []
    if not 1 <= len(named) <= MOST_BUNDLES:
        whys.append(f"model.bundle names {len(named)} bundles: it must name 1 to {MOST_BUNDLES}")
    whys += [f"model.bundle names {shown(twice)} twice" for twice in sorted({n for n in named if named.count(n) > 1})]
    if len(named) > 1 and config.pulses.driver != "none":
        whys.append(
            "model.bundle names several bundles, and the same pulses would mean an amount of each: "
            'set pulses.driver = "none" or name one bundle'
        )
    return [Mistake("model", why) for why in whys]


def _refused_later(config: Config) -> list[Mistake]:
    """What the parts that use them say of some settings, by the code that would refuse them at the start."""
    from edge.core.speech import Speech  # heavy, and whoever only asks for help does without

    uses: dict[str, Callable[[], object]] = {
        "mqtt": lambda: Topics(config.mqtt.prefix, config.mqtt.device_id or "any"),
        "voice": lambda: Speech(config.voice.language, "XTS"),
    }
    found = []
    if why := unusable_prefix("mqtt.discovery_prefix", config.mqtt.discovery_prefix):
        found.append(Mistake("mqtt", why))
    for table, use in uses.items():
        try:
            use()
        except ConfigError as error:
            found += [Mistake(table, problem) for problem in error.problems]
    return found


def _unusable_broker(config: Config) -> list[Mistake]:
    why = words.unusable_host("mqtt.host", config.mqtt.host) if config.mqtt.enabled else ""
    return [Mistake("mqtt", why)] if why else []


def _half_a_certificate(config: Config) -> list[Mistake]:
    given = {key: bool(getattr(config.mqtt, key)) for key in ("cert_file", "key_file")}
    if not config.mqtt.enabled or len(set(given.values())) == 1:
        return []
    there, missing = sorted(given, key=given.__getitem__, reverse=True)
    return [Mistake("mqtt", f"mqtt.{there} needs mqtt.{missing}: a certificate is of no use without its key")]


def _unusable_address(config: Config) -> list[Mistake]:
    why = words.unusable_host("web.address", config.web.address) if config.web.enabled else ""
    return [Mistake("web", why)] if why else []


def _pin_clashes(config: Config) -> list[Mistake]:
    owners: dict[int, str] = {}
    found = []
    for name, group in (("button", config.button), ("pulses", config.pulses), ("light", config.light)):
        if group.driver != "gpio":
            continue
        if group.pin in owners:
            why = f"{name}.pin and {owners[group.pin]}.pin are both {group.pin}: each needs a pin of its own"
            found.append(Mistake(name, why))
        owners.setdefault(group.pin, name)
    return found
