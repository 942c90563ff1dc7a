from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from edge import __main__, apart, selection, tuning
from edge.commands import choosing
from edge.commands.choosing import Trial
from edge.commands.examination import State, examine
from edge.drivers import tflite
from edge.settings import USUAL_THREADS, Config, ModelConfig
from edge.tuning import Record, Row
from tests.edge.commands.test_doctor import CONFIG, patient

QUICK = Row("ai-edge-litert", "ai-edge-litert 2.3.0", 2, 3.0)
FEWER = Row("ai-edge-litert", "ai-edge-litert 2.3.0", 1, 3.1)
SLOW = Row("tflite-runtime", "tflite-runtime 2.14.0", 1, 45.0)
BROKEN = Row("tflite-runtime", "tflite-runtime 2.14.0", 0, problem="it breaks down (SIGILL)")
BUNDLES = ("a" * 64,)


def config(**model: object) -> Config:
    return Config(model=ModelConfig(**model))  # type: ignore[arg-type]


def test_the_fastest_is_taken_and_of_those_as_fast_the_one_with_the_fewest_threads() -> None:
    assert tuning.best([QUICK, FEWER, SLOW], Config()) == FEWER
    assert tuning.best([QUICK, msgspec.structs.replace(FEWER, ms=3.5), SLOW], Config()) == QUICK


def test_what_cannot_be_used_is_never_taken_however_fast_it_looks() -> None:
    assert tuning.best([BROKEN, SLOW], Config()) == SLOW
    assert tuning.best([BROKEN], Config()) is None
    assert tuning.best([], Config()) is None


def test_what_the_settings_name_stands() -> None:
    assert tuning.best([QUICK, SLOW], config(runtime="tflite-runtime")) == SLOW
    assert tuning.best([QUICK, FEWER], config(threads=2)) == QUICK
    assert tuning.best([QUICK, FEWER], config(threads=3)) is None


def test_a_start_takes_what_was_measured(tmp_path: Path) -> None:
    tuning.write(tmp_path, tuning.record([QUICK, msgspec.structs.replace(SLOW, ms=1.0)], BUNDLES))
    found = tuning.applied(Config(), tmp_path, BUNDLES)
    assert (found.model.runtime, found.model.threads) == ("tflite-runtime", 1)


def test_what_would_be_taken_anyway_may_still_be_replaced_where_it_cannot_be_imported(tmp_path: Path) -> None:
    first = msgspec.structs.replace(FEWER, version=tflite.installed()[0])
    tuning.write(tmp_path, tuning.record([first], BUNDLES))
    found = tuning.applied(Config(), tmp_path, BUNDLES)
    assert (found.model.runtime, found.model.threads) == ("auto", 1)


@pytest.mark.parametrize("what", ["board", "installed", "bundles"])
def test_where_anything_has_changed_a_start_does_as_if_nothing_was_measured(tmp_path: Path, what: str) -> None:
    other = {"board": "abacus", "installed": ("beads 1",), "bundles": ("b" * 64,)}[what]
    tuning.write(tmp_path, msgspec.structs.replace(tuning.record([FEWER], BUNDLES), **{what: other}))
    found = tuning.applied(Config(), tmp_path, BUNDLES)
    assert (found.model.runtime, found.model.threads) == ("auto", USUAL_THREADS)
    read = tuning.read(tmp_path)
    assert read is not None
    assert "it was measured" in tuning.outdated(read, BUNDLES)


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[1]", b"\xff\x00", b'{"rows": 3}', b"x" * (tuning.MOST_BYTES + 1), b"[" * 9000]
)
def test_a_damaged_record_is_none(tmp_path: Path, text: bytes) -> None:
    (tmp_path / tuning.FILE).write_bytes(text)
    assert tuning.read(tmp_path) is None
    assert tuning.applied(Config(), tmp_path, BUNDLES).model.threads == USUAL_THREADS


def test_a_record_of_an_unknown_runtime_is_none(tmp_path: Path) -> None:
    written = msgspec.json.encode(tuning.record([FEWER], BUNDLES)).replace(b'"ai-edge-litert"', b'"abacus"')
    (tmp_path / tuning.FILE).write_bytes(written)
    assert tuning.read(tmp_path) is None


