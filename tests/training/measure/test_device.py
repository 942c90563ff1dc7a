"""A device of stages alone, with an engine made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge import app
from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from edge.core.errors import BundleError
from edge.core.messages import Frame, Hint, Verdict
from training.measure.device import Watcher, amounts, running
from training.photos import cutout
from training.playmoney import notes, scenes
from training.synth.staging import CASES, Note, stage

XTS = app.BUNDLES / "xts"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return bundles.read(XTS)


def frames(pixels: np.ndarray, count: int = 20) -> list[Frame]:
    return [Frame(number, number / 10, pixels) for number in range(count)]


def shown() -> np.ndarray:
    picture = scenes.draw_scene(3, (240, 320))
    note = notes.draw(50, "front", 1, 260)
    picture[60 : 60 + note.shape[0], 30:290] = note
    return picture


def test_a_note_that_is_held_is_said_once(bundle: Bundle) -> None:
    with running(bundle) as invoke:
        watcher = Watcher(bundle, invoke)
        decisions = [decision for frame in frames(shown()) for decision in watcher.see(frame)]
    assert amounts(decisions) == ["50"]
    assert [d.verdict for d in decisions if d.verdict is not Verdict.AMOUNT] in ([], [Verdict.SEEN])
    assert watcher.hints == []


def test_a_look_can_be_shown_again_and_again(bundle: Bundle) -> None:
    with running(bundle) as invoke:
        watcher = Watcher(bundle, invoke)
        look = watcher.observe(Frame(0, 0.0, shown()))
        said = [a for n in range(11) for a in amounts(watcher.decide(replace(look, seq=n, t_s=n / 10)))]
    assert said == ["50"]


def test_the_hints_of_a_device_are_kept(bundle: Bundle) -> None:
    note = Note.alone(cutout.whole(notes.draw(50, "front", 1, 200)))
    covered = next(case for case in CASES if case.right is Hint.COVERED)
    scene = stage(covered, note, scenes.draw_scene(1, (180, 240)), np.random.default_rng(1))
    with running(bundle) as invoke:
        watcher = Watcher(bundle, invoke)
        decisions = [d for n, pixels in enumerate(scene) for d in watcher.see(Frame(n, n / 10, pixels))]
    assert watcher.hints == [Hint.COVERED]
    assert amounts(decisions) == []


def test_a_model_that_fails_its_self_test_measures_nothing(bundle: Bundle) -> None:
    other = replace(bundle, selftest_logits=bundle.selftest_logits + 50)
    with pytest.raises(BundleError), running(other):
        pytest.fail("measured with a model that gives other numbers here")
