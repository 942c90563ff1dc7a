from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.core.bundle import DecisionSpec
from edge.core.decide import Decider
from edge.core.evidence import gathered, glimpse
from edge.core.manifest import SoonSpec
from edge.core.messages import Box, Decision, Look, Observation, Scene, Verdict

LABELS = ("10", "100", "200", "background", "several")
SPEC = DecisionSpec(
    temperature=1.0,
    thresholds={"10": 0.9, "100": 0.9, "200": 0.9},
    window_s=0.6,
    min_frames=3,
    agree=0.6,
    unsure_after_s=1.5,
    rearm_s=0.7,
)


def seen(t_s: float, label: str | None, share: float = 0.97, look: Look = Look.CLEAR) -> Observation:
    """A frame that is `share` sure of `label`; None: stopped by the scene gate."""
    scores = None
    if label is not None:
        rest = (1 - share) / (len(LABELS) - 1)
        scores = np.log([share if name == label else rest for name in LABELS]).astype(np.float32)
    return Observation(round(t_s * 1000), t_s, Scene(look, 100.0, 40.0, 200.0), scores)


def play(frames: list[tuple[str | None, float]], rate: float = 10.0) -> list[Decision]:
    """All decisions to frames given as (label, share), the beginnings of presences left out."""
    decider = Decider(LABELS, SPEC)
    found = [d for n, (label, share) in enumerate(frames) for d in decider.step(seen(n / rate, label, share))]
    return without_seen(found)


def without_seen(decisions: list[Decision]) -> list[Decision]:
    return [decision for decision in decisions if decision.verdict is not Verdict.SEEN]


def amounts(decisions: list[Decision]) -> list[str]:
    return [decision.label for decision in decisions if decision.verdict is Verdict.AMOUNT]


@pytest.mark.parametrize("rate", [5.0, 10.0, 15.0, 30.0])
def test_a_note_is_said_once_however_long_it_stays_at_any_frame_rate(rate: float) -> None:
    assert amounts(play([("100", 0.97)] * round(20 * rate), rate)) == ["100"]


def test_fewer_frames_than_asked_for_say_nothing() -> None:
    assert amounts(play([("100", 0.99)] * 2 + [("background", 0.99)] * 20)) == []


@pytest.mark.parametrize(("visible", "said"), [(0.5, []), (0.6, ["100"]), (None, ["100"])])
def test_an_amount_needs_a_note_that_is_seen_where_the_model_says_how_much(
    visible: float | None, said: list[str]
) -> None:
    decider = Decider(LABELS, replace(SPEC, least_visible=0.55))
    box = None if visible is None else Box(0.5, 0.5, 0.8, 0.4, visible)
    frames = [dataclasses.replace(seen(n / 10, "100", 0.99), box=box) for n in range(30)]
    decisions = [decision for frame in frames for decision in decider.step(frame)]
    assert amounts(decisions) == said
    assert said or Verdict.UNSURE in [decision.verdict for decision in decisions]


@pytest.mark.parametrize("rate", [5, 10, 30])
def test_what_is_taken_for_a_note_for_a_moment_is_no_amount_at_any_frame_rate(rate: int) -> None:
    spec = replace(SPEC, span_s=0.4)

    def said(seconds: float) -> list[str]:
        decider = Decider(LABELS, spec)
        frames = [seen(n / rate, "100" if n / rate < seconds else "background", 0.99) for n in range(round(2 * rate))]
        return amounts([decision for frame in frames for decision in decider.step(frame)])

    assert said(0.39) == []
    assert said(0.6) == ["100"]


PATIENT = replace(SPEC, span_s=0.4)
SOON = replace(PATIENT, soon=SoonSpec(evidence=8.1, most=6.9))


def told(shares: list[float]) -> list[Decision]:
    """What is said to a note that is in view all the time, ten frames a second."""
    decider = Decider(LABELS, PATIENT)
    return without_seen([one for n, share in enumerate(shares) for one in decider.step(seen(n / 10, "100", share))])


