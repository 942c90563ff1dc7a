"""Small data for the trainer's tests: drawn, never a photograph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.playmoney import notes, scenes

Save = Callable[[Path, np.ndarray], Path]


def _save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.ascontiguousarray(pixels[..., ::-1]))
    return path


@pytest.fixture
def save() -> Save:
    """Writes an RGB picture."""
    return _save


def _shifted(amount: int, face: str, number: int) -> np.ndarray:
    """A note that looks different for each number, as photographs of notes do."""
    return np.roll(notes.draw(amount, face, number, 160), number * 27, axis=1)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A training folder: two denominations, one of them by faces, and background."""
    data = tmp_path / "train"
    for number in range(6):
        _save(data / "5" / f"{number}.png", _shifted(5, "front", number))
        for face in (1, 2):
            _save(data / f"50_{face}" / f"{number}.png", _shifted(50, notes.FACES[face - 1], number))
        _save(data / "background" / f"{number}.jpg", scenes.draw_scene(number, (90, 120)))
    return data
