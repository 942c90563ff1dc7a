"""Owns what a note may lie on or be held before: tables, cloth, print, clutter, hands and dark rooms, drawn by program.

Must not know notes: no scene shows one, nor any digit that could pass for an amount.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.core.messages import Pixels
from training.pixels import as_pixels

Rng = np.random.Generator
Size = tuple[int, int]
"""Height and width in pixels."""
Floats = NDArray[np.floating[Any]]
Outline = NDArray[np.int32]  # (points, 2)
Surface = Callable[[Rng, Size], Pixels]
Addition = Callable[[Rng, Pixels], Pixels]

WORDS = (
    "the", "and", "market", "Monday", "letter", "garden", "please", "river", "station", "bread", "window", "offer",
    "OPEN", "NEWS", "summer", "of", "in", "with", "under", "paper", "SALE", "city", "evening", "reader", "to", "a",
)  # fmt: skip
SKINS = np.array([(62, 40, 30), (92, 60, 44), (124, 84, 62), (160, 112, 84), (196, 148, 118), (226, 184, 156)])
WOODS = np.array([(70, 42, 24), (120, 78, 44), (160, 116, 70), (52, 40, 34), (196, 160, 116)], np.float32)


def draw_scene(seed: int, size_px: Size) -> Pixels:
    """Draw a background of (height, width) as RGB (height, width, 3) uint8; the same seed gives the same picture."""
    height, width = size_px
    if height < 16 or width < 16:
        raise ValueError(f"a scene needs at least 16 x 16 pixels, not {height} x {width}")
    rng = np.random.default_rng(seed)
    scene = SURFACES[rng.integers(len(SURFACES))](rng, size_px)
    for addition, chance in ADDITIONS:
        if rng.random() < chance:
            scene = addition(rng, scene)
    return _light(rng, scene)


def _grid(rng: Rng, size: Size, turned: bool = True) -> tuple[Floats, Floats]:
    """Coordinates over the picture, about 0 to 1 along the longer side, turned and shifted at random."""
    height, width = size
    angle = rng.uniform(0, np.pi) if turned else 0.0
    x = (np.arange(width, dtype=np.float32) / max(size))[None, :]
    y = (np.arange(height, dtype=np.float32) / max(size))[:, None]
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return x * cos - y * sin + np.float32(rng.uniform(2, 3)), x * sin + y * cos + np.float32(rng.uniform(2, 3))


def _noise(rng: Rng, size: Size, cells: tuple[int, int]) -> Floats:
    """Smooth noise around 0 with about `cells` humps down and across."""
    coarse = rng.normal(0, 1, (max(2, cells[0]), max(2, cells[1]))).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC), np.float32)


def _colour(rng: Rng, low: float = 20, high: float = 240, vivid: float = 0.6) -> Floats:
    """A colour of any brightness, from grey to as vivid as asked for."""
    grey = rng.uniform(low, high)
    return np.clip(grey + vivid * rng.uniform(-90, 90, 3), 4, 252).astype(np.float32)


def _blend(share: Floats, first: Floats, second: Floats) -> Pixels:
    """Mix two colours by a share (height, width) of the second."""
    return _bytes(first + share[:, :, None] * (second - first))


def _bytes(picture: Floats) -> Pixels:
    return np.clip(picture, 0, 255).astype(np.uint8)


def _wood(rng: Rng, size: Size) -> Pixels:
    x, y = _grid(rng, size)
    dark = WOODS[rng.integers(len(WOODS))]
    warp = 0.02 * _noise(rng, size, (4, 6)) + 0.004 * _noise(rng, size, (30, 40))
    rings = np.sin((y + warp + 0.03 * np.sin(5 * x)) * np.float32(rng.uniform(60, 160)))
    grain = 0.5 + 0.3 * rings + 0.15 * np.sin((y + 0.3 * warp) * 420)
    board = np.float32(rng.uniform(0.14, 0.4))
    seam = (y % board) < 0.006
    return _blend(np.where(seam, -0.8, grain + 0.3 * np.sin(np.floor(y / board) * 7)), dark, dark * 1.35 + 8)


def _weave(rng: Rng, size: Size) -> Pixels:
    x, y = _grid(rng, size)
    threads = np.float32(2 * np.pi * rng.uniform(40, 110))
    over, under = np.sin(x * threads), np.sin(y * threads)
    share = 0.5 + 0.28 * np.where(over * under > 0, over, under) + 0.12 * _noise(rng, size, (5, 7))
    return _blend(share, _colour(rng, 20, 200), _colour(rng, 60, 240))


def _checks(rng: Rng, size: Size) -> Pixels:
    x, y = _grid(rng, size)
    pitch, part = np.float32(rng.uniform(0.05, 0.25)), rng.uniform(0.25, 0.6)
    columns, rows = (x % pitch) < part * pitch, (y % pitch) < part * pitch
    if rng.random() < 0.3:
        share = np.broadcast_to(columns, size).astype(np.float32)
    else:
        share = 0.5 * (columns.astype(np.float32) + rows)
    return as_pixels(cv2.GaussianBlur(_blend(share, _colour(rng), _colour(rng)), (3, 3), 0))


def _tiles(rng: Rng, size: Size) -> Pixels:
    x, y = _grid(rng, size)
    wide, tall = np.float32(rng.uniform(0.1, 0.35)), np.float32(rng.uniform(0.1, 0.35))
    row = np.floor(y / tall)
    x = x + (row % 2) * wide / 2 if rng.random() < 0.5 else x
    mottle = 0.35 * np.sin(np.floor(x / wide) * 12.9 + row * 78.2) + 0.2 * _noise(rng, size, (9, 12))
    tile = _blend(0.5 + mottle, _colour(rng, 60, 220, 0.4), _colour(rng, 90, 240, 0.4))
    joint = np.minimum(np.minimum(x % wide, wide - x % wide), np.minimum(y % tall, tall - y % tall)) < 0.006
    tile[joint] = _colour(rng, 60, 220, 0.1)
    return tile


def _print(rng: Rng, size: Size) -> Pixels:
    """A page of words, read at any angle; words only, since digits are what the reader of notes looks for."""
    side = int(1.5 * max(size))
    paper, ink = _colour(rng, 190, 250, 0.15), _colour(rng, 10, 90, 0.3)
    page = np.full((side, side, 3), paper, np.uint8)
    font = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX]))
    scale = rng.uniform(0.9, 2.6) * max(size) / 1000
    for line, y in enumerate(np.arange(20, side, max(7, 34 * scale))):
        if rng.random() < 0.9:
            text = " ".join(rng.choice(WORDS, min(40, int(side / (90 * scale)) + 1)))
            bold = 1 + int(line % 9 == 0)
            cv2.putText(page, text, (int(8 + 20 * scale), int(y)), font, scale, ink.tolist(), bold, cv2.LINE_AA)
    turn = np.asarray(cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-180, 180), 1.0), np.float64)
    turn[:, 2] -= ((side - size[1]) / 2, (side - size[0]) / 2)
    edge = _colour(rng).tolist()
    return as_pixels(cv2.warpAffine(page, turn, (size[1], size[0]), borderMode=cv2.BORDER_CONSTANT, borderValue=edge))


def _gradient(rng: Rng, size: Size) -> Pixels:
    x, y = _grid(rng, size)
    share = 0.5 + 0.5 * np.sin((x - 2.5) * np.float32(rng.uniform(1, 4))) + 0.05 * _noise(rng, size, (3, 4)) + 0 * y
    return _blend(share, _colour(rng), _colour(rng))


def _stone(rng: Rng, size: Size) -> Pixels:
    share = 0.5 + 0.25 * _noise(rng, size, (5, 6)) + 0.2 * _noise(rng, size, (24, 30))
    speck = _noise(rng, size, (size[0] // 2, size[1] // 2))
    veins = np.abs(_noise(rng, size, (6, 8))) < 0.04
    return _blend(share + 0.2 * speck + 0.5 * veins, _colour(rng, 30, 200, 0.3), _colour(rng, 60, 240, 0.3))


def _blobs(rng: Rng, size: Size) -> Pixels:
    """A room or street far out of focus: drawn small and enlarged, so that nothing has an edge."""
    small = np.full((60, 80, 3), _colour(rng, 10, 180), np.uint8)
    for _ in range(rng.integers(8, 26)):
        at = (int(rng.integers(80)), int(rng.integers(60)))
        cv2.circle(small, at, int(rng.integers(2, 16)), _colour(rng, 10, 250, 1.0).tolist(), -1, cv2.LINE_AA)
    small = as_pixels(cv2.GaussianBlur(small, (0, 0), rng.uniform(1.5, 5)))
    return as_pixels(cv2.resize(small, (size[1], size[0]), interpolation=cv2.INTER_CUBIC))


def _dark_room(rng: Rng, size: Size) -> Pixels:
    lamp = _noise(rng, size, (3, 3))
    dim = _blend(0.4 + 0.3 * lamp, _colour(rng, 2, 16, 0.1), _colour(rng, 24, 60, 0.3))
    return _bytes(dim + rng.normal(0, 5, (*size, 1)))


def _clutter(rng: Rng, scene: Pixels) -> Pixels:
    """Things lying about: discs, rims, polygons and leaflets, each with a soft shadow."""
    side = max(scene.shape)
    for _ in range(rng.integers(1, 9)):
        x, y = rng.uniform(0, scene.shape[1]), rng.uniform(0, scene.shape[0])
        reach, kind = rng.uniform(0.04, 0.28) * side, rng.random()
        if kind < 0.25:
            _leaflet(rng, scene, (x, y), reach)
            continue
        axes = (int(reach), int(reach * rng.uniform(0.1, 1)))
        outline = np.array(cv2.ellipse2Poly((int(x), int(y)), axes, int(rng.integers(180)), 0, 360, 6), np.int32)
        if kind < 0.6:
            outline = outline[np.sort(rng.choice(len(outline), int(rng.integers(3, 7)), replace=False))]
        _drop(scene, outline, _colour(rng, vivid=0.9))
        if rng.random() < 0.4:
            cv2.polylines(scene, [outline], True, _colour(rng).tolist(), int(rng.integers(1, 5)), cv2.LINE_AA)
    return scene


def _drop(scene: Pixels, outline: Outline, colour: Floats) -> None:
    """Fill a shape over its own shadow."""
    shade = np.zeros(scene.shape[:2], np.uint8)
    cv2.fillConvexPoly(shade, outline + 3, (110,))
    weight = 255 - cv2.blur(shade, (9, 9))
    scene[:] = cv2.multiply(scene, cv2.merge([weight] * 3), scale=1 / 255)
    cv2.fillConvexPoly(scene, outline, colour.tolist(), cv2.LINE_AA)


def _leaflet(rng: Rng, scene: Pixels, centre: tuple[float, float], reach: float) -> None:
    """A slip of paper with bars for a picture and for lines of text."""
    turn, tall = rng.uniform(0, np.pi), rng.uniform(0.3, 0.9)
    axes = reach * np.array([(np.cos(turn), np.sin(turn)), (-tall * np.sin(turn), tall * np.cos(turn))])

    def quad(left: float, top: float, right: float, bottom: float) -> Outline:
        corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
        return np.asarray(np.rint(np.array(centre) + corners @ axes), np.int32)

    _drop(scene, quad(-1, -1, 1, 1), _colour(rng, 150, 250, 0.4))
    picture = quad(-0.85, -0.8, rng.uniform(-0.4, 0.3), 0)
    cv2.fillConvexPoly(scene, picture, _colour(rng, vivid=1.0).tolist(), cv2.LINE_AA)
    ink = _colour(rng, 20, 120).tolist()
    for top in np.arange(0.15, 0.85, 0.18):
        cv2.fillConvexPoly(scene, quad(-0.85, top, rng.uniform(0.1, 0.9), top + 0.07), ink, cv2.LINE_AA)


def _hand(rng: Rng, scene: Pixels) -> Pixels:
    """Fingers, and sometimes a palm, reaching in from one side, in any tone of skin."""
    height, width = scene.shape[:2]
    skin = np.zeros((height, width), np.uint8)
    breadth = rng.uniform(0.07, 0.13) * max(height, width)
    turn = rng.uniform(0, 2 * np.pi)
    ahead = np.array([np.cos(turn), np.sin(turn)])
    across = np.array([-ahead[1], ahead[0]])
    palm = np.array([width, height]) * rng.uniform(0.3, 0.7, 2) - ahead * rng.uniform(0.3, 0.6) * max(height, width)
    for finger in range(rng.integers(1, 6)):
        start = palm + across * breadth * 1.05 * (finger - 1.5)
        bend = ahead + across * rng.uniform(-0.2, 0.2)
        tip = start + bend * breadth * rng.uniform(2.6, 4.2)
        ends = [tuple(int(part) for part in end) for end in (start, tip)]
        cv2.line(skin, ends[0], ends[1], (255 - 12 * finger,), int(breadth), cv2.LINE_AA)
    cv2.circle(skin, tuple(int(part) for part in palm - ahead * breadth), int(2.1 * breadth), (230,), -1, cv2.LINE_AA)
    # Distance from the rim rounds the fingers off: bright along the middle, dark where the skin turns away.
    depth = cv2.distanceTransform((skin > 127).astype(np.uint8), cv2.DIST_L2, 3) / np.float32(0.5 * breadth)
    round_ = np.minimum(depth, 1.0) * 0.4 + 0.68 + (skin.astype(np.float32) - 255) / 500
    tone = SKINS[rng.integers(len(SKINS))] * rng.uniform(0.85, 1.15) * rng.uniform(0.96, 1.04, 3)
    cover = cv2.blur(skin, (3, 3)).astype(np.float32)[:, :, None] / 255
    return _bytes(scene * (1 - cover) + cover * round_[:, :, None] * tone.astype(np.float32))


def _light(rng: Rng, scene: Pixels) -> Pixels:
    """Uneven light over the whole picture, now and then the edge of a shadow or little light at all."""
    size = (scene.shape[0], scene.shape[1])
    lamp = 1.0 + rng.uniform(0, 0.15) * _noise(rng, size, (2, 2))
    if rng.random() < 0.25:
        x, _ = _grid(rng, size)
        lamp = lamp * (1 - rng.uniform(0.2, 0.5) / (1 + np.exp(np.clip((x - 2.5) * rng.uniform(8, 80), -30, 30))))
    if rng.random() < 0.15:
        lamp = lamp * rng.uniform(0.25, 0.7)
    return _bytes(scene * lamp.astype(np.float32)[:, :, None])


SURFACES: tuple[Surface, ...] = (
    _wood, _weave, _checks, _tiles, _print, _gradient, _stone, _blobs, _dark_room,
)  # fmt: skip
ADDITIONS: tuple[tuple[Addition, float], ...] = ((_clutter, 0.5), (_hand, 0.3))
