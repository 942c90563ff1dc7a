"""Owns the way from described photographs to what the synthesiser works with: decoded, cut out, grouped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from edge.core.bundle import BACKGROUND
from training import cutout, dataset
from training.compose import Material
from training.dataset import Photo

HANDS = "hands"  # a background source of this name holds bare hands on a plain ground


def gather(photos: Iterable[Photo], strangers: Iterable[Photo], tick: Callable[[], None] = lambda: None) -> Material:
    """Decode every photograph; notes with a known box are cut out of their surroundings.

    Pictures of background sources whose name starts with "foreign" are strangers too. `tick` is called once a
    picture. Raises TrainingError for a broken one.
    """
    notes: dict[str, dict[str, list[cutout.Patch]]] = defaultdict(lambda: defaultdict(list))
    backgrounds: list[NDArray[np.uint8]] = []
    others, hands = [], []
    for photo in photos:
        pixels = dataset.load(photo.path)
        tick()
        if photo.label != BACKGROUND:
            patch = cutout.cut(pixels, photo.box) if photo.box else None
            # Cut-outs and whole pictures, old and new series are chosen apart, so that few of a kind are not drowned.
            key = f"{photo.source} {photo.series}".strip() + ("" if patch is None else " cut")
            notes[photo.label][key].append(patch or cutout.whole(pixels))
            continue
        backgrounds.append(pixels)
        if photo.source.startswith("foreign"):
            others.append(cutout.whole(pixels))
        if photo.source == HANDS and (hand := cutout.hand(pixels)):
            hands.append(hand)
    for photo in strangers:
        others.append(cutout.whole(dataset.load(photo.path)))
        tick()
    return Material({label: dict(sources) for label, sources in notes.items()}, backgrounds, others, hands)
