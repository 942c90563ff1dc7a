from __future__ import annotations

from pathlib import Path

import pytest

from edge.core.messages import Rank, Utterance
from edge.outlets.said import REMEMBERED, TOLD, Said, told

WARNING = "I do not tell genuine notes from counterfeits"


def said(text: str, *, sounded: bool = True) -> Utterance:
    return Utterance(text, Rank.NEWS, 1.0, sounded)


def test_what_was_said_is_not_remembered_for_ever(tmp_path: Path) -> None:
    memory = Said(WARNING, tmp_path)
    for number in range(5 * REMEMBERED):
        assert memory.offer(said(str(number)))
    assert [utterance.text for utterance in memory.utterances][-1] == str(5 * REMEMBERED - 1)
    assert len(memory.utterances) == REMEMBERED


def test_once_somebody_could_hear_the_warning_this_device_has_told_it_for_good(tmp_path: Path) -> None:
    state = tmp_path / "state"
    memory = Said(WARNING, state)
    memory.offer(said("Ready"))
    memory.offer(said(WARNING, sounded=False))
    memory.close()
    assert not told(state), "nobody has heard it"
    memory.offer(said(WARNING))
    memory.close()
    assert told(state)


def test_a_state_folder_that_cannot_be_written_is_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    memory = Said(WARNING, tmp_path / "file" / "state")
    memory.offer(said(WARNING))
    memory.close()
    assert "said again at the next start" in caplog.text
    assert not told(tmp_path / "file" / "state")


def test_a_mark_that_was_made_before_is_found(tmp_path: Path) -> None:
    (tmp_path / TOLD).touch()
    assert told(tmp_path)
