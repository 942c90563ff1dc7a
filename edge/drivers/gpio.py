"""Owns the button's pin through gpiozero and lgpio; neither debounces nor knows gestures."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.config import ButtonConfig
from edge.core.errors import HardwareError, Reason
from edge.core.messages import Edge
from edge.drivers.clock import SystemClock
from edge.ports import Clock

log = logging.getLogger(__name__)


class GpioButton:
    """Reports every edge of one pin; `factory` stands in for gpiozero's lgpio factory."""

    def __init__(self, config: ButtonConfig, factory: Any = None, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._callback: Callable[[Edge], None] | None = None
        self._own_factory = None if factory else _open_chip()
        try:
            self._pin: Any = _open_pin(config, factory or self._own_factory)
        except HardwareError:
            self.close()
            raise
        self._pin.when_activated = lambda: self._tell(down=True)
        self._pin.when_deactivated = lambda: self._tell(down=False)

    def listen(self, callback: Callable[[Edge], None]) -> None:
        """Call `callback` on every change, bounces included, from lgpio's thread."""
        self._callback = callback

    def close(self) -> None:
        """Let the pin and the chip go."""
        self._callback = None
        for device in (self.__dict__.pop("_pin", None), self._own_factory):
            if device is not None:
                device.close()
        self._own_factory = None

    def _tell(self, *, down: bool) -> None:
        callback = self._callback
        if callback is not None:
            callback(Edge(down, self._clock.now_s()))


def _open_chip() -> Any:
    chips = sorted(Path("/dev").glob("gpiochip*"))
    # Looked for first: lgpio's import alone starts a thread and leaves a pipe in the working directory.
    if not chips:
        hint = 'there are no GPIO pins (/dev/gpiochip*); without them set button.driver = "keyboard" or "none"'
        raise HardwareError("button", Reason.MISSING, hint)
    try:
        from gpiozero.pins.lgpio import LGPIOFactory
    except ImportError as error:
        hint = "install it with: pip install gpiozero lgpio (or apt install python3-gpiozero python3-lgpio)"
        raise HardwareError("button", Reason.NOT_INSTALLED, hint) from error
    except OSError as error:
        hint = f"lgpio needs a working directory that it can write to: {error}"
        raise HardwareError("button", Reason.DENIED, hint) from error
    try:
        return LGPIOFactory()
    except Exception as error:  # lgpio.error and gpiozero's errors share no other root
        reason = Reason.DENIED if not any(_writable(chip) for chip in chips) else Reason.BROKEN
        raise HardwareError("button", reason, f"the GPIO chip cannot be opened: {error}") from error


def _open_pin(config: ButtonConfig, factory: Any) -> Any:
    try:
        from gpiozero import DigitalInputDevice, GPIOPinInUse
    except ImportError as error:
        raise HardwareError("button", Reason.NOT_INSTALLED, "install it with: pip install gpiozero") from error
    try:
        return DigitalInputDevice(config.pin, pull_up=config.pull_up, bounce_time=None, pin_factory=factory)
    except GPIOPinInUse as error:
        raise HardwareError("button", Reason.BUSY, f"pin {config.pin} is in use: {error}") from error
    except Exception as error:  # lgpio.error and gpiozero's errors share no other root
        raise HardwareError("button", Reason.BROKEN, f"pin {config.pin} cannot be used: {error}") from error


def _writable(chip: Path) -> bool:
    try:
        with chip.open("r+b", buffering=0):
            return True
    except OSError:
        return False
