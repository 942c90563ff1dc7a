"""Two of the bundles that ship, or one and its twin of another currency, and drawn play money."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge import app
from edge.core import bundle as bundles
from edge.core.bundle import BACKGROUND, Bundle
from training.errors import TrainingError
from training.measure.pocket import score
from training.playmoney import notes, scenes

Save = Callable[[Path, np.ndarray], Path]
XTS, INR = (bundles.read(app.BUNDLES / name) for name in ("xts", "inr"))


def twin(currency: str) -> Bundle:
    """The play money's bundle, which says that it is of another currency."""
    return dataclasses.replace(XTS, manifest=msgspec.structs.replace(XTS.manifest, currency=currency))


@pytest.fixture
def pictures(tmp_path: Path, save: Save) -> list[tuple[Path, str]]:
    found = []
    for number, amount in enumerate(notes.DENOMINATIONS):
        scene = np.full((240, 320, 3), 128, np.uint8)
        drawn = notes.draw(amount, "front", number, 260)
        scene[60 : 60 + drawn.shape[0], 30:290] = drawn
        save(tmp_path / f"{amount}.png", scene)
        save(tmp_path / f"none{number}.png", scenes.draw_scene(number + 40, (240, 320)))
        found += [(tmp_path / f"{amount}.png", str(amount)), (tmp_path / f"none{number}.png", BACKGROUND)]
    return found


def test_play_money_stays_play_money_beside_rupees(pictures: list[tuple[Path, str]]) -> None:
    found = score([XTS, INR], pictures)
    assert (found.notes, found.background) == (6, 6)
    assert found.right >= 5
    assert (found.wrong_amount, found.wrong_currency, found.false) == (0, 0, 0)


def test_what_two_bundles_claim_is_said_as_neither(pictures: list[tuple[Path, str]]) -> None:
    found = score([XTS, twin("XXX")], pictures)
    assert (found.right, found.wrong_amount, found.wrong_currency, found.false) == (0, 0, 0, 0)


def test_a_right_number_in_the_wrong_currency_is_wrong(pictures: list[tuple[Path, str]], tmp_path: Path) -> None:
    (tmp_path / "torn.jpg").write_bytes(b"")
    found = score([INR, XTS], [*pictures, (tmp_path / "torn.jpg", BACKGROUND)])  # told to be rupees
    assert found.right == 0
    assert found.wrong_currency >= 5
    assert "said as 50 XTS" in " ".join(found.mistakes)
    assert len(found.broken) == 1


def test_two_bundles_of_one_currency_and_no_picture_at_all_are_refused(pictures: list[tuple[Path, str]]) -> None:
    with pytest.raises(TrainingError, match="of one currency"):
        score([XTS, twin("XTS")], pictures)
    with pytest.raises(TrainingError, match="no picture"):
        score([XTS, INR], [])
