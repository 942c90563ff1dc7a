"""Owns the loops of other people's readers of banknotes, in our words: what each does with one picture of its camera.

None of their files is here: a checkout of theirs is given by its path, and told by what lies in it.

    ORB templates      https://github.com/kashyap07/currency-detector-opencv
                       https://github.com/ANSHU1112/CURRENCY_DETECTION_USING_ORB_FEATURE
    a network on a Pi  https://github.com/ujjwal404/CurrencyDetectionForVisuallyImpaired
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edge.core.messages import Pixels

Reads = Callable[[Pixels], str]  # an RGB picture to the amount it says, "" for none


@dataclass(frozen=True)
class Kind:
    """One reader that is known here."""

    mark: str  # a file that tells it
    name: str
    open: Callable[[Path], Reads]


def templates(pictures: Sequence[tuple[str, Path]], ratio: float, least: int, flags: int) -> Reads:
    """ORB with its own 500 features, matched by brute force against each amount's pictures; the most matches win.

    As there, the pictures of the amounts are described anew for every picture, and distances are Euclidean.
    """
    known = [(amount, cv2.imread(str(path), flags)) for amount, path in pictures if path.is_file()]
    assert known, f"{pictures[0][1]} is no picture"
    orb, matcher = cv2.ORB_create(), cv2.BFMatcher()

    def read(picture: Pixels) -> str:
        _, seen = orb.detectAndCompute(picture[:, :, ::-1].copy(), None)
        best, said = least, ""
        for amount, drawn in known:
            _, described = orb.detectAndCompute(drawn, None)
            if seen is None or described is None:
                continue
            pairs = (pair for pair in matcher.knnMatch(seen, described, k=2) if len(pair) == 2)
            good = sum(near.distance < ratio * next_.distance for near, next_ in pairs)
            if good > best:
                best, said = good, amount
        return said

    return read


def orb_of_four(checkout: Path) -> Reads:
    """One picture an amount, in colour: 8 matches at least."""
    folder = checkout / "files"
    return templates([(a, folder / f"{a}.jpg") for a in ("20", "50", "100", "500")], 0.789, 8, cv2.IMREAD_COLOR)


def orb_of_seven(checkout: Path) -> Reads:
    """Three grey pictures an amount: 5 matches at least."""
    amounts = ("10", "20", "50", "100", "200", "500", "2000")
    drawn = [(a, checkout / "CODE" / a / f"{number}.jpg") for a in amounts for number in (1, 2, 3)]
    return templates(drawn, 0.8, 5, cv2.IMREAD_GRAYSCALE)


def network(checkout: Path) -> Reads:
    """Its float network at 224 x 224 from 0 to 1; the likeliest of seven amounts is said, whatever is in view."""
    amounts = ("10", "20", "50", "100", "200", "500", "2000")
    interpreter = Interpreter(str(checkout / "NewTrained2.tflite"))
    interpreter.allocate_tensors()
    place, out = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def read(picture: Pixels) -> str:
        small = cv2.resize(picture, (224, 224)).astype(np.float32) / 255
        interpreter.set_tensor(place, small[None])
        interpreter.invoke()
        return amounts[int(np.argmax(interpreter.get_tensor(out)[0]))]

    return read


KINDS = (
    Kind("NewTrained2.tflite", "ujjwal404: CNN in TensorFlow Lite", network),
    Kind("CODE/detect_final.py", "ANSHU1112: ORB, 7 amounts", orb_of_seven),
    Kind("files/20.jpg", "kashyap07: ORB, 4 amounts", orb_of_four),
)


def opened(checkout: Path) -> tuple[str, Reads]:
    """The name and the loop of the reader in that folder. Raises ValueError for one that is not known."""
    for kind in KINDS:
        if (checkout / kind.mark).is_file():
            return kind.name, kind.open(checkout)
    raise ValueError(f"{checkout} holds none of {', '.join(kind.mark for kind in KINDS)}: no reader that is known here")
