"""Picture files as cameras, telephones and accidents leave them, made here byte by byte."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

FORMATS = (".jpg", ".png", ".webp")
TURNED = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: np.rot90(p),
}  # what EXIF's orientations ask for, in numpy's words


def patches(width: int = 48, height: int = 32) -> np.ndarray:
    """(height, width, 3) RGB, every corner in a colour of its own."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for number, colour in enumerate(((220, 30, 30), (30, 200, 30), (30, 30, 220), (210, 210, 40))):
        top, left = number // 2 * (height // 2), number % 2 * (width // 2)
        pixels[top : top + height // 2, left : left + width // 2] = colour
    return pixels


def encoded(suffix: str, pixels: np.ndarray) -> bytes:
    """A file of this format; WebP without loss."""
    options = [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else []
    good, data = cv2.imencode(suffix, np.ascontiguousarray(pixels[..., ::-1]), options)
    assert good
    return bytes(data)


def with_orientation(suffix: str, data: bytes, orientation: int, order: str = "<") -> bytes:
    """The same file with an EXIF mark; `order` is that of its bytes."""
    tiff = {"<": b"II*\0", ">": b"MM\0*"}[order]
    tiff += struct.pack(f"{order}IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    if suffix == ".png":
        return data[:33] + _chunk(b"eXIf", tiff) + data[33:]
    if suffix == ".webp":
        width, height = (side - 1 for side in _webp_size(data))
        extended = struct.pack("<4sI", b"VP8X", 10) + b"\x08\0\0\0" + _three(width) + _three(height)
        body = extended + data[12:] + struct.pack("<4sI", b"EXIF", len(tiff)) + tiff
        return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
    segment = b"Exif\0\0" + tiff
    return data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment + data[2:]


def empty_png(width: int, height: int) -> bytes:
    """A whole PNG in black and white, black all over, in a few kilobytes."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    rows = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def heic() -> bytes:
    """The head of a telephone's photograph, which is all that a reader needs."""
    return b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + os.urandom(3000)


def not_files(folder: Path) -> list[Path]:
    """What is named like a picture and is no file: a pipe, a link to an endless device, one to nowhere, a circle."""
    os.mkfifo(folder / "pipe.jpg")
    for name, target in (("endless.jpg", "/dev/zero"), ("nowhere.jpg", "gone"), ("circle.jpg", "circle.jpg")):
        (folder / name).symlink_to(target)
    return [folder / name for name in ("pipe.jpg", "endless.jpg", "nowhere.jpg", "circle.jpg")]


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _webp_size(data: bytes) -> tuple[int, int]:
    assert data[12:16] == b"VP8L"
    (bits,) = struct.unpack_from("<I", data, 21)
    return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")
