from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edge
from edge.core import bundle as bundles
from edge.core.bundle import BACKGROUND, SEVERAL, Bundle
from edge.core.decide import Decider
from edge.core.messages import Decision, Frame, Observation, Verdict
from edge.core.pocket import FRESH_S, Pocket, labels_of, thresholds_of

PLAY = bundles.read(Path(edge.__file__).parent / "bundles" / "xts")
NOTE = np.random.default_rng(1).integers(0, 255, (120, 160, 3), dtype=np.uint8)
DARK = np.zeros((120, 160, 3), np.uint8)
RATE = 15.0


def of(currency: str) -> Bundle:
    """The play money's bundle as that of another currency."""
    return dataclasses.replace(PLAY, manifest=msgspec.structs.replace(PLAY.manifest, currency=currency))


class Model:
    """Takes every picture for what it is told to, so sure as it is told; counts its looks."""

    def __init__(self, bundle: Bundle) -> None:
        self.looks = 0
        self.bundle = bundle
        self.takes_it_for(BACKGROUND)

    def takes_it_for(self, label: str, share: float = 0.999) -> None:
        self._label, self._share = label, share

    def __call__(self, tensor: np.ndarray) -> list[np.ndarray]:
        self.looks += 1
        labels = self.bundle.labels
        rest = (1 - self._share) / (len(labels) - 1)
        said = [self._share if label == self._label else rest for label in labels]
        logits = np.log(np.array([said], np.float32)) * self.bundle.manifest.decision.temperature
        return [logits, np.array([[0.5, 0.5, 0.6, 0.3, 0.9]], np.float32)]


class Device:
    """A pocket of several currencies, shown things at a camera's rate."""

    def __init__(self, *currencies: str, rate: float = RATE) -> None:
        self.models = [Model(of(currency)) for currency in currencies]
        self.pocket = Pocket([(model.bundle, model) for model in self.models], lambda: 0.0)
        self.found: list[Decision] = []
        self.frames = 0
        self._rate = rate

    def see(self, seconds: float, *takes: str, pixels: np.ndarray = NOTE) -> Device:
        """`takes`: what each bundle takes the picture for."""
        for model, label in zip(self.models, takes, strict=False):
            model.takes_it_for(label)
        for _ in range(round(seconds * self._rate)):
            moved = np.roll(pixels, 7 * self.frames, axis=1)  # a camera in a hand: no frame is that before
            self.found += self.pocket.step(self.pocket.observe(Frame(self.frames, self.frames / self._rate, moved)))
            self.frames += 1
        return self

    @property
    def amounts(self) -> list[tuple[str, str]]:
        return [(d.currency, d.label) for d in self.found if d.verdict is Verdict.AMOUNT]

    @property
    def verdicts(self) -> list[Verdict]:
        return [decision.verdict for decision in self.found]


@pytest.mark.parametrize("rate", [5.0, 7.0, 10.0, 15.0, 30.0])
def test_each_note_is_said_once_with_its_currency_at_any_frame_rate(rate: float) -> None:
    device = Device("XTS", "XXX", rate=rate)
    for takes in (("5", BACKGROUND), (BACKGROUND, BACKGROUND), (BACKGROUND, "50"), (BACKGROUND, BACKGROUND)):
        device.see(3, *takes)
    assert device.amounts == [("XTS", "5"), ("XXX", "50")]
    gone = [decision for decision in device.found if decision.verdict is Verdict.GONE]
    assert [(decision.currency, decision.label) for decision in gone] == device.amounts
    assert [decision.presence for decision in gone] == [1, 2]


def test_a_frame_costs_one_inference_however_many_bundles_there_are() -> None:
    device = Device("XTS", "XXX", "XAU").see(2, BACKGROUND, BACKGROUND, BACKGROUND).see(3, "5", BACKGROUND, BACKGROUND)
    assert sum(model.looks for model in device.models) == device.frames


def test_whoever_reads_a_note_that_the_others_refuse_looks_alone_until_it_has_gone() -> None:
    device = Device("XTS", "XXX").see(2, "5", BACKGROUND)
    before = device.models[1].looks
    device.see(5)
    assert device.models[1].looks == before
    device.see(2, BACKGROUND, BACKGROUND)
    assert device.models[1].looks > before + 10


@pytest.mark.parametrize("other", ["5", "50", SEVERAL])
def test_a_note_that_two_currencies_take_for_theirs_is_never_an_amount(other: str) -> None:
    device = Device("XTS", "XXX").see(5, "5", other)
    assert device.amounts == []
    assert {Verdict.UNSURE, Verdict.SEVERAL} & set(device.verdicts)


def test_a_weak_claim_of_another_currency_is_a_claim() -> None:
    device = Device("XTS", "XXX")
    device.models[1].takes_it_for(BACKGROUND, 0.45)
    assert device.see(4, "5").amounts == []


def test_a_note_slipped_over_another_of_another_currency_is_said_only_once_the_first_refuses_it() -> None:
    device = Device("XTS", "XXX").see(3, "5", BACKGROUND)
    # The first bundle takes the new note for its own 50, the second for its 10: neither is to be believed.
    device.see(3, "50", "10")
    assert device.amounts == [("XTS", "5")]
    device.see(3, BACKGROUND, "10")
    assert device.amounts == [("XTS", "5"), ("XXX", "10")]
    assert len({d.presence for d in device.found if d.verdict is Verdict.AMOUNT}) == 2


