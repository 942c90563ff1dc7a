"""Owns what Home Assistant is told of a device: one message for each entity, as its MQTT discovery wants them.

Every value is taken from a message that travels anyway (`edge.core.wire`), by a template that Home Assistant evaluates;
nothing is measured for it. An entity whose value the owner does not share is not announced. It must not know how a
message is sent, nor when.

Keys and device classes: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery, in the form of one message for
an entity, which all versions take.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from edge.core.orders import BUNDLE
from edge.core.payloads import Level
from edge.core.topics import OFFLINE, ONLINE, Topics
from edge.core.wire import Source

BORN = b"online"  # what it says on its status topic once it listens
DIAGNOSTIC = {"entity_category": "diagnostic"}
MEASURED = {**DIAGNOSTIC, "state_class": "measurement"}
RARE = {**MEASURED, "enabled_by_default": False}  # for whoever looks for a fault
# Parts that faults name -> what their owner calls them.
PARTS = {
    "camera": ("Camera", ("camera",)),
    "sound": ("Sound", ("speaker", "speech")),
    "button": ("Button", ("button",)),
    "recogniser": ("Recogniser", ("engine", "bundle")),
    "power": ("Power and heat", ("board",)),
    "storage": ("Storage", ("disk", "outbox")),
    "clock": ("Clock", ("clock",)),
}


@dataclass(frozen=True, slots=True)
class Entity:
    """One thing that Home Assistant shows of a device."""

    component: str  # sensor, binary_sensor, button, event, update
    key: str
    name: str
    said_on: Callable[[Topics], str] | None = None  # the topic of its value
    value: str = ""  # the template of it
    more: dict[str, Any] = field(default_factory=dict)
    level: Level = "health"  # from which on its value is shared


def _sensor(key: str, name: str, said_on: Callable[[Topics], str], value: str, **more: Any) -> Entity:
    return Entity("sensor", key, name, said_on, f"{{{{ value_json.{value} }}}}", more)


def _problem(key: str, name: str, parts: tuple[str, ...] = ()) -> Entity:
    found = f"value_json.faults | selectattr('part', 'in', {list(parts)})" if parts else "value_json.faults"
    told = f"{{{{ {{'faults': {found} | list}} | tojson }}}}"
    more = {
        "device_class": "problem",
        "json_attributes_topic": Topics.state,
        "json_attributes_template": told,
        **DIAGNOSTIC,
    }
    return Entity("binary_sensor", key, name, Topics.state, f"{{{{ 'ON' if {found} | list else 'OFF' }}}}", more)


def entities(currency: str, others: Iterable[str] = ()) -> tuple[Entity, ...]:
    """All that may be announced of a device that reads `currency` (ISO 4217), and `others`.

    An entity has one unit: what a device with several bundles tells of another currency is unknown to it. Each
    currency's bundle is updated by itself.
    """

    def of_ours(value: str, known: str = "true") -> str:
        return f"{{{{ {value} if {known} and value_json.currency == '{currency}' else none }}}}"

    money = {"device_class": "monetary", "unit_of_measurement": currency}
    seen = f"{{'seen': {_moment('(value_json.last or {}).wall_s')}}}"
    last = {"json_attributes_topic": Topics.state, "json_attributes_template": f"{{{{ {seen} | tojson }}}}"}
    return (
        Entity("sensor", "last_amount", "Last amount", Topics.state,
               of_ours("value_json.last.amount", "value_json.last"), {**money, **last, "icon": "mdi:cash"}, "amounts"),
        Entity("sensor", "total", "Total", Topics.state, of_ours("value_json.total"),
               {**money, "icon": "mdi:cash-multiple"}, "amounts"),
        Entity("sensor", "notes", "Notes in the total", Topics.state, "{{ value_json.count }}",
               {"icon": "mdi:counter"}, "counts"),
        Entity("event", "seen", "Note", Topics.detection, "{{ dict(value_json, event_type='seen') | tojson }}",
               {"event_types": ["seen"], "icon": "mdi:cash-check"}, "amounts"),
        Entity("binary_sensor", "connected", "Connected", Topics.availability, "",
               {"device_class": "connectivity", "payload_on": ONLINE.decode(), "payload_off": OFFLINE.decode(),
                **DIAGNOSTIC}),
        _problem("problem", "Problem"),
        *(_problem(key, name, parts) for key, (name, parts) in PARTS.items()),
        _sensor("temperature", "Temperature", Topics.health, "temperature_c",
                device_class="temperature", unit_of_measurement="°C", suggested_display_precision=0, **MEASURED),
        _sensor("frames_per_s", "Frame rate", Topics.health, "frames_per_s",
                unit_of_measurement="frames/s", suggested_display_precision=1, icon="mdi:camera-timer", **MEASURED),
        _sensor("speech", "Time to speech", Topics.health, "speech_ms.p50",
                unit_of_measurement="ms", suggested_display_precision=0, icon="mdi:bullhorn", **RARE),
        _sensor("memory", "Memory", Topics.health, "memory_bytes",
                device_class="data_size", unit_of_measurement="B", **RARE),
        _sensor("disk_free", "Free disk", Topics.health, "disk_free_bytes",
                device_class="data_size", unit_of_measurement="B", **RARE),
        _sensor("waiting", "Messages waiting", Topics.health, "waiting", icon="mdi:tray-full", **MEASURED),
        _sensor("lost", "Messages lost", Topics.health, "lost", icon="mdi:tray-remove", **MEASURED),
        Entity("sensor", "started", "Started", Topics.state,
               f"{{{{ {_moment('value_json.started_wall_s')} }}}}",
               {"device_class": "timestamp", **DIAGNOSTIC}),
        _update("bundle", "Bundle", currency),
        *(_update(f"bundle_{other.lower()}", f"Bundle {other}", other) for other in others),
        _order("repeat", "Repeat", icon="mdi:repeat"),
        _order("identify", "Identify", device_class="identify", **DIAGNOSTIC),
    )  # fmt: skip


# What became of the one that was installed last, or why the newest was not; "" for neither.
SUMMARY = (
    "'Not installed: ' ~ newest.why if newest and newest.why else ('' if not came else came.entry ~ ' ' ~ came.what"
    " ~ (': ' ~ came.why if came.why else '') ~ ('' if came.alike is none else ' (' ~ came.alike ~ ' notes alike, '"
    " ~ came.otherwise ~ ' otherwise)'))"
)


def _update(key: str, name: str, currency: str) -> Entity:
    """Which bundle of a currency is used, which is to be had, and a button that installs that one.

    The press is a command without an address: the device takes what its owner has announced, and nothing that Home
    Assistant says. Newer versions of it refuse the whole for one null, or one key that they do not know.
    """
    mine = f"value_json.bundles | default([]) | selectattr('currency', 'eq', '{currency}') | list"
    told = (
        "{'installed_version': one.version, 'latest_version': newest.version if newest else one.version,"
        f" 'in_progress': newest.installing if newest else false, 'release_summary': ({SUMMARY})[:255]}}"
    )
    page = "{'release_url': newest.page} if newest and newest.page else {}"
    value = (
        f"{{% set found = {mine} %}}{{% if found %}}{{% set one = found[0] %}}{{% set newest = one.newest %}}"
        f"{{% set came = one.arrived %}}{{{{ dict({told}, **({page})) | tojson }}}}{{% endif %}}"
    )
    install = msgspec.json.encode({"id": "home-assistant", "newest": currency}).decode()
    more = {
        "title": f"saynote bundle {currency}",
        "command_topic": lambda topics: topics.command(BUNDLE),
        "payload_install": install,
        "qos": 1,
        "icon": "mdi:brain",
        **DIAGNOSTIC,
    }
    return Entity("update", key, name, Topics.state, value, more)


def _moment(seconds: str) -> str:
    """Of seconds since 1970, or none, what Home Assistant takes for a time."""
    return f"({seconds} | timestamp_custom('%Y-%m-%dT%H:%M:%S+00:00', false) if {seconds} else none)"


def _order(verb: str, name: str, **more: Any) -> Entity:
    """A button; each press is a command of its own, which is answered once."""
    told = '{"id": "home-assistant {{ now().timestamp() }}"}'
    return Entity("button", verb, name, None, "", {"command_template": told, "qos": 1, **more})


def status_topic(prefix: str) -> str:
    """Where Home Assistant says that it was born."""
    return f"{prefix}/status"


def config_topic(prefix: str, topics: Topics, entity: Entity) -> str:
    """Where an entity is announced; a device's name may hold points, this level of the topic none."""
    device = topics.device
    if "." in device:
        device = f"{device.replace('.', '_')}-{hashlib.sha256(device.encode()).hexdigest()[:6]}"
    return f"{prefix}/{entity.component}/{device}/{entity.key}/config"


