"""Owns the play crowns (XTS): which notes exist, how inks print on paper, and notes of nobody's currency.

Must not know cameras, backgrounds or models, nor where on a sheet a motif stands.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from edge.core.messages import Pixels
from training.pixels import as_pixels
from training.playmoney.engraving import Ink, Plate
from training.playmoney.plates import RGB, WIDTH, Design, Inks, Layout, Plates, engrave
from training.playmoney.vignettes import BEARD, BUILDINGS, HAIR_BEHIND, HAT, Sitter

CURRENCY = "XTS"
DENOMINATIONS: tuple[int, ...] = (5, 10, 20, 50, 100, 500)
FACES = ("front", "back")

# fmt: off
STRANGE_AMOUNTS: dict[int, str] = {
    1: "ONE", 2: "TWO", 3: "THREE", 4: "FOUR", 7: "SEVEN", 8: "EIGHT", 25: "TWENTY-FIVE", 30: "THIRTY", 40: "FORTY",
    60: "SIXTY", 70: "SEVENTY", 80: "EIGHTY", 200: "TWO HUNDRED", 250: "TWO HUNDRED FIFTY", 300: "THREE HUNDRED",
    700: "SEVEN HUNDRED", 1000: "ONE THOUSAND", 2000: "TWO THOUSAND",
}
"""What a stranger may be worth: never an amount that the play crowns have."""

STRANGE_TITLES = ("BANK OF ELSEWHERE", "NOWHERE TREASURY", "ISLE BANK", "STATE NOTE", "BANCO LEJANO")
STRANGE_COINS = ("FLORINS", "DUCATS", "THALERS", "PESETTI", "ZLOTKI", "LIRANS", "TALENTS")

# Neighbours share colours on purpose (5 with 100, 10 with 20, 50 with 500): colour alone must not decide.
LOOKS: dict[int, tuple[str, Inks, int, Sitter, str]] = {
    5: ("FIVE", Inks((216, 186, 214), (190, 190, 224), (150, 96, 150), (74, 44, 92)), 10,
        Sitter("bun"), "windmill"),
    10: ("TEN", Inks((232, 196, 160), (224, 208, 168), (176, 112, 72), (88, 52, 36)), 14,
         Sitter("tonsure", beard="full"), "bridge"),
    20: ("TWENTY", Inks((236, 206, 146), (232, 194, 164), (186, 126, 52), (96, 62, 24)), 8,
         Sitter("scarf", breadth=0.95), "lighthouse"),
    50: ("FIFTY", Inks((178, 216, 178), (208, 220, 168), (72, 136, 84), (24, 72, 48)), 12,
         Sitter("short", hat="top", beard="moustache", breadth=1.05), "chapel"),
    100: ("ONE HUNDRED", Inks((182, 190, 228), (212, 188, 220), (96, 96, 168), (46, 44, 104)), 16,
          Sitter("curls", glasses=True), "portico"),
    500: ("FIVE HUNDRED", Inks((170, 212, 196), (190, 220, 182), (52, 128, 104), (16, 68, 60)), 9,
          Sitter("long", hat="crown"), "castle"),
}
# fmt: on
DESIGNS: dict[int, Design] = {
    amount: Design(amount, f"{words} PLAY CROWNS", "PLAY MONEY", CURRENCY, inks, petals, sitter, scene)
    for amount, (words, inks, petals, sitter, scene) in LOOKS.items()
}
PAPER_MARK: RGB = (206, 200, 186)
SERIAL_RED: RGB = (150, 30, 40)


def draw(denomination: int, face: str, seed: int, width_px: int = 640) -> Pixels:
    """Draw one play crown note as RGB (height, width, 3) uint8.

    The seed, 0 or more, changes what differs from note to note: serial number, tints and the fit of the plates.
    """
    if denomination not in DENOMINATIONS:
        raise ValueError(f"no play crown note of {denomination!r}; there are {', '.join(map(str, DENOMINATIONS))}")
    if face not in FACES:
        raise ValueError(f"a note has no face {face!r}; there are {', '.join(FACES)}")
    rng = np.random.default_rng((denomination, FACES.index(face), seed))
    plates = _crown_plates(denomination, face, _scale(width_px))
    return _print(DESIGNS[denomination], plates, face, rng, width_px)


def draw_stranger(seed: int, width_px: int = 640) -> Pixels:
    """Draw a note of no known currency as RGB uint8: the same craft, another layout, to be rejected by a reader."""
    design, rng = stranger(seed), np.random.default_rng((1, seed))
    face = FACES[rng.integers(2)]
    return _print(design, engrave(design, face, _scale(width_px)), face, rng, width_px)


def stranger(seed: int) -> Design:
    """An invented design of an invented currency, whose amount no play crown note has."""
    rng = np.random.default_rng((2, seed))
    amount, coin = int(rng.choice(list(STRANGE_AMOUNTS))), str(rng.choice(STRANGE_COINS))
    return Design(
        amount=amount,
        words=f"{STRANGE_AMOUNTS[amount]} {coin}",
        title=str(rng.choice(STRANGE_TITLES)),
        code=coin[:3],
        inks=_strange_inks(rng),
        petals=int(rng.integers(5, 20)),
        sitter=_strange_sitter(rng),
        scene=str(rng.choice(list(BUILDINGS))),
        layout=_strange_layout(rng),
    )


def _strange_sitter(rng: np.random.Generator) -> Sitter:
    return Sitter(
        hair=str(rng.choice(list(HAIR_BEHIND))),
        hat=str(rng.choice(list(HAT))) if rng.random() < 0.35 else None,
        beard=str(rng.choice(list(BEARD))) if rng.random() < 0.4 else None,
        glasses=bool(rng.random() < 0.3),
        breadth=float(rng.uniform(0.88, 1.12)),
    )


def _strange_inks(rng: np.random.Generator) -> Inks:
    hue, step, depth = rng.uniform(0, 180), rng.uniform(-30, 30), rng.uniform(60, 190)
    hsv = [(hue, 55, 226), (hue + step, 55, 222), (hue + step / 2, 70 + depth / 2, 165), (hue, depth, 85)]
    pixels = np.array([[(turn % 180, *rest) for turn, *rest in hsv]]).astype(np.uint8)
    left, right, lace, dark = cv2.cvtColor(pixels, cv2.COLOR_HSV2RGB)[0].tolist()
    return Inks(tuple(left), tuple(right), tuple(lace), tuple(dark))


def _strange_layout(rng: np.random.Generator) -> Layout:
    """Window, value and sitter in any order but that of the play crowns."""
    window, value, sitter = ((552, 356, 30), (86, 436, 172), (548, 134, 256))[rng.integers(3)]
    height = float(rng.uniform(250, 330))
    return Layout(
        height=height,
        window_x=float(window + rng.uniform(-6, 6)),
        value_x=float(value + rng.uniform(-8, 8)),
        value_height=float(rng.uniform(50, 84)),
        title_x=float(max(value, 330)),
        sitter_x=float(sitter + rng.uniform(-8, 8)),
        sitter_height=height * float(rng.uniform(0.66, 0.76)),
        scene_x=float(rng.choice([60, 216])),
        serial_x=100.0,
        wave_beats=float(rng.uniform(1, 8)),
        third_corner=bool(rng.random() < 0.6),
    )


def _scale(width_px: int) -> float:
    """Pixels to the point; never below one, where engraved lines would clog."""
    return max(1.0, width_px / WIDTH)


@lru_cache(maxsize=24)
def _crown_plates(denomination: int, face: str, scale: float) -> Plates:
    # Kept as a press keeps its plates: all seeds print from the same ones. Strangers are cut once and not kept.
    return engrave(DESIGNS[denomination], face, scale)


def _print(design: Design, plates: Plates, face: str, rng: np.random.Generator, width_px: int) -> Pixels:
    """Lay the inks over each other on paper and bring the sheet to the width asked for."""
    layers = [*_misfit(plates, rng, _scale(width_px)), _serial(design.layout, face, rng, _scale(width_px))]
    inks = design.inks
    colours = np.array([inks.left, inks.right, inks.lace, inks.dark, PAPER_MARK, SERIAL_RED])
    strength = 1 + rng.normal(0, 0.035, 3) + rng.normal(0, 0.03, (6, 1))
    paper = np.array([247, 243, 231]) + rng.normal(0, 2, 3)
    # Each ink takes its share of the light that the others leave: densities add, light is their exponential.
    density = (strength * np.log(colours / 255)).astype(np.float32) / 255
    cover = np.stack(layers, axis=2).reshape(-1, len(layers)).astype(np.float32)
    light = cv2.exp(cover @ density).reshape(*layers[0].shape, 3) * paper.astype(np.float32)
    sheet = np.clip(light, 0, 255).astype(np.uint8)
    size = (width_px, round(width_px * design.layout.height / WIDTH))
    return as_pixels(sheet if sheet.shape[1::-1] == size else cv2.resize(sheet, size, interpolation=cv2.INTER_AREA))


def _misfit(plates: Plates, rng: np.random.Generator, scale: float) -> list[Ink]:
    """Shift each plate by less than a point against the others, and the paper's own mark by more."""
    shifted = []
    for plate, reach in zip(plates, (0.8, 0.8, 0.8, 0.5, 3.0), strict=True):
        right, down = rng.uniform(-reach, reach, 2) * scale
        move = np.array([[1, 0, right], [0, 1, down]], np.float32)
        moved = cv2.warpAffine(plate, move, plate.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        shifted.append(as_pixels(moved))
    return shifted


def _serial(layout: Layout, face: str, rng: np.random.Generator, scale: float) -> Ink:
    """The plate of the numbering wheel: two letters and seven digits, on the front above and on the back below."""
    plate = Plate(WIDTH, layout.height, scale)
    number = f"{''.join(rng.choice(list('ABCDEFGHJKLMNPRSTUVWXYZ'), 2))} {rng.integers(10_000_000):07d}"
    if face == "front":
        plate.letters(number, layout.serial_x, 44, 10, 235)
    if face == "back" or layout.window_x < WIDTH / 2:
        plate.letters(number, 22, layout.height - 29, 10, 235)
    return plate.ink
