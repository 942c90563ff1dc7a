"""Events from films, with engines made by hand that know red notes from green ones, lie, hesitate or see nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.core import bundle as bundles
from edge.core.bundle import Bundle, DecisionSpec, InputSpec, Manifest
from edge.core.messages import Decision, Verdict
from training.errors import TrainingError
from training.measure import figures, films, stories
from training.measure.films import MISSED, RIGHT, UNSURE, WRONG, Plan, judge, judge_several, judge_swap
from training.measure.specimens import Specimen
from training.measure.stock import Stock, gather
from training.photos import cutout
from training.playmoney import notes

Save = Callable[[Path, np.ndarray], Path]
Engine = Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]
LABELS = ("10", "20", "background", "several")
XTS = Path(__file__).parents[3] / "edge" / "bundles" / "xts"
RED, GREEN = (210, 40, 40), (40, 190, 40)


def logits(**values: float) -> list[NDArray[np.float32]]:
    """Strong for what is named, faint for the rest."""
    return [np.array([[values.get(label, 0.0) for label in ("ten", "twenty", "nothing", "several")]], np.float32)]


def shares(tensor: NDArray[np.uint8]) -> tuple[float, float]:
    """How much of the picture is red, and green, whatever the light."""
    red, green, blue = (tensor[0, ..., i].astype(float) for i in range(3))
    return float((red > 1.8 * np.maximum(green, blue)).mean()), float((green > 1.8 * np.maximum(red, blue)).mean())


def honest(tensor: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    red, green = shares(tensor)
    if min(red, green) > 0.02:
        return logits(several=9)
    if max(red, green) < 0.05:
        return logits(nothing=9)
    return logits(ten=9) if red > green else logits(twenty=9)


def liar(tensor: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    (found,) = honest(tensor)
    return [found[:, [1, 0, 2, 3]]]


def shy(tensor: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    return logits(ten=5, twenty=5) if max(shares(tensor)) > 0.05 else logits(nothing=9)


def blind(tensor: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    return logits(nothing=9)


def greedy(tensor: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Takes two notes for the larger one."""
    red, green = shares(tensor)
    if max(red, green) < 0.05:
        return logits(nothing=9)
    return logits(ten=9) if red > green else logits(twenty=9)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    decision = DecisionSpec(1.0, {"10": 0.8, "20": 0.8}, 0.6, 3, 0.6, 1.5, 0.7)
    manifest = Manifest(1, "colours", "1.0.0", "XTS", InputSpec(48, 48, "squash"), decision, False, 0.1, {}, "d" * 64)
    nothing = np.zeros((1, 48, 48, 3), np.uint8)
    return Bundle(Path("colours"), manifest, LABELS, b"", nothing, np.zeros((1, 4), np.float32))


def coloured(colour: tuple[int, int, int], seed: int) -> np.ndarray:
    """A note of one colour with enough on it to pass the scene gate."""
    grain = np.random.default_rng(seed).uniform(0.75, 1.0, (9, 20, 1)).repeat(12, 0).repeat(12, 1)
    return (np.array(colour) * grain).astype(np.uint8)


@pytest.fixture
def stock(tmp_path: Path, save: Save) -> Stock:
    shown = []
    for number in range(2):
        for label, colour in (("10", RED), ("20", GREEN)):
            path = save(tmp_path / label / f"{number}.png", coloured(colour, number))
            shown.append(Specimen(path, label))
    greys = [np.random.default_rng(i).integers(70, 180, (24, 32, 1), np.uint8) for i in range(4)]
    grounds = [np.repeat(grey.repeat(10, 0).repeat(10, 1), 3, axis=2) for grey in greys]
    red = cutout.whole(coloured(RED, 50))
    return Stock(shown, grounds, [red], [])


PLAN = Plan(seed=3, empty_frames=0, scenes=2)


