"""Owns the chances of one sample: a generator of its own for each family of operations, and what was done."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from training.synth.recipe import FAMILIES, Recipe

# Appending keeps older samples as they were.
STREAMS = ("kind", "note", "ground", "placement", "paste", *FAMILIES)


class Draw:
    """The chances of sample `number` of a `seed`."""

    def __init__(self, seed: int, number: int, recipe: Recipe) -> None:
        self.done: list[str] = []
        self._key, self._recipe = (seed, number), recipe
        self._generators: dict[str, Generator] = {}

    def __getitem__(self, family: str) -> Generator:
        """The generator of `family`."""
        if family not in self._generators:
            self._generators[family] = np.random.default_rng((*self._key, STREAMS.index(family)))
        return self._generators[family]

    def on(self, family: str) -> bool:
        """Whether the recipe has `family`."""
        return family not in self._recipe.off

    def happens(self, family: str, share: float, name: str) -> bool:
        """Whether `name` happens to this sample; it is noted as done."""
        yes = self[family].random() < share * self._recipe.strength and self.on(family)
        if yes:
            self.done.append(name)
        return bool(yes)