def test_an_amount_that_only_time_is_missing_for_is_not_preceded_by_not_sure() -> None:
    others = [seen(n / 10, "200", 0.4) for n in range(12)]
    note = [seen(n / 10, "100", 0.999) for n in range(12, 20)]
    decider = Decider(LABELS, replace(PATIENT, window_s=0.5))
    said = without_seen([one for frame in others + note for one in decider.step(frame)])
    assert [one.verdict for one in said] == [Verdict.AMOUNT]
    assert said[0].t_s > SPEC.unsure_after_s


@given(st.lists(st.sampled_from([0.4, 0.8, 0.95, 0.9999]), min_size=20, max_size=20))
def test_whoever_holds_a_note_hears_something_of_it_in_time(shares: list[float]) -> None:
    assert told(shares)[0].t_s <= SPEC.unsure_after_s + PATIENT.span_s


def looked(rate: float, share: float, spec: DecisionSpec = SOON, others: dict[int, str] | None = None) -> Decision:
    """The amount that a decider says to looks which are whole, whole, near, near, and so on; `others` say others."""
    decider = Decider(LABELS, spec)
    for number in range(round(2 * rate)):
        label = (others or {}).get(number, "100")
        frame = dataclasses.replace(seen(number / rate, label, share), near=number % 4 > 1)
        if found := [one for one in decider.step(frame) if one.verdict is Verdict.AMOUNT]:
            return found[0]
    raise AssertionError("it said no amount")


@pytest.mark.parametrize("rate", [8, 10, 15, 24, 30, 60])
def test_a_plain_note_is_said_before_it_has_lasted_and_a_doubtful_one_when_it_has(rate: float) -> None:
    plain, doubtful = looked(rate, 0.999), looked(rate, 0.92)
    assert plain.frames >= SOON.min_frames
    assert plain.t_s < 0.27
    assert doubtful.t_s >= 0.4 - 1e-6


@pytest.mark.parametrize("rate", [10, 30])
def test_without_the_evidence_that_it_takes_in_the_manifest_every_note_has_to_last(rate: float) -> None:
    assert looked(rate, 0.9999, PATIENT).t_s >= 0.4 - 1e-6


@pytest.mark.parametrize("rate", [10, 15, 30, 60])
def test_a_look_that_says_another_amount_makes_a_plain_note_later(rate: float) -> None:
    plain = looked(rate, 0.999)
    assert all(looked(rate, 0.999, others={number: "200"}).t_s > plain.t_s for number in range(1, 3))


def test_more_frames_a_second_are_no_more_evidence() -> None:
    first_s = [looked(rate, 0.999).t_s for rate in (15, 30, 60, 120)]
    assert max(first_s) - min(first_s) <= 2 / 15


def test_another_note_without_a_gap_is_said_no_sooner_than_by_the_rule_of_time_alone() -> None:
    def second(spec: DecisionSpec) -> float:
        decider = Decider(LABELS, spec)
        shown = [seen(n / 30, "100" if n < 45 else "10", 0.999) for n in range(90)]
        found = [one for frame in shown for one in decider.step(frame) if one.verdict is Verdict.AMOUNT]
        assert amounts(found) == ["100", "10"]
        return found[1].t_s

    assert second(SOON) == second(PATIENT)


seen_frame = st.tuples(st.sampled_from([*LABELS, None]), st.floats(0.3, 0.9999), st.floats(0.005, 0.3), st.booleans())


@settings(max_examples=300, deadline=None)
@given(st.lists(seen_frame, min_size=1, max_size=80))
def test_whatever_comes_what_is_said_soon_keeps_every_rule_but_that_of_time(
    frames: list[tuple[str | None, float, float, bool]],
) -> None:
    decider, now, told = Decider(LABELS, SOON), 0.0, []
    recent: list[tuple[float, Observation]] = []
    for label, share, step, near in frames:
        now += step
        frame = dataclasses.replace(seen(now, label, share), near=near)
        recent = [(t_s, one) for t_s, one in recent if now - t_s <= SOON.window_s]
        recent += [(now, frame)] if frame.scores is not None else []
        for decision in decider.step(frame):
            if decision.verdict is not Verdict.AMOUNT:
                continue
            assert decision.confidence >= SOON.thresholds[decision.label]
            assert len(recent) >= decision.frames >= SOON.min_frames
            index = LABELS.index(decision.label)
            glimpses = [glimpse(t_s, one.scores, 1.0, one.near) for t_s, one in recent if one.scores is not None]
            saying = [one.t_s for one in glimpses[-decision.frames :] if int(one.scores.argmax()) == index]
            soon = gathered(glimpses[-decision.frames :], index, 6.9) >= 8.1
            assert soon or saying[-1] - saying[0] >= SOON.span_s - 1e-5
            assert (decision.presence, decision.label) not in told
            told.append((decision.presence, decision.label))


