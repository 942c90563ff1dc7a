"""Owns what one picture file says about itself: whole or cut off, its format, its size, its colours. Knows no label."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.core import picture
from edge.core.errors import PictureError
from edge.core.pictureheader import JPEG, PNG, WEBP
from training.check.findings import HUGE_BYTES, HUGE_PX, TINY_PX, Finding
from training.errors import TrainingError
from training.photos import dataset

FORMATS = {".jpg": JPEG, ".jpeg": JPEG, ".png": PNG, ".webp": WEBP}
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
        read = picture.read(path)
        pixels = dataset.shrunk(read.pixels)
        dataset.require_sides(path, pixels)
    except (PictureError, TrainingError) as error:
        return Examined(None, [Finding("broken", str(error), (path,))])
    header, size = read.header, (read.header.width_px, read.header.height_px)
    grey = float(np.ptp(pixels.astype(np.int16), axis=2).mean()) < GREY_SPREAD
    blank = float(pixels.mean(axis=2).std()) < BLANK_CONTRAST
    said = {
        "format": header.format != FORMATS[path.suffix.lower()]
        and f"its name ends in {path.suffix}, it is a {header.format}",
        "turned": header.orientation > 1 and f"its EXIF mark is {header.orientation}",
        "tiny": min(size) < TINY_PX and f"{size[0]} x {size[1]} pixels",
        "huge": _huge(path, max(size)) and f"{size[0]} x {size[1]} pixels, {path.stat().st_size / 1e6:.1f} MB",
        "blank": blank and "one colour all over",
        "grey": grey and not blank and "no colours",
    }
    return Examined(pixels, [Finding(kind, f"{path}: {text}", (path,)) for kind, text in said.items() if text], blank)


def _huge(path: Path, longest_px: int) -> bool:
    return longest_px > HUGE_PX or path.stat().st_size > HUGE_BYTES
