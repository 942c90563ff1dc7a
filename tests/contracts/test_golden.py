"""Today's pictures are those of the day golden.json was written: what a seed draws is part of every bundle.

Two runs of one day agree with each other whatever is changed; only figures that were kept show that a change has moved
a sample. On a machine like the one that wrote them every bit counts. Another processor may round a pixel otherwise:
there each picture is held to its thumbnail, its label, its place and what was done to it.

A change that means to move samples writes them anew: `python -m tests.contracts.test_golden`, and says so in CHANGELOG.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.core.bundle import InputSpec
from training.learn.prepare import MODERATE, Prepared, from_play_money, labels_for, play_material
from training.photos import cutout
from training.photos.cutout import Patch
from training.photos.material import Material
from training.playmoney import notes, scenes
from training.synth import film, staging
from training.synth.compose import Composer
from training.synth.recipe import GENTLE, Recipe
from training.synth.staging import CASES, Note

FILE = Path(__file__).with_name("golden.json")
MACHINE = f"{platform.machine()}, numpy {np.__version__}, OpenCV {cv2.__version__} on {cv2.getCPUFeaturesLine()}"
SIDE_PX = 64
LABELS = labels_for(["5", "50"])
RECIPES = {"usual": Recipe(), "moderate": MODERATE, "gentle": GENTLE}
SAMPLES = 40
TILES = 4  # of a thumbnail's side
LEVELS = 2  # by which a tile of a thumbnail may differ on another machine, of 255
Picture = dict[str, Any]  # what is kept of one


@cache
def material() -> Material:
    """Cut-outs, photographs with and without a known place, strangers and a hand: all that the composer tells apart."""
    drawn = play_material((5, 50), 1, 0.15)
    for amount in (5, 50):
        photograph = scenes.draw_scene(amount, (160, 240))
        note = notes.draw(amount, "front", amount, 160)
        photograph[30 : 30 + note.shape[0], 40:200] = note
        corners = np.array([[40, 30], [200, 30], [200, 30 + note.shape[0]], [40, 30 + note.shape[0]]], np.float32)
        drawn.notes[str(amount)]["hand"] = [cutout.whole(photograph)]
        drawn.notes[str(amount)]["table"] = [cutout.whole(photograph, corners)]
    hand = np.zeros((120, 100), np.uint8)
    cv2.ellipse(hand, (50, 60), (30, 50), 20, 0, 360, 255, -1)
    drawn.hands.append(Patch(np.full((120, 100, 3), (224, 172, 138), np.uint8), hand, exact=True))
    return drawn


def thumbnail(pixels: np.ndarray) -> str:
    """TILES x TILES means of each colour, in hexadecimal."""
    return cv2.resize(pixels, (TILES, TILES), interpolation=cv2.INTER_AREA).tobytes().hex()


def difference(one: str, other: str) -> int:
    """The most by which a tile of two thumbnails differs, in levels."""
    values = [np.frombuffer(bytes.fromhex(text), np.uint8).astype(int) for text in (one, other)]
    return int(np.abs(values[0] - values[1]).max())


def digest(pictures: Iterable[np.ndarray]) -> str:
    total = hashlib.sha256()
    for picture in pictures:
        total.update(np.ascontiguousarray(picture).tobytes())
    return total.hexdigest()


def kept(pictures: list[np.ndarray]) -> dict[str, Any]:
    return {"digest": digest(pictures), "pictures": [{"thumbnail": thumbnail(picture)} for picture in pictures]}


def composed(name: str) -> dict[str, Any]:
    composer = Composer(material(), LABELS, SIDE_PX, 1, RECIPES[name])
    samples = [composer.sample(number) for number in range(SAMPLES)]
    pictures: list[Picture] = [
        {
            "thumbnail": thumbnail(sample.pixels),
            "label": LABELS[int(sample.target.argmax())],
            "place": [round(float(value), 4) for value in sample.box],
            "known": [sample.box_known, sample.visible_known],
            "done": " ".join(sample.done),
        }
        for sample in samples
    ]
    return {"digest": digest(part for s in samples for part in (s.pixels, s.target, s.box)), "pictures": pictures}


@cache
def prepared() -> Prepared:
    return from_play_money(InputSpec(SIDE_PX, SIDE_PX, "squash"), 1, (5, 50), GENTLE)


def held_out() -> dict[str, Any]:
    return kept(list(prepared().held_pictures[:SAMPLES]))


def a_film() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    patch = material().notes["50"]["drawn"][0]
    carried = film.Carried(patch, film.hold(patch, 0.4, 2.4, rng), rng)
    shown = film.Film(film.Ground(scenes.draw_scene(3, (240, 320)), rng), [carried], film.Light(rng), 2.8)
    return kept([frame.pixels for frame in shown.frames()])


def scene(case: staging.Case) -> dict[str, Any]:
    note = Note.alone(material().notes["50"]["drawn"][0])
    frames = staging.stage(case, note, scenes.draw_scene(1, (180, 240)), np.random.default_rng(1))
    return kept(list(frames)[::6])


GOLDEN: dict[str, Callable[[], dict[str, Any]]] = {
    **{f"samples, {name}": lambda name=name: composed(name) for name in RECIPES},
    "held out of play money": held_out,
    "a film": a_film,
    **{f"scene, {case.name}": lambda case=case: scene(case) for case in CASES},
}


@pytest.mark.parametrize("name", GOLDEN)
def test_what_a_seed_draws_stays_what_it_was(name: str) -> None:
    golden = json.loads(FILE.read_text(encoding="utf-8"))
    before, now = golden["drawn"][name], GOLDEN[name]()
    assert len(now["pictures"]) == len(before["pictures"]) > 0
    for number, (old, new) in enumerate(zip(before["pictures"], now["pictures"], strict=True)):
        assert new.keys() == old.keys()
        assert difference(new["thumbnail"], old["thumbnail"]) <= LEVELS, f"{name}: picture {number}"
        assert new.get("place") == pytest.approx(old.get("place"), abs=0.002), f"{name}: picture {number}"
        for key in ("label", "known", "done"):
            assert new.get(key) == old.get(key), f"{name}: picture {number}"
    if golden["machine"] == MACHINE:
        assert now["digest"] == before["digest"], f"{name}: bits differ, though every thumbnail is the same"


def test_play_money_of_a_seed_keeps_its_name() -> None:
    golden = json.loads(FILE.read_text(encoding="utf-8"))
    assert prepared().digest == golden["play_money"]


if __name__ == "__main__":
    drawn = {name: make() for name, make in GOLDEN.items()}
    facts = {"machine": MACHINE, "play_money": prepared().digest, "drawn": drawn}
    text = json.dumps(facts, ensure_ascii=False, separators=(",", ":")).replace('{"thumbnail', '\n{"thumbnail')
    FILE.write_text(text + "\n", encoding="utf-8")
