from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from edge.core import bundle as bundles
from training.__main__ import main
from training.measure.compare import Comparison, Entry, front, worse
from training.measure.rates import rate
from training.measure.stills import Outcome
from training.playmoney import notes, scenes

Save = Callable[[Path, np.ndarray], Path]
XTS = Path(__file__).parents[3] / "edge" / "bundles" / "xts"


def entry(name: str, outcomes: Sequence[Outcome]) -> Entry:
    shown = [o for o in outcomes if o.truth != "background"]
    empty = [o for o in outcomes if o.truth == "background"]
    spoken = [o for o in shown if o.said]
    return Entry(
        name,
        rate(sum(o.best == o.truth for o in shown), len(shown)),
        rate(len(spoken), len(shown)),
        rate(sum(o.said != o.truth for o in spoken), len(spoken)),
        rate(sum(bool(o.said) for o in empty), len(empty)),
        *(0.01, 1.0, 1.0, 1.0, 1.0, None, []),
    )


def outcomes(*parts: tuple[int, str, str, str]) -> list[Outcome]:
    """So many of each truth, best and said."""
    return [Outcome(Path("x.jpg"), truth, best, said) for n, truth, best, said in parts for _ in range(n)]


def refusal(new: list[Outcome], old: list[Outcome]) -> str | None:
    return worse(Comparison([entry("new", new), entry("old", old)], [new, old]), 0, 1)


GOOD = outcomes((290, "10", "10", "10"), (10, "10", "10", ""), (100, "background", "10", ""))


def test_a_bundle_is_not_worse_than_itself() -> None:
    assert refusal(GOOD, GOOD) is None


def test_one_more_mistake_is_chance() -> None:
    new = outcomes((289, "10", "10", "10"), (1, "10", "50", ""), (10, "10", "10", ""), (100, "background", "10", ""))
    assert refusal(new, GOOD) is None


def test_more_wrong_announcements_than_chance_explains_are_refused() -> None:
    new = outcomes((284, "10", "10", "10"), (6, "10", "50", "50"), (10, "10", "10", ""), (100, "background", "10", ""))
    assert str(refusal(new, GOOD)).startswith("new is worse than old: wrong announcements 0.0207")


def test_a_loss_of_accuracy_on_the_same_pictures_is_refused_within_the_interval_too() -> None:
    old = outcomes((260, "10", "10", "10"), (40, "10", "50", ""))
    new = outcomes((253, "10", "10", "10"), (47, "10", "50", ""))
    # 253 of 300 lies inside the interval of 260 of 300; but seven lost and none won is not chance.
    assert rate(253, 300).share > rate(260, 300).low
    assert "accuracy" in str(refusal(new, old))


def test_amounts_said_to_nothing_are_refused() -> None:
    new = outcomes((290, "10", "10", "10"), (10, "10", "10", ""), (93, "background", "10", ""))
    new += outcomes((7, "background", "10", "10"))
    assert "where there is no note" in str(refusal(new, GOOD))


def test_a_better_bundle_passes() -> None:
    assert (
        refusal(GOOD, outcomes((200, "10", "10", "10"), (100, "10", "50", "50"), (100, "background", "10", ""))) is None
    )


@pytest.fixture
def shown(tmp_path: Path, save: Save) -> Path:
    for amount in notes.DENOMINATIONS:
        for number in range(2):
            scene = np.full((240, 320, 3), 128, np.uint8)
            drawn = notes.draw(amount, "front", number, 260)
            scene[60 : 60 + drawn.shape[0], 30:290] = drawn
            save(tmp_path / "data" / str(amount) / f"{number}.png", scene)
    save(tmp_path / "data" / "7000" / "a.png", scenes.draw_scene(40, (240, 320)))
    return tmp_path / "data"


def muddled(folder: Path) -> Path:
    """The play-money bundle with two pairs of amounts confused: whole, and wrong."""
    found = bundles.read(XTS)
    swap = {"5": "10", "10": "5", "50": "100", "100": "50"}
    m = found.manifest
    bundles.write(
        folder,
        name="muddled",
        version="0.0.1",
        currency=m.currency,
        model=found.model,
        labels=tuple(swap.get(label, label) for label in found.labels),
        input_=m.input,
        decision=m.decision,
        selftest_pictures=found.selftest_pictures,
        selftest_logits=found.selftest_logits,
        selftest_tolerance=m.selftest_tolerance,
        has_box=m.has_box,
        card="# muddled\n",
    )
    return folder


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr("sys.argv", ["training", "compare", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.integration
@pytest.mark.skipif(not XTS.is_dir(), reason="the play-money bundle is not there: make xts")
def test_compare_measures_draws_and_refuses_the_worse_one(
    shown: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, out = muddled(tmp_path / "muddled"), tmp_path / "out"
    assert run(monkeypatch, bad, XTS, "--data", shown, "--out", out, "--must-not-be-worse-than", XTS) == 1
    told = capsys.readouterr()
    assert "muddled is worse than xts" in " ".join(told.err.split())
    assert "Traceback" not in told.err
    assert "million multiply-adds" in told.out
    first, second = json.loads((out / "compare.json").read_text())
    assert first["accuracy"]["count"] <= 4 < second["accuracy"]["count"]
    assert first["multiply_adds"] == second["multiply_adds"] > 0
    assert "multiply_adds" in second["fronts"]
    assert "multiply_adds" not in first["fronts"]
    assert len(list(out.glob("accuracy_by_*.svg"))) == 3
    # The other way round there is nothing to refuse.
    assert run(monkeypatch, XTS, "--data", shown, "--must-not-be-worse-than", bad) == 0


@pytest.mark.skipif(not XTS.is_dir(), reason="the play-money bundle is not there: make xts")
def test_a_bundle_given_twice_is_refused_in_one_sentence(
    shown: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, XTS, XTS, "--data", shown) == 1
    assert "a bundle is given twice" in capsys.readouterr().err


@pytest.mark.skipif(not XTS.is_dir(), reason="the play-money bundle is not there: make xts")
def test_bundles_of_other_amounts_cannot_be_compared(
    shown: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inr = XTS.parent / "inr"
    if not inr.is_dir():
        pytest.skip("there is no second bundle")
    assert run(monkeypatch, XTS, inr, "--data", shown) == 1
    assert "cannot be compared" in " ".join(capsys.readouterr().err.split())


def test_the_baseline_may_be_a_copy_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if XTS.is_dir():
        shutil.copytree(XTS, tmp_path / "a" / "xts")
        from training.measure.compare import _names

        assert _names([XTS, tmp_path / "a" / "xts"]) == ["bundles/xts", "a/xts"]


def test_the_front_is_what_nothing_else_beats() -> None:
    costs, values = [1, 2, 3, 4], [0.90, 0.95, 0.94, 0.99]
    assert front(costs, values) == [True, True, False, True]


def test_a_tie_leaves_both_on_the_front_only_where_they_are_the_same() -> None:
    assert front([1, 1], [0.9, 0.9]) == [True, True]
    assert front([1, 2], [0.9, 0.9]) == [True, False]