class Fusing(Decider):
    """Fuses every look, also where it can change nothing."""

    def _changes_nothing(self, now: float) -> bool:
        return False


@pytest.mark.parametrize("spec", [SPEC, PATIENT, SOON])
@settings(max_examples=200, deadline=None)
@given(frames=st.lists(seen_frame, min_size=1, max_size=80), contested=st.lists(st.booleans(), min_size=80))
def test_looks_that_are_not_fused_would_have_changed_nothing(
    spec: DecisionSpec, frames: list[tuple[str | None, float, float, bool]], contested: list[bool]
) -> None:
    lazy, fusing, now = Decider(LABELS, spec), Fusing(LABELS, spec), 0.0
    for (label, share, step, near), by_another in zip(frames, contested, strict=False):
        now += step
        frame = dataclasses.replace(seen(now, label, share), near=near)
        assert lazy.step(frame, contested=by_another) == fusing.step(frame, contested=by_another)


def test_looks_that_all_say_what_was_said_are_not_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    decider = Decider(LABELS, SPEC)
    assert amounts([one for n in range(10) for one in decider.step(seen(n / 10, "100"))]) == ["100"]
    monkeypatch.setattr("edge.core.decide.fuse", None)  # to ask it would be an error
    assert [decider.step(seen(n / 10, "100")) for n in range(10, 30)] == [[]] * 20
    with pytest.raises(TypeError):
        decider.step(seen(3.0, "200"))


@settings(max_examples=200, deadline=None)
@given(st.lists(seen_frame, min_size=1, max_size=60))
def test_the_first_amount_is_never_later_for_the_evidence(frames: list[tuple[str | None, float, float, bool]]) -> None:
    patient, soon = Decider(LABELS, PATIENT), Decider(LABELS, SOON)
    now, said = 0.0, False
    for label, share, step, near in frames:
        now += step
        frame = dataclasses.replace(seen(now, label, share), near=near)
        said = said or bool(amounts(soon.step(frame)))
        if amounts(patient.step(frame)):
            assert said
            return


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 60), st.floats(0.5, 1 - 1e-7))
def test_one_look_is_no_amount_at_any_frame_rate(rate: int, share: float) -> None:
    decider = Decider(LABELS, SOON)
    frames = [seen(0.0, "100", share)] + [seen(n / rate, "background", 0.99) for n in range(1, 3 * rate)]
    assert amounts([decision for frame in frames for decision in decider.step(frame)]) == []


def test_a_glimpse_of_a_whole_note_does_not_make_up_for_the_frames_around_it() -> None:
    decider = Decider(LABELS, replace(SPEC, least_visible=0.55))
    shares = [0.1, 0.9, 0.2, 0.4, 0.6, 0.3] * 5
    frames = [
        dataclasses.replace(seen(n / 10, "100", 0.99), box=Box(0.5, 0.5, 0.8, 0.4, share))
        for n, share in enumerate(shares)
    ]
    assert amounts([decision for frame in frames for decision in decider.step(frame)]) == []


def test_below_its_threshold_an_amount_is_never_said() -> None:
    decisions = play([("100", 0.85)] * 40)
    assert amounts(decisions) == []
    assert [d.verdict for d in decisions] == [Verdict.UNSURE], "once a presence"


def test_a_note_shown_again_after_it_was_gone_is_said_again() -> None:
    frames = [("10", 0.97)] * 10 + [("background", 0.99)] * 10 + [("10", 0.97)] * 10
    decisions = play(frames)
    assert amounts(decisions) == ["10", "10"]
    assert [d.presence for d in decisions if d.verdict is Verdict.AMOUNT] == [1, 2]


