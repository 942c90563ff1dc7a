"""Owns how one of several cameras is chosen, and the sentence that names what there is; knows no driver.

Numbers of the kernel's change with every plugging in. So a place counts among the cameras that are there, and a name
or a path holds wherever the camera comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.core.errors import HardwareError, Reason


@dataclass(frozen=True, slots=True)
class Candidate:
    """One camera that is there."""

    name: str  # as its maker calls it
    where: str  # what tells it from its like: a path

    def __str__(self) -> str:
        return f"{self.name} ({self.where})" if self.name and self.where else self.name or self.where


def choose(kind: str, found: Sequence[Candidate], wanted: str, index: int) -> int:
    """The place in `found` of the `index`th camera that `wanted` names: part of its name, or where it is from a "/" on.

    `kind` is how the error calls it. Raises HardwareError(MISSING), which names those that are there.
    """
    fits = [place for place, one in enumerate(found) if _named(one, wanted)]
    if index < len(fits):
        return fits[index]
    what = f"no {kind} is called {wanted!r}" if wanted else f"there is no {kind} {index}"
    if wanted and fits:
        what = f"there is no {kind} {index} that is called {wanted!r}"
    there = "; ".join(f"{place}: {one}" for place, one in enumerate(found))
    raise HardwareError("camera", Reason.MISSING, f"{what}; those that are there, counted from 0: {there or 'none'}")


def _named(one: Candidate, wanted: str) -> bool:
    if wanted.startswith("/"):
        return one.where == wanted
    return wanted.casefold() in f"{one.name}\n{one.where}".casefold()
