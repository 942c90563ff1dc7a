from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from edge import app
from edge.core import bundle as bundles
from edge.core import photograph
from edge.core.bundle import Bundle
from edge.core.messages import Decision, Frame, Pixels, Verdict
from edge.core.observe import Invoke
from edge.core.pocket import Pocket
from edge.drivers.tflite import TfliteEngine
from training.playmoney import notes

XTS, INR = (bundles.read(app.BUNDLES / name) for name in ("xts", "inr"))
FRAMES = sorted(app.REPLAY.glob("*.jpg"))[::7]


def picture(path: Path) -> Pixels:
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


NOTE = notes.draw(50, "front", 1, 320)


class Says:
    """A model that gives one row of probabilities after another, and counts."""

    def __init__(self, bundle: Bundle, *rows: dict[str, float]) -> None:
        self._bundle, self._rows, self.asked = bundle, rows, 0

    def __call__(self, tensor: np.ndarray) -> list[np.ndarray]:
        row = self._rows[self.asked % len(self._rows)]
        self.asked += 1
        rest = (1 - sum(row.values())) / len(self._bundle.labels)
        logits = np.log([row.get(label, 0.0) + rest for label in self._bundle.labels])
        return [
            np.array([logits * self._bundle.manifest.decision.temperature], np.float32),
            np.full((1, 5), 0.9, np.float32),
        ]


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, Invoke]]:
    with contextlib.ExitStack() as closing:
        opened = {b.manifest.name: TfliteEngine(b.model, threads=1) for b in (XTS, INR)}
        for engine in opened.values():
            closing.callback(engine.close)
        yield {name: engine.invoke for name, engine in opened.items()}


def frame_by_frame(readers: list[tuple[Bundle, Invoke]], pixels: Pixels) -> list[Decision]:
    """The first second without any short cut."""
    pocket = Pocket(readers, lambda: 0.0)
    return [one for n in range(11) for one in pocket.step(pocket.observe(Frame(n, n / 10, pixels)))]


@pytest.mark.parametrize("names", [("xts",), ("inr",), ("xts", "inr"), ("inr", "xts")])
def test_a_held_photograph_is_what_a_device_decides_that_looks_at_every_frame(
    names: tuple[str, ...], engines: dict[str, Invoke]
) -> None:
    readers = [({"xts": XTS, "inr": INR}[name], engines[name]) for name in names]
    for path in FRAMES:
        held = photograph.hold(readers, picture(path))
        assert [d for d in held.decisions if d.t_s <= 1.0] == frame_by_frame(readers, picture(path)), path


def test_it_costs_as_many_inferences_as_the_bundle_has_looks() -> None:
    says = Says(INR, {"50": 0.999})
    assert photograph.hold([(INR, says)], NOTE).answer.label == "50"  # type: ignore[union-attr]
    assert says.asked == INR.manifest.input.looks == 4


def test_a_picture_that_the_scene_gate_stops_is_silence_and_costs_nothing() -> None:
    says = Says(XTS, {"50": 0.999})
    held = photograph.hold([(XTS, says)], np.full((120, 160, 3), 128, np.uint8))
    assert (held.answer, held.decisions, says.asked) == (None, [], 0)


def test_what_looks_like_a_note_and_like_no_one_for_long_is_not_sure() -> None:
    held = photograph.hold([(XTS, Says(XTS, {"50": 0.5, "20": 0.45}))], NOTE)
    assert [decision.verdict for decision in held.spoken] == [Verdict.UNSURE]
    assert held.spoken[0].t_s > photograph.HELD_S


def test_two_notes_are_several() -> None:
    held = photograph.hold([(XTS, Says(XTS, {"several": 0.97}))], NOTE)
    assert held.answer is not None
    assert held.answer.verdict is Verdict.SEVERAL


def test_no_note_is_silence() -> None:
    assert photograph.hold([(XTS, Says(XTS, {"background": 0.99}))], NOTE).answer is None


def decision(verdict: Verdict, label: str = "") -> Decision:
    return Decision(verdict, 1, 0.1, 1, label, 0.9, 3, currency="XTS" if label else "")


@pytest.mark.parametrize(
    ("decisions", "answer"),
    [
        ([decision(Verdict.SEEN), decision(Verdict.AMOUNT, "50")], (Verdict.AMOUNT, "50")),
        ([decision(Verdict.AMOUNT, "50"), decision(Verdict.AMOUNT, "50")], (Verdict.AMOUNT, "50")),
        ([decision(Verdict.AMOUNT, "50"), decision(Verdict.AMOUNT, "500")], (Verdict.UNSURE, "")),
        ([decision(Verdict.SEVERAL), decision(Verdict.AMOUNT, "50")], (Verdict.SEVERAL, "")),
        ([decision(Verdict.AMOUNT, "50"), decision(Verdict.SEVERAL)], (Verdict.SEVERAL, "")),
        ([decision(Verdict.UNSURE)], (Verdict.UNSURE, "")),
    ],
)
def test_of_several_things_said_the_answer_is_an_amount_only_where_that_is_all(
    decisions: list[Decision], answer: tuple[Verdict, str]
) -> None:
    found = photograph.Held(decisions, []).answer
    assert found is not None
    assert (found.verdict, found.label) == answer


def test_an_amount_that_comes_after_the_first_second_is_not_sure() -> None:
    assert photograph._late(decision(Verdict.AMOUNT, "50")).verdict is Verdict.UNSURE
    assert photograph._late(decision(Verdict.SEEN)).verdict is Verdict.SEEN


def test_no_bundle_is_so_patient_that_a_photograph_takes_for_ever() -> None:
    patient = msgspec.structs.replace(XTS.manifest.decision, unsure_after_s=3600.0)
    bundle = dataclasses.replace(XTS, manifest=msgspec.structs.replace(XTS.manifest, decision=patient))
    held = photograph.hold([(bundle, Says(bundle, {"50": 0.5, "20": 0.45}))], NOTE)
    assert held.spoken == []
    assert max(d.t_s for d in held.decisions) < photograph.MOST_S
