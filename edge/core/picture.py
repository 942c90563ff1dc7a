"""Owns both ways between pixels and picture files: reading whatever people have, and the making of a JPEG.

Everything that saynote reads from a file goes through `read`: photographs that are trained on, tested on and replayed.
Knows nothing of what is in the pictures.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.core import intake, pictureheader
from edge.core.errors import PictureError
from edge.core.messages import Pixels
from edge.core.pictureheader import Header, OtherFormatError, TooLargeError, UnreadError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# 64 megapixels are 200 MB. Telephones of 108 and 200 megapixels write JPEGs, which are decoded at half their size.
MOST_PIXELS = 64 * 1024 * 1024
HALVED = 2
MOST_BYTES = 256 * 1024 * 1024
# Of EXIF's orientations: rows are columns; then what cv2.flip mirrors, 0 top and bottom, 1 left and right, -1 both.
ACROSS = (5, 6, 7, 8)
MIRRORED = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}


@dataclass(frozen=True)
class Picture:
    """A picture that stands upright, and what its file says."""

    pixels: Pixels
    header: Header


def read(path: Path) -> Picture:
    """The picture in a file, turned as its EXIF mark asks. Raises PictureError, before it decodes where it can."""
    with _opened(path) as handle:
        # A picture that is too large is refused by its first bytes.
        _require_size(pictureheader.size(os.read(handle, pictureheader.START_BYTES)))
        os.lseek(handle, 0, os.SEEK_SET)
        return parse(intake.rest(handle, MOST_BYTES))


def parse(data: bytes, most_pixels: int = MOST_PIXELS * HALVED**2) -> Picture:
    """The same for a file that lies in memory. Raises UnreadError, TooLargeError for what has more pixels than that."""
    header = pictureheader.read(data)
    _require_size(header, most_pixels)
    return Picture(_upright(_decoded(data, header), header.orientation), header)


def look(path: Path) -> None:
    """Raises PictureError where the first bytes of a file show that it is no picture that `read` knows."""
    with _opened(path) as handle:
        pictureheader.size(os.read(handle, pictureheader.START_BYTES))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A handle of a file of a size that can be read. What is wrong with it or its content becomes a PictureError."""
    try:
        with intake.opened(path, MOST_BYTES) as handle:
            yield handle
    except UnreadError as error:
        raise PictureError(path, str(error), other_format=isinstance(error, OtherFormatError)) from None
    except OSError as error:
        raise PictureError(path, f"cannot be read: {error.strerror or error}") from None


def _require_size(header: Header | None, most_pixels: int = MOST_PIXELS * HALVED**2) -> None:
    if header is None:
        return
    pixels = header.width_px * header.height_px
    most = min(most_pixels, MOST_PIXELS * HALVED**2 if header.shrinks else MOST_PIXELS)
    if pixels > most:
        raise TooLargeError(
            f"is too large, {header.width_px} x {header.height_px} pixels: "
            f"{most / 1024**2:.3g} megapixels are read at most, so make it smaller"
        )


def _decoded(data: bytes, header: Header) -> Pixels:
    large = header.width_px * header.height_px > MOST_PIXELS
    flags = cv2.IMREAD_REDUCED_COLOR_2 if large else cv2.IMREAD_COLOR
    try:
        # OpenCV turns JPEG and PNG, and not WebP: here all are turned alike.
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        picture = None
    if picture is None:
        raise UnreadError("is broken: it cannot be decoded")
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turned and mirrored as EXIF's orientation, 1 to 8, says."""
    if orientation in ACROSS:
        pixels = np.asarray(cv2.transpose(pixels), np.uint8)
    if orientation in MIRRORED:
        pixels = np.asarray(cv2.flip(pixels, MIRRORED[orientation]), np.uint8)
    return pixels


def jpeg(pixels: Pixels, *, quality: int, widest_px: int | None = None) -> bytes:
    """A (height, width, 3) RGB picture as JPEG, made smaller where it is wider than `widest_px`; no metadata."""
    height, width = pixels.shape[:2]
    if widest_px is not None and width > widest_px:
        size = (widest_px, max(1, round(height * widest_px / width)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(encoded)
