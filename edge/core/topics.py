"""Owns the topics of one device, spelt here only, and which message of the device goes on which.

`availability` is a bare word, because the broker itself speaks it when a device vanishes; all others carry a payload of
`edge.core.payloads`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from edge.core.errors import ConfigError
from edge.core.messages import Decision, Event, Health, Verdict
from edge.core.orders import VERBS, Response

ONLINE, OFFLINE = b"online", b"offline"
Told: TypeAlias = Event | Response


def unusable_prefix(key: str, prefix: str) -> str:
    """The sentence about a setting that no topic begins with; "" where one may."""
    begins = re.fullmatch(r"(?![$/])[^+#\x00-\x1f]+(?<!/)", prefix)
    return "" if begins else f"{key} = {prefix!r} cannot begin a topic: no + # $ and no outer /"


@dataclass(frozen=True, slots=True)
class Topics:
    """Every topic of one device, spelt here only."""

    prefix: str  # one or more levels, from the configuration
    device: str  # one level

    def __post_init__(self) -> None:
        if why := unusable_prefix("mqtt.prefix", self.prefix):
            raise ConfigError([why])
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", self.device):
            raise ConfigError([f"mqtt.device_id = {self.device!r} must be 1 to 64 letters, digits and . _ -"])

    def availability(self) -> str:
        """`online` or `offline`, retained; the broker says `offline` when the device vanishes."""
        return self._at("availability")

    def detection(self) -> str:
        """Amounts."""
        return self._at("detection")

    def event(self) -> str:
        """Unsure, hints, faults and recoveries."""
        return self._at("event")

    def health(self) -> str:
        """Health, retained: who comes late sees the latest at once."""
        return self._at("health")

    def state(self) -> str:
        """What stands, retained."""
        return self._at("state")

    def summary(self) -> str:
        """What the last days brought, retained."""
        return self._at("summary")

    def command(self, verb: str) -> str:
        """Where a device is asked for something."""
        return self._at(f"command/{verb}")

    def commands(self) -> str:
        """What the device subscribes to for all commands."""
        return self._at("command/+")

    def response(self, verb: str) -> str:
        """Where it is told what became of a command; one for all verbs that there are not."""
        return self._at(f"response/{verb if verb in VERBS else 'unknown'}")

    def newest(self, currency: str) -> str:
        """Where the owner says, retained, what is the newest bundle of `currency`: to all devices of this prefix.

        Deeper than what devices say of themselves, so it is nobody's among them.
        """
        return f"{self.prefix}/newest/bundle/{currency}"

    def verb_of(self, topic: str) -> str:
        """The verb that a command's topic ends with."""
        return topic.removeprefix(self._at("command/"))

    def of(self, event: Told) -> str:
        """The topic that `event` belongs on."""
        if isinstance(event, Response):
            return self.response(event.verb)
        if isinstance(event, Decision) and event.verdict is Verdict.AMOUNT:
            return self.detection()
        return self.health() if retained(event) else self.event()

    def _at(self, part: str) -> str:
        return f"{self.prefix}/{self.device}/{part}"

    @staticmethod
    def all_devices(prefix: str) -> str:
        """What to subscribe to for all that all devices say of themselves; answers to commands lie one level deeper."""
        return f"{prefix}/+/+"


def retained(event: Told) -> bool:
    """Whether the broker keeps the latest of it for who comes late."""
    return isinstance(event, Health)
