"""Owns a pin that an outlet switches: opened, told on and off, tried again when it fails. Knows no when and no why."""

from __future__ import annotations

import logging
from collections.abc import Callable

from edge.core.messages import Fault, Recovered
from edge.outlets.worker import Mishaps
from edge.ports import Clock, Pulser

log = logging.getLogger(__name__)

REOPEN_AFTER_S = 5.0  # between two tries to open a pin that failed


class Switch:
    """One pin; `name` is the device's in errors. It posts once that it fails, and once that it went on again."""

    def __init__(
        self,
        name: str,
        open_: Callable[[], Pulser],
        clock: Clock,
        post: Callable[[Fault | Recovered], object],
        mishaps: Mishaps,
    ) -> None:
        self._name, self._open_pin, self._clock, self._post = name, open_, clock, post
        self._mishaps = mishaps
        self._pin: Pulser | None = None
        self._on = False  # as last set
        self._told = False  # that it does not work; it has not been on since
        self._retry_at_s = float("-inf")

    def open(self) -> bool:
        """Open the pin where it is not and that is due; True where one that had failed is open again."""
        now = self._clock.now_s()
        if self._pin is not None or now < self._retry_at_s:
            return False
        try:
            self._pin, self._on = self._open_pin(), False
        except Exception as error:  # noqa: BLE001 -- whatever a driver raises is a pin that does not work
            self._lose(error)
            return False
        return self._told

    def set(self, *, on: bool) -> None:
        """Have it `on` or off, as far as it is open."""
        if self._pin is None or on == self._on:
            return
        try:
            self._pin.set(on)
        except Exception as error:  # noqa: BLE001 -- as above
            self._lose(error)
            return
        self._on = on
        if on and self._told:
            self._told = False
            self._post(Recovered(self._name))

    def due_s(self) -> float | None:
        """When `open` should be called next; None while it is open."""
        return self._retry_at_s if self._pin is None else None

    def close(self) -> None:
        """Off, and let go; may be called twice."""
        pin, self._pin, self._on = self._pin, None, False
        if pin is not None:
            with self._mishaps:
                pin.close()

    def _lose(self, error: Exception) -> None:
        failure = self._mishaps.as_hardware(self._name, error)
        log.log(logging.DEBUG if self._told else logging.ERROR, "%s, trying again", failure)
        self.close()
        self._retry_at_s = self._clock.now_s() + REOPEN_AFTER_S
        if not self._told:
            self._told = True
            self._post(Fault.of(failure))
