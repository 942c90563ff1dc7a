from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest

from edge.core.guide import APART_S, PAUSES_S, Guide, Mount, turned
from edge.core.messages import Box, Decision, Guidance, Hint, Look, Observation, Scene, Verdict

LABELS = ("10", "background")
WELL = Box(0.5, 0.5, 0.7, 0.5, 1.0)
CUT_LEFT, CUT_RIGHT = Box(0.17, 0.5, 0.35, 0.5, 0.5), Box(0.83, 0.5, 0.35, 0.5, 0.5)
CUT_TOP, CUT_BOTTOM = Box(0.5, 0.15, 0.6, 0.3, 0.5), Box(0.5, 0.85, 0.6, 0.3, 0.5)
SMALL, LARGE = Box(0.5, 0.5, 0.25, 0.2, 1.0), Box(0.5, 0.5, 0.98, 0.97, 0.3)
DIRECTIONS = (Hint.UP, Hint.RIGHT, Hint.DOWN, Hint.LEFT)


class Hand:
    """Shows things to a guide, frame by frame, and keeps what it says."""

    def __init__(
        self, rate: float = 10.0, mount: Mount = Mount.CHEST, rotation: int = 0, visible_known: bool = False
    ) -> None:
        self.guide = Guide(LABELS, mount, rotation, visible_known=visible_known)
        self.rate, self.seq = rate, 0
        self.said: list[Guidance] = []

    @property
    def now_s(self) -> float:
        return self.seq / self.rate

    @property
    def hints(self) -> list[Hint]:
        return [guidance.hint for guidance in self.said]

    def see(
        self,
        seconds: float,
        box: Box | None = None,
        *,
        look: Look = Look.CLEAR,
        luma: float = 100.0,
        note: float = 0.9,
        moves: bool = True,
        decisions: Iterable[Decision] = (),
    ) -> Hand:
        """`seconds` of one kind of frame; `decisions` come with the first."""
        for number in range(round(seconds * self.rate)):
            bright = luma * (1 + 0.08 * (self.seq % 3) / 2) if moves else luma
            scores = np.log(np.array([note, 1 - note], np.float32)) if look is Look.CLEAR else None
            scene = Scene(look, bright, 0.4 * bright, 100.0)
            observation = Observation(self.seq, self.now_s, scene, scores, box if scores is not None else None)
            if guidance := self.guide.step(observation, list(decisions) if number == 0 else []):
                self.said.append(guidance)
            self.seq += 1
        return self

    def decision(self, verdict: Verdict, presence: int = 1) -> Decision:
        return Decision(verdict, self.seq, self.now_s, presence, "10" if verdict is Verdict.AMOUNT else "")


def scenery(hand: Hand, seconds: float = 1.0) -> Hand:
    return hand.see(seconds, WELL, note=0.01)


# --- what would help


@pytest.mark.parametrize(
    ("box", "hint"),
    [
        (CUT_LEFT, Hint.RIGHT),
        (CUT_RIGHT, Hint.LEFT),
        (CUT_TOP, Hint.DOWN),
        (CUT_BOTTOM, Hint.UP),
        (SMALL, Hint.CLOSER),
        (LARGE, Hint.FURTHER),
    ],
)
@pytest.mark.parametrize("rate", [5.0, 10.0, 30.0])
def test_a_note_that_lies_badly_is_led_to_the_middle_within_a_second_and_a_half(
    box: Box, hint: Hint, rate: float
) -> None:
    hand = scenery(Hand(rate)).see(2.0, box)
    assert hand.hints == [hint]
    assert hand.said[0].t_s <= 2.5


@pytest.mark.parametrize("rate", [5.0, 10.0, 30.0])
@pytest.mark.parametrize(("look", "luma", "hint"), [(Look.DARK, 8, Hint.TOO_DARK), (Look.BLURRED, 90, Hint.HOLD_STILL)])
def test_darkness_and_blur_are_said_soon_at_any_frame_rate(look: Look, luma: float, hint: Hint, rate: float) -> None:
    hand = Hand(rate).see(2.0, look=look, luma=luma)
    assert hand.hints == [hint]
    assert hand.said[0].t_s <= 1.5


