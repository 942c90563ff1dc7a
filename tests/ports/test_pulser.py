"""What holds for every pin that is switched: told on, it is on; closed, it is off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge.core.errors import HardwareError, Reason
from edge.drivers.fake import FakeClock, FakePulser
from edge.drivers.gpio import GpioOutput
from edge.ports import Pulser

PIN = 27


@dataclass
class Wire:
    """A driver, and a meter at its pin: is current flowing through what hangs on it?"""

    pulser: Pulser
    flows: Callable[[], bool]


def mock_factory() -> Any:
    mock = pytest.importorskip("gpiozero.pins.mock", reason="install gpiozero: pip install saynote[pi]")
    return mock.MockFactory()


def gpio_wire(*, active_high: bool = True) -> Wire:
    factory = mock_factory()
    pulser = GpioOutput("pulses", PIN, active_high=active_high, factory=factory)
    pin = factory.pin(PIN)
    # A pin that is an input drives nothing.
    return Wire(pulser, lambda: pin.function == "output" and bool(pin.state) == active_high)


@pytest.fixture(params=["fake", "gpio", "gpio active low"])
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    if request.param == "fake":
        fake = FakePulser()
        wire = Wire(fake, lambda: fake.on)
    else:
        wire = gpio_wire(active_high=request.param == "gpio")
    yield wire
    wire.pulser.close()


def test_it_begins_off(wire: Wire) -> None:
    assert not wire.flows()


def test_it_does_as_it_is_told(wire: Wire) -> None:
    states = []
    for on in (True, True, False, True, False):
        wire.pulser.set(on)
        states.append(wire.flows())
    assert states == [True, True, False, True, False]


def test_closed_while_on_it_is_off(wire: Wire) -> None:
    wire.pulser.set(True)
    wire.pulser.close()
    assert not wire.flows()


def test_it_may_be_closed_twice_and_then_says_that_it_is_closed(wire: Wire) -> None:
    wire.pulser.close()
    wire.pulser.close()
    with pytest.raises(HardwareError) as caught:
        wire.pulser.set(True)
    assert (caught.value.device, caught.value.reason) == ("pulses", Reason.STOPPED)


def test_a_pin_in_use_is_busy_and_named() -> None:
    factory = mock_factory()
    first = GpioOutput("pulses", PIN, active_high=True, factory=factory)
    with pytest.raises(HardwareError, match=f"pin {PIN}") as caught:
        GpioOutput("light", PIN, active_high=True, factory=factory)
    first.close()
    assert (caught.value.device, caught.value.reason) == ("light", Reason.BUSY)


def test_a_machine_without_pins_says_so() -> None:
    if any(Path("/dev").glob("gpiochip*")):
        pytest.skip("there are pins: run this where there are none")
    with pytest.raises(HardwareError, match=r'light\.driver = "none"') as caught:
        GpioOutput("light", PIN, active_high=True)
    assert (caught.value.device, caught.value.reason) == ("light", Reason.MISSING)


@pytest.mark.hardware
def test_a_real_motor_is_felt() -> None:
    try:
        pulser = GpioOutput("pulses", PIN, active_high=True)
    except HardwareError as error:
        pytest.skip(f"wire a motor or an LED to GPIO {PIN} as docs/hardware.md says: {error}")
    pulser.set(True)
    pulser.close()


def test_the_fake_remembers_when_it_pulsed() -> None:
    pulser = FakePulser(FakeClock(10.0))
    for seconds, on in ((0.0, True), (0.5, False), (1.0, True), (0.25, False)):
        pulser.clock.advance(seconds)
        pulser.set(on)
    assert pulser.pulses == [(10.0, 0.5), (11.5, 0.25)]


def test_the_fake_fails_when_told() -> None:
    pulser = FakePulser()
    pulser.fail = HardwareError("pulses", Reason.BROKEN, "told to")
    with pytest.raises(HardwareError, match="told to"):
        pulser.set(True)
    assert pulser.timeline == []
