"""Owns pins through gpiozero and lgpio: the button's, and those that are switched; knows neither gestures nor codes.

The chip behind the header has another number from kernel to kernel (on a Pi 5 it was 4 and is 0, and the old number may
be another chip's), so it is found by its label.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import logging
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge.core.errors import HardwareError, Reason
from edge.core.messages import Edge
from edge.drivers.clock import SystemClock
from edge.ports import Clock
from edge.settings import ButtonConfig

log = logging.getLogger(__name__)

DEV = Path("/dev")
HEADERS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")  # labels: Pi 5, Pi 4, those before
CHIP_INFO = struct.Struct("=32s32sI")  # name, label, lines
GET_CHIP_INFO = 0x8044_B401


class GpioButton:
    """Reports every edge of one pin; `factory` stands in for gpiozero's lgpio factory."""

    def __init__(self, config: ButtonConfig, factory: Any = None, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._callback: Callable[[Edge], None] | None = None
        self._own_factory = None if factory else _open_chip("button", '"keyboard" or "none"')
        try:
            self._pin: Any = _open_input(config, factory or self._own_factory)
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


class GpioOutput:
    """Switches one pin; `device` ("pulses", "light") names it in errors and in the configuration."""

    def __init__(self, device: str, pin: int, *, active_high: bool, factory: Any = None) -> None:
        self._device = device
        self._own_factory = None if factory else _open_chip(device, '"none"')
        try:
            self._pin: Any = _open_output(device, pin, active_high, factory or self._own_factory)
        except HardwareError:
            self.close()
            raise

    def set(self, on: bool) -> None:
        """Switch the pin."""
        pin = self.__dict__.get("_pin")
        if pin is None:
            raise HardwareError(self._device, Reason.STOPPED, "it was closed")
        try:
            pin.value = int(on)
        except Exception as error:  # lgpio.error and gpiozero's errors share no other root
            raise HardwareError(self._device, Reason.BROKEN, f"the pin cannot be switched: {error}") from error

    def close(self) -> None:
        """Switch off and let the pin and the chip go."""
        for device in (self.__dict__.pop("_pin", None), self._own_factory):
            if device is not None:
                device.close()  # a pin that is closed is an input again, so whatever hangs on it is off
        self._own_factory = None


def _open_chip(device: str, instead: str) -> Any:
    chips = sorted(DEV.glob("gpiochip*"))
    # Looked for first: lgpio's import alone starts a thread and leaves a pipe in the working directory.
    if not chips:
        hint = f"there are no GPIO pins (/dev/gpiochip*); without them set {device}.driver = {instead}"
        raise HardwareError(device, Reason.MISSING, hint)
    try:
        from gpiozero.pins.lgpio import LGPIOFactory
    except ImportError as error:
        hint = "install it with: pip install gpiozero lgpio (or apt install python3-gpiozero python3-lgpio)"
        raise HardwareError(device, Reason.NOT_INSTALLED, hint) from error
    except OSError as error:
        hint = f"lgpio needs a working directory that it can write to: {error}"
        raise HardwareError(device, Reason.DENIED, hint) from error
    number = find_header(device)
    try:
        return LGPIOFactory(chip=number)
    except Exception as error:  # lgpio.error and gpiozero's errors share no other root
        reason = Reason.DENIED if not any(_writable(chip) for chip in chips) else Reason.BROKEN
        raise HardwareError(device, reason, f"the GPIO chip cannot be opened: {error}") from error


def find_header(device: str, dev: Path = DEV, label_of: Callable[[Path], str] | None = None) -> int | None:
    """The number of the chip behind the header; None where no chip may be asked, which opening one will tell.

    Raises HardwareError(MISSING) where it is none of those that are there.
    """
    labels = {}
    for chip in sorted(path.resolve() for path in dev.glob("gpiochip*")):
        if match := re.fullmatch(r"gpiochip(\d+)", chip.name):
            with contextlib.suppress(OSError):
                labels[int(match[1])] = (label_of or _label)(chip)
    for number, label in labels.items():
        if label in HEADERS:
            return number
    if not labels:
        return None
    known = ", ".join(f"gpiochip{number} ({label})" for number, label in sorted(labels.items()))
    raise HardwareError(device, Reason.MISSING, f"none of {known} is the header of a Raspberry Pi")


def _label(chip: Path) -> str:
    handle = os.open(chip, os.O_RDONLY | os.O_CLOEXEC)
    try:
        answer = bytearray(CHIP_INFO.size)
        fcntl.ioctl(handle, GET_CHIP_INFO, answer)
    finally:
        os.close(handle)
    label: bytes = CHIP_INFO.unpack(answer)[1]
    return label.split(b"\0")[0].decode(errors="replace")


def _open_input(config: ButtonConfig, factory: Any) -> Any:
    gpiozero = _import_gpiozero("button")
    return _open_pin(
        "button",
        config.pin,
        lambda: gpiozero.DigitalInputDevice(config.pin, pull_up=config.pull_up, bounce_time=None, pin_factory=factory),
    )


def _open_output(device: str, pin: int, active_high: bool, factory: Any) -> Any:
    gpiozero = _import_gpiozero(device)
    return _open_pin(
        device,
        pin,
        lambda: gpiozero.DigitalOutputDevice(pin, active_high=active_high, initial_value=False, pin_factory=factory),
    )


def _import_gpiozero(device: str) -> Any:
    try:
        return importlib.import_module("gpiozero")
    except ImportError as error:
        raise HardwareError(device, Reason.NOT_INSTALLED, "install it with: pip install gpiozero") from error


def _open_pin(device: str, pin: int, open_: Callable[[], Any]) -> Any:
    in_use = _import_gpiozero(device).GPIOPinInUse
    try:
        return open_()
    except in_use as error:
        raise HardwareError(device, Reason.BUSY, f"pin {pin} is in use: {error}") from error
    except Exception as error:  # lgpio.error and gpiozero's errors share no other root
        raise HardwareError(device, Reason.BROKEN, f"pin {pin} cannot be used: {error}") from error


def _writable(chip: Path) -> bool:
    try:
        with chip.open("r+b", buffering=0):
            return True
    except OSError:
        return False