def test_a_short_gap_is_the_same_presence() -> None:
    assert amounts(play([("10", 0.97)] * 10 + [("background", 0.99)] * 3 + [("10", 0.97)] * 10)) == ["10"]


def test_flicker_between_two_amounts_is_never_an_amount() -> None:
    decisions = play([("100", 0.97), ("200", 0.97)] * 20)
    assert amounts(decisions) == []
    assert Verdict.UNSURE in [d.verdict for d in decisions]


def test_one_stray_frame_does_not_change_what_was_said() -> None:
    assert amounts(play([("100", 0.97)] * 10 + [("200", 0.99)] + [("100", 0.97)] * 10)) == ["100"]


def test_another_note_slipped_in_without_a_gap_is_said_as_another() -> None:
    decisions = play([("100", 0.97)] * 15 + [("10", 0.97)] * 15)
    assert amounts(decisions) == ["100", "10"]


def test_two_notes_in_view_are_never_an_amount() -> None:
    decisions = play([("several", 0.9)] * 30)
    assert [d.verdict for d in decisions] == [Verdict.SEVERAL]


def test_blurred_frames_neither_help_nor_end_a_presence() -> None:
    decider = Decider(LABELS, SPEC)
    said = []
    for number in range(40):
        blurred = number % 2 == 1
        observation = seen(number / 20, None if blurred else "100", look=Look.BLURRED if blurred else Look.CLEAR)
        said += decider.step(observation)
    assert amounts(said) == ["100"]
    assert all(decision.verdict is not Verdict.GONE for decision in said)


def test_a_lost_camera_ends_the_presence() -> None:
    decider = Decider(LABELS, SPEC)
    before = [d for n in range(10) for d in decider.step(seen(n / 10, "100"))]
    after = [d for n in range(10) for d in decider.step(seen(60 + n / 10, "100"))]
    assert amounts(before) == amounts(after) == ["100"]


def test_a_walk_through_36000_frames_without_a_note_announces_nothing() -> None:
    rng = np.random.default_rng(5)
    decider = Decider(LABELS, SPEC)
    said = []
    for number in range(36_000):
        label = "background" if rng.random() < 0.97 else LABELS[rng.integers(3)]
        said += decider.step(seen(number / 15, label, float(rng.uniform(0.4, 0.99))))
    assert amounts(said) == []


frame = st.tuples(st.sampled_from([*LABELS, None]), st.floats(0.3, 0.999), st.floats(0.01, 0.4))


@settings(max_examples=200, deadline=None)
@given(st.lists(frame, min_size=1, max_size=60))
def test_whatever_comes_an_amount_keeps_to_its_threshold_and_number_of_frames(
    frames: list[tuple[str | None, float, float]],
) -> None:
    decider = Decider(LABELS, SPEC)
    now, last = 0.0, ""
    for label, share, step in frames:
        now += step
        for decision in decider.step(seen(now, label, share)):
            if decision.verdict is Verdict.AMOUNT:
                assert decision.confidence >= SPEC.thresholds[decision.label]
                assert decision.frames >= SPEC.min_frames
                assert (decision.presence, decision.label) != last
                last = (decision.presence, decision.label)  # type: ignore[assignment]


@pytest.mark.parametrize("rate", [5.0, 10.0, 15.0, 30.0])
def test_another_note_without_a_gap_is_said_at_any_frame_rate(rate: float) -> None:
    decisions = play([("100", 0.97)] * round(2 * rate) + [("10", 0.97)] * round(2 * rate), rate)
    assert amounts(decisions) == ["100", "10"]


@pytest.mark.parametrize("rate", [5.0, 10.0, 15.0, 30.0])
def test_a_doubt_in_half_a_second_of_frames_changes_nothing_at_any_frame_rate(rate: float) -> None:
    doubt = [("200" if n % 2 else "100", 0.97) for n in range(round(0.5 * rate))]
    assert amounts(play([("100", 0.97)] * round(2 * rate) + doubt + [("100", 0.97)] * round(2 * rate), rate)) == ["100"]