def test_no_record_is_no_trouble(tmp_path: Path) -> None:
    assert tuning.read(tmp_path / "nowhere") is None
    found = tuning.applied(config(threads=3, runtime="tflite-runtime"), tmp_path, BUNDLES)
    assert (found.model.runtime, found.model.threads) == ("tflite-runtime", 3)


def test_a_board_that_does_not_keep_up_is_told_what_helps() -> None:
    assert tuning.advice(QUICK, 15.0) == ""
    assert tuning.advice(msgspec.structs.replace(SLOW, ms=160.0), 5.0) == "", "no more are asked for"
    assert "6.2 pictures a second" in tuning.advice(msgspec.structs.replace(SLOW, ms=160.0), 15.0)


def test_a_runtime_that_takes_its_process_down_costs_that_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "BEGIN", "import os, signal; os.kill(os.getpid(), signal.SIGILL)")
    rows = list(choosing.measured(("xts",)))
    assert len(rows) == len(tflite.installed())
    assert all(row.problem == "it breaks down (SIGILL)" for row in rows)


def test_one_that_never_ends_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "BEGIN", "import threading; threading.Event().wait()")
    assert {row.problem for row in choosing.measured(("xts",), within_s=0.2)} == {"it was not done in time"}


def test_one_that_says_something_else_gives_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "BEGIN", "import sys; sys.exit('no such sign')")
    assert {row.problem for row in choosing.measured(("xts",))} == {"it cannot be tried: no such sign"}


def test_one_that_does_not_give_the_answers_of_the_self_test_is_not_timed() -> None:
    (row,) = choosing.tried(Trial("ai-edge-litert", ("nowhere",), (1,), 0.0))
    assert row.ms == 0
    assert "there is no bundle" in row.problem


@pytest.mark.integration
def test_the_command_measures_what_is_installed_and_the_next_start_uses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    (tmp_path / "edge.toml").write_text('[model]\nbundle = "xts"\n', encoding="utf-8")
    assert __main__.main(["bench", "--choose", "--config", str(tmp_path / "edge.toml")]) == 0
    read = tuning.read(tmp_path)
    assert isinstance(read, Record)
    cores = min(choosing.MOST_THREADS, os.cpu_count() or 1)
    usable = [row for row in read.rows if not row.problem]
    assert {row.threads for row in usable} == set(range(1, cores + 1))
    assert all(row.ms > 0 for row in usable)
    best = tuning.best(read.rows, Config())
    assert best is not None
    assert f"chosen: {best.version}, threads {best.threads}" in capfd.readouterr().out
    kept = (tmp_path / tuning.FILE).stat()
    assert __main__.main(["bench", "--choose", "once", "--config", str(tmp_path / "edge.toml")]) == 0
    after = (tmp_path / tuning.FILE).stat()
    assert (after.st_ino, after.st_mtime_ns) == (kept.st_ino, kept.st_mtime_ns), "it is not measured again"
    chosen = tuning.applied(CONFIG, tmp_path, selection.digests(CONFIG))
    first = best.version == tflite.installed()[0]
    assert (chosen.model.runtime, chosen.model.threads) == ("auto" if first else best.runtime, best.threads)


def test_the_doctor_says_which_and_why(tmp_path: Path) -> None:
    def runtime() -> tuple[State, str, str]:
        (found,) = [finding for finding in examine(patient(tmp_path)) if finding.part == "runtime"]
        return found.state, found.found, found.to_do

    state, found, to_do = runtime()
    assert (state, "not measured" in found, "bench --choose" in to_do) == (State.SKIPPED, True, True)
    digests = selection.digests(CONFIG)
    where = patient(tmp_path).state
    tuning.write(where, tuning.record([QUICK, BROKEN], digests))
    state, found, _ = runtime()
    assert state is State.OK
    assert "ai-edge-litert 2.3.0, threads 2" in found
    assert "SIGILL" in found
    tuning.write(where, tuning.record([msgspec.structs.replace(QUICK, ms=250.0)], digests))
    state, _, to_do = runtime()
    assert (state, "smaller network" in to_do) == (State.WARNING, True)
    tuning.write(where, tuning.record([QUICK], BUNDLES))
    state, found, _ = runtime()
    assert (state, "another bundle" in found) == (State.SKIPPED, True)
