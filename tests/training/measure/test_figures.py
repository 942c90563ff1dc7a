from __future__ import annotations

import json
from pathlib import Path

import pytest

from training.errors import TrainingError
from training.measure import figures
from training.measure.rates import rate
from training.measure.stills import Report, Shares

SHARES = Shares(accuracy=rate(19_999, 20_000), coverage=rate(19_000, 20_000), wrong=rate(3, 19_000), false=rate(0, 330))
REPORT = Report(SHARES, 0.0123, 2.5, {"10": {"10": 7, "silent": 1}}, ["torn.jpg"])
FIELDS = [
    "n", "accuracy", "coverage", "wrong_announcement_rate", "n_background", "false_announcement_rate",
    "calibration_error", "ms_per_picture", "confusion", "intervals", "announced", "wrong", "false", "broken",
]  # fmt: skip


def test_what_evaluate_writes_is_read_as_it_was_counted(tmp_path: Path) -> None:
    figures.write_evaluation(tmp_path / "evaluation.json", REPORT)
    assert figures.evaluation(tmp_path / "evaluation.json") == REPORT


def test_the_file_keeps_the_fields_that_other_programs_read(tmp_path: Path) -> None:
    figures.write_evaluation(tmp_path / "evaluation.json", REPORT)
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert list(written)[: len(FIELDS)] == FIELDS
    assert (written["n"], written["announced"], written["wrong"], written["false"]) == (20_000, 19_000, 3, 0)
    assert written["accuracy"] == 19_999 / 20_000
    assert written["intervals"]["accuracy"] == [SHARES.accuracy.low, SHARES.accuracy.high]


def test_an_older_file_has_the_share_alone_and_gives_the_same_counts(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    figures.write_evaluation(path, REPORT)
    older = {key: value for key, value in json.loads(path.read_text()).items() if key in FIELDS}
    path.write_text(json.dumps(older))
    assert figures.evaluation(path) == REPORT


@pytest.mark.parametrize("content", [b"[1", b"{}", b'{"n": "many"}', bytes([255])])
def test_a_file_of_something_else_is_named_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "evaluation.json"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match="does not hold the figures of evaluate") as told:
        figures.evaluation(path)
    assert len(str(told.value).splitlines()) == 1


def test_an_ablation_is_a_list_of_rows_with_names(tmp_path: Path) -> None:
    path = tmp_path / "sweep.json"
    path.write_text('[{"name": "all", "accuracy": 0.9}]')
    assert figures.ablation(path) == [{"name": "all", "accuracy": 0.9}]
    for wrong in ("[]", '[{"accuracy": 0.9}]', '[{"name": 3}]'):
        path.write_text(wrong)
        with pytest.raises(TrainingError, match="each with a name"):
            figures.ablation(path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be written"):
        figures.write(tmp_path / "nowhere" / "films.json", {})
    with pytest.raises(TrainingError, match="cannot be read"):
        figures.sequences(tmp_path / "nowhere" / "films.json")
