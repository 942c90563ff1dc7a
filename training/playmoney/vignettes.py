"""Owns the engraved pictures on play money: invented sitters and invented buildings, as tones turned into hatching.

Must not know notes, colours or currencies. A portrait lives in a box of 100 x 140 units, a landscape in 220 x 100.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from training.pixels import as_pixels
from training.playmoney.engraving import Curves, Floats, Ink, Plate, hatch, odd, oval

Points = tuple[tuple[float, float], ...]

# Behind the face, and over the forehead. Drawn for a face of 44 x 62 around (50, 62).
# fmt: off
HAIR_BEHIND: dict[str, Points] = {
    "bun": ((26, 70), (24, 36), (38, 24), (36, 6), (64, 6), (62, 24), (76, 36), (74, 70)),
    "tonsure": ((23, 78), (22, 48), (32, 56), (68, 56), (78, 48), (77, 78)),
    "long": ((20, 124), (14, 90), (22, 36), (50, 14), (78, 36), (86, 90), (80, 124)),
    "curls": ((20, 92), (10, 84), (18, 72), (8, 62), (16, 50), (10, 38), (24, 32), (26, 16), (40, 20), (50, 8),
              (60, 20), (74, 16), (76, 32), (90, 38), (84, 50), (92, 62), (82, 72), (90, 84), (80, 92)),
    "scarf": ((50, 14), (82, 26), (84, 84), (78, 116), (22, 116), (16, 84), (18, 26)),
    "short": ((27, 66), (24, 36), (50, 20), (76, 36), (73, 66)),
}
HAIR_IN_FRONT: dict[str, Points] = {
    "bun": ((25, 62), (24, 38), (50, 18), (76, 38), (75, 62), (68, 44), (50, 32), (32, 44)),
    "long": ((24, 84), (22, 40), (50, 18), (78, 40), (76, 84), (70, 50), (46, 30), (34, 50)),
    "curls": ((26, 58), (24, 36), (36, 22), (50, 20), (64, 22), (76, 36), (74, 58), (66, 44), (58, 48), (50, 42),
              (42, 48), (34, 44)),
    "scarf": ((24, 66), (22, 34), (50, 16), (78, 34), (76, 66), (66, 40), (50, 36), (34, 40)),
    "short": ((26, 58), (24, 34), (40, 20), (70, 20), (77, 36), (74, 58), (68, 44), (44, 44), (34, 36)),
}
HAT: dict[str, Points] = {
    "top": ((14, 40), (32, 35), (29, 2), (71, 2), (68, 35), (86, 40), (84, 44), (50, 41), (16, 44)),
    "crown": ((28, 40), (20, 12), (36, 25), (42, 6), (50, 22), (58, 6), (64, 25), (80, 12), (72, 40), (50, 36)),
    "cap": ((22, 44), (16, 26), (34, 12), (68, 12), (84, 26), (78, 44), (50, 38)),
}
BEARD: dict[str, Points] = {
    "full": ((27, 62), (34, 74), (44, 72), (50, 70), (56, 72), (66, 74), (73, 62), (74, 90), (62, 112), (50, 118),
             (38, 112), (26, 90)),
    "moustache": ((50, 69), (58, 69), (72, 78), (58, 77), (50, 74), (42, 77), (28, 78), (42, 69)),
    "goatee": ((41, 80), (50, 83), (59, 80), (58, 96), (50, 106), (42, 96)),
}
# (x, y, reach x, reach y, how much darker): light falls from the upper left, the same on every sitter.
FACE_SHADOWS = (
    (76, 62, 13, 42, 0.62), (41, 54, 6, 4, 0.36), (59, 54, 6, 4, 0.44), (54, 63, 2.5, 7, 0.38), (50, 71, 5, 1.6, 0.4),
    (51, 82, 6, 2, 0.3), (63, 73, 6, 7, 0.2), (50, 94, 20, 5, 0.5), (26, 64, 4, 22, 0.25), (43, 40, 11, 8, -0.1),
)
# fmt: on


@dataclass(frozen=True)
class Sitter:
    """An invented person, told apart by hair, hat, beard, glasses and the breadth of the face."""

    hair: str
    hat: str | None = None
    beard: str | None = None
    glasses: bool = False
    breadth: float = 1.0


class _Copper:
    """A picture being engraved: layers of hatching, each hiding what lies below it."""

    def __init__(self, width: float, height: float, scale: float, line_scale: float) -> None:
        self.cover = Plate(width, height, scale)
        self.body = Plate(width, height, scale)
        self._line_scale = line_scale

    def shadows(self, blobs: tuple[tuple[float, ...], ...], base: float) -> Floats:
        """A tone over the whole picture: an even base and soft spots of shadow or light."""
        rows, columns = self.cover.ink.shape
        x, y = np.arange(columns) / self.cover.scale, np.arange(rows) / self.cover.scale
        tone = np.full((rows, columns), base)
        for at_x, at_y, reach_x, reach_y, amount in blobs:
            across, down = np.exp(-(((x - at_x) / reach_x) ** 2)), np.exp(-(((y - at_y) / reach_y) ** 2))
            tone += amount * np.outer(down, across)
        return tone.astype(np.float32)

    def lay(self, outline: Curves, tone: Floats | float, angle: float, bend: float = 0.0, rim: int = 255) -> None:
        """Hatch the inside of an outline and draw its rim."""
        rows, columns = self.cover.ink.shape
        left, top = (outline.min(axis=0) * self.cover.scale - 1).clip(0).astype(int)
        right, bottom = (outline.max(axis=0) * self.cover.scale + 2).astype(int)
        box = (slice(top, min(rows, bottom)), slice(left, min(columns, right)))
        mask = Plate(columns / self.cover.scale, rows / self.cover.scale, self.cover.scale)
        mask.fill(outline, 255)
        tones = tone[box] if isinstance(tone, np.ndarray) else np.full(mask.ink[box].shape, tone, np.float32)
        cv2.copyTo(hatch(tones, self._line_scale, angle, bend=bend), mask.ink[box], self.cover.ink[box])
        np.maximum(self.body.ink, mask.ink, out=self.body.ink)
        if rim:
            self.cover.stroke(outline, rim, self._line_scale / self.cover.scale, closed=True)


def rounded(points: Points, rounds: int = 3) -> Curves:
    """A closed soft outline near the given corners (Chaikin's corner cutting)."""
    outline = np.asarray(points, np.float64)
    for _ in range(rounds):
        after = np.roll(outline, -1, axis=0)
        outline = np.stack([0.75 * outline + 0.25 * after, 0.25 * outline + 0.75 * after], axis=1).reshape(-1, 2)
    return outline


def portrait(sitter: Sitter, height: float, scale: float) -> tuple[Ink, Ink]:
    """A head with shoulders, `height` points tall, as (engraving, silhouette) of the same shape."""
    copper = _Copper(100, 140, height / 140 * scale, scale)
    skin = copper.shadows(FACE_SHADOWS, base=0.12)
    cloth = copper.shadows(((84, 110, 34, 50, 0.3), (20, 110, 16, 30, -0.1)), base=0.58)
    locks = copper.shadows(((80, 60, 20, 60, 0.25), (36, 24, 14, 12, -0.3)), base=0.68)
    if sitter.hair in HAIR_BEHIND:
        copper.lay(rounded(HAIR_BEHIND[sitter.hair]), locks + 0.1, 1.25)
    copper.lay(rounded(((38, 74), (62, 74), (63, 100), (76, 116), (24, 116), (37, 100))), skin + 0.25, 0.0)
    copper.lay(rounded(((0, 156), (4, 122), (34, 98), (50, 130), (66, 98), (96, 122), (100, 156))), cloth, 0.8)
    copper.lay(oval(50, 62, 22 * sitter.breadth, 31), skin, 0.0, bend=-9)
    _features(copper.cover)
    if sitter.beard:
        copper.lay(rounded(BEARD[sitter.beard], 2), locks - 0.05, 1.45)
        copper.cover.stroke(np.array([(45, 77), (50, 78), (55, 77)]), 255, 1.6)
    if sitter.glasses:
        _glasses(copper.cover)
    if sitter.hair in HAIR_IN_FRONT:
        copper.lay(rounded(HAIR_IN_FRONT[sitter.hair]), locks - 0.05, 1.05)
    if sitter.hat:
        copper.lay(np.asarray(HAT[sitter.hat], np.float64), locks + 0.05, 0.2)
    return copper.cover.ink, copper.body.ink


def _features(face: Plate) -> None:
    """Eyes, brows, nose and mouth in full strokes: they carry the look of a face when it is small."""
    for middle in (41.0, 59.0):
        lid = np.array([(middle - 5, 56), (middle - 2, 53), (middle + 2, 53), (middle + 5, 56), (middle, 58)])
        face.stroke(lid, 230, closed=True)
        face.fill(oval(middle, 55.2, 1.9, 2.1, 16), 255)
        outward = 1 if middle > 50 else -1
        brow = np.array([(middle - 6 * outward, 48), (middle, 46.5), (middle + 6 * outward, 49.5)])
        face.stroke(brow, 255, 1.3)
    face.stroke(np.array([(53, 55), (54, 64), (56, 69), (53, 71), (47, 70.5), (45.5, 69)]), 220)
    face.stroke(np.array([(42, 76), (46, 77.2), (50, 77.8), (54, 77.2), (58, 76)]), 255, 1.6)
    face.stroke(np.array([(46, 81), (50, 82), (54, 81)]), 180)


def _glasses(face: Plate) -> None:
    for middle in (40.5, 59.5):
        face.stroke(oval(middle, 55.5, 8, 7, 32), 255, 2.0, closed=True)
    face.stroke(np.array([(48.5, 54), (51.5, 54)]), 255, 2.0)


def landscape(name: str, height: float, scale: float, variant: int = 0) -> tuple[Ink, Ink]:
    """A building in its country, `height` points tall, as (engraving, silhouette of all but the sky)."""
    copper = _Copper(220, 100, height / 100 * scale, scale)
    sky = copper.shadows(((110, -14, 300, 40, 0.3), (50, 20, 26, 6, -0.3), (172, 15, 24, 5, -0.3)), base=0.06)
    copper.lay(_rectangle(0, 0, 220, 100), sky, 0.0, rim=0)
    copper.body.ink[:] = 0
    x = np.linspace(0, 220, 45)
    for far, (level, swell, tone, angle) in enumerate(((58, 9, 0.3, 0.5), (68, 6, 0.45, -0.6), (80, 3, 0.3, 0.0))):
        ridge = level - swell * np.sin(x / 30 + variant * 1.9 + 2 * far) - 0.5 * swell * np.sin(x / 13 + variant + far)
        hill = np.vstack([np.stack([x, ridge], axis=1), [(220, 101), (0, 101)]])
        copper.lay(hill, tone, angle, rim=170)
    for outline, tone, angle in BUILDINGS[name]:
        copper.lay(outline, tone, angle)
    margin = odd(7 * height / 100 * scale)
    fringe = np.zeros_like(copper.cover.ink)
    fringe[margin:-margin, margin:-margin] = 255
    engraving = cv2.multiply(copper.cover.ink, cv2.blur(fringe, (margin, margin)), scale=1 / 255)
    return as_pixels(engraving), copper.body.ink


Facet = tuple[Curves, float, float]
"""One flat part of a building: its outline, how dark it is (0 to 1) and which way its lines run (radians)."""


def _rectangle(x: float, y: float, width: float, height: float) -> Curves:
    return np.array([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], np.float64)


def _part(tone: float, angle: float, *points: tuple[float, float]) -> Facet:
    return np.asarray(points, np.float64), tone, angle


def _arch(x: float, base: float, width: float, height: float) -> Curves:
    turn = np.linspace(np.pi, 2 * np.pi, 20)
    top = np.stack([x + width / 2 * np.cos(turn), base - height * (0.4 - 0.6 * np.sin(turn))], axis=1)
    return np.vstack([[(x - width / 2, base)], top, [(x + width / 2, base)]])


def _sail(turn: float) -> Facet:
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    hub = np.array([110.0, 38.0])
    corners = (hub + 4 * along, hub + 36 * along, hub + 36 * along + 7 * across, hub + 8 * along + 7 * across)
    return np.stack(corners), 0.5, turn


def _tower(x: float, width: float, top: float, base: float = 84) -> list[Facet]:
    half = width / 2
    roof = _part(0.8, 1.1, (x - half - 2, top), (x, top - 1.6 * width), (x + half + 2, top))
    lit = (_rectangle(x - half, top, half, base - top), 0.2, 1.57)
    shaded = (_rectangle(x, top, half, base - top), 0.6, 1.57)
    return [lit, shaded, roof, (_arch(x, top + 16, 3, 7), 0.95, 0.0)]


# fmt: off
BUILDINGS: dict[str, list[Facet]] = {
    "windmill": [
        _part(0.2, 0.0, (96, 40), (110, 40), (110, 88), (90, 88)),
        _part(0.6, 0.0, (110, 40), (124, 40), (130, 88), (110, 88)),
        _part(0.8, 1.0, (94, 41), (102, 28), (118, 28), (126, 41)), (_arch(106, 88, 8, 14), 0.95, 0.0),
        *(_sail(0.45 + k * np.pi / 2) for k in range(4)), (oval(110, 38, 3, 3, 20), 1.0, 0.0),
    ],
    "bridge": [
        (_rectangle(0, 74, 220, 28), 0.4, 0.0),
        _part(0.4, 1.57, (0, 50), (110, 40), (220, 50), (220, 86), (0, 86)),
        *((_arch(x, 86, 36, 32), 0.1, 0.0) for x in (24, 67, 153, 196)), (_arch(110, 88, 40, 40), 0.1, 0.0),
        *((_rectangle(x - 3, 38 + abs(x - 110) / 11, 6, 12), 0.8, 0.0) for x in (45.5, 88, 132, 174.5)),
    ],
    "lighthouse": [
        _part(0.7, 0.9, (60, 96), (84, 80), (110, 76), (140, 82), (166, 96)),
        *(_part(0.15 if k % 2 else 0.8, 0.0, (102 - k, y), (118 + k, y), (119 + k, y + 10), (101 - k, y + 10))
          for k, y in enumerate(range(28, 78, 10))),
        (_rectangle(103, 17, 14, 11), 0.1, 1.57), _part(0.9, 0.0, (100, 17), (110, 7), (120, 17)),
    ],
    "chapel": [
        _part(0.25, 0.9, (0, 74), (44, 14), (66, 44), (92, 8), (140, 74)),
        _part(0.65, 0.9, (92, 8), (140, 74), (84, 74), (98, 40)),
        _part(0.05, 0.0, (92, 8), (104, 24), (96, 22), (90, 28), (82, 22)), *_tower(128, 16, 44, 90),
        (_rectangle(136, 60, 50, 30), 0.25, 1.57), _part(0.8, 0.6, (134, 61), (142, 46), (182, 46), (190, 61)),
        *((_arch(x, 84, 6, 14), 0.9, 0.0) for x in (146, 160, 174)),
        *(_part(0.85, 1.3, (x - 8, 92), (x, 62), (x + 8, 92)) for x in (24, 40, 58, 204)),
    ],
    "portico": [
        (oval(110, 36, 30, 26, 48), 0.45, 1.57), (_rectangle(107, 4, 6, 8), 0.8, 0.0),
        (_rectangle(20, 46, 180, 40), 0.65, 1.57),
        *((_rectangle(x, 58, 9, 26), 0.08, 1.57) for x in (28, 44, 60, 76, 92, 119, 135, 151, 167, 183)),
        (_rectangle(40, 46, 140, 11), 0.2, 0.0), _part(0.35, 0.0, (48, 47), (110, 24), (172, 47)),
        *((_rectangle(14 - 4 * k, 84 + 4 * k, 192 + 8 * k, 4), 0.15 + 0.2 * (k % 2), 0.0) for k in range(3)),
    ],
    "castle": [
        _part(0.5, 0.7, (10, 100), (50, 78), (170, 78), (210, 100)), (_rectangle(52, 56, 116, 30), 0.35, 0.0),
        *((_rectangle(x, 50, 7, 7), 0.35, 0.0) for x in range(54, 166, 13)),
        *_tower(50, 20, 46), *_tower(86, 14, 32), *_tower(134, 14, 28), *_tower(170, 22, 40),
        (_arch(110, 86, 20, 24), 0.95, 0.0),
    ],
    "skyline": [
        (_rectangle(x, top, width, 90 - top), tone, angle)
        for x, top, width, tone, angle in (
            (14, 52, 20, 0.4, 0), (36, 30, 16, 0.7, 1.57), (54, 60, 22, 0.2, 0), (80, 18, 14, 0.5, 1.57),
            (98, 40, 24, 0.3, 0), (124, 10, 12, 0.8, 1.57), (140, 48, 26, 0.4, 0), (170, 26, 18, 0.6, 1.57),
        )
    ],
    "pyramids": [
        _part(tone, 0.0, (x - w if lit else x + 0.3 * w, 88), (x, 88 - h), (x + 0.3 * w if lit else x + w, 88))
        for x, w, h in ((60, 50, 44), (126, 70, 62), (186, 36, 30))
        for lit, tone in ((True, 0.15), (False, 0.7))
    ],
}
# fmt: on
