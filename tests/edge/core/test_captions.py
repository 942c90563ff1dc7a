from __future__ import annotations

import numpy as np
import pytest

from edge.core.captions import describe, sees
from edge.core.messages import (
    Box,
    Decision,
    Fault,
    Guidance,
    Hint,
    Look,
    Observation,
    Rank,
    Recovered,
    Scene,
    Utterance,
    Verdict,
)

LABELS = ("10", "500", "background", "several")


def seen(label: str | None, look: Look = Look.CLEAR, box: Box | None = None) -> Observation:
    scores = None
    if label is not None:
        scores = np.log([0.94 if name == label else 0.02 for name in LABELS]).astype(np.float32)
    return Observation(1, 1.0, Scene(look, 100, 40, 200), scores, box)


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (Decision(Verdict.AMOUNT, 1, 1.0, 1, "500", 0.98, 6), "amount 500 (0.98, 6 frames)"),
        (Decision(Verdict.UNSURE, 1, 1.0, 1, "", 0.41, 9), "unsure (0.41, 9 frames)"),
        (Decision(Verdict.SEEN, 1, 1.0, 1), ""),
        (Decision(Verdict.GONE, 1, 1.0, 1), "nothing in view"),
        (Guidance(Hint.CLOSER, 1.0), "hint: closer"),
        (Fault("camera", "stopped", "unplugged"), "fault: camera stopped unplugged"),
        (Fault("camera", "stopped"), "fault: camera stopped"),
        (Recovered("camera"), "works again: camera"),
        (Recovered("board", "too hot"), "over: board too hot"),
        (Utterance("10 rupees", Rank.AMOUNT, 1.0, True), "“10 rupees”"),
        (Utterance("10 rupees", Rank.AMOUNT, 1.0, False), "“10 rupees” (not heard: no sound card)"),
    ],
)
def test_each_thing_that_happens_has_its_line(
    item: Decision | Guidance | Fault | Recovered | Utterance, line: str
) -> None:
    assert describe(item) == line


@pytest.mark.parametrize(
    ("observation", "words"),
    [
        (None, "no picture yet"),
        *((seen(None, look), words) for look, words in [(Look.DARK, "too dark"), (Look.COVERED, "covered")]),
        (seen("background", box=Box(0.5, 0.5, 0.5, 0.5, 1.0)), "no note"),
        (seen("several"), "several notes"),
        (seen("500"), "a note"),
        (seen("500", box=Box(0.2, 0.5, 0.4, 0.4, 0.8)), "a note, left, 80% of it in view"),
        (seen("500", box=Box(0.5, 0.5, 0.4, 0.4, 1.0)), "a note, middle, 100% of it in view"),
        (seen("500", box=Box(0.9, 0.5, 0.4, 0.4, 0.5)), "a note, right, 50% of it in view"),
    ],
)
def test_what_is_seen_never_names_an_amount(observation: Observation | None, words: str) -> None:
    assert sees(observation, LABELS) == words
