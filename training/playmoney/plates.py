"""Owns the layout of a note: which motif stands where on the plate of each ink, front and back.

Must not know which notes exist, seeds, or how inks mix into colours. Lengths are in points, 640 to the width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from training.pixels import as_pixels
from training.playmoney.engraving import Ink, Plate, braid, figure, oval, rosette, waves
from training.playmoney.vignettes import Sitter, landscape, portrait

WIDTH = 640.0
RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Layout:
    """Where things stand on a sheet; the play crowns share this one, every stranger has its own."""

    height: float = 290.0
    window_x: float = 88.0
    value_x: float = 270.0
    value_height: float = 76.0
    title_x: float = 270.0
    sitter_x: float = 372.0
    sitter_height: float = 226.0
    scene_x: float = 104.0
    serial_x: float = 510.0
    wave_beats: float = 3.0
    third_corner: bool = False


@dataclass(frozen=True)
class Inks:
    """Four inks: two tints that blend across the sheet, one for lace and vignettes, one dark for the engraving."""

    left: RGB
    right: RGB
    lace: RGB
    dark: RGB


@dataclass(frozen=True)
class Design:
    """All that tells one note from another, whatever its currency."""

    amount: int
    words: str
    title: str
    code: str
    inks: Inks
    petals: int
    sitter: Sitter
    scene: str
    layout: Layout = Layout()


class Plates(NamedTuple):
    """How much of each ink lands where, one plate an ink; `mark` is the thickness of the paper itself."""

    left: Ink
    right: Ink
    lace: Ink
    dark: Ink
    mark: Ink


class _Sheet:
    """The plates of one face while they are being cut."""

    def __init__(self, design: Design, scale: float) -> None:
        self.design, self.layout, self.scale = design, design.layout, scale
        self.middle = design.layout.height / 2
        self.tint, self.lace, self.dark, self.mark = (self.blank() for _ in range(4))

    def blank(self) -> Plate:
        """A plate without any ink, as large as the sheet."""
        return Plate(WIDTH, self.layout.height, self.scale)


def engrave(design: Design, face: str, scale: float) -> Plates:
    """Cut the plates of one face ("front" or "back"), `scale` pixels to the point, read-only."""
    sheet = _Sheet(design, scale)
    _ground(sheet)
    (_front if face == "front" else _back)(sheet)
    _border(sheet)
    ramp = np.linspace(-0.15, 1.15, sheet.tint.ink.shape[1]).clip(0, 1)
    blend = (127.5 + 127.5 * np.cos(np.pi * ramp)).astype(np.uint8)
    leftward = np.ascontiguousarray(np.broadcast_to(blend, sheet.tint.ink.shape))
    left, right = (cv2.multiply(sheet.tint.ink, share, scale=1 / 255) for share in (leftward, 255 - leftward))
    plates = Plates(as_pixels(left), as_pixels(right), sheet.lace.ink, sheet.dark.ink, sheet.mark.ink)
    for plate in plates:
        plate.flags.writeable = False
    return plates


def _front(sheet: _Sheet) -> None:
    design, layout = sheet.design, sheet.layout
    _portrait(sheet)
    _window(sheet)
    reach = min(100.0, sheet.middle - 34)
    sheet.tint.fade(oval(layout.value_x, sheet.middle, reach, reach), 0.6)
    _medallion(sheet, layout.value_x, reach)
    _value(sheet, layout.value_x, sheet.middle, layout.value_height, 0.5, widest=196)
    _corners(sheet)
    sheet.dark.letters(design.title, layout.title_x, 46, 13, anchor=0.5, weight=1.4)
    sheet.dark.letters(design.words, layout.value_x, layout.height - 29, 9.5, anchor=0.5, widest=184)
    _thread(sheet, layout.window_x + 74)
    sheet.dark.letters(design.code, 600, sheet.middle - 42, 13, anchor=0.5, weight=1.4)
    upright = braid(sheet.middle - 34, sheet.middle + 46, 600, 11, design.petals / 2, 5)[:, :, ::-1]
    sheet.lace.stroke(upright, 220)


def _back(sheet: _Sheet) -> None:
    design, layout = sheet.design, sheet.layout
    tall, x, y = layout.height * 0.58, layout.scene_x, layout.height * 0.205
    centre = x + 1.1 * tall
    engraving, solid = landscape(design.scene, tall, sheet.scale, variant=design.petals)
    field = np.array([(x, y), (x + 2.2 * tall, y), (x + 2.2 * tall, y + tall), (x, y + tall)])
    sheet.lace.fade(field, 0.1, softness=16)
    sheet.tint.fade(field, 0.45, softness=16)
    sheet.lace.stamp(engraving, x, y)
    sheet.dark.stamp(as_pixels(cv2.min(engraving, solid)), x, y)
    side = 554.0 if x < 200 else 86.0
    _medallion(sheet, side, 66)
    _value(sheet, side, sheet.middle, 48, 0.5, widest=118)
    _corners(sheet)
    spare = x / 2 if x < 200 else (x + 2.2 * tall + WIDTH) / 2
    sheet.lace.stroke(braid(75, layout.height - 75, spare, 13, design.petals / 2, 6)[:, :, ::-1], 200)
    sheet.dark.letters(design.words, centre, layout.height - 32, 13, anchor=0.5, weight=1.2, widest=270)
    sheet.dark.letters(f"{design.title}  {design.code}", centre, 47, 12, anchor=0.5, weight=1.2)


def _ground(sheet: _Sheet) -> None:
    """A light wash under two fields of wavy lines."""
    height, beats = sheet.layout.height, sheet.layout.wave_beats
    sheet.tint.ink[:] = 110
    sheet.tint.stroke(waves(WIDTH, -20, height + 20, 4.4, 9, beats), 255)
    sheet.lace.stroke(waves(WIDTH, -20, height + 20, 6.6, 12, 0.7 * beats + sheet.design.petals / 8), 78)


def _border(sheet: _Sheet) -> None:
    """A braid and a line of tiny print above and below, and a thin frame."""
    design, height = sheet.design, sheet.layout.height
    for middle in (11.0, height - 11.0):
        sheet.lace.stroke(braid(10, WIDTH - 10, middle, 6, 3 * design.petals, 4), 215)
    sheet.dark.stroke(np.array([(5, 5), (WIDTH - 5, 5), (WIDTH - 5, height - 5), (5, height - 5)]), 140, closed=True)
    tiny = (f"{design.code} {design.amount} {design.title} " * 12)[:118]
    for baseline in (25.5, height - 20.5):
        sheet.dark.letters(tiny, WIDTH / 2, baseline, 4.2, 150, anchor=0.5)


def _value(sheet: _Sheet, x: float, y: float, height: float, anchor: float, widest: float) -> None:
    """An engraved numeral on ground that was cleared for it, never wider than its place."""
    text = str(sheet.design.amount)
    # A digit of this font is as wide as 0.95 of its height; a numeral that lost a digit would be another amount.
    height = min(height, widest / (0.95 * len(text) + 0.2))
    face, body = figure(text, height, max(3.0, height / 7), sheet.scale)
    left, top = x - anchor * face.shape[1] / sheet.scale, y - face.shape[0] / sheet.scale / 2
    clear = sheet.blank()
    clear.stamp(body, left, top)
    for ground in (sheet.tint, sheet.lace, sheet.dark):
        ground.mask(clear.ink, 0.15)
    sheet.dark.stamp(face, left, top)


def _corners(sheet: _Sheet) -> None:
    """The amount again, small, in two or three corners."""
    _value(sheet, 16, 48, 24, 0.0, widest=80)
    _value(sheet, 624, sheet.layout.height - 48, 30, 1.0, widest=92)
    if sheet.layout.third_corner:
        _value(sheet, 624, 48, 24, 1.0, widest=80)


def _medallion(sheet: _Sheet, x: float, reach: float) -> None:
    """Three rings of lace inside each other."""
    lace, petals = sheet.lace, sheet.design.petals
    lace.fade(oval(x, sheet.middle, reach, reach), 0.25)
    lace.stroke(rosette(x, sheet.middle, 0.66 * reach, reach, petals, 6), 235, closed=True)
    lace.stroke(rosette(x, sheet.middle, 0.34 * reach, 0.7 * reach, 2 * petals, 4), 200, closed=True)
    lace.stroke(rosette(x, sheet.middle, 0.06 * reach, 0.4 * reach, petals, 6), 180, closed=True)


def _portrait(sheet: _Sheet) -> None:
    """The sitter before an oval of fine lace, cut off at the lower border."""
    tall, x = sheet.layout.sitter_height, sheet.layout.sitter_x
    engraving, body = portrait(sheet.design.sitter, tall, sheet.scale)
    y, wide = sheet.layout.height - 22 - tall, tall / 1.4
    centre = (x + wide / 2, y + 0.46 * tall)
    sheet.lace.fade(oval(*centre, 0.5 * wide, 0.5 * tall), 0.2)
    halo = rosette(*centre, 0.2 * wide, 0.5 * wide, sheet.design.petals + 3, 10, squash=1.3)
    sheet.lace.stroke(halo, 120, closed=True)
    hole = sheet.blank()
    hole.stamp(body, x, y)
    sheet.lace.mask(hole.ink, 0.0)
    sheet.tint.mask(hole.ink, 0.5)
    sheet.dark.stamp(engraving, x, y)


def _window(sheet: _Sheet) -> None:
    """Bare paper with the sitter's shadow in it."""
    rim = oval(sheet.layout.window_x, sheet.middle, 54, 78)
    sheet.tint.fade(rim, 0.12)
    sheet.lace.fade(rim, 0.0)
    sheet.lace.stroke(rim, 150, closed=True)
    sheet.lace.stroke(rosette(sheet.layout.window_x, sheet.middle, 51, 58, 44, 3, squash=1.43), 150, closed=True)
    _, body = portrait(sheet.design.sitter, 112, sheet.scale)
    sheet.mark.stamp(as_pixels(cv2.blur(body, (5, 5)) // 2), sheet.layout.window_x - 40, sheet.middle - 60)


def _thread(sheet: _Sheet, x: float) -> None:
    """The security thread, woven in and out of the paper."""
    for top in np.arange(30, sheet.layout.height - 40, 26):
        sheet.dark.fill(np.array([(x, top), (x + 4, top), (x + 4, top + 16), (x, top + 16)]), 90)
