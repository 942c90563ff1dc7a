"""How one of several cameras is chosen, and what is said where it is not there."""

from __future__ import annotations

import pytest

from edge.core.errors import HardwareError, Reason
from edge.drivers.choice import Candidate, choose

FOUND = [Candidate("C920", "/dev/video1"), Candidate("Built-in", "/dev/video10"), Candidate("c920 Pro", "/dev/video3")]


@pytest.mark.parametrize(
    ("wanted", "index", "place"),
    [("", 0, 0), ("", 2, 2), ("C920", 0, 0), ("c920", 1, 2), ("built", 0, 1), ("/dev/video1", 0, 0), ("video10", 0, 1)],
)
def test_the_index_counts_those_that_the_name_fits(wanted: str, index: int, place: int) -> None:
    assert choose("webcam", FOUND, wanted, index) == place


@pytest.mark.parametrize(
    ("wanted", "index", "words"),
    [
        ("", 3, "there is no webcam 3"),
        ("gold", 0, "no webcam is called 'gold'"),
        ("c920", 2, "there is no webcam 2 that is called 'c920'"),
        ("/dev/video", 0, "no webcam is called '/dev/video'"),
    ],
)
def test_what_is_there_is_named(wanted: str, index: int, words: str) -> None:
    with pytest.raises(HardwareError) as caught:
        choose("webcam", FOUND, wanted, index)
    there = "0: C920 (/dev/video1); 1: Built-in (/dev/video10); 2: c920 Pro (/dev/video3)"
    assert caught.value.detail == f"{words}; those that are there, counted from 0: {there}"
    assert caught.value.reason is Reason.MISSING


@pytest.mark.parametrize(
    ("one", "text"), [(Candidate("a", "/b"), "a (/b)"), (Candidate("a", ""), "a"), (Candidate("", "/b"), "/b")]
)
def test_a_camera_is_written_with_what_is_known_of_it(one: Candidate, text: str) -> None:
    assert str(one) == text
