"""Owns what a picture's file says of itself before a pixel is decoded: format, size, turn, whether it is whole.

By its content, never by its name. Knows nothing of files and decodes nothing.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

JPEG, PNG, WEBP = "JPEG", "PNG", "WebP"
START_BYTES = 65_536  # enough to know the format, and the size of nearly every picture
ORIENTATION = 0x0112  # the EXIF tag
EXIF = b"Exif\0\0"
BROKEN = "is broken: it is no JPEG, PNG or WebP"
MOVING = "is a moving picture: save one picture of it as JPEG"

# How pictures in other formats begin.
OTHER_FORMATS = (
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"II*\0", "a TIFF or a camera's raw picture"),
    (b"MM\0*", "a TIFF or a camera's raw picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (b"8BPS", "a Photoshop file"),
    (b"%PDF", "a PDF"),
)
# How else files begin that lie among pictures, and what is to be said of them after their name.
NO_PICTURES = (
    (b"\x1aE\xdf\xa3", "is a film, not a picture"),
    (b"PK\x03\x04", "is a ZIP archive, not a picture: unpack it"),
    (b"<", "is a web page or a drawing, not a photograph"),
    (b"\xef\xbb\xbf<", "is a web page or a drawing, not a photograph"),
    (b"version https://git-lfs", "stands for a file that Git LFS has not fetched: git lfs pull"),
)
# ISO base media files say by their brands what they hold; the first that is found counts.
BRANDS = (
    ((b"avif", b"avis"), "an AVIF picture"),
    ((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"), "a HEIC photograph"),
    ((b"mif1", b"msf1"), "a HEIF photograph"),
    ((b"crx ",), "a camera's raw picture"),
)


class UnreadError(ValueError):
    """These bytes are no picture to be read; `str()` says why, to be put after a file's name."""


class OtherFormatError(UnreadError):
    """They are a picture in a format that is not read."""

    def __init__(self, named: str) -> None:
        super().__init__(f"is {named}, which saynote does not read: save it as JPEG")
        self._named = named

    def __reduce__(self) -> tuple[type[OtherFormatError], tuple[str]]:
        return OtherFormatError, (self._named,)  # else another process would say it twice


class TooLargeError(UnreadError):
    """It has more pixels than are read."""


@dataclass(frozen=True)
class Header:
    """What a file says of its picture."""

    format: str  # JPEG, PNG or WEBP
    width_px: int  # as stored: before the turn
    height_px: int
    orientation: int = 1  # by EXIF, 1 to 8: how it has to be turned and mirrored to stand upright
    shrinks: bool = False  # it can be decoded at half its size without ever being held in full


def size(start: bytes) -> Header | None:
    """The format and size in the first bytes of a file, all else left open; None where they do not reach that far.

    Raises UnreadError for everything that is no JPEG, PNG or WebP.
    """
    try:
        if start.startswith(b"\xff\xd8"):
            return _jpeg_size(start)
        if start.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png_size(start)
        if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
            return _webp_size(start)
    except (struct.error, IndexError):
        return None
    raise _foreign(start)


def read(data: bytes) -> Header:
    """All that a whole file says. Raises UnreadError for what is cut off, moves, or is no JPEG, PNG or WebP."""
    header = size(data)
    try:
        if header is None:
            raise IndexError
        whole = {JPEG: _whole_jpeg, PNG: _whole_png, WEBP: _whole_webp}[header.format]
        found = whole(data, header)
    except (struct.error, IndexError):
        raise UnreadError("is broken: it is cut off") from None
    if header.width_px < 1 or header.height_px < 1:
        raise UnreadError("is broken: it says that it has no pixels")
    return found