def test_looks_at_the_table_before_a_note_came_refuse_nothing() -> None:
    device = Device("XTS", "XXX").see(2, BACKGROUND, BACKGROUND)
    looks = device.models[1].looks
    device.see(0.9, "5", "50")
    assert device.models[1].looks > looks
    assert device.amounts == []


def test_what_is_in_view_is_told_once_by_whomever() -> None:
    device = Device("XTS", "XXX")
    for model in device.models:
        model.takes_it_for("5", 0.6)
    device.see(6).see(3, BACKGROUND, BACKGROUND)
    assert device.verdicts == [Verdict.SEEN, Verdict.UNSURE, Verdict.GONE]


def test_darkness_ends_what_was_in_view_for_all() -> None:
    device = Device("XTS", "XXX").see(3, "5", BACKGROUND).see(2, pixels=DARK)
    assert device.verdicts[-1] is Verdict.GONE
    assert device.see(3, "5", BACKGROUND).amounts == [("XTS", "5"), ("XTS", "5")]


def test_a_recording_that_begins_again_is_read_again() -> None:
    device = Device("XTS", "XXX").see(3, "5", BACKGROUND)
    device.frames = 0
    assert device.see(3, "5", BACKGROUND).amounts == [("XTS", "5"), ("XTS", "5")]


def test_scores_are_shown_by_amount_and_currency() -> None:
    pair = [of("XTS"), of("XXX")]
    labels = labels_of(pair)
    assert labels[0] == "XTS 5"
    assert len(labels) == 2 * len(PLAY.denominations) + 2
    assert thresholds_of(pair).keys() == set(labels) - {BACKGROUND, SEVERAL}
    device = Device("XTS", "XXX")
    device.models[0].takes_it_for("5")
    seen = device.pocket.observe(Frame(0, 0.0, NOTE))
    assert seen.scores is not None
    assert device.pocket.labels[int(seen.scores.argmax())] == "XTS 5"
    assert float(np.exp(seen.scores).sum()) == pytest.approx(1, abs=1e-5)


LOOKS = st.lists(
    st.tuples(
        st.sampled_from(["5", "50", BACKGROUND, SEVERAL]),
        st.sampled_from(["5", "10", BACKGROUND, BACKGROUND, SEVERAL]),
        st.sampled_from([0.5, 0.9, 0.99, 0.9999]),
        st.integers(1, 12),
    ),
    max_size=20,
)


def shown(device: Device, story: Iterable[tuple[str, str, float, int]]) -> list[Observation]:
    looks = []
    for first, second, share, frames in story:
        for model, label in zip(device.models, (first, second), strict=False):
            model.takes_it_for(label, share)
        for _ in range(frames):
            looks.append(device.pocket.observe(Frame(device.frames, device.frames / RATE, NOTE)))
            device.found += device.pocket.step(looks[-1])
            device.frames += 1
    return looks


def lone(bundle: Bundle, looks: Sequence[Observation], labels: tuple[str, ...]) -> list[Decision]:
    """What a device with this bundle alone would decide on these looks."""
    names = [n if n in (BACKGROUND, SEVERAL) else f"{bundle.manifest.currency} {n}" for n in bundle.labels]
    columns = [labels.index(name) for name in names] if names[0] in labels else list(range(len(labels)))
    decider = Decider(bundle.labels, bundle.manifest.decision)
    return [d for look in looks for d in decider.step(dataclasses.replace(look, scores=look.scores[columns]))]  # type: ignore[index]


@settings(max_examples=60, deadline=None)
@given(LOOKS)
def test_two_bundles_say_no_amount_that_one_alone_would_not_say_to_the_same_looks(
    story: list[tuple[str, str, float, int]],
) -> None:
    device = Device("XTS", "XXX")
    looks = shown(device, story)
    for number, model in enumerate(device.models):
        own = [look for look in looks if look.reader == number]
        alone = [(d.seq, d.label) for d in lone(model.bundle, own, device.pocket.labels) if d.verdict is Verdict.AMOUNT]
        currency = model.bundle.manifest.currency
        said = [(d.seq, d.label) for d in device.found if d.verdict is Verdict.AMOUNT and d.currency == currency]
        # Contested, it says an amount later than alone, or never.
        assert all(any(seq >= first for first, one in alone if one == label) for seq, label in said)


@settings(max_examples=60, deadline=None)
@given(LOOKS)
def test_no_amount_is_said_while_another_currency_has_not_refused_of_late(
    story: list[tuple[str, str, float, int]],
) -> None:
    device = Device("XTS", "XXX")
    looks = shown(device, story)
    for decision in device.found:
        if decision.verdict is not Verdict.AMOUNT:
            continue
        other = ("XTS", "XXX").index(decision.currency) ^ 1
        background = device.pocket.labels.index(BACKGROUND)
        late = [
            look.scores[background]
            for look in looks
            if look.reader == other and look.scores is not None and 0 <= decision.t_s - look.t_s <= FRESH_S
        ]
        assert len(late) >= 2
        assert max(late) > np.log(0.25)


@settings(max_examples=60, deadline=None)
@given(LOOKS)
def test_a_single_bundle_is_decided_on_as_ever(story: list[tuple[str, str, float, int]]) -> None:
    device = Device("XTS")
    looks = shown(device, story)
    signed = [dataclasses.replace(decision, currency="") for decision in device.found]
    assert signed == lone(PLAY, looks, PLAY.labels)
