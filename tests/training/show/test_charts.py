from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from training.show.charts import Bin, Point, reliability, risk_coverage, scatter, standalone, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0.95, 1, [0.95, 0.96, 0.97, 0.98, 0.99, 1]), (0, 0.011, None)],
)
def test_ticks_are_round_and_within_the_range(low: float, high: float, expected: list[float] | None) -> None:
    found = ticks(low, high)
    assert expected is None or found == pytest.approx(expected)
    assert low <= found[0] < found[-1] <= high
    assert 3 <= len(found) <= 7


def test_every_drawing_is_whole_xml_and_says_in_words_what_it_shows() -> None:
    bins = [Bin(0.8, 0.9, 0, 0, 0), Bin(0.9, 1.0, 20, 0.97, 0.95)]
    drawings = {
        "claimed 0.97, right 0.95 of 20": reliability(bins),
        "wrong in 0.0040": risk_coverage([(0.5, 0.0), (1.0, 0.02)], [(1.0, 0.1)], (0.92, 0.004)),
        "small & new: 1, 0.9000, on the front": scatter([Point("small & new", 1, 0.9, 0.85, 0.95, True)], "x", "y"),
    }
    for words, svg in drawings.items():
        root = ElementTree.fromstring(standalone(svg))
        title = root.find("{http://www.w3.org/2000/svg}title")
        assert title is not None
        assert words in str(title.text)


def test_better_is_higher_and_dearer_is_further_right() -> None:
    points = [Point("a", 1, 0.9, 0.9, 0.9), Point("b", 3, 0.95, 0.95, 0.95)]
    circles = ElementTree.fromstring(scatter(points, "x", "y")).findall("{http://www.w3.org/2000/svg}circle")
    (ax, ay), (bx, by) = ((float(c.attrib["cx"]), float(c.attrib["cy"])) for c in circles)
    assert ax < bx
    assert ay > by