def test_nothing_is_said_to_a_picture_in_which_nothing_is_seen() -> None:
    # Three frames of a doubt, then three clear ones, which alone would do once the doubt is forgotten.
    decider = Decider(LABELS, SPEC)
    shown = [seen(n / 10, "200", 0.7) for n in range(2)] + [seen(0.2 + n / 10, "100", 0.93) for n in range(3)]
    before = [decision for observation in shown for decision in decider.step(observation)]
    after = [d for n in range(30) for d in decider.step(seen(0.5 + n / 10, None, look=Look.EMPTY))]
    assert amounts(before) == []
    assert [decision.verdict for decision in after] == [Verdict.GONE]


def test_a_clock_that_goes_back_mixes_no_old_evidence_with_new() -> None:
    decider = Decider(LABELS, SPEC)
    before = [d for n in range(10) for d in decider.step(seen(60 + n / 10, "100"))]
    after = [d for n in range(10) for d in decider.step(seen(n / 10, "200"))]
    assert amounts(before) == ["100"]
    assert [decision.verdict for decision in after] == [Verdict.GONE, Verdict.SEEN, Verdict.AMOUNT]
    assert amounts(after) == ["200"]


def test_a_stutter_of_the_camera_is_no_new_presence() -> None:
    decider = Decider(LABELS, SPEC)
    times = [0.0, 0.1, 0.2, 0.3, 1.6, 1.7, 1.8, 3.3, 3.4, 3.5]
    assert amounts([d for t_s in times for d in decider.step(seen(t_s, "100"))]) == ["100"]


def test_two_notes_then_one_is_said_once_the_other_has_left() -> None:
    decisions = play([("several", 0.9)] * 15 + [("100", 0.97)] * 15)
    assert [d.verdict for d in decisions] == [Verdict.SEVERAL, Verdict.AMOUNT]
    assert decisions[1].t_s >= 1.5


def test_numbers_that_are_none_are_silence() -> None:
    decider = Decider(LABELS, SPEC)
    nothing = np.full(len(LABELS), np.nan, np.float32)
    clear = Scene(Look.CLEAR, 100.0, 40.0, 200.0)
    said = [d for n in range(50) for d in decider.step(Observation(n, n / 10, clear, nothing))]
    said += [d for n in range(50, 60) for d in decider.step(seen(n / 10, "100"))]
    said += [d for n in range(60, 70) for d in decider.step(Observation(n, n / 10, clear, nothing))]
    assert amounts(said) == ["100"]


blurs = st.lists(st.integers(0, 3), min_size=30, max_size=30)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(LABELS), st.floats(0.3, 0.999)), min_size=30, max_size=30), blurs)
def test_blurred_frames_between_the_others_change_no_decision(
    frames: list[tuple[str, float]], blurs: list[int]
) -> None:
    plain, mixed = Decider(LABELS, SPEC), Decider(LABELS, SPEC)
    wanted, found = [], []
    for number, ((label, share), count) in enumerate(zip(frames, blurs, strict=True)):
        wanted += plain.step(seen(number / 10, label, share))
        found += mixed.step(seen(number / 10, label, share))
        for blur in range(count):
            assert mixed.step(seen(number / 10 + (blur + 1) / 100, None, look=Look.BLURRED)) in ([], [*found[-1:]])
    assert [(d.verdict, d.label, d.t_s) for d in found] == [(d.verdict, d.label, d.t_s) for d in wanted]


@settings(max_examples=200, deadline=None)
@given(st.lists(frame, min_size=1, max_size=80))
def test_in_one_presence_nothing_is_said_twice_and_its_end_is_said(
    frames: list[tuple[str | None, float, float]],
) -> None:
    decider, now, said = Decider(LABELS, SPEC), 0.0, []
    for label, share, step in frames:
        now += step
        said += decider.step(seen(now, label, share))
    for _ in range(20):
        now += 0.1
        said += decider.step(seen(now, "background", 0.99))
    told = [(d.presence, d.verdict, d.label) for d in said if d.verdict is not Verdict.GONE]
    assert len(set(told)) == len(told)
    if said:
        assert said[-1].verdict is Verdict.GONE
    assert [d.presence for d in said] == sorted(d.presence for d in said)


