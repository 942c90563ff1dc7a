"""Owns the test vectors of the picture: a frame, the part and the turn of a look, and the pixels the network is to get.

Resizing is no part of the exported programs (docs/decisions/0015), so a port has its own. All is drawn: play money.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from edge.core import preprocess
from edge.core.bundle import InputSpec
from edge.core.messages import WHOLE, Box, Pixels
from edge.core.whole import write as write_whole
from training.errors import TrainingError
from training.playmoney import notes, scenes

FILE, FRAME = "pixels.json", "frame.png"
FRAME_PX = (150, 210)  # height, width: no multiple of a network's side, so that pixels are shared
SEED = 4


@dataclass(frozen=True)
class Case:
    """One look at the frame."""

    name: str
    why: str
    side_px: int
    fit: Literal["squash", "letterbox"] = "squash"
    area: Box = WHOLE
    turn: int = 0


CASES = (
    Case("whole", "both sides shrink: pixels are averaged by area", 64),
    Case("turned", "the same, turned by 180 degrees after it was resized", 64, turn=180),
    Case("letterbox", "the sides keep their proportion on grey 114", 64, "letterbox"),
    Case("near", "a part of the frame, both sides shrink", 48, area=Box(0.55, 0.5, 0.6, 0.5, 1.0)),
    Case("near-wide", "a part wider than the network's side and less high", 64, area=Box(0.5, 0.6, 0.7, 0.25, 1.0)),
    Case("near-small", "a part that is smaller than the network's side", 64, area=Box(0.4, 0.5, 0.2, 0.2, 1.0)),
)  # fmt: skip


def frame() -> Pixels:
    """A play note on a drawn scene."""
    scene = scenes.draw_scene(SEED, FRAME_PX)
    note = notes.draw(notes.DENOMINATIONS[1], notes.FACES[0], SEED, FRAME_PX[1] - 60)
    scene[40 : 40 + note.shape[0], 30 : 30 + note.shape[1]] = note
    return scene


def tensor(case: Case, pixels: Pixels) -> Pixels:
    """(side, side, 3) of `pixels`, by the device's own code."""
    spec = InputSpec(case.side_px, case.side_px, case.fit)
    found = preprocess.turned(preprocess.to_tensor(preprocess.cut(pixels, case.area), spec), case.turn)
    return np.asarray(found[0], np.uint8)


def vectors() -> dict[str, Any]:
    """All of pixels.json; the pictures that it names are files beside it."""
    return {"format": 1, "frame": FRAME, "cases": [_told(case) for case in CASES]}


def _told(case: Case) -> dict[str, Any]:
    area = case.area
    return {
        "name": case.name,
        "why": case.why,
        "area": [area.centre_x, area.centre_y, area.width, area.height],
        "fit": case.fit,
        "side_px": case.side_px,
        "turn": case.turn,
        "picture": f"{case.name}.png",
    }


def write(folder: Path) -> list[Path]:
    """Write pixels.json and its pictures into `folder`; the files that were written. Raises TrainingError."""
    shown = frame()
    pictures = {FRAME: shown} | {f"{case.name}.png": tensor(case, shown) for case in CASES}
    for name, pixels in pictures.items():
        good, packed = cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))
        if not good:
            raise TrainingError(f"{name} cannot be packed as PNG")
        write_whole(folder / name, packed.tobytes())
    write_whole(folder / FILE, (json.dumps(vectors(), indent=1) + "\n").encode())
    return [folder / name for name in (*pictures, FILE)]