@pytest.mark.parametrize(("look", "luma"), [(Look.COVERED, 4), (Look.DARK, 6), (Look.EMPTY, 30)])
def test_a_thumb_over_the_lens_is_said_once(look: Look, luma: float) -> None:
    hand = scenery(Hand()).see(20.0, look=look, luma=luma)
    assert hand.hints[0] is Hint.COVERED
    assert hand.hints.count(Hint.COVERED) == 1
    assert scenery(hand).see(2.0, look=look, luma=luma).hints.count(Hint.COVERED) == 2, "a new covering is news"


def test_a_well_placed_note_needs_no_hint() -> None:
    assert scenery(Hand()).see(5.0, WELL).hints == []


@pytest.mark.parametrize(("known", "hints"), [(True, [Hint.RIGHT]), (False, [])])
def test_a_part_of_a_note_that_is_no_amount_is_known_by_its_visible_share(known: bool, hints: list[Hint]) -> None:
    hand = Hand(visible_known=known)
    assert hand.see(1.2, CUT_LEFT, note=0.01).hints == hints
    assert hand.see(4, Box(0.83, 0.5, 0.35, 0.5, 0.02), note=0.01).hints == hints


@pytest.mark.parametrize(
    ("box", "hint"),
    [
        (Box(0.52, 0.9, 0.9, 0.2, 0.4), Hint.UP),  # reaches the right rim, but there is no room on the left either
        (Box(0.42, 0.1, 0.8, 0.18, 0.4), Hint.DOWN),
        (Box(0.5, 0.65, 0.96, 0.55, 0.2), Hint.FURTHER),  # at three rims, and half of the picture: too near
        (Box(0.2, 0.59, 0.39, 0.7, 0.4), Hint.RIGHT),
    ],
)
def test_of_two_rims_the_one_that_cuts_the_note_counts(box: Box, hint: Hint) -> None:
    assert Hand().see(1.2, box).hints == [hint]


def test_what_is_hardly_a_note_far_away_is_scenery() -> None:
    assert Hand().see(2, SMALL, note=0.1).hints == []
    assert Hand().see(2, CUT_LEFT, note=0.1).hints == [Hint.RIGHT]


def test_a_note_that_is_waved_from_one_side_to_the_other_is_to_be_held_still() -> None:
    hand = scenery(Hand())
    for box in (CUT_LEFT, CUT_RIGHT) * 8:
        hand.see(0.2, box)
    assert set(hand.hints) == {Hint.HOLD_STILL}


def test_a_note_that_is_waved_so_that_it_is_hardly_seen_is_to_be_held_still() -> None:
    hand = scenery(Hand())
    for box in (CUT_LEFT, CUT_RIGHT) * 8:
        hand.see(0.1, box).see(0.1, box, note=0.01)
    assert set(hand.hints) == {Hint.HOLD_STILL}


def test_an_unsure_place_is_not_said_both_ways() -> None:
    """One frame in four says the other side, as a model does that looks at a sliver of a note."""
    hand = scenery(Hand())
    for number in range(40):
        hand.see(0.1, CUT_RIGHT if number % 4 == 0 else CUT_LEFT)
    assert set(hand.hints) == {Hint.RIGHT}


# --- when to be silent


def test_a_pocket_is_left_in_peace() -> None:
    assert Hand().see(120.0, look=Look.COVERED, luma=3.0).hints == []


def test_a_table_on_which_nothing_moves_is_left_in_peace_even_with_part_of_a_note_on_it() -> None:
    assert Hand().see(120.0, CUT_LEFT, moves=False).hints == []


@pytest.mark.parametrize("look", [Look.DARK, Look.COVERED])
def test_a_dark_room_in_which_nothing_moves_is_left_in_peace(look: Look) -> None:
    assert Hand().see(120.0, look=look, luma=8.0, moves=False).hints == []


