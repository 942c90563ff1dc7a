"""Owns what one picture file says about itself: whole or cut off, its format, its size, its colours. Knows no label."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.check.findings import HUGE_PX, TINY_PX, Finding
from training.errors import TrainingError
from training.photos import dataset

FORMATS = {".jpg": ("JPEG", "MPO"), ".jpeg": ("JPEG", "MPO"), ".png": ("PNG",), ".webp": ("WEBP",)}
ORIENTATION = 0x0112  # the EXIF tag
GREY_SPREAD = 3.0  # mean difference of a pixel's channels, of 255: above the noise of JPEG, below any ink
BLANK_CONTRAST = 3.0  # standard deviation of brightness, of 255: below it hashes and models see noise


@dataclass(frozen=True)
class Examined:
    """A picture as training sees it, None where it cannot be opened, and what is to be said of its file."""

    pixels: NDArray[np.uint8] | None
    findings: list[Finding]
    blank: bool = False


def examine(path: Path) -> Examined:
    """Open one picture as training does, and look at what training does not notice."""
    try:
        format_, size, orientation = _read_whole(path)
        pixels = dataset.load(path)
    except TrainingError as error:
        return Examined(None, [Finding("broken", str(error), (path,))])
    grey = float(np.ptp(pixels.astype(np.int16), axis=2).mean()) < GREY_SPREAD
    blank = float(pixels.mean(axis=2).std()) < BLANK_CONTRAST
    said = {
        "format": format_ not in FORMATS[path.suffix.lower()] and f"its name ends in {path.suffix}, it is a {format_}",
        "turned": orientation > 1 and f"its EXIF mark is {orientation}",
        "tiny": min(size) < TINY_PX and f"{size[0]} x {size[1]} pixels",
        "huge": max(size) > HUGE_PX and f"{size[0]} x {size[1]} pixels",
        "blank": blank and "one colour all over",
        "grey": grey and not blank and "no colours",
    }
    return Examined(pixels, [Finding(kind, f"{path}: {text}", (path,)) for kind, text in said.items() if text], blank)


def _read_whole(path: Path) -> tuple[str, tuple[int, int], int]:
    """Format, size and EXIF orientation; a picture that is cut off raises, which OpenCV would fill with grey."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # size is reported, not feared
            with Image.open(io.BytesIO(path.read_bytes())) as picture:
                orientation = picture.getexif().get(ORIENTATION, 1)
                picture.load()
                return picture.format or "", picture.size, orientation if isinstance(orientation, int) else 1
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        reason = str(error).splitlines()[0].split(" <")[0] if str(error) else type(error).__name__
        raise TrainingError(f"{path} is broken: {reason}") from None
