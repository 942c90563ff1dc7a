"""In the virtual device: sets its clock, and tells its kernel that it is right, as a time server's program does.

device_clock.py SECONDS, since 1970
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import time

MAX_ERROR = 0x0004  # ADJ_MAXERROR: all that systemd asks for
TIMEX_BYTES, MAX_ERROR_AT = 208, 24


def main(wall_s: float) -> None:
    """Once."""
    time.clock_settime(time.CLOCK_REALTIME, wall_s)
    state = ctypes.create_string_buffer(TIMEX_BYTES)
    struct.pack_into("I", state, 0, MAX_ERROR)
    struct.pack_into("q", state, MAX_ERROR_AT, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.adjtimex(state) < 0:
        sys.exit(os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    main(float(sys.argv[1]))
