from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.core import bundle as bundles
from training.errors import TrainingError
from training.measure import films
from training.measure.films import Plan, Presence, Walk
from training.measure.rates import interval, pace, rate
from training.measure.stills import Report, Shares
from training.show import card

XTS = Path(__file__).parents[3] / "edge" / "bundles" / "xts"
SOURCES = """
independent_test = "100 notes by a person whose notes were not trained on"
limits = ["**7 has no data.** It may look like a 5."]

[[source]]
name = "drawn"
what = "play money"
from = "training/playmoney"
"""

pytestmark = pytest.mark.skipif(not XTS.is_dir(), reason="the play-money bundle is not there: make xts")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(XTS, tmp_path / "xts"))


@pytest.fixture
def sources(tmp_path: Path) -> card.Sources:
    path = tmp_path / "sources.toml"
    path.write_text(SOURCES)
    return card.read_sources(path)


def evaluation(wrong: int = 2) -> Report:
    shares = Shares(accuracy=rate(98, 100), coverage=rate(95, 100), wrong=rate(wrong, 95), false=rate(0, 40))
    return Report(shares, 0.0123, 2.0, {}, [])


def filmed(bundle: bundles.Bundle) -> films.Sequences:
    shown = [Presence("x", "5", "right", ["5"], False, 0.4)] * 50
    walk = Walk(36_000, pace(0, 1.0), {}, {})
    return films.summary(bundle, Plan(), shown, walk, [], False, [])


def text(folder: Path) -> str:
    return " ".join((folder / bundles.CARD).read_text().split())


def test_a_new_card_leaves_the_bundle_what_it_is(folder: Path) -> None:
    before = {
        path.name: path.read_bytes() for path in folder.iterdir() if path.name not in ("card.md", "manifest.json")
    }
    manifest = card.refresh(folder, evaluation(), filmed(bundles.read(folder)))
    assert manifest.digest == bundles.read(XTS).manifest.digest
    assert bundles.read(folder).manifest == manifest
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name in before} == before
    assert {path.name for path in folder.iterdir()} == {path.name for path in XTS.iterdir()}


def test_every_rate_has_its_interval_and_what_it_is_of(folder: Path) -> None:
    card.refresh(folder, evaluation(), filmed(bundles.read(folder)))
    told = text(folder)
    low, high = interval(2, 95)
    assert f"| wrong, of what was spoken | 0.0211 ({low:.4f} to {high:.4f}), 2 of 95 |" in told
    assert "| amounts said to pictures without these notes | 0.000 (0.000 to 0.0881), 0 of 40; 3/n = 0.0750 |" in told
    assert "| right | 1.000 (0.929 to 1.000), 50 of 50 |" in told
    assert "median 0.4 s, 95 % within 0.4 s" in told
    assert "0 in 1.00 h" in told
    low, high = interval(580, 600)
    assert f"| held out accuracy | 0.967 ({low:.3f} to {high:.3f}), 580 of 600 |" in told


def test_a_count_is_told_as_it_was_counted_however_many_pictures_there_are(folder: Path) -> None:
    """A share of four digits would turn 19,999 of 20,000 into all of them."""
    shares = Shares(accuracy=rate(19_999, 20_000), coverage=rate(0, 20_000), wrong=rate(0, 0), false=rate(0, 0))
    card.refresh(folder, Report(shares, 0.0, 2.0, {}, []))
    assert "19999 of 20000" in text(folder)


def test_what_was_held_out_is_counted_in_looks_one_for_each_turn(folder: Path) -> None:
    manifest = bundles.read(folder).manifest
    figures = {"held_out_pictures": 9000.0, "held_out_looks": 18_000.0, "held_out_right": 17_999.0}
    figures |= {"held_out_accuracy": 0.9999, "int8_float_agreed": 18_000.0, "int8_float_agreement": 1.0}
    changed = msgspec.structs.replace(manifest, figures=figures)
    (folder / bundles.MANIFEST).write_bytes(msgspec.json.encode(changed))
    card.refresh(folder)
    assert "17999 of 18000" in text(folder)
    assert "18000 of 18000" in text(folder)


def test_an_older_manifest_has_shares_of_looks_alone(folder: Path) -> None:
    manifest = bundles.read(folder).manifest
    figures = {"held_out_pictures": 300.0, "held_out_accuracy": 0.995}
    turned = msgspec.structs.replace(manifest.input, turns=(0, 180))
    assert card._with_looks(msgspec.structs.replace(manifest, figures=figures, input=turned)) == {
        **figures,
        "held_out_looks": 600.0,
    }


