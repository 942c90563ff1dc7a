from __future__ import annotations

import base64
import gc
import itertools
import json
import threading
import time
import weakref
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from edge.core.gestures import Timings
from edge.core.messages import (
    Box,
    Decision,
    Edge,
    Fault,
    Frame,
    Guidance,
    Health,
    Hint,
    Look,
    Observation,
    Pixels,
    Rank,
    Recovered,
    Scene,
    Sight,
    Utterance,
    Verdict,
)
from edge.drivers.fake import FakeClock
from edge.outlets.web import LOOK_EVERY_S, NEWS_WAITING, REMEMBERED, About, Line, Viewer, Web

LABELS = ("50", "500", "background", "several")
ABOUT = About("0.1.0", "xts 0.1.0", "files", "hi")
CLEAR = Scene(Look.CLEAR, 100, 50, 300)
BOX = Box(0.5, 0.4, 0.6, 0.2, 0.9)
HEALTH = Health(60.0, 900, 800, 4, {"scene": 0.5}, 51.2, False)


def pixels(shade: int = 200, height: int = 480, width: int = 640) -> Pixels:
    picture = np.full((height, width, 3), shade, np.uint8)
    picture[:, : width // 2] = (200, 30, 30)
    return picture


def seen(best: str = "500", seq: int = 1, box: Box | None = BOX) -> Observation:
    shares = np.full(len(LABELS), 0.02, np.float32)
    shares[LABELS.index(best)] = 0.94
    return Observation(seq, seq / 10, CLEAR, np.log(shares), box, {"scene": 0.5, "invoke": 11.125})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now_s=100.0)


@pytest.fixture
def web(clock: FakeClock) -> Web:
    """Not started: the test takes the turns of its thread."""
    return Web(LABELS, ABOUT, Timings(), clock)


def turns(web: Web) -> None:
    """All that waits, and one turn more."""
    while len(web._inbox):
        web.turn(web._inbox.take(0))
    web.turn(None)


def read(viewer: Viewer) -> list[tuple[str, dict[str, object]]]:
    """All messages that wait: name and content."""
    messages = []
    while (message := viewer.next(0)) is not None:
        first, second, *rest = message.decode().split("\n")
        assert rest == ["", ""], "one line of data, then an empty one"
        messages.append((first.removeprefix("event: "), json.loads(second.removeprefix("data: "))))
    return messages


def show(web: Web, frame: Frame, observation: Observation) -> None:
    web.offer(Sight(frame, observation))
    turns(web)


def test_whoever_comes_is_told_what_runs_and_what_happened_before(web: Web, clock: FakeClock) -> None:
    web.offer(Decision(Verdict.AMOUNT, 1, 0.1, 1, "50", 0.97, 4))
    web.offer(HEALTH)
    turns(web)
    clock.advance(5)
    ((name, hello),) = read(web.watch())
    assert name == "hello"
    assert hello["about"] == {"version": "0.1.0", "bundle": "xts 0.1.0", "camera": "files", "language": "hi"}
    assert hello["labels"] == list(LABELS)
    line = {"kind": "decision", "text": "amount 50", "detail": "confidence 0.97, 4 frames", "age_s": 5.0}
    assert hello["news"] == [line]
    assert hello["health"]["temperature_c"] == 51.2  # type: ignore[index]
    assert hello["health_age_s"] == 5.0


def test_a_frame_is_shown_with_the_place_of_the_note_and_its_scores(web: Web) -> None:
    viewer = web.watch()
    show(web, Frame(1, 0.1, pixels()), seen())
    name, look = read(viewer)[-1]
    assert name == "look"
    assert look["sees"] == "a note, middle, 90% of it in view"
    assert look["box"] == pytest.approx([0.2, 0.3, 0.6, 0.2])
    assert look["scores"] == [["50", 0.02], ["500", 0.94], ["background", 0.02], ["several", 0.02]]
    assert look["ms"] == {"scene": 0.5, "invoke": 11.12}
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(str(look["picture"])), np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded.shape == (480, 640, 3)
    assert np.abs(decoded[240, 100].astype(int) - (200, 30, 30)).max() < 12, "red is red"
    assert np.abs(decoded[240, 600].astype(int) - 200).max() < 12


def test_a_large_picture_is_made_smaller(web: Web) -> None:
    viewer = web.watch()
    show(web, Frame(1, 0.1, pixels(height=1080, width=1920)), seen())
    data = base64.b64decode(str(read(viewer)[-1][1]["picture"]))
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (360, 640, 3)


@pytest.mark.parametrize("best", ["background", "several"])
def test_without_one_note_no_place_is_drawn(web: Web, best: str) -> None:
    viewer = web.watch()
    show(web, Frame(1, 0.1, pixels()), seen(best))
    assert read(viewer)[-1][1]["box"] is None


def test_a_frame_that_was_stopped_before_inference_is_shown_without_scores(web: Web) -> None:
    viewer = web.watch()
    show(web, Frame(1, 0.1, pixels()), Observation(1, 0.1, Scene(Look.DARK, 5, 5, 5)))
    look = read(viewer)[-1][1]
    assert (look["sees"], look["scores"], look["box"]) == ("too dark", [], None)


def test_pictures_come_a_few_times_a_second_and_each_is_the_newest(web: Web, clock: FakeClock) -> None:
    viewer = web.watch()
    seqs = []
    for seq in range(30):  # a second and a half at 20 frames a second
        show(web, Frame(seq, seq / 20, pixels()), seen(seq=seq))
        seqs += [look["seq"] for name, look in read(viewer) if name == "look"]
        clock.advance(0.05)
    assert 6 <= len(seqs) <= 8
    assert all(later - earlier >= LOOK_EVERY_S * 20 for earlier, later in itertools.pairwise(seqs))


