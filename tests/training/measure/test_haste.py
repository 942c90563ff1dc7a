"""Rules side by side on looks that are made by hand: sooner costs what it costs, and the table says so."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from edge import app
from edge.core import bundle as bundles
from edge.core.manifest import DecisionSpec, SoonSpec
from edge.core.messages import Look, Observation, Scene
from training.measure import haste, reels
from training.measure.reels import Heading, Kind, Reel

LABELS = ("10", "100", "background", "several")
SPEC = DecisionSpec(1.0, {"10": 0.9, "100": 0.9}, 0.6, 3, 0.6, 1.5, 0.7, span_s=0.4)
CLEAR = Scene(Look.CLEAR, 100.0, 40.0, 200.0)
RATE = 30


def reel(kind: Kind, truths: tuple[str, ...], *parts: tuple[str, float, float]) -> Reel:
    """`parts`: label, share, seconds; two looks whole and two near in turn."""
    looks = []
    for label, share, seconds in parts:
        rest = (1 - share) / (len(LABELS) - 1)
        scores = np.log([share if name == label else rest for name in LABELS]).astype(np.float32)
        for _ in range(round(seconds * RATE)):
            number = len(looks)
            looks.append(Observation(number, number / RATE, CLEAR, scores, near=number % 4 > 1))
    return Reel(Heading(kind, truths, 0.0, "", len(looks)), looks)


AWAY = ("background", 0.99, 1.0)
PLAIN = reel("one note", ("10",), ("10", 0.999, 1.0), AWAY)
DOUBTFUL = reel("one note", ("10",), ("10", 0.92, 1.0), AWAY)
TAKEN_FOR = reel("one note", ("10",), ("100", 0.95, 0.2), ("10", 0.999, 1.0), AWAY)
GHOST = reel("nothing", (), AWAY, ("100", 0.95, 0.2), AWAY)
SWAP = reel("one after the other", ("10", "100"), ("10", 0.999, 1.0), ("100", 0.999, 1.0), AWAY)
TWO = reel("several at once", ("10", "100"), ("several", 0.99, 1.0), AWAY)
ALL = [PLAIN, PLAIN, DOUBTFUL, TAKEN_FOR, GHOST, SWAP, TWO]


def test_evidence_is_as_right_as_time_and_sooner_where_time_alone_would_be_wrong() -> None:
    soon = replace(SPEC, soon=SoonSpec(8.1, 6.9))
    rules = {"0.4 s": SPEC, "at once": replace(SPEC, span_s=0.0), "evidence": soon}
    late, hasty, found = haste.compare(ALL, LABELS, rules)
    assert (late.right, late.wrong, late.false) == (found.right, found.wrong, found.false) == (4, 0, 0)
    assert (hasty.wrong, hasty.false) == (1, 1)
    assert found.median_s < 0.3 < 0.39 < late.median_s
    assert found.p95_s <= late.p95_s
    assert (late.swaps, late.swaps_right, found.swaps_right) == (1, 1, 1)
    assert (found.several, found.several_said, found.empty_frames) == (1, 0, GHOST.heading.frames)


def test_the_rules_run_from_time_alone_to_evidence_with_no_other_rule() -> None:
    rows = {row.rule: row for row in haste.compare(ALL, LABELS, haste.rules(SPEC))}
    assert rows["as it is"] == haste.Row(**{**vars(rows["0.4 s"]), "rule": "as it is"})
    spans_s = [rows[f"{span_s:g} s"].median_s for span_s in haste.SPANS_S]
    assert spans_s == sorted(spans_s)
    bounds = [rows[f"{nats:g} nats, {haste.MOST[-1]:g} a look"].median_s for nats in haste.EVIDENCE]
    assert bounds == sorted(bounds)
    alone = [rows[f"{nats:g} nats and nothing else"] for nats in haste.ALONE]
    assert alone[0].false == 1, "the ghost is said when little evidence is enough"
    assert [row.false for row in alone] == sorted((row.false for row in alone), reverse=True)


def test_looks_at_one_note_are_alike_and_those_at_different_notes_are_not() -> None:
    rng = np.random.default_rng(1)

    def noted(own: float) -> Reel:
        looks = []
        for number in range(30):
            share = 1 / (1 + math.exp(-(4 + own + rng.normal(0, 1))))
            scores = np.log([share, *[(1 - share) / 3] * 3]).astype(np.float32)
            looks.append(Observation(number, number / RATE, CLEAR, scores, near=number % 4 > 1))
        return Reel(Heading("one note", ("10",), 0.0, "", len(looks)), looks)

    one = haste.alike([noted(own) for own in rng.normal(0, 1, 300)], LABELS)
    assert all(0.35 < pair.same < 0.65 for pair in one if not math.isnan(pair.same)), "half of the spread is the note's"
    none = haste.alike([noted(0.0) for _ in range(300)], LABELS)
    assert all(abs(pair.same) < 0.1 for pair in none if not math.isnan(pair.same))
    assert all(math.isnan(pair.same) and math.isnan(pair.other) for pair in haste.alike([GHOST], LABELS))


@pytest.mark.integration
def test_kept_films_of_play_money_are_compared_from_the_command_line(
    tmp_path: Path, save: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from training.__main__ import main
    from training.playmoney import notes

    for amount in (5, 500):
        save(tmp_path / "data" / str(amount) / "0.png", notes.draw(amount, "front", 400, 320))  # type: ignore[operator]
    xts, kept, out = app.BUNDLES / "xts", tmp_path / "films.npz", tmp_path / "haste.json"
    shown = ["--scenes", "1", "--empty-frames", "60", "--frames-per-s", "15"]

    def run(*arguments: object) -> str:
        monkeypatch.setattr("sys.argv", ["training", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code in (0, None)
        return capsys.readouterr().out

    run("reels", xts, tmp_path / "data", "--out", kept, *shown)
    labels = bundles.read(xts).labels
    assert [found.heading.kind for found in reels.read(kept, labels)].count("one note") == 2
    assert "alike" in run("haste", xts, kept, "--json", out)
    rows = json.loads(out.read_text())
    assert rows[0]["rule"] == "as it is"
    assert {row["notes"] for row in rows} == {2}
    assert {row["empty_frames"] for row in rows} == {60}
