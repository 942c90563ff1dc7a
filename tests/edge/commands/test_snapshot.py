from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.commands import snapshot
from edge.core.errors import HardwareError
from edge.core.messages import Frame
from edge.drivers.fake import FakeCamera
from edge.settings import Config, ModelConfig
from tests.devices import fake_parts
from tests.edge.commands.test_doctor import film, living, scene

CONFIG = Config(model=ModelConfig(bundle="xts"))


@pytest.mark.parametrize("name", ["s.png", "s.jpg", "S.JPEG"])
def test_the_picture_is_written_in_its_own_colours_and_described(tmp_path: Path, name: str) -> None:
    # Noise from pixel to pixel, as of the other tests, is what JPEG does not keep.
    camera = film(cv2.resize(scene(n)[:9, :12], (96, 72), interpolation=cv2.INTER_LINEAR) for n in range(60))
    lines = list(snapshot.take(CONFIG, fake_parts(camera=lambda: camera), tmp_path / name))
    written = cv2.cvtColor(cv2.imread(str(tmp_path / name)), cv2.COLOR_BGR2RGB)
    assert np.abs(written.astype(int) - camera.given[-1].pixels).mean() < 12
    assert camera.closed
    assert camera.given[-1].t_s >= 1.5, "the camera had time for its exposure"
    assert {line.split()[0] for line in lines} >= {"picture", "look", "luma", "sharpness", "label", "box"}
    assert [path.name for path in tmp_path.iterdir()] == [name], "and it is stored nowhere else"


def test_a_dark_picture_is_written_and_no_note_looked_for(tmp_path: Path) -> None:
    black = FakeCamera([Frame(n, n / 10, np.zeros((48, 64, 3), np.uint8)) for n in range(30)])
    lines = list(snapshot.take(CONFIG, fake_parts(camera=lambda: black), tmp_path / "s.png"))
    assert "look       covered" in lines
    assert not any(line.startswith("label") for line in lines)
    assert (tmp_path / "s.png").exists()


def test_a_refused_bundle_does_not_cost_the_picture(tmp_path: Path) -> None:
    config = Config(model=ModelConfig(bundle="gold"))
    lines = list(snapshot.take(config, fake_parts(camera=lambda: living()), tmp_path / "s.png"))
    assert "no bundle 'gold'" in lines[-1]
    assert (tmp_path / "s.png").exists()


def test_a_picture_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match=r"s\.png cannot be written: No such file"):
        list(snapshot.take(CONFIG, fake_parts(camera=lambda: living()), tmp_path / "no" / "s.png"))


def test_a_camera_without_a_picture_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match="no picture"):
        list(snapshot.take(CONFIG, fake_parts(camera=lambda: FakeCamera([])), tmp_path / "s.png"))
    assert not list(tmp_path.iterdir())