@pytest.mark.parametrize(("engine", "event"), [(honest, RIGHT), (liar, WRONG), (shy, UNSURE), (blind, MISSED)])
def test_each_engine_gets_the_event_it_deserves(bundle: Bundle, stock: Stock, engine: Engine, event: str) -> None:
    found = films.run(bundle, engine, stock, Plan(seed=3, empty_frames=0, scenes=0))
    assert {name: share.count for name, share in found.events.items()} == {
        name: 4 if name == event else 0 for name in films.EVENTS
    }
    assert found.by_truth["20"][event].count == 2
    assert len(found.mistakes) == (4 if event == WRONG else 0)


def test_the_amount_comes_soon_after_the_note(bundle: Bundle, stock: Stock) -> None:
    found = films.run(bundle, honest, stock, Plan(seed=3, empty_frames=0, scenes=0))
    assert found.seconds_median is not None
    assert found.seconds_p95 is not None
    # Three frames make an amount: two steps after the first that shows the note.
    assert 0.1 <= found.seconds_median <= found.seconds_p95 <= 0.8


def test_a_note_laid_over_another_is_said_after_it(bundle: Bundle, stock: Stock) -> None:
    scene = films.swaps(bundle, greedy, stock, PLAN)
    assert scene.of == scene.outcomes["both said in order"].count == 2


def test_several_notes_at_once_are_no_amount(bundle: Bundle, stock: Stock) -> None:
    careful = films.together(bundle, honest, stock, PLAN, 2)
    careless = films.together(bundle, greedy, stock, PLAN, 2)
    assert careful.outcomes["one note at a time"].count == careful.of == 2
    assert careless.outcomes["an amount"].count == 2


def test_a_walk_without_notes_counts_every_amount_and_says_what_was_in_view(bundle: Bundle, stock: Stock) -> None:
    plan = Plan(seed=3, empty_frames=300, scenes=0)
    quiet, loud = (films.run(bundle, invoke, stock, plan).walk for invoke in (blind, honest))
    assert quiet.frames == loud.frames == 300
    assert quiet.announced.count == 0
    assert quiet.announced.bound == pytest.approx(3 / (30 / 3600))
    assert loud.announced.count == loud.by_kind["other money"].count == loud.said["10"] > 1
    assert loud.by_kind["background"].count == 0


