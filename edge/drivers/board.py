"""Owns what the computer reports of itself, read from files of the kernel; starts no program and needs no group."""

from __future__ import annotations

from pathlib import Path

TEMPERATURE = "sys/class/thermal/thermal_zone0/temp"
# The first up to the Pi 4; on the Pi 5 the node's name holds an address.
THROTTLED = (
    "sys/devices/platform/soc/soc:firmware/get_throttled",
    "sys/devices/platform/soc@*/*firmware*/get_throttled",
)
UNDER_VOLTAGE = "sys/class/hwmon/hwmon*/in0_lcrit_alarm"  # of the driver rpi_volt, where the firmware file is missing
NOW = 0xF  # under-voltage, frequency capped, throttled, soft limit: the bits above say "since boot"


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
        for pattern, base, mask in (*((pattern, 16, NOW) for pattern in THROTTLED), (UNDER_VOLTAGE, 10, 1)):
            for file in sorted(self._root.glob(pattern)):
                try:
                    return bool(int(_read(file), base) & mask)
                except ValueError:
                    continue
        return None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
