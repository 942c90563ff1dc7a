"""Owns a whole round of the device's looks at one picture: turned, then near; and what an int8 model makes of it.

It follows `edge.core.observe` for pictures that stand still, many at a time. It chooses no number.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from numpy.typing import NDArray

from edge.core import classify, preprocess
from edge.core.bundle import BACKGROUND, InputSpec
from edge.core.messages import NOTE_LIKE, Pixels
from training.learn import network, quantize


def looked(
    int8: bytes, pictures: Sequence[Pixels] | NDArray[np.uint8], labels: tuple[str, ...], input_: InputSpec
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean logits (n, labels) and visible shares (n,) of all looks at n `pictures` of any size, as they are fused.

    As on the device only what looks like a note is looked at near. A near look shows no more than a picture has: it
    should be as fine as a camera's.
    """
    logits, visible, places = _turned(int8, [preprocess.to_tensor(picture, input_) for picture in pictures], input_)
    background = labels.index(BACKGROUND)
    notes = [i for i, row in enumerate(logits) if classify.scores(row, 1.0)[background] < NOTE_LIKE]
    if not input_.near or not notes:
        return logits, visible
    parts = [_near(pictures[i], places[i], input_.turns[-1], input_) for i in notes]
    near_logits, near_visible, _ = _turned(int8, parts, input_)
    logits[notes] = (logits[notes] + near_logits) / 2
    visible[notes] = (visible[notes] + near_visible) / 2
    return logits, visible


def round_of(
    model: keras.Model, shown: Sequence[tuple[Pixels, int]], input_: InputSpec
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Tensors (looks, size, size, 3) of a whole round at each picture, and the label that goes with each.

    The float `model` says where to look near, whether it takes what is there for a note or not.
    """
    looks, truth = [preprocess.to_tensor(picture, input_) for picture, _ in shown], [label for _, label in shown]
    if input_.near:
        places = network.answers(model, np.concatenate(looks))["box"]
        looks += [_near(picture, place, 0, input_) for (picture, _), place in zip(shown, places, strict=True)]
        truth *= 2
    tensors = np.concatenate(looks)
    turned = np.concatenate([preprocess.turned(tensors, turn) for turn in input_.turns])
    return turned, np.tile(truth, len(input_.turns))


def _turned(
    int8: bytes, tensors: Sequence[NDArray[np.uint8]], input_: InputSpec
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Means of logits (n, labels) and visible shares (n,) over the turns, and the places (n, 5) of the last turn."""
    pictures = np.concatenate(tensors)
    outputs = [quantize.int8_outputs(int8, preprocess.turned(pictures, turn)) for turn in input_.turns]
    logits = np.mean([found for found, _ in outputs], axis=0, dtype=np.float32)
    visible = np.mean([places[:, 4] for _, places in outputs], axis=0, dtype=np.float32)
    return logits, visible, outputs[-1][1]


def _near(picture: Pixels, place: NDArray[np.float32], turn: int, input_: InputSpec) -> NDArray[np.uint8]:
    """Tensor (1, size, size, 3) of what is cut out about `place` (5,), which was seen in a picture turned by `turn`."""
    box = classify.box([place, place], turn)
    assert box is not None  # there are two outputs
    return preprocess.to_tensor(preprocess.cut(picture, preprocess.around(box, input_.near)), input_)