def test_a_walk_is_the_same_frames_whatever_parts_it_falls_into(stock: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(seed=3, empty_frames=300, scenes=0)

    def shown() -> list[tuple[str, int, float, int]]:
        walked = [stretch for part in stories.parts(plan) for stretch in stories.walk(stock, plan, part)]
        return [(s.kind, frame.seq, frame.t_s, int(frame.pixels.sum())) for s in walked for frame in s.frames]

    whole = shown()
    assert [number for _, number, _, _ in whole] == list(range(300))
    monkeypatch.setattr(stories, "PART", 100)
    assert len(stories.parts(plan)) == 3
    assert shown() == whole
    assert stories.parts(Plan(empty_frames=0)) == []


def test_the_same_seed_shows_the_same_films(bundle: Bundle, stock: Stock) -> None:
    first, again = (films.run(bundle, honest, stock, Plan(seed=3, empty_frames=60, scenes=0)) for _ in range(2))
    assert first == again


def test_a_broken_photograph_is_named_and_left_out(bundle: Bundle, stock: Stock) -> None:
    stock.notes[2].path.write_bytes(b"torn")
    found = films.run(bundle, honest, stock, Plan(seed=3, empty_frames=0, scenes=0))
    assert found.presences == 3
    assert found.broken == [f"{stock.notes[2].path} is broken: it is no JPEG, PNG or WebP"]


def test_figures_survive_the_way_through_a_file(bundle: Bundle, stock: Stock, tmp_path: Path) -> None:
    found = films.run(bundle, honest, stock, Plan(seed=3, empty_frames=50, scenes=1))
    figures.write(tmp_path / "films.json", asdict(found))
    assert figures.sequences(tmp_path / "films.json") == found
    (tmp_path / "other.json").write_text('{"n": 3}')
    with pytest.raises(TrainingError, match=r"other\.json does not hold the figures of sequences"):
        figures.sequences(tmp_path / "other.json")


def said(*labels: str, verdict: Verdict = Verdict.AMOUNT) -> list[Decision]:
    return [Decision(verdict, n, 1.0 + n, 1, label) for n, label in enumerate(labels)]


TEN = Specimen(Path("x.png"), "10")


def test_a_wrong_amount_stays_wrong_when_the_right_one_follows() -> None:
    presence = judge(TEN, said("20", "10"), 0.5)
    assert presence.event == WRONG
    assert films.corrected(presence)
    assert not films.corrected(judge(TEN, said("10", "20"), 0.5))


def test_the_first_amount_sets_the_time_and_the_second_counts_as_said_twice(bundle: Bundle) -> None:
    presence = judge(TEN, said("10", "10"), 0.5)
    assert (presence.event, presence.seconds) == (RIGHT, 0.5)
    quiet = films.Walk(0, films.pace(0, 0), {}, {})
    found = films.summary(bundle, PLAN, [presence, judge(TEN, said("10"), 0.5)], quiet, [], False, [])
    assert (found.double.count, found.double.of) == (1, 2)


def test_one_note_at_a_time_said_to_one_note_is_unsure() -> None:
    presence = judge(TEN, said("", verdict=Verdict.SEVERAL), 0.5)
    assert presence.event == UNSURE
    assert presence.several


@pytest.mark.parametrize(
    ("heard", "outcome"),
    [
        (["10", "20"], "both said in order"),
        (["10", "10", "20"], "both said in order"),
        (["20"], "one said"),
        ([], "none said"),
        (["20", "10"], "a wrong amount"),
        (["50"], "a wrong amount"),
        (["10", "20", "10"], "a wrong amount"),
    ],
)
def test_two_notes_in_a_row_are_heard_in_their_order(heard: list[str], outcome: str) -> None:
    assert judge_swap(("10", "20"), heard) == outcome


def test_any_amount_for_several_notes_is_one_too_many() -> None:
    assert judge_several(said("", verdict=Verdict.SEVERAL) + said("10")) == "an amount"
    assert judge_several(said("", verdict=Verdict.UNSURE)) == "nothing, or not sure"


def test_photographs_of_several_notes_are_a_scene_and_a_torn_one_is_named(
    bundle: Bundle, tmp_path: Path, save: Save
) -> None:
    both = np.concatenate([coloured(RED, 1), coloured(GREEN, 2)])
    save(tmp_path / "several" / "a.png", both)
    (tmp_path / "several" / "b.png").write_bytes(b"torn")
    one = Specimen(save(tmp_path / "10" / "0.png", coloured(RED, 3)), "10")
    plan = Plan(seed=3, empty_frames=0, scenes=0)
    stock = gather([one], plan.notes, plan.seed, tmp_path / "several")
    (scene,) = films.run(bundle, honest, stock, plan).scenes
    assert scene.name == "photographs of several notes"
    assert scene.outcomes["one note at a time"].count == scene.of == 1
    assert stock.broken == [f"{tmp_path / 'several' / 'b.png'} is broken: it is no JPEG, PNG or WebP"]


@pytest.mark.integration
@pytest.mark.skipif(not XTS.is_dir(), reason="the play-money bundle is not there: make xts")
def test_the_play_money_bundle_reads_drawn_notes_in_a_moving_hand(
    tmp_path: Path, save: Save, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from training.__main__ import main

    for amount in notes.DENOMINATIONS:
        save(tmp_path / "data" / str(amount) / "0.png", notes.draw(amount, "front", 400, 320))
    out = tmp_path / "films.json"
    arguments = ["sequences", XTS, tmp_path / "data", "--scenes", "1", "--empty-frames", "200", "--json", out]
    monkeypatch.setattr("sys.argv", ["training", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    found = json.loads(out.read_text())
    assert found["bundle"]["digest"] == bundles.read(XTS).manifest.digest
    assert found["presences"] == 6
    assert found["events"]["right"]["count"] >= 3
    assert found["walk"]["frames"] == 200
    assert "one note in the hand" in capsys.readouterr().out
