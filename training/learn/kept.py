"""Owns samples that lie on the disk and are learnt from again and again, each time round in another order.

What they hold for a picture is the business of whoever keeps them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from training.errors import TrainingError
from training.learn.supply import Batch

NAMES = ("pictures", "targets", "boxes", "known")
COUNT = "count"


class Kept:
    """`samples` samples in a folder, in batches of `batch`."""

    def __init__(self, folder: Path, samples: int, batch: int, seed: int) -> None:
        if samples < batch:
            raise TrainingError(f"{samples} samples are less than one batch of {batch}")
        self._folder, self._batch, self._seed = folder, batch, seed
        self._samples = samples - samples % batch

    def fill(self, batches: Callable[[int], Iterator[Batch]], tick: Callable[[int, int], None]) -> None:
        """Keep what `batches(number)` gives from that batch on; what is kept already is not asked for again."""
        self._folder.mkdir(parents=True, exist_ok=True)
        done, last = self._filled() // self._batch, self._samples // self._batch
        arrays = [np.load(self._file(name), mmap_mode="r+") for name in NAMES] if done else []
        for number, batch in enumerate(itertools.islice(batches(done), last - done), done):
            arrays = arrays or [self._new(name, values) for name, values in zip(NAMES, batch, strict=True)]
            at = slice(number * self._batch, (number + 1) * self._batch)
            for array, values in zip(arrays, batch, strict=True):
                array[at] = values
            (self._folder / COUNT).write_text(str(at.stop))
            tick(at.stop, self._samples)

    def batches(self, first: int) -> Iterator[Batch]:
        """Batches from number `first` on, without end; the same for the same seed."""
        arrays = [np.load(self._file(name), mmap_mode="r") for name in NAMES]
        in_a_round = self._samples // self._batch
        for number in itertools.count(first):
            turn, place = divmod(number, in_a_round)
            order = np.random.default_rng((self._seed, turn)).permutation(self._samples)
            # In the order of the disk: within a batch none counts.
            chosen = np.sort(order[place * self._batch : (place + 1) * self._batch])
            pictures, targets, boxes, known = (np.asarray(array[chosen]) for array in arrays)
            yield pictures, targets, boxes, known

    def _filled(self) -> int:
        """How many samples lie there whole."""
        try:
            count = int((self._folder / COUNT).read_text())
            lengths = {len(np.load(self._file(name), mmap_mode="r")) for name in NAMES}
        except (OSError, ValueError):
            return 0
        return count if lengths == {self._samples} else 0

    def _new(self, name: str, like: NDArray[Any]) -> NDArray[Any]:
        shape = (self._samples, *like.shape[1:])
        made: NDArray[Any] = open_memmap(self._file(name), "w+", like.dtype, shape)  # type: ignore[no-untyped-call]
        return made

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.npy"
