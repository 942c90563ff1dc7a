from __future__ import annotations

import itertools
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import ConfigError
from edge.core.messages import Decision, Fault, Guidance, Hint, Notice, Recovered, Verdict
from edge.core.pulsecode import DIGITS, NUMBER, TAKEN, Player, PulseCode, Rhythm, number, steps
from edge.core.session import Repeat, Reply, Total

RUPEES = ("10", "20", "50", "100", "200", "500")
CODE = PulseCode(RUPEES, {})


def test_an_amount_is_its_place_in_the_list_as_short_pulses() -> None:
    assert [CODE.amount(label) for label in RUPEES] == [".", "..", "...", "....", ".....", "......"]


def test_what_is_no_amount_holds_a_long_pulse() -> None:
    felt = [CODE.event(Decision(verdict, 1, 1.0, 1)) for verdict in (Verdict.UNSURE, Verdict.SEVERAL)]
    felt += [CODE.event(Fault("camera", "missing")), CODE.event(Notice("ready")), CODE.event(Notice("goodbye"))]
    felt += [CODE.event(Notice("demonstration")), *(CODE.answer(reply) for reply in Reply)]
    assert all("-" in signs for signs in felt)
    assert felt[:4] == ["-", "--", "---", "-.-"]
    assert CODE.event(Recovered("camera")) == CODE.event(Notice("ready"))


def test_every_hint_asks_to_hold_it_another_way() -> None:
    assert {CODE.event(Guidance(hint, 0.0)) for hint in Hint} == {"-"}


def test_no_two_things_feel_alike() -> None:
    replies = {CODE.answer(reply) for reply in Reply}
    assert len(replies) == len(Reply) - 1, "nothing to repeat and nothing to take back are both nothing"
    assert not {CODE.amount(label) for label in RUPEES} & TAKEN
    assert len(set(DIGITS)) == 10


def test_that_nothing_can_be_heard_is_felt() -> None:
    assert CODE.event(Fault("speaker", "busy")) == CODE.event(Fault("camera", "stopped"))
    assert CODE.event(Recovered("speaker")) == CODE.event(Notice("ready"))


def test_what_concerns_no_hand_is_not_felt() -> None:
    quiet = [Fault("broker", "stopped"), Recovered("outbox"), Recovered("board", "too hot"), Notice("not genuine")]
    seen = [Decision(verdict, 1, 1.0, 1) for verdict in (Verdict.SEEN, Verdict.GONE)]
    assert {CODE.event(event) for event in [*quiet, *seen]} == {""}


def test_an_amount_repeated_late_says_that_it_is_old() -> None:
    assert CODE.answer(Repeat("50", 10.0)) == "..."
    assert CODE.answer(Repeat("50", 10.1)) == "... -"


def test_the_total_is_a_number_and_the_count_another() -> None:
    assert CODE.answer(Total(Decimal(610), 3)) == ".- -. . --/..."
    assert CODE.answer(Total(Decimal(0), 0)) == ".- --"


def decoded(signs: str) -> Decimal:
    digits = {sign: str(digit) for digit, sign in enumerate(DIGITS)} | {NUMBER: "."}
    return Decimal("".join(digits[sign] for sign in signs.split(" ")))


@given(st.decimals(0, 10**9, places=2, allow_nan=False))
def test_every_number_can_be_read_back_from_its_signs(value: Decimal) -> None:
    assert decoded(number(value)) == value


def test_an_owner_may_choose_other_codes() -> None:
    chosen = PulseCode(RUPEES, {"500": ".--", "10": 9})
    assert [chosen.amount(label) for label in ("10", "20", "500")] == [".........", "..", ".--"]


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        ({"25": 3}, "the bundle knows no '25'"),
        ({"10": 2}, "20 would feel like 10"),
        ({"10": "-"}, "10 would feel like a sign of saynote's own"),
        ({"10": ".-"}, "10 would feel like a sign of saynote's own"),
    ],
)
def test_codes_that_could_be_taken_for_something_else_are_refused(codes: dict[str, int | str], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        PulseCode(RUPEES, codes)
    assert any(words in problem for problem in caught.value.problems)


RHYTHM = Rhythm(short_s=0.15, long_s=0.6, gap_s=0.2, pause_s=0.8)


def test_signs_become_times() -> None:
    assert steps(".-", RHYTHM) == [(True, 0.15), (False, 0.2), (True, 0.6), (False, 0.2), (False, 0.8)]


def played(signs: str, turn_s: float, late_s: float = 0.0) -> list[tuple[bool, float]]:
    """(on, seconds) as a thread that turns so often, and wakes so late, plays it."""
    player, now, states = Player(RHYTHM), 0.0, []
    player.begin(signs, now)
    while player.playing:
        states.append((now, player.on))
        due = player.due_s()
        assert due is not None
        now = min(now + turn_s, due) if turn_s else due + late_s
        player.advance(now)
    runs = [(on, list(group)) for on, group in itertools.groupby(states, key=lambda state: state[1])]
    starts = [group[0][0] for _, group in runs] + [now]
    return [(on, end - start) for (on, _), start, end in zip(runs, starts, starts[1:], strict=False)]


@pytest.mark.parametrize(("turn_s", "late_s"), [(0.0, 0.0), (0.01, 0.0), (0.0, 0.1), (0.0, 0.3)])
@pytest.mark.parametrize("signs", [".", "......", "-.-", ".- -. . --/..."])
def test_a_late_thread_swallows_no_pulse_and_joins_no_two(signs: str, turn_s: float, late_s: float) -> None:
    runs = played(signs, turn_s, late_s)
    pulses = [seconds for on, seconds in runs if on]
    marks = [sign for sign in signs if sign in ".-"]
    assert len(pulses) == len(marks)
    for sign, seconds in zip(marks, pulses, strict=True):
        assert seconds >= (RHYTHM.short_s if sign == "." else RHYTHM.long_s) - 1e-9
    assert all(seconds >= RHYTHM.gap_s - 1e-9 for on, seconds in runs if not on)


def test_what_is_cut_off_is_followed_by_a_pause() -> None:
    player = Player(RHYTHM)
    player.begin("......", 0.0)
    player.cut(0.1)
    assert not player.on
    assert player.due_s() == pytest.approx(0.1 + RHYTHM.pause_s)
