"""Owns the shipped recording: play notes carried into view one after another, as frames in a folder.

It knows the drawings and nothing of the daemon that looks at it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from edge.core.messages import Pixels
from training.playmoney import notes, scenes

FRAMES_PER_S = 10
SIZE_PX = (240, 320)  # height, width
BEFORE_S, CARRY_S, HOLD_S, GAP_S = 3.5, 0.4, 1.9, 1.3
JPEG_QUALITY = 60
NOISE = 1.0  # standard deviation of the sensor's noise, in levels
SHOWN = ((20, "front"), (5, "back"), (100, "front"), (10, "front"), (500, "back"), (50, "front"))


def write(folder: Path, seed: int, shown: Sequence[tuple[int, str]] = SHOWN) -> list[int]:
    """Write the recording into `folder` (emptied of pictures first); the amounts in the order shown."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.jpg"):
        old.unlink()
    for number, frame in enumerate(frames(seed, shown)):
        cv2.imwrite(str(folder / f"{number:04d}.jpg"), frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    text = f'frames_per_s = {FRAMES_PER_S:.1f}\nannounce = "demonstration, play money"\n'
    (folder / "recording.toml").write_text(text, encoding="utf-8")
    return [amount for amount, _ in shown]


def frames(seed: int, shown: Sequence[tuple[int, str]]) -> Iterator[Pixels]:
    """The frames, (height, width, 3) uint8 RGB, in order."""
    rng = np.random.default_rng((seed, 77))
    ground = _ground(seed)
    for _ in range(round(BEFORE_S * FRAMES_PER_S)):
        yield _sensed(ground, rng)
    for number, (amount, face) in enumerate(shown):
        note = notes.draw(amount, face, seed * 100 + number)
        yield from _presence(ground, note, rng)
        for _ in range(round(GAP_S * FRAMES_PER_S)):
            yield _sensed(ground, rng)


def _ground(seed: int) -> Pixels:
    """A scene of medium light: in a dark one there would be nothing to see."""
    for attempt in range(50):
        scene = scenes.draw_scene(seed * 50 + attempt, SIZE_PX)
        if 90 < scene.mean() < 190:
            return scene
    raise ValueError(f"seed {seed} gives no scene of medium light")


def _presence(ground: Pixels, note: Pixels, rng: Generator) -> Iterator[Pixels]:
    """A note carried in from the side, held as a hand holds it, and carried away."""
    height, width = SIZE_PX
    angle = rng.uniform(-25, 25) + 180 * rng.integers(2)
    scale = width * rng.uniform(0.72, 0.88) / note.shape[1]
    side = np.array([width * rng.choice([-1, 1]), height * rng.uniform(-0.3, 0.3)])
    carry, hold = round(CARRY_S * FRAMES_PER_S), round(HOLD_S * FRAMES_PER_S)
    away = np.concatenate(
        [np.linspace(1, 0, carry + 1)[:-1] ** 2, np.zeros(hold), np.linspace(0, 1, carry + 1)[1:] ** 2]
    )
    for number, share in enumerate(away):
        drift = np.array([np.sin(number * 0.5), np.cos(number * 0.37)]) * 3
        centre = np.array([width, height]) / 2 + drift + side * share
        yield _sensed(_laid(ground, note, centre, angle + 2 * np.sin(number * 0.4), scale), rng)


def _laid(ground: Pixels, note: Pixels, centre: NDArray[np.float64], angle: float, scale: float) -> Pixels:
    size = SIZE_PX[1], SIZE_PX[0]
    matrix = np.asarray(cv2.getRotationMatrix2D((note.shape[1] / 2, note.shape[0] / 2), angle, scale), np.float64)
    matrix[:, 2] += centre - np.array([note.shape[1], note.shape[0]]) / 2
    small = cv2.GaussianBlur(note, (0, 0), 0.35 / scale)  # averaged before it shrinks: fine print must not alias
    drawn = cv2.warpAffine(small, matrix, size)
    alpha = cv2.warpAffine(np.full(note.shape[:2], 255, np.uint8), matrix, size)[..., None] / 255.0
    shadow = 1 - 0.35 * cv2.GaussianBlur(np.roll(alpha[..., 0], (5, 4), (0, 1)), (0, 0), 4)[..., None]
    return np.asarray(drawn * alpha + ground * shadow * (1 - alpha)).astype(np.uint8)


def _sensed(picture: Pixels, rng: Generator) -> Pixels:
    return np.clip(picture + rng.normal(0, NOISE, picture.shape), 0, 255).astype(np.uint8)
