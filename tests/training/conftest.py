"""Small data for the trainer's tests: drawn, never a photograph."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training import drawn
from tests.training.drawn import Save


@pytest.fixture
def save() -> Save:
    """Writes an RGB picture."""
    return drawn.save


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """What `draw_photos` draws."""
    return drawn.draw_photos(tmp_path / "train")
