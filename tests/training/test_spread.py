"""Work that is divided: tiny data, the shipped play money's bundle, and one, two and four processes."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge import app
from edge.core import bundle as bundles
from edge.core.bundle import BACKGROUND
from training import spread
from training.errors import TrainingError
from training.learn.prepare import labels_for, play_material
from training.measure import compare, films, haste, hints, pocket, reels, specimens, stills
from training.measure.device import running
from training.measure.specimens import Specimen
from training.measure.stock import gather
from training.measure.stories import Plan
from training.playmoney import notes, scenes
from training.show import report
from training.synth import sheet
from training.synth.compose import Composer
from training.synth.recipe import Recipe
from training.synth.staging import CASES

Save = Callable[[Path, np.ndarray], Path]
XTS, INR = (bundles.read(app.BUNDLES / name) for name in ("xts", "inr"))
WORKERS = (1, 2, 4)


@contextlib.contextmanager
def squares() -> Iterator[Callable[[int], tuple[int, int]]]:
    yield lambda number: (number * number, os.getpid())


@pytest.mark.parametrize("workers", [1, 2, 4, 50])
def test_results_come_in_order_from_so_many_processes(workers: int) -> None:
    found = list(spread.each(squares, range(40), workers))
    assert [square for square, _ in found] == [number * number for number in range(40)]
    others = {process for _, process in found} - {os.getpid()}
    assert bool(others) == (workers > 1)
    assert len(others) <= workers


def test_nothing_to_do_is_done() -> None:
    assert list(spread.each(squares, [], 4)) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_what_doing_a_part_raises_is_raised(workers: int) -> None:
    def refuse(number: int) -> int:
        if number == 3:
            raise TrainingError("three is too many")
        return number

    with pytest.raises(TrainingError, match="three is too many"):
        list(spread.each(lambda: contextlib.nullcontext(refuse), range(9), workers))


def test_a_process_that_is_killed_is_a_sentence() -> None:
    with pytest.raises(TrainingError, match="ended early"):
        list(spread.each(lambda: contextlib.nullcontext(lambda number: os._exit(9)), range(9), 2))


def test_whoever_stops_reading_leaves_no_process(tmp_path: Path) -> None:
    reading = spread.each(squares, range(1000), 2)
    _, process = next(reading)
    reading.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@pytest.fixture
def pictures(tmp_path: Path, save: Save) -> list[tuple[Path, str]]:
    found = []
    for number, amount in enumerate((5, 50, 500)):
        scene = scenes.draw_scene(number, (240, 320))
        drawn = notes.draw(amount, "front", number, 260)
        scene[60 : 60 + drawn.shape[0], 30:290] = drawn
        found.append((save(tmp_path / f"{amount}.png", scene), str(amount)))
        found.append((save(tmp_path / f"none{number}.png", scenes.draw_scene(number + 40, (240, 320))), BACKGROUND))
    (tmp_path / "torn.png").write_bytes(b"torn")
    return [*found[:3], (tmp_path / "torn.png", "5"), *found[3:]]


def test_an_evaluation_is_the_same_however_many_share_it(pictures: list[tuple[Path, str]]) -> None:
    said, reports = [], []
    for workers in WORKERS:
        found, outcomes = stills.score(XTS, pictures, workers=workers)
        said.append([(o.path, o.best, o.said, o.probabilities.tolist()) for o in outcomes])  # type: ignore[union-attr]
        reports.append(dataclasses.replace(found, ms_per_picture=0.0))
    assert reports[0] == reports[1] == reports[2]
    assert said[0] == said[1] == said[2]
    assert (len(said[0]), len(reports[0].broken)) == (6, 1)


def test_a_pocket_is_the_same_however_many_share_it(pictures: list[tuple[Path, str]]) -> None:
    first, *others = (pocket.score([XTS, INR], pictures, workers=workers) for workers in WORKERS)
    assert all(other == first for other in others)
    assert (first.notes, first.background, len(first.broken)) == (3, 3, 1)


def test_films_are_the_same_however_many_share_them(pictures: list[tuple[Path, str]]) -> None:
    known = [Specimen(path, truth, "hand") for path, truth in pictures]
    stock = gather([one for one in known if one.path.name != "torn.png"], 0, 1)
    plan = Plan(seed=3, seconds=1.0, empty_frames=40, scenes=2)
    with running(XTS) as invoke:
        first, *others = [films.run(XTS, invoke, stock, plan, workers=workers) for workers in WORKERS]
        assert all(other == first for other in others)
        assert (first.presences, first.walk.frames) == (3, 40)
        assert [scene.of for scene in first.scenes] == [2, 2, 2]
        kept, *again = [reels.record(XTS, invoke, stock, plan, workers=workers) for workers in WORKERS]
    assert all(list(map(_seen, other)) == list(map(_seen, kept)) for other in again)
    rules = haste.rules(XTS.manifest.decision)
    rows, *same = [haste.compare(kept, XTS.labels, rules, workers=workers) for workers in WORKERS]
    assert all(repr(other) == repr(rows) for other in same)  # nan is no nan's equal
    assert [row.rule for row in rows] == list(rules)


def _seen(reel: reels.Reel) -> tuple[object, ...]:
    looks = [
        (look.t_s, look.scene, look.near, None if look.scores is None else look.scores.tolist()) for look in reel.looks
    ]
    return reel.heading, looks


def test_hints_are_the_same_however_many_share_them() -> None:
    ground = scenes.draw_scene(3, (120, 160))
    picture = notes.draw(50, "front", 1, 200)
    cases = [case for case in CASES if case.on_photograph][:2]
    staged = [lambda case=case: (case, "50", [ground] * 3 + [picture] * 8) for case in cases * 3]
    with running(XTS) as invoke:
        first, *others = [hints.show(XTS, invoke, staged, workers=workers) for workers in WORKERS]
    assert all(other == first for other in others)
    assert [outcome.case for outcome in first] == cases * 3


def test_a_comparison_and_a_page_are_the_same_however_many_share_them(
    pictures: list[tuple[Path, str]], tmp_path: Path
) -> None:
    for path, truth in pictures:
        folder = tmp_path / "data" / truth
        folder.mkdir(parents=True, exist_ok=True)
        path.rename(folder / path.name)
    pages = [app.BUNDLES / "xts"], tmp_path / "data"
    compared = [compare.compare(*pages, workers=workers) for workers in WORKERS]
    entries = [dataclasses.replace(found.entries[0], ms=0.0, ratio=1.0) for found in compared]
    assert entries[0] == entries[1] == entries[2]
    for workers in WORKERS:
        report.make(pages[0][0], lambda bundle: specimens.gather(pages[1], None, bundle), tmp_path / str(workers),
                    workers=workers)  # fmt: skip
    kept = [json.loads((tmp_path / str(workers) / report.FIGURES).read_text()) for workers in WORKERS]
    for figures in kept:
        figures.pop("ms_per_picture", None)
    assert kept[0] == kept[1] == kept[2]


def test_composed_samples_are_the_same_however_many_share_them(tmp_path: Path) -> None:
    composer = Composer(play_material((5, 50), 1, 0.1), labels_for(["5", "50"]), 64, 3, Recipe())
    for workers in WORKERS:
        done: list[int] = []
        sheet.write(composer, 12, tmp_path / str(workers), done.append, workers)
        assert done == list(range(1, 13))
    one, *others = ({p.name: p.read_bytes() for p in (tmp_path / str(w)).iterdir()} for w in WORKERS)
    assert all(other == one for other in others)
    assert len(list(csv.DictReader((tmp_path / "1" / sheet.LABELS).open()))) == 12