def _foreign(start: bytes) -> UnreadError:
    if not start:
        return UnreadError("is broken: it is empty")
    if not start.strip(b"\0"):
        return UnreadError("is broken: there are only zeros in it")
    if start[4:8] == b"ftyp":
        end = min(len(start), int.from_bytes(start[:4], "big"))
        brands = {start[8:12], *(start[at : at + 4] for at in range(16, end, 4))}
        named = next((named for names, named in BRANDS if brands & set(names)), "")
        return OtherFormatError(named) if named else UnreadError("is a film, not a picture")
    if start[:4] == b"RIFF" and start[8:12] in (b"AVI ", b"WAVE"):
        return UnreadError("is a film or a sound, not a picture")
    for begin, named in OTHER_FORMATS:
        if start.startswith(begin):
            return OtherFormatError(named)
    return UnreadError(next((said for begin, said in NO_PICTURES if start.startswith(begin)), BROKEN))


# --- JPEG: segments of a marker, a length and their content; after the first scan come the pixels

# Neither a stuffed byte nor a restart. A pattern that begins with one certain byte is found eight times as fast.
_NEXT = re.compile(rb"\xff\xff*([\x01-\xcf\xd8-\xfe])")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_IN_ROWS = (0xC0, 0xC1)  # all others are held as a whole, as are those of several scans
_SCAN, _END, _APP1 = 0xDA, 0xD9, 0xE1


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """The marker of each segment and where its length stands. IndexError where the file ends before its end mark."""
    at = 2
    while True:
        found = _NEXT.search(data, at)
        if found is None:
            raise IndexError
        marker, at = found[1][0], found.end()
        if marker == _END:
            return
        yield marker, at
        if marker != 0x01:
            at += struct.unpack_from(">H", data, at)[0]


def _jpeg_size(data: bytes) -> Header:
    for marker, at in _segments(data):
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return Header(JPEG, width, height, shrinks=marker in _IN_ROWS)
    raise UnreadError("is broken: it holds no picture")


def _whole_jpeg(data: bytes, header: Header) -> Header:
    orientation, scans = 0, 0
    for marker, at in _segments(data):
        scans += marker == _SCAN
        if marker == _APP1 and not orientation and data.startswith(EXIF, at + 2):
            orientation = _turn(data[at + 2 : at + struct.unpack_from(">H", data, at)[0]])
    if not scans:
        raise IndexError
    return replace(header, orientation=orientation or 1, shrinks=header.shrinks and scans == 1)


# --- PNG: chunks of a length, a name, their content and a checksum, which the decoder looks at


def _png_size(data: bytes) -> Header:
    return Header(PNG, *struct.unpack_from(">II", data, 16))


def _whole_png(data: bytes, header: Header) -> Header:
    at, orientation = 8, 1
    while True:
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"acTL" and struct.unpack_from(">I", data, at + 8)[0] > 1:
            raise UnreadError(MOVING)
        if name == b"eXIf":
            orientation = _turn(data[at + 8 : at + 8 + length])
        at += 12 + length
        if at > len(data):
            raise IndexError
        if name == b"IEND":
            return replace(header, orientation=orientation)


# --- WebP: a RIFF file; what has more than a picture begins with a chunk VP8X


def _webp_size(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        _ = data[29]
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return Header(WEBP, width, height)


def _whole_webp(data: bytes, header: Header) -> Header:
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    if end > len(data):
        raise IndexError
    if data[12:16] == b"VP8X" and data[20] & 0x02:
        raise UnreadError(MOVING)
    at, orientation = 12, 1
    while at + 8 <= end:
        name, length = struct.unpack_from("<4sI", data, at)
        if name == b"EXIF":
            orientation = _turn(data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    return replace(header, orientation=orientation)


def _turn(exif: bytes) -> int:
    """The orientation in EXIF data, 1 (upright) where it says nothing that can be understood."""
    tiff = exif.removeprefix(EXIF)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, first)
        for at in range(first + 2, first + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, at)
            if tag == ORIENTATION:
                (value,) = struct.unpack_from(order + {1: "B", 4: "I"}.get(kind, "H"), tiff, at + 8)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
