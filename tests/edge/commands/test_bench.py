from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import pytest

from edge import __main__, app
from edge.commands.bench import BEGIN, END, measure_sound, measure_starts, table, write
from edge.core import bundle as bundles
from edge.core.errors import ConfigError, HardwareError
from edge.drivers.fake import FakeSynth
from edge.settings import VoiceConfig

SPREAD = {"p50": 1.0, "p95": 2.0, "p99": 3.0}
FOUND = {
    "saynote": "9.9",
    "machine": {"processor": "Abacus", "kind": "wood", "cores": 2, "python": "3", "numpy": "1", "opencv": "4"},
    "threads": 2,
    "runtime": "beads 1",
    "bundles": {"inr 1": {"scene": SPREAD, "cpu": {"bare invoke": 1.5}, "ratios": {"our own over bare": 0.125}}},
    "sound": {"decision to sound": {**SPREAD, "worst": 4.0}, "card's own buffer": {"most": 30.0}},
    "start": {"the very first": {"s": 0.5, "cpu_s": 0.4, "mb": 77.0, "own_mb": 40.0, "stages": "imports=1"}},
}


def test_the_table_names_the_machine_and_holds_every_figure() -> None:
    text = "\n".join(table(FOUND))
    assert "Abacus, 2 cores, wood; Python 3, numpy 1, OpenCV 4" in text
    for row in (
        "| scene | 1.000 | 2.000 | 3.000 |",
        "| bare invoke | 1.500 |",
        "| our own over bare | 0.125 |",
        "| decision to sound | 1.0 | 2.0 | 4.0 |",
        "| the very first | 0.50 | 0.40 | 77 | 40 | imports=1 |",
    ):
        assert row in text.splitlines()


def test_a_page_gets_the_figures_between_its_marks_as_often_as_they_are_measured(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    for line in ("new", "newer"):
        write(page, [line])
    assert page.read_text(encoding="utf-8") == f"# Before\n\n{BEGIN}\nnewer\n{END}\nafter\n"


@pytest.mark.parametrize("text", [None, "# no marks", END + BEGIN, f"{BEGIN} and no end"])
def test_a_page_without_a_place_is_refused_and_left_as_it_is(tmp_path: Path, text: str | None) -> None:
    page = tmp_path / "page.md"
    if text is not None:
        page.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(str(page))):
        write(page, ["line"])
    assert (page.read_text(encoding="utf-8") if text is not None else None) == text


def test_the_page_of_the_project_has_a_place_for_them() -> None:
    text = (Path(app.__file__).parents[1] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    assert 0 < text.find(BEGIN) < text.find(END)


def test_the_way_to_the_ear_is_measured_from_decisions_and_from_presses() -> None:
    synth = FakeSynth()
    figures = measure_sound(bundles.read(app.BUNDLES / "xts"), synth, VoiceConfig(), times=3)
    assert set(figures) == {"decision to sound", "press to total"}
    assert all(0 < spread["p50"] <= spread["worst"] for spread in figures.values())
    totals = [text for text, _ in synth.texts if text.startswith("Total")]
    assert len(totals) == 3, "each once, when it changed"
    assert not [thread.name for thread in threading.enumerate() if thread.name in ("announcer", "phrases", "fake card")]


@pytest.mark.integration
def test_the_command_gives_one_line_of_json(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text("", encoding="utf-8")
    assert (
        __main__.main(["bench", "--bundle", "xts", "--frames", "3", "--json", "--config", str(tmp_path / "edge.toml")])
        == 0
    )
    found = json.loads(capfd.readouterr().out)
    (figures,) = found["bundles"].values()
    assert {"scene", "preprocess", "invoke", "classify", "decide", "whole frame", "our own"} <= set(figures)


@pytest.mark.integration
def test_whole_starts_are_measured_and_their_stages_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(app.__file__).parents[1])
    for start in measure_starts(["--bundle", "inr"]).values():
        assert start["s"] > 0
        assert 95 > start["mb"] > start["own_mb"] > 20, "what each megabyte is: docs/decisions/0018-speed.md"
        assert start["cpu_s"] > 0
        assert all(f"{stage}=" in start["stages"] for stage in ("imports", "bundle", "voice", "phrases", "outlets"))


@pytest.mark.integration
def test_a_start_that_comes_to_no_word_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(app.__file__).parents[1])
    with pytest.raises(HardwareError, match="there is no bundle 'gold'"):
        measure_starts(["--bundle", "gold"])
