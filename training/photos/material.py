"""Owns what the synthesiser works with, and the way to it from described photographs: decoded, cut out, grouped."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.core.bundle import BACKGROUND
from training.photos import cutout, dataset
from training.photos.cutout import Patch
from training.photos.dataset import Photo

FOREIGN = "foreign"  # a background source whose name begins so shows other money
HANDS = "hands"  # a background source of this name holds bare hands on a plain ground


@dataclass(frozen=True)
class Material:
    """What samples are made from."""

    notes: dict[str, dict[str, list[Patch]]]  # denomination -> source -> patches
    backgrounds: list[NDArray[np.uint8]]
    strangers: list[Patch]  # other money and other flat things, pasted like a note
    hands: list[Patch]


def gather(photos: Iterable[Photo], strangers: Iterable[Photo], tick: Callable[[], None] = lambda: None) -> Material:
    """Decode every photograph; notes are cut out by a known box, or where they stand out clearly.

    One source may give photographs and cut-outs: the latter are a source of their own, "NAME cut". Pictures of
    background sources whose name starts with "foreign" are strangers too. `tick` is called once a picture.
    Raises TrainingError for a broken one.
    """
    notes: dict[str, dict[str, list[Patch]]] = defaultdict(lambda: defaultdict(list))
    backgrounds: list[NDArray[np.uint8]] = []
    others, hands = [], []
    for photo, pixels, patches in _opened(photos):
        tick()
        if photo.label != BACKGROUND:
            # Cut-outs and whole pictures, old and new series are chosen apart, so that few of a kind are not drowned.
            key = f"{photo.source} {photo.series}".strip()
            for patch in patches:
                notes[photo.label][f"{key} cut" if patch.exact else key].append(patch)
            continue
        backgrounds.append(pixels)
        if photo.source.startswith(FOREIGN):
            others.append(cutout.whole(pixels))
        if photo.source == HANDS and (hand := cutout.hand(pixels)):
            hands.append(hand)
    for photo in strangers:
        others.append(cutout.whole(dataset.load_to_compose(photo.path)))
        tick()
    return Material({label: dict(sources) for label, sources in notes.items()}, backgrounds, others, hands)


def _opened(photos: Iterable[Photo]) -> Iterator[tuple[Photo, NDArray[np.uint8], list[Patch]]]:
    """Every photograph in order, decoded, with what of it is used as a note; some are opened ahead on threads."""
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="open") as pool:
        yield from pool.map(_open, photos)


def _open(photo: Photo) -> tuple[Photo, NDArray[np.uint8], list[Patch]]:
    pixels = dataset.load_to_compose(photo.path)
    if photo.label == BACKGROUND:
        return photo, pixels, []
    if photo.box:
        return photo, pixels, [cutout.cut(pixels, photo.box) or cutout.whole(pixels)]
    outline = cutout.outline(pixels)
    if outline is None:
        return photo, pixels, [cutout.whole(pixels)]
    # The photograph itself stays: the hand and the ground about the note are worth having, now with a place.
    return photo, pixels, [cutout.whole(pixels, outline), cutout.along(pixels, outline)]
