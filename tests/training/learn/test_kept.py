from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from training.errors import TrainingError
from training.learn.kept import Kept
from training.learn.supply import Batch

BATCH = 4


def numbered(first: int) -> Iterator[Batch]:
    """Batches whose samples are told apart by their number."""
    for number in itertools.count(first):
        values = np.arange(number * BATCH, (number + 1) * BATCH, dtype=np.float32)[:, None]
        yield values.astype(np.int8).reshape(BATCH, 1, 1, 1), values, values, values


def filled(folder: Path, samples: int = 22, seed: int = 1) -> Kept:
    kept = Kept(folder, samples, BATCH, seed)
    kept.fill(numbered, lambda done, of: None)
    return kept


def order(kept: Kept, first: int, count: int) -> list[int]:
    found = itertools.islice(kept.batches(first), count)
    return [int(value) for _, targets, _, _ in found for value in targets[:, 0]]


def test_each_round_shows_every_whole_batch_of_samples_once_in_another_order(tmp_path: Path) -> None:
    kept = filled(tmp_path)
    once, again = order(kept, 0, 5), order(kept, 5, 5)
    assert sorted(once) == sorted(again) == list(range(20))
    assert once != again


def test_what_belongs_together_stays_together(tmp_path: Path) -> None:
    pictures, targets, boxes, known = next(filled(tmp_path).batches(3))
    assert np.array_equal(pictures[:, 0, 0, 0], targets[:, 0])
    assert np.array_equal(boxes, targets)
    assert np.array_equal(known, targets)


def test_the_same_seed_goes_on_from_any_batch_as_it_would_have(tmp_path: Path) -> None:
    kept = filled(tmp_path)
    assert order(kept, 0, 9)[7 * BATCH :] == order(kept, 7, 2)
    assert order(kept, 0, 5) != order(filled(tmp_path / "other", seed=2), 0, 5)


def test_composing_that_was_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    class PowerError(Exception):
        """Stands for the power that fails."""

    def fail(done: int, of: int) -> None:
        if done == 8:
            raise PowerError

    asked: list[int] = []

    def watched(first: int) -> Iterator[Batch]:
        asked.append(first)
        return numbered(first)

    kept = Kept(tmp_path, 22, BATCH, 1)
    with pytest.raises(PowerError):
        kept.fill(watched, fail)
    kept = Kept(tmp_path, 22, BATCH, 1)
    kept.fill(watched, lambda done, of: None)
    assert asked == [0, 2]
    assert sorted(order(kept, 0, 5)) == list(range(20))
    kept.fill(lambda first: iter(()), lambda done, of: pytest.fail("composed again"))


def test_another_number_of_samples_is_composed_anew(tmp_path: Path) -> None:
    filled(tmp_path)
    assert sorted(order(filled(tmp_path, samples=12), 0, 3)) == list(range(12))


def test_fewer_samples_than_a_batch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="less than one batch"):
        Kept(tmp_path, 3, BATCH, 1)
