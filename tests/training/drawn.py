"""Small data for the trainer's tests, drawn, never a photograph, and a sweep over it; needs no pytest."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from training.playmoney import notes, scenes

Save = Callable[[Path, np.ndarray], Path]
SWEEP = """
[all]
trunk = "tiny"
size = 64
steps = 6
head_steps = 0
batch = 4

[[variant]]
name = "usual"

[[variant]]
name = "small"
size = 32

[[variant]]
name = "flat"
without = ["turns"]
only = "photographs"
"""


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write an RGB picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.ascontiguousarray(pixels[..., ::-1]))
    return path


def _shifted(amount: int, face: str, number: int) -> np.ndarray:
    """A note that looks different for each number, as photographs of notes do."""
    return np.roll(notes.draw(amount, face, number, 160), number * 27, axis=1)


def draw_photos(data: Path) -> Path:
    """A training folder: two denominations, one of them by faces, and background."""
    for number in range(6):
        save(data / "5" / f"{number}.png", _shifted(5, "front", number))
        for face in (1, 2):
            save(data / f"50_{face}" / f"{number}.png", _shifted(50, notes.FACES[face - 1], number))
        save(data / "background" / f"{number}.jpg", scenes.draw_scene(number, (90, 120)))
    return data


def weights(run: Path) -> bytes:
    """What a training of a sweep has learnt."""
    with zipfile.ZipFile(run / "fit" / "model.keras") as model:
        return model.read("model.weights.h5")