def test_while_nobody_watches_a_picture_is_not_touched(web: Web) -> None:
    frame = Frame(1, 0.1, pixels())
    gone = weakref.ref(frame.pixels)
    web.offer(Sight(frame, seen()))
    assert len(web._inbox) == 0
    del frame
    gc.collect()
    assert gone() is None, "nobody holds it"


def test_when_the_last_one_leaves_the_picture_is_let_go(web: Web) -> None:
    viewer = web.watch()
    frame = Frame(1, 0.1, pixels())
    web.offer(Sight(frame, seen()))
    web.leave(viewer)
    gone = weakref.ref(frame.pixels)
    del frame
    gc.collect()
    assert gone() is None


def test_what_the_main_loop_pays_while_nobody_watches_is_next_to_nothing(web: Web) -> None:
    frame, observation, rounds = Frame(1, 0.1, pixels()), seen(), 20_000
    began_s = time.thread_time()  # of this thread alone, so that a busy machine does not matter
    for _ in range(rounds):
        web.offer(Sight(frame, observation))
    assert (time.thread_time() - began_s) / rounds < 10e-6


def test_what_the_main_loop_pays_while_somebody_watches_is_no_encoding(web: Web) -> None:
    viewer = web.watch()
    frame, observation, rounds = Frame(1, 0.1, pixels()), seen(), 2_000
    began_s = time.thread_time()
    for _ in range(rounds):
        web.offer(Sight(frame, observation))
    assert (time.thread_time() - began_s) / rounds < 100e-6
    assert len(web._inbox) <= 64
    web.leave(viewer)


@pytest.mark.parametrize(
    ("item", "line"),
    [
        (Utterance("50 rupees", Rank.AMOUNT, 1.0, True), ("said", "50 rupees", "")),
        (Utterance("50 rupees", Rank.AMOUNT, 1.0, False), ("said", "50 rupees", "not heard: no sound card")),
        (Decision(Verdict.SEEN, 1, 0.1, 1, "", 0.0, 2), ("decision", "something in view", "")),
        (Decision(Verdict.UNSURE, 1, 0.1, 1, "", 0.4, 9), ("decision", "unsure", "confidence 0.40, 9 frames")),
        (Decision(Verdict.GONE, 1, 0.1, 1), ("decision", "nothing in view", "")),
        (Guidance(Hint.TOO_DARK, 0.1), ("hint", "too dark", "")),
        (Fault("camera", "stopped", "unplugged"), ("fault", "fault: camera stopped unplugged", "")),
        (Recovered("camera"), ("fault", "works again: camera", "")),
    ],
)
def test_each_thing_that_happens_is_a_line(web: Web, item: Line, line: tuple[str, ...]) -> None:
    viewer = web.watch()
    web.offer(item)
    turns(web)
    name, news = read(viewer)[-1]
    assert (name, news["kind"], news["text"], news["detail"]) == ("news", *line)


def test_presses_are_understood_from_the_raw_contact(web: Web, clock: FakeClock) -> None:
    viewer = web.watch()
    for down, wait_s in ((True, 0.1), (False, 0.1), (True, 0.1), (False, 1.0), (True, 2.0), (False, 1.0)):
        web.offer(Edge(down, clock.now_s()))
        turns(web)
        clock.advance(wait_s)
        turns(web)
    assert [news["text"] for name, news in read(viewer) if name == "news"] == ["double", "long"]


def test_a_slow_reader_misses_pictures_and_old_news_and_costs_no_memory(web: Web, clock: FakeClock) -> None:
    viewer = web.watch()
    for seq in range(300):
        web.offer(Guidance(Hint.TOO_DARK, seq))
        show(web, Frame(seq, seq / 5, pixels(height=48, width=64)), seen(seq=seq))
        clock.advance(2 * LOOK_EVERY_S)
    messages = read(viewer)
    assert [body["seq"] for name, body in messages if name == "look"] == [299]
    assert len(messages) == NEWS_WAITING + 1
    assert len(read(web.watch())[0][1]["news"]) == REMEMBERED  # type: ignore[arg-type]


def test_several_watch_the_same_picture(web: Web) -> None:
    viewers = [web.watch(), web.watch()]
    show(web, Frame(1, 0.1, pixels()), seen())
    first, second = (read(viewer)[-1] for viewer in viewers)
    assert first == second


@pytest.fixture
def running(clock: FakeClock) -> Iterator[Web]:
    one = Web(LABELS, ABOUT, Timings(), clock)
    one.start()
    yield one
    one.close()


def test_its_thread_tells_whoever_waits(running: Web) -> None:
    viewer = running.watch()
    assert viewer.next(30) is not None
    running.offer(Guidance(Hint.TOO_DARK, 1.0))
    message = viewer.next(30)
    assert message is not None
    assert b"too dark" in message


def test_one_item_that_cannot_be_shown_ends_nothing(running: Web) -> None:
    viewer = running.watch()
    running.offer(Sight(Frame(1, 0.1, np.zeros((0, 0, 3), np.uint8)), seen()))
    running.offer(Guidance(Hint.TOO_DARK, 1.0))
    assert viewer.next(30) is not None
    message = viewer.next(30)
    assert message is not None
    assert b"too dark" in message


def test_the_end_wakes_whoever_waits(running: Web) -> None:
    viewer = running.watch()
    viewer.next(30)
    got: list[bytes | None] = []
    waiting = threading.Thread(target=lambda: got.append(viewer.next(30)))
    waiting.start()
    running.close()
    waiting.join(30)
    assert got == [None]
    assert viewer.ended
