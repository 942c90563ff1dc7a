from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from training.phone import pixels

FOLDER = Path(__file__).parents[3] / "docs" / "phone"
KEPT: dict[str, Any] = json.loads((FOLDER / pixels.FILE).read_text())


def opened(name: str) -> np.ndarray:
    return cv2.imread(str(FOLDER / name))[..., ::-1].astype(np.float64)


def shares(length: int, side: int) -> np.ndarray:
    """(side, length): how much of each pixel goes into each of fewer, by the length they have in common."""
    scale = length / side
    starts, pixel = np.arange(side)[:, None] * scale, np.arange(length)[None]
    common = np.minimum(starts + scale, pixel + 1) - np.maximum(starts, pixel)
    return np.maximum(0, common) / scale


def between(length: int, side: int) -> np.ndarray:
    """(side, length): straight between the middles of the two nearest pixels, the outermost going on."""
    found = np.zeros((side, length))
    for number in range(side):
        middle = (number + 0.5) * length / side - 0.5
        low = math.floor(middle)
        for pixel, share in ((low, low + 1 - middle), (low + 1, middle - low)):
            found[number, min(max(pixel, 0), length - 1)] += share
    return found


def mixed(length: int, side: int) -> np.ndarray:
    """(side, length): where one side shrinks and the other does not, each takes two pixels, as the page says."""
    found = np.zeros((side, length))
    scale = length / side
    for number in range(side):
        low = math.floor(number * scale)
        share = number + 1 - (low + 1) / scale
        share = 0.0 if share <= 0 else share - math.floor(share)
        for pixel, part in ((low, 1 - share), (low + 1, share)):
            found[number, min(pixel, length - 1)] += part
    return found


def scaled(picture: np.ndarray, height: int, width: int, kind: Any) -> np.ndarray:
    found = np.einsum("hr,rcx,wc->hwx", kind(picture.shape[0], height), picture, kind(picture.shape[1], width))
    return np.floor(found + 0.5)


def resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    rows, columns = picture.shape[:2]
    if height > rows or width > columns:
        return scaled(picture, height, width, mixed if height < rows or width < columns else between)
    if rows < 2 * height or columns < 2 * width:
        return scaled(scaled(picture, 2 * height, 2 * width, between), height, width, shares)
    while rows >= 2 * height and columns >= 2 * width:
        rows, columns = rows // 2, columns // 2
        picture = scaled(picture[: 2 * rows, : 2 * columns], rows, columns, shares)
    return scaled(picture, height, width, between)


def span(middle: float, share: float, length: int) -> slice:
    wanted = min(length, max(32, round(share * length)))
    first = min(max(0, round(middle * length - wanted / 2)), length - wanted)
    return slice(first, first + wanted)


def ported(case: dict[str, Any], frame: np.ndarray) -> np.ndarray:
    """What a port makes of the frame by the words of docs/phone.md, without OpenCV."""
    x, y, w, h = case["area"]
    part, side = frame[span(y, h, frame.shape[0]), span(x, w, frame.shape[1])], case["side_px"]
    if case["fit"] == "squash":
        found = resized(part, side, side)
    else:
        scale = min(side / part.shape[0], side / part.shape[1])
        height, width = round(part.shape[0] * scale), round(part.shape[1] * scale)
        found = np.full((side, side, 3), 114.0)
        top, left = (side - height) // 2, (side - width) // 2
        found[top : top + height, left : left + width] = resized(part, height, width)
    return np.rot90(found, case["turn"] // 90)


def test_the_pictures_on_the_page_are_what_the_device_sees_today(tmp_path: Path) -> None:
    written = pixels.write(tmp_path)
    assert {path.name for path in written} == {path.name for path in FOLDER.iterdir()} - {"decisions.json"}
    assert json.loads((tmp_path / pixels.FILE).read_text()) == KEPT
    for path in written:
        if path.suffix == ".png":
            now = cv2.imread(str(path)).astype(int)
            # OpenCV's other code paths, on another processor, may round a pixel otherwise.
            assert np.abs(now - opened(path.name)[..., ::-1]).max() <= 1, path.name


@pytest.mark.parametrize("case", KEPT["cases"], ids=lambda case: case["name"])
def test_a_port_made_of_the_words_of_the_page_gives_the_network_the_same_pixels(case: dict[str, Any]) -> None:
    found, wanted = ported(case, opened(KEPT["frame"])), opened(case["picture"])
    assert found.shape == wanted.shape == (case["side_px"], case["side_px"], 3)
    assert np.abs(found - wanted).max() <= 1


def test_the_cases_tell_other_ways_of_resizing_apart() -> None:
    frame = opened(KEPT["frame"]).astype(np.uint8)
    for case in KEPT["cases"]:
        if case["name"] in ("whole", "near"):
            part = frame[span(case["area"][1], case["area"][3], 150), span(case["area"][0], case["area"][2], 210)]
            nearest = cv2.resize(part, (case["side_px"],) * 2, interpolation=cv2.INTER_LINEAR)
            assert np.abs(nearest - opened(case["picture"])).max() > 20
