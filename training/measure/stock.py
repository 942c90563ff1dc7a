"""Owns what films are made from: the notes that are shown, and what lies behind, beside and instead of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.core.bundle import BACKGROUND
from edge.core.messages import Pixels
from training.errors import TrainingError
from training.measure.specimens import Specimen, evenly
from training.photos import cutout, dataset, folders
from training.photos.cutout import Patch
from training.photos.material import FOREIGN, HANDS
from training.playmoney import notes, scenes

Tick = Callable[[str, int, int], None]  # what is being done, how many, of how many

MOST_GROUNDS = 400  # background pictures held in memory
DRAWN_GROUNDS, DRAWN_STRANGERS = 60, 24  # where there is no photograph to stand behind


@dataclass(frozen=True)
class Stock:
    """What films are made from."""

    notes: list[Specimen]  # in the order they are shown
    grounds: list[Pixels]
    strangers: list[Patch]  # other money
    hands: list[Patch]
    several: list[Path] = field(default_factory=list)  # photographs of more than one note
    drawn: bool = False  # grounds and strangers are drawings, for want of photographs
    broken: list[str] = field(default_factory=list)  # pictures that cannot be read, each with the reason


def gather(
    specimens: Sequence[Specimen],
    most: int,
    seed: int,
    several: Path | None = None,
    tick: Tick = lambda what, i, n: None,
) -> Stock:
    """At most `most` notes (0: all), and what lies behind them; the notes are opened as they are shown.

    Raises TrainingError.
    """
    if several is not None and not several.is_dir():
        raise TrainingError(f"there is no folder {several}")
    shown = evenly([s for s in specimens if s.truth != BACKGROUND], most, seed)
    if not shown:
        raise TrainingError("none of these photographs shows a denomination of this bundle")
    grounds: list[Pixels] = []
    strangers, hands, broken = [], [], []
    behind = _by_source([s for s in specimens if s.truth == BACKGROUND], seed)[:MOST_GROUNDS]
    for number, specimen in enumerate(behind):
        tick("opening backgrounds", number + 1, len(behind))
        try:
            pixels = dataset.load_to_compose(specimen.path)
        except TrainingError as error:
            broken.append(str(error))
            continue
        # Amounts the bundle does not know are strangers, as another country's money is.
        if specimen.unknown_amount or specimen.source.startswith(FOREIGN):
            strangers.append(cutout.whole(pixels))
        elif specimen.source == HANDS:
            hands += [hand] if (hand := cutout.hand(pixels)) else []
        else:
            grounds.append(pixels)
    drawn = not grounds
    if drawn:
        grounds = [scenes.draw_scene(seed * 1000 + i, (240, 320)) for i in range(DRAWN_GROUNDS)]
    if not strangers:
        strangers = [cutout.whole(notes.draw_stranger(seed * 1000 + i, 320)) for i in range(DRAWN_STRANGERS)]
    whole = [path for path in folders.pictures_in(several) if _opens(path, broken)] if several else []
    return Stock(shown, grounds, strangers, hands, whole, drawn, broken)


def _opens(path: Path, broken: list[str]) -> bool:
    try:
        dataset.load_to_compose(path)
    except TrainingError as error:
        broken.append(str(error))
        return False
    return True


def _by_source(specimens: Sequence[Specimen], seed: int) -> list[Specimen]:
    """Mixed, the sources taking turns."""
    groups: dict[str, list[Specimen]] = defaultdict(list)
    for specimen in evenly(specimens, 0, seed):
        groups[specimen.source].append(specimen)
    longest = max(map(len, groups.values()), default=0)
    return [group[i] for i in range(longest) for group in groups.values() if i < len(group)]
