"""Owns which of Linux's video nodes are cameras, and what they are called; takes no picture.

A USB camera has two nodes or more: one gives pictures, the others what belongs to them. A Pi has nodes of its codecs,
its image processor and its ribbon cable, too. Each is asked what it is (VIDIOC_QUERYCAP), which disturbs nobody who
uses it.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CAPABILITY = struct.Struct("=16s32s32sIII12x")  # driver, card, bus, version, of the device, of the node
QUERYCAP = 0x8068_5600
CAPTURE = 0x1 | 0x1000  # pictures, in one plane or several
MEMORY_TO_MEMORY = 0x8000 | 0x4000  # a codec
NEEDS_PIPELINE = 0x2000_0000  # gives pictures only once a whole pipeline was set up, as libcamera does
OF_NODE = 0x8000_0000  # the node's own capabilities are there
# What the Pi's own parts are called by kernels that do not say so by their capabilities.
NO_CAMERAS = ("bcm2835-isp", "bcm2835-codec", "unicam", "rp1-cfe", "pispbe")


@dataclass(frozen=True, slots=True)
class Node:
    """One /dev/video..."""

    path: Path
    name: str
    pictures: bool  # whether it gives any; where it may not be asked, it may

    def __str__(self) -> str:
        return f"{self.path} ({self.name})" if self.name else str(self.path)


def ask(path: Path) -> bytes | None:
    """What the node says of itself; None where it may not be asked. Raises OSError where there is no device behind."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return None
    try:
        answer = bytearray(CAPABILITY.size)
        fcntl.ioctl(handle, QUERYCAP, answer)
        return bytes(answer)
    finally:
        os.close(handle)


def nodes(root: Path = Path("/"), ask: Callable[[Path], bytes | None] = ask) -> list[Node]:
    """All video nodes that are there now, by number; `root` is where the file system begins."""
    found = {}
    for path in (root / "dev").glob("video*"):
        if match := re.fullmatch(r"video(\d+)", path.name):
            found[int(match[1])] = path
    return [_node(found[number], root, ask) for number in sorted(found)]


def _node(path: Path, root: Path, ask: Callable[[Path], bytes | None]) -> Node:
    try:
        name = (root / "sys/class/video4linux" / path.name / "name").read_text(encoding="utf-8", errors="replace")
    except OSError:
        name = ""
    try:
        answer = ask(path)
    except OSError:
        return Node(path, name.strip(), pictures=False)
    if answer is None:
        return Node(path, name.strip(), pictures=True)
    card, pictures = read_capability(answer)
    return Node(path, name.strip() or card, pictures)


def read_capability(answer: bytes) -> tuple[str, bool]:
    """The device's name, and whether the node gives pictures."""
    driver, card, _, _, of_device, of_node = CAPABILITY.unpack(answer)
    bits = of_node if of_device & OF_NODE else of_device
    pictures = bool(bits & CAPTURE) and not bits & (MEMORY_TO_MEMORY | NEEDS_PIPELINE)
    return _text(card), pictures and _text(driver) not in NO_CAMERAS


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode(errors="replace").strip()
