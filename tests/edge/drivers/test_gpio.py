"""Which chip the header's pins are on, and that it is the one that is opened."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edge.core.errors import HardwareError, Reason
from edge.drivers import gpio
from edge.drivers.gpio import find_header

SOC = {f"gpiochip{number}": f"gpio-brcmstb@107d5{number:05}" for number in range(4)}


def machine(dev: Path, chips: dict[str, str]) -> Callable[[Path], str]:
    for name in chips:
        (dev / name).touch()
    return lambda path: chips[path.name]


@pytest.mark.parametrize(
    ("chips", "number"),
    [
        ({**SOC, "gpiochip4": "pinctrl-rp1"}, 4),
        ({"gpiochip0": "pinctrl-rp1", "gpiochip10": "gpio-brcmstb@107d508500"}, 0),
        ({"gpiochip0": "pinctrl-rp1", "gpiochip4": "mcp23017"}, 0),
        ({"gpiochip0": "mcp23017", "gpiochip11": "pinctrl-rp1"}, 11),
        ({"gpiochip0": "pinctrl-bcm2711", "gpiochip1": "raspberrypi-exp-gpio"}, 0),
        ({"gpiochip1": "pinctrl-bcm2835", "gpiochip0": "a hub's"}, 1),
    ],
)
def test_the_header_is_found_by_its_label_whatever_its_number(
    tmp_path: Path, chips: dict[str, str], number: int
) -> None:
    assert find_header("button", tmp_path, machine(tmp_path, chips)) == number


def test_a_second_name_for_old_programs_is_the_same_chip(tmp_path: Path) -> None:
    label_of = machine(tmp_path, {"gpiochip0": "pinctrl-rp1"})
    (tmp_path / "gpiochip4").symlink_to("gpiochip0")
    assert find_header("button", tmp_path, label_of) == 0


def test_chips_that_are_no_header_are_named_and_not_touched(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match=r"none of gpiochip0 \(gpio-brcmstb.*gpiochip3 .* is the header") as caught:
        find_header("light", tmp_path, machine(tmp_path, SOC))
    assert (caught.value.device, caught.value.reason) == ("light", Reason.MISSING)


def test_chips_that_may_not_be_asked_leave_it_to_the_opening_to_say_so(tmp_path: Path) -> None:
    machine(tmp_path, SOC)

    def denied(path: Path) -> str:
        raise PermissionError(13, "Permission denied")

    assert find_header("button", tmp_path, denied) is None


def test_the_chip_that_was_found_is_the_one_that_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gpiozero", reason="install gpiozero: pip install saynote[pi]")
    opened: list[int] = []
    monkeypatch.setitem(sys.modules, "lgpio", lgpio(opened))
    monkeypatch.delitem(sys.modules, "gpiozero.pins.lgpio", raising=False)
    monkeypatch.setattr(gpio, "find_header", lambda device: 11)
    monkeypatch.setattr(gpio, "DEV", tmp_path)
    (tmp_path / "gpiochip11").touch()
    gpio._open_chip("button", '"none"').close()
    assert opened == [11]
    monkeypatch.delitem(sys.modules, "gpiozero.pins.lgpio")  # it holds the stand-in


def lgpio(opened: list[int]) -> Any:
    """As much of lgpio as gpiozero wants at its import and to open and close a chip."""
    module = ModuleType("lgpio")
    names = ("BOTH_EDGES", "RISING_EDGE", "FALLING_EDGE", "SET_PULL_NONE", "SET_PULL_UP", "SET_PULL_DOWN")
    vars(module).update(dict.fromkeys(names, 0))
    vars(module)["gpiochip_open"] = lambda chip: opened.append(chip) or 1  # type: ignore[func-returns-value]
    vars(module)["gpiochip_close"] = lambda handle: None
    return module