def announcements(prefix: str, topics: Topics, source: Source, *, commands: bool) -> dict[str, bytes]:
    """What is to be said, retained, by its topic. `commands`: whether the device takes any."""
    told = {}
    for entity in entities(source.currency, [other for other in source.versions if other != source.currency]):
        if entity.component == "button" and not commands:
            continue
        if source.tells(entity.level):
            barred = () if commands else ("command_topic", "payload_install")
            shown = replace(entity, more={key: value for key, value in entity.more.items() if key not in barred})
            told[config_topic(prefix, topics, entity)] = _encoded(shown, topics, source)
    return told


def _encoded(entity: Entity, topics: Topics, source: Source) -> bytes:
    said: dict[str, Any] = {
        "name": entity.name,
        "unique_id": f"{topics.device}-{entity.key}",
        **{key: value(topics) if callable(value) else value for key, value in entity.more.items()},
        "device": {
            "identifiers": [topics.device],
            "name": topics.device if topics.device.startswith("saynote") else f"saynote {topics.device}",
            "manufacturer": "saynote",
            "model": f"banknote reader, {source.currency}",
            "sw_version": source.daemon,
        },
        "origin": {"name": "saynote", "sw_version": source.daemon},
    }
    if entity.component == "button":
        said["command_topic"] = topics.command(entity.key)
    else:
        assert entity.said_on is not None
        said["state_topic"] = entity.said_on(topics)
    if entity.value:
        said["value_template"] = entity.value
    if entity.key != "connected":
        said["availability_topic"] = topics.availability()
        said["payload_available"], said["payload_not_available"] = ONLINE.decode(), OFFLINE.decode()
    return msgspec.json.encode(said)