def test_nightfall_is_no_thumb() -> None:
    hand = scenery(Hand())
    for luma in (60, 40, 22, 18, 15):
        hand.see(1.0, WELL, note=0.01, luma=luma)
    assert hand.see(5.0, look=Look.COVERED, luma=8).hints == []


@pytest.mark.parametrize("look", [Look.CLEAR, Look.EMPTY])
def test_scenery_and_a_plain_wall_get_no_word(look: Look) -> None:
    assert Hand().see(60.0, CUT_LEFT, look=look, note=0.02).hints == []


def test_a_note_or_a_blur_that_passes_is_not_worth_a_word() -> None:
    hand = Hand()
    for _ in range(20):
        scenery(hand, 0.8).see(0.4, CUT_LEFT)
        scenery(hand, 0.8).see(0.4, look=Look.BLURRED)
    assert hand.hints == []


# --- not over an amount


def test_nothing_is_said_while_the_note_that_was_read_is_in_view_and_shortly_after() -> None:
    hand = scenery(Hand()).see(0.5, WELL)
    hand.see(20.0, CUT_LEFT, decisions=[hand.decision(Verdict.AMOUNT)])
    gone = hand.decision(Verdict.GONE)
    hand.see(6.0, CUT_LEFT, decisions=[gone])
    assert hand.hints[0] is Hint.RIGHT
    assert hand.said[0].t_s >= gone.t_s + 2.5


def test_an_amount_in_the_frame_of_a_hint_wins() -> None:
    alone = scenery(Hand()).see(3.0, CUT_LEFT)
    due = alone.said[0].t_s
    hand = scenery(Hand())
    hand.see(due - hand.now_s, CUT_LEFT)
    hand.see(1.0, CUT_LEFT, decisions=[hand.decision(Verdict.AMOUNT)])
    assert hand.hints == []


@pytest.mark.parametrize("verdict", [Verdict.UNSURE, Verdict.SEVERAL])
def test_a_sentence_of_doubt_is_not_talked_over(verdict: Verdict) -> None:
    hand = scenery(Hand())
    doubt = hand.decision(verdict)
    hand.see(4.0, CUT_LEFT, decisions=[doubt])
    assert hand.said[0].t_s >= doubt.t_s + 1.5


def test_the_end_of_a_note_that_was_not_read_silences_nothing() -> None:
    hand = scenery(Hand()).see(0.5, CUT_LEFT)
    assert hand.see(1.5, CUT_LEFT, decisions=[hand.decision(Verdict.GONE)]).hints == [Hint.RIGHT]


# --- how often


def test_two_hints_are_never_nearer_than_a_second_and_a_half_whatever_is_seen() -> None:
    hand, rng = Hand(), np.random.default_rng(1)
    shown = [WELL, CUT_LEFT, CUT_RIGHT, CUT_TOP, CUT_BOTTOM, SMALL, LARGE]
    for _ in range(400):
        look = Look.CLEAR if rng.random() < 0.7 else list(Look)[rng.integers(len(Look))]
        luma = 8.0 if look in (Look.DARK, Look.COVERED) else 100.0
        hand.see(rng.uniform(0.3, 2.5), shown[rng.integers(len(shown))], look=look, luma=luma)
    assert len(hand.said) > 30
    assert len(set(hand.hints)) == len(Hint)
    assert min(later.t_s - earlier.t_s for earlier, later in pairwise(hand.said)) >= max(1.5, APART_S - 1e-6)


def test_the_same_hint_is_said_twice_and_then_more_and_more_rarely() -> None:
    hand = scenery(Hand()).see(130.0, CUT_LEFT)
    pauses = [later.t_s - earlier.t_s for earlier, later in pairwise(hand.said)]
    expected = [*PAUSES_S, *[PAUSES_S[-1]] * 10][: len(pauses)]
    assert pauses == pytest.approx(expected, abs=0.15)
    assert len(pauses) >= 5


def test_two_hints_in_turn_are_no_way_round_the_pauses() -> None:
    hand = scenery(Hand())
    for _ in range(20):
        hand.see(2.0, CUT_LEFT).see(2.0, CUT_TOP)
    assert len(hand.said) <= 10


