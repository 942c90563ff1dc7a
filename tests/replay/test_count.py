"""Two hundred notes in a row, as a restless hand shows them: how many are counted, and what they add up to.

Composed from the frames of the shipped recording by a seeded script, with what makes counting hard: blurs shorter and
longer than a hand's jitter, moments in which the note is out of view, the same note twice, another without a gap.
"""

from __future__ import annotations

import difflib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

import cv2
import numpy as np
from numpy.random import Generator

from edge import app
from edge.core import scene
from edge.core.decide import Decider
from edge.core.messages import Decision, Frame, Look, Observation, Pixels, Verdict
from edge.core.observe import Observer
from edge.core.session import Session
from edge.devices import open_engine
from edge.drivers.fake import FakeCamera
from edge.pipeline import Pipeline, Posted
from edge.settings import Config, ModelConfig
from training.playmoney.recording import BEFORE_S, CARRY_S, FRAMES_PER_S, GAP_S, HOLD_S, SHOWN

NOTES = 200
MAY_MISS = 1  # 0.5 %
CONFIG = Config(model=ModelConfig(bundle="xts"))


def seconds(duration_s: float) -> int:
    return round(duration_s * FRAMES_PER_S)


class Material:
    """The recording's frames, taken apart: each note held still, and the table without a note."""

    def __init__(self) -> None:
        files = sorted(app.REPLAY.glob("*.jpg"))
        pictures = [np.ascontiguousarray(cv2.imread(str(file))[..., ::-1]) for file in files]
        before, hold = seconds(BEFORE_S), seconds(HOLD_S)
        length = 2 * seconds(CARRY_S) + hold + seconds(GAP_S)
        self.table = pictures[:before]
        self.held: dict[str, list[Pixels]] = {}
        for number, (amount, _) in enumerate(SHOWN):
            first = before + number * length + seconds(CARRY_S)
            self.held[str(amount)] = pictures[first : first + hold]
        self.blurred = {label: [blur(picture) for picture in held] for label, held in self.held.items()}


def blur(picture: Pixels) -> Pixels:
    """`picture`, shaken until the scene gate calls it a blur."""
    for length in (9, 15, 25, 41):
        shaken = cv2.blur(picture, (length, length))
        if scene.assess(shaken).look is Look.BLURRED:
            return shaken
    raise AssertionError("no blur is strong enough")


def hand(material: Material, rng: Generator) -> Iterator[tuple[str, Pixels]]:
    """Pictures, each with the label of the note when a new one is shown, else ""."""
    shown = ""
    labels = list(material.held)
    for number in range(NOTES):
        same = bool(shown) and rng.random() < 0.3
        label = shown if same else str(rng.choice([other for other in labels if other != shown]))
        # The same amount again is a new note only when the first has left; another may follow without a gap.
        if number and (same or rng.random() < 0.6):
            yield from (("", picture) for picture in _some(material.table, rng, rng.uniform(1.1, 2.0)))
        news = label
        for picture in _presence(material, label, rng):
            yield news, picture
            news = ""
        shown = label
    yield from (("", picture) for picture in material.table[: seconds(2.0)])


def _presence(material: Material, label: str, rng: Generator) -> Iterator[Pixels]:
    # At least as long as the recording holds it: on some frames of the 100 alone the model rightly abstains.
    yield from _some(material.held[label], rng, rng.uniform(HOLD_S, HOLD_S + 1.0))
    for _ in range(int(rng.integers(0, 3))):
        shake = rng.random()
        if shake < 0.35:
            yield from _some(material.blurred[label], rng, rng.uniform(0.1, 0.6))
        elif shake < 0.7:
            yield from _some(material.blurred[label], rng, rng.uniform(0.8, 3.0))
        else:
            yield from _some(material.table, rng, rng.uniform(0.1, 0.4))
        yield from _some(material.held[label], rng, rng.uniform(0.3, 0.8))


def _some(pictures: list[Pixels], rng: Generator, duration_s: float) -> Iterator[Pixels]:
    first = int(rng.integers(len(pictures)))
    for number in range(max(1, seconds(duration_s))):
        yield pictures[(first + number) % len(pictures)]


class OncePerPicture:
    """The device's observer; the few hundred pictures come again and again, and are looked at once each."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._known: dict[int, Observation] = {}

    def observe(self, frame: Frame) -> Observation:
        key = id(frame.pixels)  # the material keeps every picture alive
        if key not in self._known:
            self._known[key] = self._observer.observe(frame)
        return replace(self._known[key], seq=frame.seq, t_s=frame.t_s)


@dataclass
class Counting:
    """The end of the pipeline: what would be said is counted."""

    session: Session = field(default_factory=Session)
    said: list[str] = field(default_factory=list)

    def post(self, message: Posted) -> None:
        if isinstance(message, Decision) and message.verdict is Verdict.AMOUNT:
            self.session.count(message.label, message.t_s)
            self.said.append(message.label)


def test_of_two_hundred_notes_shown_by_a_restless_hand_at_most_one_is_miscounted() -> None:
    ((bundle, engine),) = app.load(CONFIG, lambda loaded: open_engine(CONFIG, loaded))
    shown: list[str] = []

    material = Material()

    def frames() -> Iterator[Frame]:
        for number, (label, picture) in enumerate(hand(material, np.random.default_rng(7))):
            shown.extend([label] if label else [])
            yield Frame(number, number / FRAMES_PER_S, picture)

    counting = Counting()
    observer = Observer(bundle, engine.invoke, time.perf_counter)
    decider = Decider(bundle.labels, bundle.manifest.decision)
    camera = FakeCamera(frames())
    looking = OncePerPicture(observer)
    loop = Pipeline(
        lambda: camera, looking.observe, decider.step, counting.post, stalled_after_s=1.0, random=lambda: 0.0
    )  # type: ignore[arg-type]
    loop.run(threading.Event())
    engine.close()

    assert len(shown) == NOTES
    total = counting.session.total
    assert abs(total.notes - NOTES) <= MAY_MISS
    assert abs(total.amount - sum(map(Decimal, shown))) <= MAY_MISS * 500
    alike = difflib.SequenceMatcher(None, counting.said, shown, autojunk=False).get_matching_blocks()
    assert sum(block.size for block in alike) >= NOTES - MAY_MISS, "and the right ones, in order"
