from __future__ import annotations

import io
import re
import threading

import numpy as np
import pytest

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
from edge.outlets.view import View

LABELS = ("10", "500", "background", "several")


class Screen(io.StringIO):
    """A terminal or a pipe that remembers; it may fail."""

    def __init__(self, live: bool, fail: Exception | None = None) -> None:
        super().__init__()
        self.live = live
        self.fail = fail

    def isatty(self) -> bool:
        return self.live

    def write(self, text: str) -> int:
        if self.fail:
            raise self.fail
        return super().write(text)

    @property
    def last(self) -> list[str]:
        """The lines that stand on the screen after everything was drawn."""
        drawn = re.split(r"\x1b\[\d+F", self.getvalue())[-1]
        return drawn.replace("\x1b[2K", "").splitlines()


def seen(label: str | None, look: Look = Look.CLEAR, box: Box | None = None) -> Observation:
    scores = None
    if label is not None:
        scores = np.log([0.94 if name == label else 0.02 for name in LABELS]).astype(np.float32)
    return Observation(1, 1.0, Scene(look, 100, 40, 200), scores, box, {"scene": 0.1, "invoke": 4.0})


AMOUNT = Decision(Verdict.AMOUNT, 1, 1.0, 1, "500", 0.98, 6)
SPOKEN = Utterance("500 rupees", Rank.AMOUNT, 1.0, True)


def show(screen: Screen, *items: object) -> Screen:
    view = View(screen, LABELS, "saynote 1", "Space repeats")
    view.start()
    for item in items:
        view.offer(item)  # type: ignore[arg-type]
    view.close()
    return screen


def test_a_terminal_shows_what_is_seen_decided_and_said_in_one_block() -> None:
    found = show(Screen(live=True), seen("500", box=Box(0.2, 0.5, 0.4, 0.4, 0.8)), AMOUNT, SPOKEN).last
    assert found[0] == "saynote 1"
    assert found[1] == "sees      a note, left, 80% of it in view"
    assert [line.split()[0] for line in found[2:6]] == list(LABELS)
    assert found[3].endswith("0.94")
    assert "█" in found[3]
    assert found[6:] == [
        "decision  amount 500 (0.98, 6 frames)",
        "spoken    “500 rupees”",
        "ms        scene 0.1  invoke 4.0  total 4.1",
        "Space repeats",
    ]


def test_a_pipe_gets_a_line_for_each_change_and_none_for_frames() -> None:
    screen = show(
        Screen(live=False), seen("500"), AMOUNT, SPOKEN, seen("500"), Guidance(Hint.TOO_DARK, 1.0), Recovered("camera")
    )
    assert screen.getvalue().splitlines() == [
        "saynote 1",
        "decided  amount 500 (0.98, 6 frames)",
        "spoken  “500 rupees”",
        "decided  hint: too dark",
        "decided  works again: camera",
    ]


@pytest.mark.parametrize(
    ("observation", "words"),
    [
        (seen(None, Look.DARK), "too dark"),
        (seen(None, Look.COVERED), "covered"),
        (seen(None, Look.EMPTY), "nothing"),
        (seen(None, Look.BLURRED), "a blur"),
        (seen("background"), "no note"),
        (seen("several"), "several notes"),
        (seen("10"), "a note"),
    ],
)
def test_every_look_of_a_picture_has_its_words(observation: Observation, words: str) -> None:
    assert show(Screen(live=True), observation).last[1] == f"sees      {words}"


def test_a_long_line_is_cut_at_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    found = show(Screen(live=True), Fault("camera", "missing", "x" * 200)).last
    assert max(len(line) for line in found) == 40


def test_what_was_not_heard_is_marked() -> None:
    unheard = Utterance("500 rupees", Rank.AMOUNT, 1.0, False)
    assert "not heard" in show(Screen(live=False), unheard).getvalue()


@pytest.mark.parametrize("error", [BrokenPipeError(32, "gone"), UnicodeEncodeError("ascii", "█", 0, 1, "no")])
def test_an_onlooker_who_goes_ends_the_view_and_nothing_else(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    screen = Screen(live=True, fail=error)
    view = View(screen, LABELS, "saynote 1", "Space repeats")
    view.start()
    while view.offer(AMOUNT):
        pass  # until its thread has met the error and turns items away
    view.close()
    assert "nothing is shown any more" in caplog.text


def test_offering_never_waits_for_a_slow_terminal() -> None:
    stuck, entered = threading.Event(), threading.Event()

    class Slow(Screen):
        def write(self, text: str) -> int:
            entered.set()
            stuck.wait(30)
            return len(text)

    view = View(Slow(live=True), LABELS, "saynote 1", "Space repeats")
    view.start()
    assert view.offer(seen("10"))
    assert entered.wait(30)
    taken = [view.offer(seen("10")) for _ in range(1000)]
    assert taken.count(False) > 900, "the oldest make room"
    stuck.set()
    view.close()