def test_a_recording_that_begins_again_is_guided_again() -> None:
    hand = scenery(Hand()).see(2.0, CUT_LEFT)
    hand.seq = 0
    assert scenery(hand).see(2.0, CUT_LEFT).hints == [Hint.RIGHT, Hint.RIGHT]


def test_two_frames_of_one_moment_are_no_movement() -> None:
    hand = scenery(Hand())
    for _ in range(15):
        hand.see(0.1, CUT_LEFT)
        hand.seq -= 1
        hand.see(0.1, CUT_LEFT)
    assert hand.hints == [Hint.RIGHT]


def test_a_hand_that_moved_too_far_is_told_to_come_back_but_not_at_once() -> None:
    hand = scenery(Hand()).see(1.5, CUT_LEFT)
    turned_s = hand.now_s
    hand.see(4.0, CUT_RIGHT)
    assert hand.hints[:2] == [Hint.RIGHT, Hint.LEFT]
    assert hand.said[1].t_s - turned_s >= 1.0


def test_after_a_while_without_a_note_a_hint_counts_as_the_first_again() -> None:
    hand = scenery(Hand()).see(10.0, CUT_LEFT)
    before = len(hand.said)
    scenery(hand, 8.0).see(4.5, CUT_LEFT)
    assert len(hand.said) == before + 2


def test_a_lost_camera_leaves_nothing_behind() -> None:
    hand = scenery(Hand()).see(0.7, CUT_LEFT)
    hand.seq += 600
    assert hand.see(0.7, CUT_LEFT).hints == []


# --- as the hand hears it


@pytest.mark.parametrize(
    ("mount", "rotation", "spoken"),
    [
        # for up, right, down, left in the picture
        (Mount.CHEST, 0, (Hint.UP, Hint.RIGHT, Hint.DOWN, Hint.LEFT)),
        (Mount.CHEST, 90, (Hint.RIGHT, Hint.DOWN, Hint.LEFT, Hint.UP)),
        (Mount.CHEST, 180, (Hint.DOWN, Hint.LEFT, Hint.UP, Hint.RIGHT)),
        (Mount.CHEST, 270, (Hint.LEFT, Hint.UP, Hint.RIGHT, Hint.DOWN)),
        (Mount.FACING, 0, (Hint.UP, Hint.LEFT, Hint.DOWN, Hint.RIGHT)),
        (Mount.FACING, 90, (Hint.LEFT, Hint.DOWN, Hint.RIGHT, Hint.UP)),
        (Mount.FACING, 180, (Hint.DOWN, Hint.RIGHT, Hint.UP, Hint.LEFT)),
        (Mount.FACING, 270, (Hint.RIGHT, Hint.UP, Hint.LEFT, Hint.DOWN)),
        (Mount.DOWN, 0, (Hint.UP, Hint.RIGHT, Hint.DOWN, Hint.LEFT)),
        (Mount.DOWN, 90, (Hint.RIGHT, Hint.DOWN, Hint.LEFT, Hint.UP)),
        (Mount.DOWN, 180, (Hint.DOWN, Hint.LEFT, Hint.UP, Hint.RIGHT)),
        (Mount.DOWN, 270, (Hint.LEFT, Hint.UP, Hint.RIGHT, Hint.DOWN)),
    ],
)
def test_directions_are_those_of_the_hand(mount: Mount, rotation: int, spoken: tuple[Hint, ...]) -> None:
    assert tuple(turned(way, mount, rotation) for way in DIRECTIONS) == spoken


def test_what_is_no_direction_is_the_same_for_every_camera() -> None:
    others = set(Hint) - set(DIRECTIONS)
    assert all(turned(hint, mount, turn) is hint for hint in others for mount in Mount for turn in (0, 90, 180, 270))


def test_a_camera_that_looks_at_the_person_leads_the_hand_the_other_way() -> None:
    assert scenery(Hand(mount=Mount.FACING)).see(1.5, CUT_LEFT).hints == [Hint.LEFT]
    assert scenery(Hand(rotation=90)).see(1.5, CUT_LEFT).hints == [Hint.DOWN]
