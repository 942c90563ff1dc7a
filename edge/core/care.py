"""Owns when the computer's own troubles are worth a word: too hot, too little power, disk full, clock not set.

What comes and goes is said once when it begins, and not again within ten minutes; that it is over is not said, since
nobody need do anything then. A clock that is not set matters to telemetry alone, and a network usually sets it within
the first minutes. It measures nothing and reads no clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.core.errors import Reason
from edge.core.messages import Fault, Recovered

AGAIN_AFTER_S = 600.0
CLOCK_PATIENCE_S = 180.0  # after the start
DISK_LEAST_BYTES = 8 << 20  # twice what the kept phrases take


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the computer says of itself at one moment; None is not known, or nobody's concern."""

    t_s: float  # since the start
    hot: bool | None = None
    weak: bool | None = None  # under-voltage
    disk_free_bytes: int | None = None
    clock_set: bool | None = None


class Care:
    """Turns vitals, in the order of time, into faults and repairs."""

    def __init__(self) -> None:
        self._told_s: dict[tuple[str, Reason], float] = {}
        self._present: set[tuple[str, Reason]] = set()

    def step(self, vitals: Vitals) -> list[Fault | Recovered]:
        """What has begun or ended."""
        troubles = _troubles(vitals)
        events: list[Fault | Recovered] = []
        for (device, reason), detail in troubles.items():
            begins = (device, reason) not in self._present
            last_s = self._told_s.get((device, reason))
            if begins and (last_s is None or vitals.t_s - last_s >= AGAIN_AFTER_S):
                self._told_s[device, reason] = vitals.t_s
                self._present.add((device, reason))
                events.append(Fault(device, reason.value, detail))
        over = self._present - set(troubles)
        self._present -= over
        return events + sorted((Recovered(device, reason.value) for device, reason in over), key=lambda one: one.reason)


def _troubles(vitals: Vitals) -> dict[tuple[str, Reason], str]:
    found = {}
    if vitals.hot:
        found["board", Reason.HOT] = "the processor is slowed down by heat"
    if vitals.weak:
        found["board", Reason.WEAK] = "the voltage is below what the board needs"
    if vitals.disk_free_bytes is not None and vitals.disk_free_bytes < DISK_LEAST_BYTES:
        found["disk", Reason.FULL] = f"{vitals.disk_free_bytes >> 10} KB are free"
    if vitals.clock_set is False and vitals.t_s >= CLOCK_PATIENCE_S:
        found["clock", Reason.UNSET] = "messages carry no time of day"
    return found