def test_after_a_blur_a_few_frames_do_not_change_what_was_said() -> None:
    decider = Decider(LABELS, SPEC)
    shown = [seen(n / 10, "100") for n in range(10)]
    shown += [seen(1.0 + n / 10, None, look=Look.BLURRED) for n in range(6)]
    shown += [seen(1.6 + n / 10, "200") for n in range(3)]
    shown += [seen(1.9 + n / 10, "100") for n in range(10)]
    assert amounts([decision for observation in shown for decision in decider.step(observation)]) == ["100"]


def shake(*parts: tuple[str | None, Look, float], rate: float = 10.0) -> list[Decision]:
    """All decisions to stretches of (label, look, seconds)."""
    decider, decisions, number = Decider(LABELS, SPEC), [], 0
    for label, look, seconds in parts:
        for _ in range(round(seconds * rate)):
            decisions += decider.step(seen(number / rate, label, look=look))
            number += 1
    return decisions


NOTE, BLUR, NOTHING = ("100", Look.CLEAR), (None, Look.BLURRED), (None, Look.EMPTY)


@pytest.mark.parametrize("blur_s", [0.3, 0.7, 1.5, 5.0])
def test_a_shaken_note_is_one_note_however_long_the_blur(blur_s: float) -> None:
    decisions = shake((*NOTE, 1.0), (*BLUR, blur_s), (*NOTE, 1.0), (*BLUR, blur_s), (*NOTE, 1.0))
    assert [decision.verdict for decision in decisions] == [Verdict.SEEN, Verdict.AMOUNT]


def test_a_blur_alone_begins_no_presence() -> None:
    assert shake((*BLUR, 5.0), (*NOTHING, 5.0)) == []


def test_the_time_of_a_blur_does_not_count_towards_the_end_of_a_presence() -> None:
    shown = ((*NOTE, 1.0), (*BLUR, 3.0), (*NOTHING, 0.4), (*NOTE, 1.0), (*NOTHING, 1.0))
    assert [d.verdict for d in shake(*shown)] == [Verdict.SEEN, Verdict.AMOUNT, Verdict.GONE]


def test_an_empty_view_ends_a_presence_though_blurs_come_between() -> None:
    away = ((*NOTHING, 0.4), (*BLUR, 0.5)) * 2
    assert amounts(shake((*NOTE, 1.0), *away, (*NOTE, 1.0))) == ["100", "100"]


def test_after_ten_seconds_of_nothing_but_blur_the_same_amount_is_news_again() -> None:
    assert amounts(shake((*NOTE, 1.0), (*BLUR, 12.0), (*NOTE, 1.0))) == ["100", "100"]


def test_another_note_that_comes_out_of_a_blur_is_said() -> None:
    assert amounts(shake((*NOTE, 1.0), (*BLUR, 2.0), ("10", Look.CLEAR, 2.0))) == ["100", "10"]


def test_what_comes_into_view_is_seen_once_a_presence_before_anything_is_said_of_it() -> None:
    twice = [("100", 0.97)] * 15 + [("background", 0.99)] * 10 + [("several", 0.9)] * 10
    decider = Decider(LABELS, SPEC)
    decisions = [d for n, (label, share) in enumerate(twice) for d in decider.step(seen(n / 10, label, share))]
    verdicts = [decision.verdict for decision in decisions]
    assert verdicts == [Verdict.SEEN, Verdict.AMOUNT, Verdict.GONE, Verdict.SEEN, Verdict.SEVERAL]
    assert [decision.t_s for decision in decisions if decision.verdict is Verdict.SEEN] == [0.1, 2.6]


def test_one_frame_that_looks_like_a_note_is_not_seen() -> None:
    decider = Decider(LABELS, SPEC)
    shown = ["background", "100", "background", "100", "background", "background"] * 5
    decisions = [d for n, label in enumerate(shown) for d in decider.step(seen(n / 10, label))]
    assert Verdict.SEEN not in [decision.verdict for decision in decisions]
