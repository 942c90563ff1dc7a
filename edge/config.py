"""Owns how the settings file is read and which settings do not go together. Knows no driver.

TOML in, the frozen structs of `edge/settings.py` out. Unknown keys, wrong types and values out of range are collected
and shown together, by `edge/core/tables.py`; what a library would refuse at run time is refused here.
Secrets never stand in the file: the broker's password comes from the systemd credential `mqtt-password` or the
environment variable SAYNOTE_MQTT_PASSWORD, the live view's token from `web-token` or SAYNOTE_WEB_TOKEN.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.core import intake, tables, words
from edge.core.errors import ConfigError
from edge.core.line import shown
from edge.core.wire import Topics
from edge.settings import Config

log = logging.getLogger(__name__)

FILE_MOST_BYTES = 64 << 10  # eight times the example, which explains every key
DEFAULT = Path("/etc/saynote/edge.toml")


@dataclass(frozen=True)
class Reading:
    """What was found in a file."""

    config: Config  # with the defaults in the place of what is wrong
    problems: tuple[str, ...] = ()  # a sentence for each; with any, the device does not start
    remarks: tuple[str, ...] = ()  # what works and is hardly what was meant


def load(path: Path) -> Config:
    """The configuration in a TOML file; ConfigError holds every mistake in it. Remarks go to the log."""
    return _settled(read(path))


def load_from(path: Path | None) -> Config:
    """What stands in `path`; without one, in the device's own file, or the defaults where there is none."""
    return _settled(read_from(path))


def _settled(reading: Reading) -> Config:
    if reading.problems:
        raise ConfigError(list(reading.problems))
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
        return Reading(Config(), (f"there is no configuration file {path}",))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return Reading(Config(), (f"{path} cannot be read: {why}",))
    except ValueError as error:
        return Reading(Config(), (f"{path} is not TOML: {error}",))
    config, problems = tables.convert(raw, Config)
    problems = problems or _mistakes_across(config)
    empty = () if text.strip() else (f"{path} is empty: every setting has its default",)
    return Reading(config, tuple(problems), (*empty, *_remarks(config)))


def parse(raw: dict[str, Any]) -> Config:
    """The configuration in a parsed TOML document; ConfigError holds every mistake in it."""
    config, problems = tables.convert(raw, Config)
    if problems := problems or _mistakes_across(config):
        raise ConfigError(problems)
    return config


def _remarks(config: Config) -> list[str]:
    if config.mqtt.enabled and config.mqtt.ca_file and not config.mqtt.tls:
        return ["mqtt.ca_file is not used while mqtt.tls is false: nothing is encrypted on the way to the broker"]
    return []


def _mistakes_across(config: Config) -> list[str]:
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
    return problems + _unusable_hosts(config) + _refused_later(config)


def _refused_later(config: Config) -> list[str]:
    """What the parts that use them say of some settings, by the code that would refuse them at the start."""
    from edge.core.speech import Speech  # heavy, and whoever only asks for help does without

    problems = []
    for use in (
        lambda: Topics(config.mqtt.prefix, config.mqtt.device_id or "any"),
        lambda: Speech(config.voice.language, "XTS"),
    ):
        try:
            use()
        except ConfigError as error:
            problems += error.problems
    return problems


def _unusable_hosts(config: Config) -> list[str]:
    """Of what is switched on: a name that nobody looks up may be anything."""
    used = {
        "mqtt.host": (config.mqtt.enabled, config.mqtt.host),
        "web.address": (config.web.enabled, config.web.address),
    }
    wrong = {key: (name, words.host(name)) for key, (enabled, name) in used.items() if enabled}
    return [f"{key} = {shown(name)}: {why}" for key, (name, why) in wrong.items() if why]


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
