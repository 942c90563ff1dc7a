from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import app
from edge.commands.replay import transcribe
from edge.core.bundle import Bundle
from edge.core.errors import HardwareError
from edge.devices import open_engine
from edge.drivers.fake import FakeEngine
from edge.settings import Config, ModelConfig
from training.playmoney import notes

CONFIG = Config(model=ModelConfig(bundle="xts"))
LABELS = ("5", "10", "20", "50", "100", "500", "background", "several")
NOTE = notes.draw(50, "front", 1, 320)


class ByBrightness(FakeEngine):
    """Answers the self-test, then by the picture: a bright one is a fifty, a dim one none that it knows."""

    def __init__(self, bundle: Bundle) -> None:
        size = bundle.manifest.input
        super().__init__([[list(row), [0.5] * 5] for row in bundle.selftest_logits], (1, size.height, size.width, 3))
        self._tests = len(bundle.selftest_logits)

    def invoke(self, tensor: np.ndarray) -> list[np.ndarray]:
        answer = super().invoke(tensor)
        if len(self.tensors) <= self._tests:
            return answer
        label = "50" if tensor.mean() > 80 else "background"
        return [np.array([[9.0 * (name == label) for name in LABELS]], np.float32), answer[1]]


def save(path: Path, picture: np.ndarray) -> None:
    cv2.imwrite(str(path), picture[:, :, ::-1])


def lines(folder: Path) -> list[str]:
    return list(transcribe(CONFIG, folder, ByBrightness))


def test_every_still_gets_its_line_spoken_or_silent(tmp_path: Path) -> None:
    save(tmp_path / "a.png", NOTE)
    save(tmp_path / "b.png", NOTE // 4)
    save(tmp_path / "c.png", NOTE)
    assert lines(tmp_path) == ["a.png: 50 play crowns", "b.png: (silence)", "c.png: 50 play crowns"]


def test_a_file_that_is_no_picture_is_named_and_costs_its_neighbours_nothing(tmp_path: Path) -> None:
    save(tmp_path / "a.png", NOTE)
    (tmp_path / "b.png").write_bytes(b"torn")
    save(tmp_path / "c.png", NOTE)
    assert lines(tmp_path) == [
        "a.png: 50 play crowns",
        "c.png: 50 play crowns",
        "b.png: left out, as it is broken: it is no JPEG, PNG or WebP",
    ]


def test_a_folder_of_broken_files_is_no_silence(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    assert lines(tmp_path) == ["a.jpg: left out, as it is broken: it is empty"]


def test_a_recording_tells_the_frame_at_which_something_was_said(tmp_path: Path) -> None:
    (tmp_path / "recording.toml").write_text("frames_per_s = 10.0\n")
    for number in range(12):
        save(tmp_path / f"{number:02}.png", NOTE if number >= 4 else NOTE // 4)
    assert lines(tmp_path) == ["06.png: 50 play crowns"]


def test_a_folder_without_pictures_is_a_missing_camera(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match="holds no pictures"):
        lines(tmp_path)


def test_whoever_stops_reading_leaves_nothing_open(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / f"{name}.png", NOTE)
    engines: list[FakeEngine] = []

    def keep(bundle: Bundle) -> FakeEngine:
        engines.append(ByBrightness(bundle))
        return engines[0]

    reading = transcribe(CONFIG, tmp_path, keep)
    assert isinstance(reading, Iterator)
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert engines[0].closed


def test_a_photograph_is_told_the_same_whatever_was_shown_before_it(tmp_path: Path) -> None:
    config = Config(model=ModelConfig(bundle="xts"))
    taken = sorted(app.REPLAY.glob("*.jpg"))[::20]
    for name, pictures in (("on", taken), ("back", taken[::-1])):
        (tmp_path / name).mkdir()
        for number, path in enumerate(pictures):
            (tmp_path / name / f"{number:03}-{path.name}").symlink_to(path)

    def told(name: str) -> set[str]:
        said = transcribe(config, tmp_path / name, lambda bundle: open_engine(config, bundle))
        return {line.split("-", 1)[1] for line in said}

    assert told("on") == told("back")
    assert any("play crowns" in line for line in told("on"))


def test_a_photograph_of_which_it_is_not_sure_gets_the_sentence_of_the_device(tmp_path: Path) -> None:
    class Doubtful(ByBrightness):
        def invoke(self, tensor: np.ndarray) -> list[np.ndarray]:
            answer = super().invoke(tensor)
            return answer if len(self.tensors) <= self._tests else [answer[0] * 0 + np.eye(8)[2] * 3, answer[1]]

    save(tmp_path / "a.png", NOTE)
    assert list(transcribe(CONFIG, tmp_path, Doubtful)) == ["a.png: Not sure, turn the note"]
