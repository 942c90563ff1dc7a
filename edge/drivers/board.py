"""Owns what the computer reports of itself, read from files of the kernel; starts no program and needs no group."""

from __future__ import annotations

import resource
import shutil
from pathlib import Path

TEMPERATURE = "sys/class/thermal/thermal_zone0/temp"
# The first up to the Pi 4; on the Pi 5 the node's name holds an address.
THROTTLED = (
    "sys/devices/platform/soc/soc:firmware/get_throttled",
    "sys/devices/platform/soc@*/*firmware*/get_throttled",
)
UNDER_VOLTAGE = "sys/class/hwmon/hwmon*/in0_lcrit_alarm"  # of the driver rpi_volt, where the firmware file is missing
MEMORY = "proc/self/statm"  # in pages: the second number is what is resident
# Bits of the firmware's file; those above them say "since boot".
WEAK, CAPPED, SLOWED, NOW = 0x1, 0x2, 0x4, 0xF
HOT_C = 80.0  # from here the firmware slows a Pi down
TOO_HOT_C = 85.0  # where no firmware tells: no Pi runs at full speed there, and few other computers


class PiBoard:
    """A Raspberry Pi, or any Linux computer as far as it knows itself; `root` is where the file system begins."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def temperature_c(self) -> float | None:
        """Of the processor."""
        text = _read(self._root / TEMPERATURE)
        try:
            return int(text) / 1000
        except ValueError:
            return None

    def throttled(self) -> bool | None:
        """Whether under-voltage or heat slows it down now."""
        bits = self._firmware()
        return bool(bits & NOW) if bits is not None else self._alarm()

    def hot(self) -> bool | None:
        """Whether heat slows it down now; the first step of a Pi 3B+ at 60 degrees costs little and does not count."""
        bits, temperature_c = self._firmware(), self.temperature_c()
        if bits is None:
            return None if temperature_c is None else temperature_c >= TOO_HOT_C
        # Low voltage caps the frequency as well: then only the temperature tells.
        slowed = bool(bits & (CAPPED | SLOWED)) and not bits & WEAK
        return slowed or (temperature_c is not None and temperature_c >= HOT_C)

    def weak(self) -> bool | None:
        """Whether the supply's voltage is too low now."""
        bits = self._firmware()
        return bool(bits & WEAK) if bits is not None else self._alarm()

    def free_bytes(self, folder: Path) -> int | None:
        """What an ordinary user may still write on the disk that holds `folder`, or the nearest folder above it."""
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        try:
            return shutil.disk_usage(folder).free
        except OSError:
            return None

    def memory_bytes(self) -> int | None:
        """What stands in memory of this process: code, model and pictures."""
        pages = _read(self._root / MEMORY).split()
        try:
            return int(pages[1]) * resource.getpagesize()
        except (IndexError, ValueError):
            return None

    def _firmware(self) -> int | None:
        return self._first(THROTTLED, 16)

    def _alarm(self) -> bool | None:
        alarm = self._first((UNDER_VOLTAGE,), 10)
        return None if alarm is None else bool(alarm & 1)

    def _first(self, patterns: tuple[str, ...], base: int) -> int | None:
        for pattern in patterns:
            for file in sorted(self._root.glob(pattern)):
                try:
                    return int(_read(file), base)
                except ValueError:
                    continue
        return None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