def test_the_card_says_what_the_bundle_cannot_do(folder: Path) -> None:
    card.refresh(folder)
    limits = card.limits((folder / bundles.CARD).read_text())
    assert limits[0] == card.AUTHENTICITY
    assert limits[-1] == card.NO_TEST
    assert any("not listed have no training data" in limit for limit in limits)


def test_an_evaluation_whose_photographs_nobody_described_is_no_independent_test(folder: Path) -> None:
    card.refresh(folder, evaluation())
    assert card.NO_TEST in card.limits((folder / bundles.CARD).read_text())
    assert "whose, was not stated" in text(folder)


def test_sources_limits_and_the_independent_test_come_from_a_file(folder: Path, sources: card.Sources) -> None:
    card.refresh(folder, evaluation(), sources=sources)
    told = text(folder)
    assert "| drawn | play money | training/playmoney | not stated |" in told
    assert "Independent test: 100 notes by a person whose notes were not trained on" in told
    limits = card.limits((folder / bundles.CARD).read_text())
    assert "**7 has no data.** It may look like a 5." in limits
    assert card.NO_TEST not in limits
    assert "XTS than these have no training data" in limits[1]


def test_what_is_not_given_again_stays(folder: Path, sources: card.Sources) -> None:
    made_from = text(XTS).split("## Made from")[1].split("## Measured")[0]
    card.refresh(folder, evaluation(), filmed(bundles.read(folder)), sources)
    first = (folder / bundles.CARD).read_text()
    card.refresh(folder)
    assert (folder / bundles.CARD).read_text() == first
    assert made_from in text(folder)
    card.refresh(folder, evaluation(wrong=0))
    told = text(folder)
    assert "| wrong, of what was spoken | 0.000 (0.000 to 0.0381), 0 of 95; 3/n = 0.0316 |" in told
    assert "Independent test" in told
    assert "50 of 50" in told


def test_films_of_another_bundle_are_refused(folder: Path) -> None:
    other = replace(filmed(bundles.read(folder)), bundle={"name": "x", "version": "1", "digest": "0" * 64})
    before = (folder / bundles.CARD).read_bytes()
    with pytest.raises(TrainingError, match="measured on another bundle"):
        card.refresh(folder, sequences=other)
    assert (folder / bundles.CARD).read_bytes() == before


@pytest.mark.parametrize(
    ("content", "names"),
    [("[[source]]\nname = 'a'", "what"), ("limit = ['x']", "limit"), ("= 3", "toml"), ("limits = 'x'", "array")],
)
def test_a_file_of_sources_that_does_not_fit_is_explained(tmp_path: Path, content: str, names: str) -> None:
    path = tmp_path / "toml.toml"
    path.write_text(content)
    with pytest.raises(TrainingError, match=names) as told:
        card.read_sources(path)
    assert len(str(told.value).splitlines()) == 1


def test_a_wrong_file_of_sources_is_named_before_any_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from training.__main__ import main

    (tmp_path / "sources.toml").write_text("limit = []")
    arguments = ["train", tmp_path / "nowhere", "--out", tmp_path / "out", "--currency", "XTS"]
    arguments += ["--sources", tmp_path / "sources.toml"]
    monkeypatch.setattr("sys.argv", ["training", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "sources.toml is no file of sources" in " ".join(capsys.readouterr().err.split())


def test_the_shipped_file_of_sources_can_be_read() -> None:
    found = card.read_sources(Path(card.__file__).parents[1] / "currencies" / "inr" / "sources.toml")
    assert "840" in found.independent_test
    assert "\n" not in found.independent_test
    assert len(found.source) == 8


def test_a_card_at_the_end_of_training_says_what_it_was_made_from(sources: card.Sources) -> None:
    from training.learn.prepare import Prepared
    from training.learn.settings import FitSettings, Identity
    from training.photos.material import Material

    decision = bundles.read(XTS).manifest.decision
    none = np.zeros((0, 32, 32, 3), np.uint8)
    nothing = none, none, np.zeros(0, np.int64)
    material = Material({}, [], [], [])
    labels = ("5", "background", "several")
    prepared = Prepared(material, labels, *nothing, material, "d", {"5": 12}, ("anna", "bert"), "the source bert")
    figures = {"held_out_pictures": 50.0, "held_out_accuracy": 0.98}
    told = card.write(Identity("xts", "1.0.0", "XTS"), prepared, FitSettings(steps=70), decision, figures, sources)
    flat = " ".join(told.split())
    assert "70 steps of" in flat
    assert "anna, bert" in flat
    assert "the source bert" in flat
    assert "| 5 | 12 |" in flat
    assert "0.980 (0.894 to 0.999), 49 of 50" in flat
    # There was no test yet, so what the file says of one is not claimed.
    assert card.NO_TEST in card.limits(told)
