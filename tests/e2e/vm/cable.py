"""Owns the network between this computer and a virtual device: one wire with an address at each end, nothing beyond.

There is one such device on a computer at a time; its network is gone with the process that made it.
"""

from __future__ import annotations

import fcntl
import os
import struct

from tests.e2e.pi.step import StepError, run

NAME = "saynote-pi"
OURS, DEVICE = "10.213.15.1", "10.213.15.2"
SET_INTERFACE, TAP, NO_HEADER = 0x4004_54CA, 0x0002, 0x1000  # TUNSETIFF, IFF_TAP, IFF_NO_PI


class Cable:
    """`handle` is the device's end, for the process that is the device."""

    def __init__(self) -> None:
        try:
            self.handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise StepError(f"this computer makes no networks: /dev/net/tun: {error.strerror}") from None
        try:
            fcntl.ioctl(self.handle, SET_INTERFACE, struct.pack("16sH22x", NAME.encode(), TAP | NO_HEADER))
        except OSError as error:
            os.close(self.handle)
            raise StepError(f"no network {NAME}: {error.strerror}; is another virtual device running here?") from None
        run(["ip", "address", "add", f"{OURS}/30", "dev", NAME], 30)
        run(["ip", "link", "set", NAME, "up"], 30)

    def unplug(self) -> None:
        """Take it away."""
        os.close(self.handle)
