from __future__ import annotations

import resource
from pathlib import Path

import pytest

from edge.drivers.board import PiBoard
from edge.drivers.fake import FakeBoard
from edge.ports import Board

PI_4 = "sys/devices/platform/soc/soc:firmware/get_throttled"
PI_5 = "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"


def write(root: Path, name: str, text: str) -> None:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="ascii")


@pytest.mark.parametrize("board", [FakeBoard(), FakeBoard(None, None), PiBoard()])
def test_every_board_reports_or_does_not_know(board: Board) -> None:
    temperature_c = board.temperature_c()
    assert temperature_c is None or -40 < temperature_c < 150
    assert {board.throttled(), board.hot(), board.weak()} <= {None, True, False}
    free = board.free_bytes(Path("/tmp/not/yet/there"))
    assert free is None or free > 0
    memory = board.memory_bytes()
    assert memory is None or memory > 1 << 20


def test_memory_is_what_is_resident(tmp_path: Path) -> None:
    write(tmp_path, "proc/self/statm", "90000 25000 9000 1 0 60000 0\n")
    assert PiBoard(tmp_path).memory_bytes() == 25_000 * resource.getpagesize()
    write(tmp_path, "proc/self/statm", "90000\n")
    assert PiBoard(tmp_path).memory_bytes() is None


def test_temperature_is_in_degrees(tmp_path: Path) -> None:
    write(tmp_path, "sys/class/thermal/thermal_zone0/temp", "48312\n")
    assert PiBoard(tmp_path).temperature_c() == pytest.approx(48.312)


@pytest.mark.parametrize("text", ["", "hot\n"])
def test_a_temperature_that_makes_no_sense_is_unknown(tmp_path: Path, text: str) -> None:
    write(tmp_path, "sys/class/thermal/thermal_zone0/temp", text)
    assert PiBoard(tmp_path).temperature_c() is None


@pytest.mark.parametrize("file", [PI_4, PI_5])
@pytest.mark.parametrize(
    ("bits", "slow"), [("0\n", False), ("50000\n", False), ("50005\n", True), ("8\n", True), ("0x4\n", True)]
)
def test_only_what_slows_it_down_now_counts(tmp_path: Path, file: str, bits: str, slow: bool) -> None:
    write(tmp_path, file, bits)
    assert PiBoard(tmp_path).throttled() is slow


def test_under_voltage_is_seen_without_the_firmware_file(tmp_path: Path) -> None:
    write(tmp_path, "sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    assert PiBoard(tmp_path).throttled() is True


def test_a_machine_that_is_no_pi_does_not_know(tmp_path: Path) -> None:
    assert (PiBoard(tmp_path).temperature_c(), PiBoard(tmp_path).throttled()) == (None, None)


@pytest.mark.parametrize(
    ("bits", "celsius", "hot", "weak"),
    [
        ("0", 45, False, False),
        ("50005", 50, False, True),  # capped and slowed, but by low voltage
        ("60006", 82, True, False),
        ("6", 70, True, False),
        ("5", 83, True, True),
        ("80008", 62, False, False),  # the soft limit of a Pi 3B+
        ("e0000", 60, False, False),  # it was so, and is no more
    ],
)
def test_heat_and_low_voltage_are_told_apart(tmp_path: Path, bits: str, celsius: int, hot: bool, weak: bool) -> None:
    write(tmp_path, PI_4, f"{bits}\n")
    write(tmp_path, "sys/class/thermal/thermal_zone0/temp", f"{celsius}000\n")
    assert (PiBoard(tmp_path).hot(), PiBoard(tmp_path).weak()) == (hot, weak)


@pytest.mark.parametrize(("celsius", "hot"), [(84, False), (86, True)])
def test_without_the_firmware_file_only_great_heat_counts(tmp_path: Path, celsius: int, hot: bool) -> None:
    write(tmp_path, "sys/class/thermal/thermal_zone0/temp", f"{celsius}000\n")
    assert (PiBoard(tmp_path).hot(), PiBoard(tmp_path).weak()) == (hot, None)


@pytest.mark.hardware
def test_a_real_pi_knows_both() -> None:
    model = Path("/proc/device-tree/model")
    if not model.exists() or "Raspberry Pi" not in model.read_text(encoding="ascii", errors="replace"):
        pytest.skip("run this on a Raspberry Pi")
    assert PiBoard().temperature_c() is not None
    assert PiBoard().throttled() is not None
